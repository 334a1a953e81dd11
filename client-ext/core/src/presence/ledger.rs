//! What each person in view has taken in of the screen. Pure.
//!
//! ```text
//!  stranger, or somebody beside the operator ──► exposure += time x weight
//!  not compared yet, the operator not in view ─► pending  += time x weight (added once it is somebody else)
//!  averted, far, gone ─────────────────────────► both drain at half the speed
//!  hidden (vanished where nobody leaves) ──────► both stay for HIDDEN_MS
//!  back within BRIDGE_MS ──────────────────────► as if they had never been missed
//! ```
//! Each person's own exposure counts, and the worst decides: two people who each glance for half a second have not
//! read for a second. Who comes back under a new number takes over what the most exposed one who is gone left.

use super::weight::weight_of;
use super::{FaceSeen, Who};

/// Exposure drains at half the speed at which it fills, so that a face seen in every second picture still adds up.
const DRAIN: f64 = 0.5;
/// Somebody who vanished where nobody leaves is believed to be there for so long.
pub(super) const HIDDEN_MS: u64 = 3_000;
/// Detectors miss faces now and then: who is back so soon was there all the time.
const BRIDGE_MS: u64 = 500;
/// At most this much of the time before a face was known to be one counts.
const PENDING_MAX_MS: f64 = 2_000.0;
/// Nobody's exposure grows beyond this: what covers is a fraction of it.
const EXPOSURE_MAX_MS: f64 = 3_600_000.0;
/// People who are remembered.
const PEOPLE_MAX: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    /// Takes in the screen at this weight.
    Exposed(f64),
    /// Would, if it is somebody.
    Pending(f64),
    /// In view, and reads nothing.
    Averted,
    /// Vanished where nobody leaves.
    Hidden {
        since_ms: u64,
    },
    Gone,
}

#[derive(Debug)]
struct Person {
    track: u64,
    /// Has taken in nothing under this number yet.
    is_new: bool,
    standing: Standing,
    exposure_ms: f64,
    pending_ms: f64,
    /// What they had when they were first missed, while they are.
    missed: Option<Missed>,
}

#[derive(Debug, Clone, Copy)]
struct Missed {
    at_ms: u64,
    standing: Standing,
    exposure_ms: f64,
    pending_ms: f64,
}

/// Everybody but the operator, in view or a moment ago.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    people: Vec<Person>,
}

impl Ledger {
    /// Charges the time that passed to everybody as they stood then.
    pub(super) fn charge(&mut self, passed_ms: f64) {
        for person in &mut self.people {
            person.charge(person.standing, passed_ms);
        }
    }

    /// Takes a look: who is in view now, and which tracks vanished where nobody leaves.
    pub(super) fn look(&mut self, now_ms: u64, faces: &[FaceSeen], hidden: &[u64]) {
        let operator = faces.iter().any(|face| face.who == Who::Operator);
        self.people.retain(|p| !faces.iter().any(|f| f.track == p.track && f.who == Who::Operator));
        for person in &mut self.people {
            let in_view = faces.iter().any(|face| face.track == person.track);
            if !in_view {
                person.leave(now_ms, hidden.contains(&person.track));
            }
        }
        for face in faces.iter().filter(|face| face.who != Who::Operator) {
            let standing = standing(face, operator);
            let at = self.people.iter().position(|person| person.track == face.track);
            let at = at.unwrap_or_else(|| self.add(face.track));
            let is_new = self.people.get(at).is_some_and(|person| person.is_new);
            let takes_over = is_new && matches!(standing, Standing::Exposed(_));
            let left_ms = if takes_over { self.take_left(now_ms) } else { 0.0 };
            if let Some(person) = self.people.get_mut(at) {
                person.exposure_ms += left_ms;
                person.back(now_ms);
                person.stand(standing);
            }
        }
        self.people.retain(|p| p.standing != Standing::Gone || p.exposure_ms > 0.0 || p.pending_ms > 0.0);
    }

    /// The worst exposure of anybody who is in view or was a moment ago.
    pub(super) fn worst_ms(&self) -> f64 {
        self.people.iter().map(|person| person.exposure_ms).fold(0.0, f64::max)
    }

    /// The same, of those who are believed to be there although they cannot be seen.
    pub(super) fn hidden_ms(&self) -> f64 {
        let hidden = self.people.iter().filter(|p| matches!(p.standing, Standing::Hidden { .. }));
        hidden.map(|person| person.exposure_ms).fold(0.0, f64::max)
    }

    /// The desktop is shown again: what came before is settled.
    pub(super) fn settle(&mut self) {
        for person in &mut self.people {
            (person.exposure_ms, person.pending_ms, person.missed) = (0.0, 0.0, None);
        }
    }

    /// What the most exposed of those who are gone left: whoever comes now may be that person.
    fn take_left(&mut self, now_ms: u64) -> f64 {
        let gone = |p: &&mut Person| matches!(p.standing, Standing::Gone | Standing::Hidden { .. });
        let left = self.people.iter_mut().filter(gone).max_by(|a, b| a.exposure_ms.total_cmp(&b.exposure_ms));
        left.map_or(0.0, |person| {
            person.back(now_ms);
            person.standing = Standing::Gone;
            std::mem::take(&mut person.exposure_ms)
        })
    }

    /// A place for somebody new; the least exposed makes room.
    fn add(&mut self, track: u64) -> usize {
        if self.people.len() >= PEOPLE_MAX {
            self.people.sort_by(|a, b| b.exposure_ms.total_cmp(&a.exposure_ms));
            self.people.truncate(PEOPLE_MAX - 1);
        }
        let standing = Standing::Averted;
        let missed = None;
        self.people.push(Person { track, is_new: true, standing, exposure_ms: 0.0, pending_ms: 0.0, missed });
        self.people.len() - 1
    }
}

impl Person {
    fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        if let Standing::Exposed(_) = standing {
            self.is_new = false;
            // It is somebody: the time before that was known counts as well.
            self.exposure_ms += std::mem::take(&mut self.pending_ms);
        }
    }

    /// In view again: a short gap is charged as if nothing had been missed.
    fn back(&mut self, now_ms: u64) {
        let Some(missed) = self.missed.take() else { return };
        let gap_ms = now_ms.saturating_sub(missed.at_ms);
        if gap_ms >= BRIDGE_MS {
            return;
        }
        (self.exposure_ms, self.pending_ms) = (missed.exposure_ms, missed.pending_ms);
        #[allow(clippy::cast_precision_loss, reason = "at most half a second")]
        self.charge(missed.standing, gap_ms as f64);
    }

    /// Time in which they stood so.
    fn charge(&mut self, standing: Standing, passed_ms: f64) {
        match standing {
            Standing::Exposed(weight) => {
                self.exposure_ms = (self.exposure_ms + passed_ms * weight).min(EXPOSURE_MAX_MS);
            }
            Standing::Pending(weight) => {
                self.pending_ms = (self.pending_ms + passed_ms * weight).min(PENDING_MAX_MS);
            }
            Standing::Hidden { .. } => {}
            Standing::Averted | Standing::Gone => {
                self.exposure_ms = (self.exposure_ms - passed_ms * DRAIN).max(0.0);
                self.pending_ms = (self.pending_ms - passed_ms * DRAIN).max(0.0);
            }
        }
    }

    fn leave(&mut self, now_ms: u64, hidden: bool) {
        if matches!(self.standing, Standing::Exposed(_) | Standing::Pending(_)) {
            let Person { standing, exposure_ms, pending_ms, .. } = *self;
            self.missed = Some(Missed { at_ms: now_ms, standing, exposure_ms, pending_ms });
        }
        self.standing = match self.standing {
            Standing::Hidden { since_ms } if now_ms.saturating_sub(since_ms) < HIDDEN_MS => return,
            Standing::Exposed(_) | Standing::Pending(_) if hidden => Standing::Hidden { since_ms: now_ms },
            _ => Standing::Gone,
        };
    }
}

/// Where somebody who is not the operator stands. Whoever is beside the operator is somebody else, compared or not.
fn standing(face: &FaceSeen, operator: bool) -> Standing {
    let weight = weight_of(face);
    if weight <= 0.0 {
        return Standing::Averted;
    }
    match face.who {
        Who::Stranger if face.sure => Standing::Exposed(weight),
        Who::Undecided if face.sure && operator => Standing::Exposed(weight),
        _ => Standing::Pending(weight),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATOR: FaceSeen = FaceSeen::near(0, Who::Operator);

    fn stranger(track: u64) -> FaceSeen {
        FaceSeen::near(track, Who::Stranger)
    }

    fn after(ledger: &mut Ledger, from_ms: u64, ms: u64, faces: &[FaceSeen], hidden: &[u64]) -> f64 {
        for t_ms in (from_ms..from_ms + ms).step_by(100) {
            ledger.look(t_ms, faces, hidden);
            ledger.charge(100.0);
        }
        ledger.worst_ms()
    }

    #[test]
    fn each_person_has_an_exposure_of_their_own() {
        let mut ledger = Ledger::default();
        // Two glances of half a second, of two people who are both still there and then turned away.
        let away = |track| FaceSeen { yaw_deg: 80.0, ..stranger(track) };
        assert_eq!(after(&mut ledger, 0, 500, &[OPERATOR, stranger(1), away(2)], &[]), 500.0);
        assert_eq!(after(&mut ledger, 500, 500, &[OPERATOR, away(1), stranger(2)], &[]), 500.0);
    }

    #[test]
    fn somebody_beside_the_operator_counts_before_any_comparison_and_an_unsure_box_does_not() {
        let (undecided, mut ledger) = (FaceSeen::near(1, Who::Undecided), Ledger::default());
        assert_eq!(after(&mut ledger, 0, 400, &[OPERATOR, undecided], &[]), 400.0);
        let (ghost, mut ledger) = (FaceSeen { sure: false, ..undecided }, Ledger::default());
        assert_eq!(after(&mut ledger, 0, 60_000, &[OPERATOR, ghost], &[]), 0.0);
        // Once it is a face, a little of the time before counts.
        ledger.look(60_000, &[OPERATOR, undecided], &[]);
        assert_eq!(ledger.worst_ms(), PENDING_MAX_MS);
    }

    #[test]
    fn pending_time_drains_when_the_face_is_gone() {
        let mut ledger = Ledger::default();
        after(&mut ledger, 0, 400, &[FaceSeen::near(1, Who::Undecided)], &[]);
        after(&mut ledger, 400, 800, &[], &[]);
        assert_eq!(after(&mut ledger, 1_200, 100, &[stranger(2)], &[]), 100.0);
    }

    #[test]
    fn who_comes_and_goes_adds_up() {
        let mut ledger = Ledger::default();
        for track in 1..5 {
            let from_ms = track * 1_000;
            after(&mut ledger, from_ms, 500, &[OPERATOR, stranger(track)], &[]);
            after(&mut ledger, from_ms + 500, 500, &[OPERATOR], &[]);
        }
        assert_eq!(ledger.worst_ms(), 1_000.0, "500 in, 250 out, four times");
    }

    #[test]
    fn a_face_that_the_detector_sees_in_every_second_picture_reads_all_the_time() {
        for kind in [Who::Stranger, Who::Undecided] {
            let mut ledger = Ledger::default();
            for i in 0..10 {
                let blink = i % 2 == 1;
                let seen = [OPERATOR, FaceSeen::near(1, kind)];
                let faces = if blink { &seen[..1] } else { &seen[..] };
                ledger.look(i * 100, faces, &[]);
                ledger.charge(100.0);
            }
            ledger.look(1_000, &[OPERATOR, FaceSeen::near(1, kind)], &[]);
            assert_eq!(ledger.worst_ms(), 1_000.0);
        }
        // Under a new number as well; and after a longer gap it is another visit.
        let mut ledger = Ledger::default();
        after(&mut ledger, 0, 400, &[OPERATOR, stranger(1)], &[]);
        after(&mut ledger, 400, 100, &[OPERATOR], &[]);
        assert_eq!(after(&mut ledger, 500, 100, &[OPERATOR, stranger(2)], &[]), 600.0);
        after(&mut ledger, 600, 600, &[OPERATOR], &[]);
        assert_eq!(after(&mut ledger, 1_200, 100, &[OPERATOR, stranger(2)], &[]), 400.0);
    }

    #[test]
    fn who_hides_is_still_there_for_a_while() {
        let mut ledger = Ledger::default();
        after(&mut ledger, 0, 1_000, &[OPERATOR, stranger(1)], &[]);
        assert_eq!(after(&mut ledger, 1_000, HIDDEN_MS - 100, &[OPERATOR], &[1]), 1_000.0);
        assert_eq!(ledger.hidden_ms(), 1_000.0);
        after(&mut ledger, 900 + HIDDEN_MS, 2_300, &[OPERATOR], &[]);
        assert_eq!((ledger.worst_ms(), ledger.hidden_ms(), ledger.people.len()), (0.0, 0.0, 0));
    }

    #[test]
    fn a_crowd_is_bounded() {
        let mut ledger = Ledger::default();
        for track in 0..200 {
            let crowd: Vec<FaceSeen> = (0..40).map(|i| stranger(track * 40 + i)).collect();
            after(&mut ledger, track * 100, 100, &crowd, &[]);
            assert!(ledger.people.len() <= PEOPLE_MAX);
        }
        assert!(ledger.worst_ms() > 1_000.0);
    }
}
