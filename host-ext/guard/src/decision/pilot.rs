//! A pilot: what the eyes see is decided and recorded as always, and covers nobody's desktop. Pure.
//!
//! Only what is seen. Without a lease, with a faulty client, for another user's desktop, in a break or at the operator's
//! own wish it is covered as ever: a pilot takes no risk that a site without Sudare does not have, and no more.

use sudare_protocol::message::{Id, Shown};
use sudare_protocol::reason::Reason;

use super::{Action, Decider, Shot};

/// How long a log-on shows that nothing will be covered, before the desktop appears.
pub(super) const SAID_MS: u64 = 5_000;

/// Whether it is one, and what is seen at the moment.
#[derive(Debug, Default)]
pub(super) struct Pilot {
    until_ms: Option<u64>,
    said_ms: u64,
    seen: Option<Reason>,
}

impl Pilot {
    /// One that ends then, if it is one, and is told from now on.
    pub(super) fn until(until_ms: Option<u64>, now_ms: u64) -> Self {
        Pilot { until_ms, said_ms: now_ms + SAID_MS, seen: None }
    }

    pub(super) fn is_on(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| now_ms < until_ms)
    }
}

impl Decider {
    /// What of `why` covers: in a pilot, nothing that is only seen.
    pub(super) fn observe(
        &mut self,
        why: Option<Reason>,
        now_ms: u64,
        incident_id: Id,
        actions: &mut Vec<Action>,
    ) -> Option<Reason> {
        if !self.pilot.is_on(now_ms) {
            return why;
        }
        let why = self.with_wish(why, now_ms);
        let seen = why.filter(|reason| is_seen(*reason));
        if seen.is_none() && why.is_some() {
            self.pilot.seen = None;
            return why;
        }
        if self.shown == Shown::Covered {
            return (now_ms < self.pilot.said_ms).then_some(Reason::Observing);
        }
        if seen != self.pilot.seen {
            self.pilot.seen = seen;
            match seen {
                Some(reason) => self.note_observed(reason, incident_id, actions),
                None => self.incident_id = None,
            }
        }
        None
    }

    /// The operator's own wish counts for as long as the client says so, whatever else it sees and whichever came first.
    fn with_wish(&self, why: Option<Reason>, now_ms: u64) -> Option<Reason> {
        let Some((link, latest)) = self.link.as_ref().and_then(|link| Some((link, link.latest?))) else {
            return why;
        };
        match (why, latest.attest.asked) {
            (Some(reason), Some(true)) if is_seen(reason) => Some(Reason::OperatorAsked),
            // The client's lock outlives the wish while somebody is in view.
            (Some(Reason::OperatorAsked), Some(false)) => link.why_cover(latest, now_ms),
            _ => why,
        }
    }

    fn note_observed(&mut self, reason: Reason, incident_id: Id, actions: &mut Vec<Action>) {
        actions.push(Action::Observed(reason));
        if reason.is_incident() && self.incident_id.is_none() {
            self.incident_id = Some(incident_id);
            actions.extend([Action::Screenshot(Shot::Cover), Action::OpenIncident { incident_id, reason }]);
        }
    }
}

/// Whether it is the eyes that say so.
fn is_seen(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Stranger
            | Reason::Onlooker
            | Reason::Absent
            | Reason::Undecided
            | Reason::CameraBlocked
            | Reason::CameraLost
            | Reason::CameraBusy
            | Reason::Spoof
            | Reason::Phone
            | Reason::StaleView
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::attest;
    use super::super::{Attested, Event};
    use super::*;
    use sudare_protocol::message::Lock;
    use sudare_protocol::reason::State;
    use sudare_protocol::timings::Timings;

    const DAY_MS: u64 = 24 * 3_600_000;

    struct Seat {
        decider: Decider,
        now_ms: u64,
        /// Whether the operator asks for a cover, if the client says so.
        asked: Option<bool>,
        actions: Vec<Action>,
    }

    impl Seat {
        fn new(until_ms: u64) -> Self {
            let mut seat = Seat { decider: Decider::new(0), now_ms: 0, asked: None, actions: Vec::new() };
            seat.tell(Event::Painted(Shown::Covered));
            let observed_until_ms = Some(until_ms);
            seat.tell(Event::LinkUp { timings: Timings::default(), observed_until_ms });
            seat
        }

        fn tell(&mut self, event: Event) {
            let actions = self.decider.handle(self.now_ms, event, [9; 16]);
            for action in actions {
                let painted = match action {
                    Action::Cover(_) => Some(Shown::Covered),
                    Action::Uncover => Some(Shown::Visible),
                    _ => None,
                };
                self.actions.push(action);
                if let Some(painted) = painted {
                    self.actions.extend(self.decider.handle(self.now_ms, Event::Painted(painted), [8; 16]));
                }
            }
        }

        /// Attestations of this state every half second.
        fn pass(&mut self, ms: u64, state: State) {
            for _ in 0..ms / 500 {
                self.now_ms += 500;
                let attest = sudare_protocol::message::Attest {
                    not_alone_ms: if state == State::Onlooker { 5_000 } else { 0 },
                    operator_confirmed_age_ms: if state == State::Absent { u64::MAX } else { 0 },
                    asked: self.asked,
                    ..attest(state)
                };
                let (nonce_issued_ms, lease_until_ms) = (self.now_ms, self.now_ms + 3_000);
                self.tell(Event::Attested(Attested { attest, nonce_issued_ms, lease_until_ms }));
            }
        }

        fn incidents(&self) -> usize {
            self.actions.iter().filter(|action| matches!(action, Action::OpenIncident { .. })).count()
        }
    }

    #[test]
    fn it_says_so_first_and_then_covers_nothing_that_is_seen() {
        let mut seat = Seat::new(DAY_MS);
        seat.pass(SAID_MS - 500, State::Stranger);
        assert_eq!(seat.decider.reason(), Reason::Observing);
        seat.pass(1_000, State::Absent);
        assert_eq!(seat.decider.shown(), Shown::Visible, "whoever is there");
        for state in [State::Onlooker, State::Absent, State::CameraLost, State::Phone, State::Spoof] {
            seat.pass(20_000, State::Clear);
            seat.pass(20_000, state);
            assert_eq!(seat.decider.shown(), Shown::Visible, "{state:?}");
            let reason = Reason::from_state(state);
            assert!(seat.actions.contains(&Action::Observed(reason)), "{state:?}");
        }
        // Of each but the absence, one.
        assert_eq!(seat.incidents(), 4);
    }

    #[test]
    fn an_episode_is_one_incident_with_a_picture_of_the_screen() {
        let mut seat = Seat::new(DAY_MS);
        seat.pass(10_000, State::Clear);
        seat.actions.clear();
        seat.tell(Event::Lock(Lock { reason: Reason::Onlooker, incident_id: [3; 16], boot_ms: 0 }));
        seat.pass(5_000, State::Onlooker);
        seat.tell(Event::Unlock);
        seat.pass(5_000, State::Clear);
        let at =
            seat.actions.iter().position(|action| matches!(action, Action::OpenIncident { .. })).unwrap();
        let reason = Reason::Onlooker;
        assert_eq!(seat.actions[at], Action::OpenIncident { incident_id: [3; 16], reason });
        assert_eq!(seat.actions[at - 1], Action::Screenshot(Shot::Cover));
        assert_eq!((seat.incidents(), seat.decider.incident_id()), (1, None));
    }

    #[test]
    fn what_is_not_seen_covers_as_ever() {
        let mut seat = Seat::new(DAY_MS);
        seat.pass(10_000, State::Clear);
        seat.tell(Event::Break(true));
        assert_eq!(seat.decider.reason(), Reason::Break);
        seat.tell(Event::Break(false));
        seat.pass(10_000, State::Clear);
        assert_eq!(seat.decider.shown(), Shown::Visible);
        let asked = Lock { reason: Reason::OperatorAsked, incident_id: [4; 16], boot_ms: 0 };
        seat.tell(Event::Lock(asked));
        assert_eq!(seat.decider.reason(), Reason::OperatorAsked);
        seat.tell(Event::Unlock);
        seat.pass(10_000, State::Clear);
        assert_eq!(seat.decider.shown(), Shown::Visible);
        // No attestation any more.
        for _ in 0..8 {
            seat.now_ms += 500;
            seat.tell(Event::Tick);
        }
        assert_eq!((seat.decider.shown(), seat.decider.reason()), (Shown::Covered, Reason::LinkLost));
    }

    /// Somebody comes, and the operator presses the key: what is seen must not take that away.
    #[test]
    fn the_operators_wish_covers_although_somebody_is_seen_and_ends_with_it() {
        for lock_reason in [Reason::Onlooker, Reason::OperatorAsked] {
            let mut seat = Seat::new(DAY_MS);
            seat.pass(10_000, State::Clear);
            seat.tell(Event::Lock(Lock { reason: lock_reason, incident_id: [5; 16], boot_ms: 0 }));
            seat.asked = Some(true);
            seat.pass(2_000, State::Onlooker);
            assert_eq!(seat.decider.reason(), Reason::OperatorAsked, "{lock_reason:?}");
            seat.asked = Some(false);
            seat.pass(1_000, State::Onlooker);
            assert_eq!(seat.decider.shown(), Shown::Visible, "{lock_reason:?}");
        }
    }

    #[test]
    fn it_ends_in_the_middle_of_a_session() {
        let mut seat = Seat::new(30_000);
        seat.pass(20_000, State::Onlooker);
        assert_eq!(seat.decider.shown(), Shown::Visible);
        seat.pass(20_000, State::Onlooker);
        assert_eq!((seat.decider.shown(), seat.decider.reason()), (Shown::Covered, Reason::Onlooker));
    }
}
