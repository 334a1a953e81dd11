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
//! A phone in view, and an operator's face that is a picture (`spoof`), cover at once as well, and so does the operator's
//! own wish (`asked`).
//!
//! Not a face count: exposure is dwell x facing x distance of each person (`ledger`, `weight`), in milliseconds that a
//! near face looking straight at the screen would have needed. Whoever reads nothing, because of distance or
//! direction, is not there for the decision.

mod asked;
mod ledger;
mod weight;

use sudare_protocol::limits::FRAME_STALE_MS;
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::timings::Timings;

use crate::live::Liveness;
use crate::phone::PhoneView;

use self::asked::Asked;
use self::ledger::Ledger;
use self::weight::distance_of;
pub use self::weight::weight_of;
use crate::live::patches::Patches;

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
    /// Stays the same as long as the face is followed.
    pub track: u64,
    pub who: Who,
    /// Face width / picture width.
    pub width_share: f32,
    pub yaw_deg: f32,
    /// Beyond doubt a face, and not something in which the detector sees one.
    pub sure: bool,
    /// Part of the room: a poster, a photograph.
    pub still: bool,
}

impl FaceSeen {
    /// A face at arm's length that looks at the screen.
    #[must_use]
    pub const fn near(track: u64, who: Who) -> Self {
        FaceSeen { track, who, width_share: 0.2, yaw_deg: 0.0, sure: true, still: false }
    }
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
    /// Tracks that vanished where nobody leaves the picture: behind something, or too near for it.
    pub hidden: Vec<u64>,
    pub phone: PhoneView,
    /// Of the operator's face.
    pub liveness: Liveness,
    /// How bright the operator's face and what is beside it are; nothing is decided by it here.
    pub light: Option<Patches>,
}

impl Observation {
    /// A look after which nobody is missed, without eyes for phones and pictures of faces.
    #[must_use]
    pub const fn new(t_ms: u64, camera: CameraView, faces: Vec<FaceSeen>) -> Self {
        let (phone, liveness) = (PhoneView::Unknown, Liveness::None);
        Observation { t_ms, camera, faces, hidden: Vec::new(), phone, liveness, light: None }
    }
}

/// The decision, and the ages that the host bounds for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub state: State,
    pub cover: bool,
    pub reason: Reason,
    /// A face that is not the operator's, or perhaps a phone, is in view: worth a screenshot in memory.
    pub suspect: bool,
    /// Whether a phone is in view; `None` if nobody looks for phones.
    pub phone: Option<bool>,
    /// The operator asks for a cover; `reason` may be something worse.
    pub asked: bool,
    /// What looked whether the operator's face is alive, in the newest look.
    pub liveness: Liveness,
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
            phone: None,
            asked: false,
            liveness: Liveness::None,
            operator_confirmed_age_ms: u64::MAX,
            not_alone_ms: 0,
            undecided_ms: 0,
            clear_ms: 0,
            frame_age_ms: u64::MAX,
        }
    }
}

/// A face may be missed for this long before the seat counts as empty, and a picture without one may be black or
/// uniform for this long before the camera counts as blocked: detectors blink, and cameras send a bad picture now and
/// then.
const FLICKER_MS: u64 = 500;

#[derive(Debug)]
pub struct Presence {
    timings: Timings,
    started_ms: Option<u64>,
    last_ms: u64,
    last_look_ms: u64,
    /// Until the first look the camera is still opening, so it does not count as lost.
    looked: bool,
    view: View,
    phone: PhoneView,
    liveness: Liveness,
    operator_at_ms: Option<u64>,
    clear_since_ms: Option<u64>,
    /// When faces were last seen, to bridge flicker.
    face_at_ms: u64,
    ledger: Ledger,
    undecided_ms: u64,
    asked: Asked,
    cover: bool,
    reason: Reason,
}

/// The latest look, reduced to what decides.
#[derive(Debug, Clone, Copy)]
struct View {
    state: State,
    reason: Reason,
    suspect: bool,
}

impl View {
    const fn of_camera(state: State, reason: Reason) -> Self {
        View { state, reason, suspect: false }
    }
}

impl Presence {
    pub fn new(timings: &Timings) -> Self {
        Presence {
            timings: *timings,
            started_ms: None,
            last_ms: 0,
            last_look_ms: 0,
            looked: false,
            view: View::of_camera(State::Absent, Reason::Starting),
            phone: PhoneView::Unknown,
            liveness: Liveness::None,
            operator_at_ms: None,
            clear_since_ms: None,
            face_at_ms: 0,
            ledger: Ledger::default(),
            undecided_ms: 0,
            asked: Asked::default(),
            cover: true,
            reason: Reason::Starting,
        }
    }

    /// The operator asks for a cover, or ends the one they asked for.
    pub fn ask_cover(&mut self, on: bool, now_ms: u64) -> Decision {
        self.advance(now_ms);
        if on {
            self.asked.begin(self.last_ms);
        } else {
            self.asked.end(self.last_ms);
        }
        self.decide()
    }

    /// A new look at the seat.
    pub fn observe(&mut self, seen: &Observation) -> Decision {
        self.advance(seen.t_ms);
        (self.last_look_ms, self.looked) = (self.last_ms, true);
        (self.phone, self.liveness) = (seen.phone, seen.liveness);
        if !seen.faces.is_empty() {
            self.face_at_ms = self.last_ms;
        }
        let recent = self.last_ms.saturating_sub(self.face_at_ms) < FLICKER_MS;
        let bad_picture = seen.faces.is_empty() && recent;
        if seen.camera == CameraView::Clear && !bad_picture {
            self.ledger.look(self.last_ms, &seen.faces, &seen.hidden);
        }
        let mut view = view_of(seen, self.ledger.hidden_ms() >= hold(&self.timings));
        let flicker = matches!(view.state, State::Absent | State::CameraBlocked)
            && !self.view.state.is_adverse()
            && bad_picture;
        if flicker {
            view = self.view;
        } else if confirms_operator(seen) {
            self.operator_at_ms = Some(self.last_ms);
        }
        self.enter(view);
        self.decide()
    }

    /// Time passes without a new look.
    pub fn tick(&mut self, now_ms: u64) -> Decision {
        self.advance(now_ms);
        if self.last_ms.saturating_sub(self.last_look_ms) > FRAME_STALE_MS && self.looked {
            self.enter(View::of_camera(State::CameraLost, Reason::CameraLost));
            (self.phone, self.liveness) = (PhoneView::Unknown, Liveness::None);
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
        self.ledger.charge(passed_ms as f64);
        if self.view.state == State::Undecided {
            self.undecided_ms = self.undecided_ms.saturating_add(passed_ms);
        }
    }

    fn enter(&mut self, view: View) {
        self.view = view;
        if view.state != State::Clear {
            self.clear_since_ms = None;
            return;
        }
        let since = *self.clear_since_ms.get_or_insert(self.last_ms);
        if self.last_ms - since >= self.timings.undecided_refill_ms {
            self.undecided_ms = 0;
        }
    }

    fn decide(&mut self) -> Decision {
        let operator_age_ms = self.operator_at_ms.map_or(u64::MAX, |at| self.last_ms.saturating_sub(at));
        let clear_ms = self.clear_since_ms.map_or(0, |since| self.last_ms.saturating_sub(since));
        let not_alone_ms = whole_ms(self.ledger.worst_ms());
        let view = self.view;
        let must_cover = match view.state {
            State::Clear => None,
            state if state.is_adverse() => Some(view.reason),
            State::Phone => Some(view.reason),
            State::Onlooker | State::Stranger if not_alone_ms >= self.timings.hold_ms => Some(view.reason),
            State::Undecided if self.undecided_ms >= self.timings.undecided_ms => Some(Reason::Undecided),
            _ if operator_age_ms >= self.timings.absence_ms && self.operator_at_ms.is_some() => {
                // The operator was not confirmed for too long; the reason is what is in view now.
                Some(view.reason)
            }
            _ => None,
        };
        let asked = self.asked.holds(self.last_ms).then_some(Reason::OperatorAsked);
        let alone_ms = clear_ms.min(self.asked.ended_ago_ms(self.last_ms));
        if let Some(reason) = must_cover.or(asked) {
            (self.cover, self.reason) = (true, reason);
        } else if self.cover && view.state == State::Clear && alone_ms >= self.timings.release_ms {
            (self.cover, self.reason) = (false, Reason::None);
            self.ledger.settle();
        }
        Decision {
            state: view.state,
            cover: self.cover,
            reason: self.reason,
            suspect: view.suspect,
            phone: self.phone.attested(),
            asked: asked.is_some(),
            liveness: self.liveness,
            operator_confirmed_age_ms: operator_age_ms,
            not_alone_ms: if view.state == State::Clear { 0 } else { not_alone_ms },
            undecided_ms: self.undecided_ms,
            clear_ms,
            frame_age_ms: self.last_ms.saturating_sub(self.last_look_ms),
        }
    }
}

/// A picture of the operator confirms nobody.
fn confirms_operator(seen: &Observation) -> bool {
    let operator = seen.faces.iter().any(|face| face.who == Who::Operator);
    operator && seen.camera == CameraView::Clear && seen.liveness != Liveness::Denied
}

/// `hiding`: somebody who had seen enough to cover is believed to be there, although no face shows.
fn view_of(seen: &Observation, hiding: bool) -> View {
    match seen.camera {
        CameraView::Clear => {}
        CameraView::Blocked => return View::of_camera(State::CameraBlocked, Reason::CameraBlocked),
        CameraView::Lost => return View::of_camera(State::CameraLost, Reason::CameraLost),
        CameraView::Busy => return View::of_camera(State::CameraLost, Reason::CameraBusy),
    }
    let operator = seen.faces.iter().any(|face| face.who == Who::Operator);
    let others = || seen.faces.iter().filter(|face| face.who != Who::Operator);
    let reading = |who| others().any(|face| face.who == who && face.sure && weight_of(face) > 0.0);
    let (stranger, undecided) = (reading(Who::Stranger), reading(Who::Undecided));
    let suspect = stranger || undecided || matches!(seen.phone, PhoneView::Maybe | PhoneView::InView);
    let state = match (operator, stranger || undecided || hiding) {
        // A picture of the operator is nobody, whoever else is there; and a phone sees more than any face.
        (true, _) if seen.liveness == Liveness::Denied => State::Spoof,
        _ if seen.phone == PhoneView::InView => State::Phone,
        (true, true) => State::Onlooker,
        (true, false) => State::Clear,
        (false, _) if stranger => State::Stranger,
        // Near, and perhaps the operator, who looks aside.
        (false, _)
            if others().any(|face| face.who == Who::Undecided && !face.still && distance_of(face) > 0.0) =>
        {
            State::Undecided
        }
        (false, _) => State::Absent,
    };
    View { state, reason: Reason::from_state(state), suspect }
}

/// As exposure is counted.
#[allow(clippy::cast_precision_loss, reason = "a policy's hold is a few seconds")]
fn hold(timings: &Timings) -> f64 {
    timings.hold_ms as f64
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
mod tests;
