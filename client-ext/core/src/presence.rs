//! Decides from what the camera saw whether the remote desktop must be covered.
//!
//! A pure state machine: observations and time in, a `Decision` out.
//!
//! ```text
//!  faces ─► view: clear · onlooker · stranger · undecided · absent · camera-blocked · camera-lost
//!                  │         └────┬────┘            │          │            └──────┬──────┘
//!                  │        exposure ≥ hold   budget used  age ≥ absence      at once
//!                  ▼              └─────────────────┴──────────┴──► cover ◄───────┘
//!            unbroken for `release` ─► uncover
//! ```
//! Not a face count: exposure is dwell x facing x distance, in milliseconds that a near face
//! looking straight at the screen would have needed.

use sudare_protocol::limits::FRAME_STALE_MS;
use sudare_protocol::numbers::Numbers;
use sudare_protocol::reason::{Reason, State};

/// Whose face it is, as far as known. A face not yet compared is `Undecided`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Operator,
    Stranger,
    Undecided,
}

/// One face in view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceSeen {
    pub who: Who,
    /// Face width / picture width.
    pub width_share: f32,
    pub yaw_deg: f32,
}

/// What the camera delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraView {
    Clear,
    /// Dark or uniform: covered by a hand, a cap, or night.
    Blocked,
    /// Unplugged, stalled, frozen or ended.
    Lost,
    /// In use by another program.
    Busy,
}

/// One look at the seat.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub t_ms: u64,
    pub camera: CameraView,
    pub faces: Vec<FaceSeen>,
}

/// The decision, and the ages that the host bounds for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub state: State,
    pub cover: bool,
    pub reason: Reason,
    /// A face that is not the operator's is in view: worth a screenshot in memory.
    pub suspect: bool,
    /// `u64::MAX` = never.
    pub operator_confirmed_age_ms: u64,
    pub not_alone_ms: u64,
    pub undecided_ms: u64,
    pub clear_ms: u64,
    /// Age of the newest observation.
    pub frame_age_ms: u64,
}

impl Decision {
    /// Attested during a break: covered, nothing seen, nothing asked for.
    ///
    /// The reason is `Starting` and not `Break`: the host knows of the break, and a late echo of it after the break
    /// would look like a request for another one.
    pub const fn on_break() -> Self {
        Decision {
            state: State::Absent,
            cover: true,
            reason: Reason::Starting,
            suspect: false,
            operator_confirmed_age_ms: u64::MAX,
            not_alone_ms: 0,
            undecided_ms: 0,
            clear_ms: 0,
            frame_age_ms: u64::MAX,
        }
    }
}

/// A face may be missed for this long before the seat counts as empty: the detector blinks.
const FLICKER_MS: u64 = 500;
/// Exposure drains at half the speed at which it fills, so that a face seen in every second
/// picture still adds up.
const DRAIN: f64 = 0.5;

#[derive(Debug)]
pub struct Presence {
    numbers: Numbers,
    started_ms: Option<u64>,
    last_ms: u64,
    last_look_ms: u64,
    /// Until the first look the camera is still opening, so it does not count as lost.
    looked: bool,
    view: View,
    operator_at_ms: Option<u64>,
    clear_since_ms: Option<u64>,
    /// When faces were last seen, to bridge flicker.
    face_at_ms: u64,
    exposure_ms: f64,
    /// Exposure to a face not yet compared; counts as soon as it turns out to be a stranger's.
    pending_ms: f64,
    undecided_ms: u64,
    cover: bool,
    reason: Reason,
}

/// The latest look, reduced to what decides.
#[derive(Debug, Clone, Copy)]
struct View {
    state: State,
    reason: Reason,
    /// How fast exposure grows (0 to 1), from the most exposed face.
    weight: f64,
    suspect: bool,
}

impl Presence {
    pub fn new(numbers: &Numbers) -> Self {
        let state = State::Absent;
        Presence {
            numbers: *numbers,
            started_ms: None,
            last_ms: 0,
            last_look_ms: 0,
            looked: false,
            view: View { state, reason: Reason::Starting, weight: 0.0, suspect: false },
            operator_at_ms: None,
            clear_since_ms: None,
            face_at_ms: 0,
            exposure_ms: 0.0,
            pending_ms: 0.0,
            undecided_ms: 0,
            cover: true,
            reason: Reason::Starting,
        }
    }

    /// A new look at the seat.
    pub fn observe(&mut self, seen: &Observation) -> Decision {
        self.advance(seen.t_ms);
        (self.last_look_ms, self.looked) = (self.last_ms, true);
        let mut view = view_of(seen);
        if !seen.faces.is_empty() {
            self.face_at_ms = self.last_ms;
        }
        let flicker = view.state == State::Absent
            && !self.view.state.is_adverse()
            && self.last_ms.saturating_sub(self.face_at_ms) < FLICKER_MS;
        if flicker {
            view = self.view;
        } else if seen.faces.iter().any(|f| f.who == Who::Operator) && seen.camera == CameraView::Clear {
            self.operator_at_ms = Some(self.last_ms);
        }
        self.enter(view);
        self.decide()
    }

    /// Time passes without a new look.
    pub fn tick(&mut self, now_ms: u64) -> Decision {
        self.advance(now_ms);
        if self.last_ms.saturating_sub(self.last_look_ms) > FRAME_STALE_MS && self.looked {
            self.enter(View {
                state: State::CameraLost,
                reason: Reason::CameraLost,
                weight: 0.0,
                suspect: false,
            });
        }
        self.decide()
    }

    /// Charges the time since the last call to whatever was in view then.
    fn advance(&mut self, now_ms: u64) {
        if self.started_ms.is_none() {
            (self.started_ms, self.last_ms, self.last_look_ms) = (Some(now_ms), now_ms, now_ms);
            self.face_at_ms = now_ms.saturating_sub(FLICKER_MS);
        }
        let passed_ms = now_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(now_ms);
        // Precise far beyond any session's length.
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a gap fit f64 exactly")]
        let passed = passed_ms as f64;
        match self.view.state {
            State::Onlooker | State::Stranger => self.exposure_ms += passed * self.view.weight,
            State::Undecided => {
                self.pending_ms += passed * self.view.weight;
                self.undecided_ms = self.undecided_ms.saturating_add(passed_ms);
            }
            _ => self.exposure_ms = (self.exposure_ms - passed * DRAIN).max(0.0),
        }
    }

    fn enter(&mut self, view: View) {
        self.view = view;
        match view.state {
            State::Clear => {
                self.pending_ms = 0.0;
                let since = *self.clear_since_ms.get_or_insert(self.last_ms);
                if self.last_ms - since >= self.numbers.undecided_refill_ms {
                    self.undecided_ms = 0;
                }
            }
            State::Onlooker | State::Stranger => {
                self.exposure_ms += std::mem::take(&mut self.pending_ms);
                self.clear_since_ms = None;
            }
            _ => self.clear_since_ms = None,
        }
    }

    fn decide(&mut self) -> Decision {
        let operator_age_ms = self.operator_at_ms.map_or(u64::MAX, |at| self.last_ms.saturating_sub(at));
        let clear_ms = self.clear_since_ms.map_or(0, |since| self.last_ms.saturating_sub(since));
        let not_alone_ms = whole_ms(self.exposure_ms);
        let view = self.view;
        let must_cover = match view.state {
            State::Clear => None,
            state if state.is_adverse() => Some(view.reason),
            State::Phone => Some(view.reason),
            State::Onlooker | State::Stranger if not_alone_ms >= self.numbers.hold_ms => Some(view.reason),
            State::Undecided if self.undecided_ms >= self.numbers.undecided_ms => Some(Reason::Undecided),
            _ if operator_age_ms >= self.numbers.absence_ms && self.operator_at_ms.is_some() => {
                // The operator was not confirmed for too long; the reason is what is in view now.
                Some(view.reason)
            }
            _ => None,
        };
        if let Some(reason) = must_cover {
            (self.cover, self.reason) = (true, reason);
        } else if self.cover && view.state == State::Clear && clear_ms >= self.numbers.release_ms {
            (self.cover, self.reason) = (false, Reason::None);
            self.exposure_ms = 0.0;
        }
        Decision {
            state: view.state,
            cover: self.cover,
            reason: self.reason,
            suspect: view.suspect,
            operator_confirmed_age_ms: operator_age_ms,
            not_alone_ms: if view.state == State::Clear { 0 } else { not_alone_ms },
            undecided_ms: self.undecided_ms,
            clear_ms,
            frame_age_ms: self.last_ms.saturating_sub(self.last_look_ms),
        }
    }
}

fn view_of(seen: &Observation) -> View {
    let camera = match seen.camera {
        CameraView::Clear => None,
        CameraView::Blocked => Some((State::CameraBlocked, Reason::CameraBlocked)),
        CameraView::Lost => Some((State::CameraLost, Reason::CameraLost)),
        CameraView::Busy => Some((State::CameraLost, Reason::CameraBusy)),
    };
    if let Some((state, reason)) = camera {
        return View { state, reason, weight: 0.0, suspect: false };
    }
    let has = |who| seen.faces.iter().any(|f| f.who == who);
    let (operator, stranger, undecided) = (has(Who::Operator), has(Who::Stranger), has(Who::Undecided));
    let state = match (operator, stranger, undecided) {
        (true, true, _) => State::Onlooker,
        (false, true, _) => State::Stranger,
        (_, false, true) => State::Undecided,
        (true, false, false) => State::Clear,
        (false, false, false) => State::Absent,
    };
    let weight = seen.faces.iter().filter(|f| f.who != Who::Operator).map(weight_of).fold(0.0, f64::max);
    View { state, reason: Reason::from_state(state), weight, suspect: stranger || undecided }
}

/// Facing x distance of one face, 0.0625 to 1.
///
/// Facing: full within 30 degrees, a quarter from 60 on. Distance: a webcam of 70 degrees shows a
/// face 2 m away at 0.054 of the picture's width; from there on nearer is full, and a quarter at
/// 0.02 (about 5 m). See docs/decisions/0006-exposure.md.
pub fn weight_of(face: &FaceSeen) -> f64 {
    let facing = 1.0 - 0.75 * ramp(f64::from(face.yaw_deg.abs()), 30.0, 60.0);
    let distance = 0.25 + 0.75 * ramp(f64::from(face.width_share), 0.02, 0.054);
    facing * distance
}

/// 0 below `from`, 1 above `to`, linear between. NaN counts as the worst case, 1.
fn ramp(value: f64, from: f64, to: f64) -> f64 {
    let x = (value - from) / (to - from);
    if x.is_nan() { 1.0 } else { x.clamp(0.0, 1.0) }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative; saturates at u64::MAX"
)]
fn whole_ms(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: f32 = 0.2;

    fn face(who: Who) -> FaceSeen {
        FaceSeen { who, width_share: NEAR, yaw_deg: 0.0 }
    }

    /// Shows `faces` from `from_ms` to `to_ms` at 10 fps; gives the last decision and when cover first differed.
    fn show(p: &mut Presence, from_ms: u64, to_ms: u64, faces: &[FaceSeen]) -> (Decision, Option<u64>) {
        let before = p.cover;
        let (mut last, mut changed) = (p.tick(from_ms), None);
        for t_ms in (from_ms..=to_ms).step_by(100) {
            last = p.observe(&Observation { t_ms, camera: CameraView::Clear, faces: faces.to_vec() });
            if last.cover != before && changed.is_none() {
                changed = Some(t_ms);
            }
        }
        (last, changed)
    }

    fn at_work() -> Presence {
        let mut p = Presence::new(&Numbers::default());
        let (last, uncovered) = show(&mut p, 0, 5_000, &[face(Who::Operator)]);
        assert_eq!((last.state, last.cover, uncovered), (State::Clear, false, Some(2_000)));
        p
    }

    #[test]
    fn starts_covered_and_shows_only_after_the_operator_is_recognised() {
        let mut p = Presence::new(&Numbers::default());
        let (last, _) = show(&mut p, 0, 20_000, &[]);
        assert_eq!(
            (last.cover, last.reason, last.operator_confirmed_age_ms),
            (true, Reason::Starting, u64::MAX)
        );
        at_work();
    }

    #[test]
    fn an_onlooker_covers_after_the_hold_and_leaving_releases_after_the_release() {
        let mut p = at_work();
        let (last, covered) = show(&mut p, 5_100, 7_000, &[face(Who::Operator), face(Who::Stranger)]);
        assert_eq!((last.state, covered), (State::Onlooker, Some(6_100)));
        assert!(last.suspect);
        let (_, uncovered) = show(&mut p, 7_100, 12_000, &[face(Who::Operator)]);
        assert_eq!(uncovered, Some(9_100));
    }

    #[test]
    fn the_time_before_a_face_is_compared_counts() {
        let mut p = at_work();
        show(&mut p, 5_100, 5_500, &[face(Who::Undecided)]);
        let (last, covered) = show(&mut p, 5_600, 7_000, &[face(Who::Stranger)]);
        assert_eq!((last.state, covered), (State::Stranger, Some(6_100)));
    }

    #[test]
    fn a_far_face_that_looks_away_needs_longer() {
        let far = FaceSeen { who: Who::Stranger, width_share: 0.02, yaw_deg: 70.0 };
        let mut p = at_work();
        let (_, covered) = show(&mut p, 5_100, 30_000, &[face(Who::Operator), far]);
        assert_eq!(covered, Some(21_100), "16 times the hold");
    }

    #[test]
    fn absence_and_undecided_have_their_own_times() {
        let mut p = at_work();
        let (last, covered) = show(&mut p, 5_100, 16_000, &[]);
        assert_eq!((last.state, covered), (State::Absent, Some(15_000)));
        let mut p = at_work();
        let (last, covered) = show(&mut p, 5_100, 16_000, &[face(Who::Undecided)]);
        assert_eq!((last.state, covered), (State::Undecided, Some(10_100)));
    }

    #[test]
    fn a_blocked_lost_or_busy_camera_covers_at_once() {
        for (camera, reason) in [
            (CameraView::Blocked, Reason::CameraBlocked),
            (CameraView::Lost, Reason::CameraLost),
            (CameraView::Busy, Reason::CameraBusy),
        ] {
            let mut p = at_work();
            let d = p.observe(&Observation { t_ms: 5_100, camera, faces: vec![] });
            assert_eq!((d.cover, d.reason), (true, reason));
        }
    }

    #[test]
    fn no_new_picture_is_a_lost_camera() {
        let mut p = at_work();
        assert!(!p.tick(5_000 + FRAME_STALE_MS).cover);
        let d = p.tick(5_001 + FRAME_STALE_MS);
        assert_eq!((d.state, d.cover), (State::CameraLost, true));
    }

    #[test]
    fn a_camera_that_is_still_opening_is_not_lost_and_shows_nothing() {
        let mut p = Presence::new(&Numbers::default());
        p.tick(0);
        let d = p.tick(60_000);
        assert_eq!((d.state, d.cover, d.reason), (State::Absent, true, Reason::Starting));
        assert_eq!(d.operator_confirmed_age_ms, u64::MAX);
    }

    #[test]
    fn a_blink_of_the_detector_changes_nothing() {
        let mut p = at_work();
        show(&mut p, 5_100, 5_400, &[]);
        let (last, _) = show(&mut p, 5_500, 5_500, &[face(Who::Operator)]);
        assert_eq!((last.state, last.clear_ms), (State::Clear, 5_500));
    }

    #[test]
    fn undecided_time_comes_back_only_after_unbroken_clear_view() {
        let mut p = at_work();
        let mut t = 5_100;
        let mut covered = false;
        // 1 s unclear, 1 s clear, again and again: the budget of 5 s runs out.
        for _ in 0..8 {
            covered |= show(&mut p, t, t + 900, &[face(Who::Undecided)]).0.cover;
            show(&mut p, t + 1_000, t + 1_900, &[face(Who::Operator)]);
            t += 2_000;
        }
        assert!(covered);
    }
}
