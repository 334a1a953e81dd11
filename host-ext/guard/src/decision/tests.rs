//! The decision on a clock of its own.

use super::*;

/// A decision and its clock; attestations come every 500 ms as long as `pass` is told so.
struct Seat {
    decider: Decider,
    now_ms: u64,
    clear_ms: u64,
    actions: Vec<Action>,
}

/// What a client says half a second after the last time, if nothing is the matter.
pub(super) fn attest(state: State) -> Attest {
    Attest {
        nonce: [0; 16],
        state,
        cover: false,
        reason: Reason::None,
        operator_confirmed_age_ms: 100,
        not_alone_ms: 0,
        undecided_ms: 0,
        clear_ms: 0,
        frame_age_ms: 100,
        boot_ms: 0,
        dwell_ms: None,
        distance_band: None,
        facing: None,
        phone: None,
        assurance: None,
        recognised: None,
        asked: None,
        suspect: None,
    }
}

impl Seat {
    /// Visible after a log-on.
    fn at_work() -> Self {
        let mut seat = Seat { decider: Decider::new(0), now_ms: 0, clear_ms: 0, actions: Vec::new() };
        seat.tell(Event::Painted(Shown::Covered));
        seat.tell(Event::LinkUp { timings: Timings::default(), observed_until_ms: None });
        seat.pass(4_000, Some(State::Clear));
        assert_eq!(seat.decider.shown(), Shown::Visible);
        seat.actions.clear();
        seat
    }

    fn tell(&mut self, event: Event) {
        let actions = self.decider.handle(self.now_ms, event, [9; 16]);
        for action in &actions {
            let painted = match action {
                Action::Cover(_) => Shown::Covered,
                Action::Uncover => Shown::Visible,
                _ => continue,
            };
            self.actions.extend(self.decider.handle(self.now_ms, Event::Painted(painted), [8; 16]));
        }
        self.actions.extend(actions);
    }

    fn attested(&mut self, attest: Attest) {
        let lease_until_ms = self.now_ms + 3_000;
        self.tell(Event::Attested(Attested { attest, nonce_issued_ms: self.now_ms, lease_until_ms }));
    }

    /// Lets time pass in ticks of 100 ms, with or without attestations.
    fn pass(&mut self, ms: u64, state: Option<State>) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            self.clear_ms = if state == Some(State::Clear) { self.clear_ms + 100 } else { 0 };
            if let Some(state) = state.filter(|_| self.now_ms.is_multiple_of(500)) {
                self.attested(Attest { clear_ms: self.clear_ms, ..attest(state) });
            }
            self.tell(Event::Tick);
        }
    }

    fn incidents(&self) -> Vec<Reason> {
        let opened = |a: &Action| match a {
            Action::OpenIncident { reason, .. } => Some(*reason),
            _ => None,
        };
        self.actions.iter().filter_map(opened).collect()
    }

    fn covered_for(&self) -> Option<Reason> {
        self.actions.iter().rev().find_map(|a| if let Action::Cover(r) = a { Some(*r) } else { None })
    }
}

#[test]
fn no_attestation_covers_when_the_lease_ends() {
    let mut seat = Seat::at_work();
    seat.pass(2_900, None);
    assert_eq!(seat.decider.shown(), Shown::Visible);
    seat.pass(100, None);
    assert_eq!((seat.decider.shown(), seat.covered_for()), (Shown::Covered, Some(Reason::LinkLost)));
}

#[test]
fn a_short_silence_in_an_unbroken_clear_view_is_no_incident() {
    let mut seat = Seat::at_work();
    seat.pass(10_000, None);
    assert_eq!(seat.decider.shown(), Shown::Covered);
    seat.attested(Attest { clear_ms: 14_000, ..attest(State::Clear) });
    assert_eq!((seat.decider.shown(), seat.incidents()), (Shown::Visible, vec![]));
    assert!(seat.actions.iter().any(|a| matches!(a, Action::Gap { ms } if *ms >= 7_000)));
}

#[test]
fn a_silence_that_is_long_or_hides_something_is_an_incident() {
    let mut long = Seat::at_work();
    long.pass(34_000, None);
    assert_eq!(long.incidents(), [Reason::LinkLost]);
    let mut broken = Seat::at_work();
    broken.pass(5_000, None);
    broken.attested(Attest { clear_ms: 500, ..attest(State::Clear) });
    assert_eq!((broken.decider.shown(), broken.incidents()), (Shown::Covered, vec![Reason::LinkLost]));
    broken.pass(3_000, Some(State::Clear));
    assert_eq!(broken.decider.shown(), Shown::Visible, "after the release");
}

#[test]
fn a_jump_of_the_clock_covers_and_nothing_older_counts_any_more() {
    let mut seat = Seat::at_work();
    seat.now_ms += CLOCK_JUMP_MS + 500;
    seat.tell(Event::Tick);
    assert_eq!((seat.decider.shown(), seat.covered_for()), (Shown::Covered, Some(Reason::ClockJump)));
    assert_eq!(seat.incidents(), vec![], "a laptop that slept is no incident");
    seat.pass(1_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Covered, "the run of clear views starts over");
    seat.pass(2_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Visible);
}

#[test]
fn the_host_bounds_absence_itself() {
    let mut seat = Seat::at_work();
    // A client that claims a clear view but never confirms the operator again.
    for step in 0..30 {
        seat.now_ms += 500;
        let age = 100 + step * 500;
        seat.attested(Attest { operator_confirmed_age_ms: age, clear_ms: 60_000, ..attest(State::Clear) });
        assert_eq!(seat.decider.shown() == Shown::Visible, age < 10_000, "{age} ms");
    }
}

#[test]
fn old_pictures_and_adverse_states_cover_at_once() {
    for (seen, reason) in [
        (Attest { frame_age_ms: FRAME_STALE_MS + 1, ..attest(State::Clear) }, Reason::StaleView),
        (attest(State::CameraBlocked), Reason::CameraBlocked),
        (attest(State::Spoof), Reason::Spoof),
        (Attest { not_alone_ms: 1_000, ..attest(State::Onlooker) }, Reason::Onlooker),
        (Attest { cover: true, reason: Reason::None, ..attest(State::Clear) }, Reason::ClientAsked),
    ] {
        let mut seat = Seat::at_work();
        seat.attested(seen);
        assert_eq!((seat.decider.shown(), seat.covered_for()), (Shown::Covered, Some(reason)));
    }
}

#[test]
fn a_lock_holds_until_unlock_and_names_its_incident() {
    let mut seat = Seat::at_work();
    seat.tell(Event::Lock(Lock { reason: Reason::Onlooker, incident_id: [5; 16], boot_ms: 0 }));
    assert!(seat.actions.contains(&Action::OpenIncident { incident_id: [5; 16], reason: Reason::Onlooker }));
    let shot = seat.actions.iter().position(|a| *a == Action::Screenshot(Shot::Cover));
    let cover = seat.actions.iter().position(|a| matches!(a, Action::Cover(_)));
    assert!(shot < cover, "the screenshot is of what was visible");
    seat.pass(5_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Covered);
    seat.tell(Event::Unlock);
    assert_eq!(seat.decider.shown(), Shown::Visible);
}

#[test]
fn a_cover_that_the_operator_asked_for_is_no_incident_and_lasts_until_the_client_ends_it() {
    let mut seat = Seat::at_work();
    seat.tell(Event::Lock(Lock { reason: Reason::OperatorAsked, incident_id: [5; 16], boot_ms: 0 }));
    assert_eq!((seat.covered_for(), seat.incidents()), (Some(Reason::OperatorAsked), vec![]));
    seat.pass(5_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Covered, "until the client says so");
    seat.tell(Event::Unlock);
    assert_eq!(seat.decider.shown(), Shown::Visible);
}

#[test]
fn no_link_no_evidence_no_confirmation_no_desktop() {
    let mut gone = Seat::at_work();
    gone.tell(Event::LinkDown { reason: Reason::ClientGone });
    assert_eq!((gone.decider.shown(), gone.incidents()), (Shown::Covered, vec![Reason::ClientGone]));
    let mut full = Seat::at_work();
    full.tell(Event::EvidenceKept(false));
    assert_eq!(full.covered_for(), Some(Reason::EvidenceNotKept));
    let mut stuck = Seat::at_work();
    stuck.decider.handle(stuck.now_ms, Event::LinkDown { reason: Reason::NoClient }, [0; 16]);
    stuck.pass(COVER_CONFIRM_MAX_MS + 100, None);
    assert!(stuck.actions.contains(&Action::Disconnect));
}

#[test]
fn a_break_lasts_until_it_is_ended_and_nothing_older_counts_after_it() {
    let mut seat = Seat::at_work();
    seat.attested(Attest { not_alone_ms: 1_000, ..attest(State::Onlooker) });
    seat.tell(Event::Break(true));
    seat.pass(60_000, None);
    assert_eq!((seat.decider.shown(), seat.covered_for()), (Shown::Covered, Some(Reason::Break)));
    assert_eq!(seat.incidents(), [Reason::Onlooker], "silence in a break is no incident");
    seat.tell(Event::Break(false));
    assert_eq!(seat.covered_for(), Some(Reason::Starting));
    seat.pass(4_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Visible);
}

#[test]
fn a_client_that_never_comes_is_missed_after_a_while() {
    let mut seat = Seat { decider: Decider::new(0), now_ms: 0, clear_ms: 0, actions: Vec::new() };
    seat.pass(CLIENT_START_MS - 100, None);
    assert_eq!(seat.covered_for(), Some(Reason::Starting));
    seat.pass(100, None);
    assert_eq!(seat.covered_for(), Some(Reason::NoClient));
}

#[test]
fn a_client_that_comes_is_told_what_is_shown() {
    let mut seat = Seat { decider: Decider::new(0), now_ms: 0, clear_ms: 0, actions: Vec::new() };
    seat.tell(Event::Painted(Shown::Covered));
    seat.pass(300, None);
    seat.actions.clear();
    seat.tell(Event::LinkUp { timings: Timings::default(), observed_until_ms: None });
    let (shown, reason, boot_ms) = (Shown::Covered, Reason::Starting, seat.now_ms);
    let status = Action::Status(Status { shown, reason, boot_ms, incident_id: None });
    assert_eq!(seat.actions, [status]);
}

#[test]
fn somebody_elses_desktop_is_covered_at_once_and_while_it_is_unknown_whose_it_is() {
    let mut seat = Seat::at_work();
    // A log-on screen is shown; whoever signs in there covers it.
    seat.tell(Event::Owner(Whose::Pending));
    assert_eq!((seat.decider.shown(), seat.decider.reason()), (Shown::Covered, Reason::Starting));
    seat.pass(5_000, Some(State::Clear));
    assert_eq!(seat.decider.shown(), Shown::Covered);
    seat.tell(Event::Owner(Whose::Other));
    seat.pass(5_000, Some(State::Clear));
    assert_eq!((seat.decider.shown(), seat.decider.reason()), (Shown::Covered, Reason::OtherUser));
    // Nothing of the operator's was seen by anybody: no incident.
    assert!(!seat.actions.iter().any(|action| matches!(action, Action::OpenIncident { .. })));
    // The view was clear all the time.
    seat.tell(Event::Owner(Whose::Own));
    assert_eq!(seat.decider.shown(), Shown::Visible);
}
