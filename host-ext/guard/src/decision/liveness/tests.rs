//! Checks on a clock of their own, with clients that answer well, badly, late or never.

#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers of tests")]

use sudare_protocol::host::Attested;
use sudare_protocol::light::{FACE_PLACES, FAR, PLACES, Sample, linear};
use sudare_protocol::message::{Attest, Shown};
use sudare_protocol::reason::State;
use sudare_protocol::timings::Timings;

use super::super::tests::attest;
use super::super::{Decider, Event};
use super::*;

/// How a client answers.
#[derive(Clone, Copy, PartialEq)]
enum Client {
    /// A head that follows, seen this late.
    Head,
    /// A head that moves so much that one check does not show what it is.
    Restless,
    /// A sheet that follows.
    Sheet,
    /// Something bright that follows nothing, and flickers.
    Film,
    /// Light that is lost in the sun.
    Sun,
    Silent,
    /// Turns as asked.
    Turns,
}

/// How far each place of a restless face wavers, of its brightness.
const RESTLESS: f64 = 0.035;

struct Seat {
    decider: Decider,
    client: Client,
    now_ms: u64,
    state: State,
    clear_ms: u64,
    /// What the cover shows, since when.
    shown: Vec<(u64, [u8; 3])>,
    asked: Option<(u64, Light)>,
    checks: u32,
    prompts: Vec<(u64, Prompt)>,
    checked: Vec<(LivenessResult, bool)>,
    covered_for: Option<Reason>,
    incidents: Vec<Reason>,
    nonce: u8,
}

fn rules(liveness: Asked) -> EyesRules {
    EyesRules { liveness, not_measurable: NotMeasurable::Cover, ..EyesRules::default() }
}

impl Seat {
    fn new(rules: EyesRules, measures: u8, client: Client) -> Self {
        let mut seat = Seat {
            decider: Decider::new(0),
            client,
            now_ms: 0,
            state: State::Clear,
            clear_ms: 0,
            shown: vec![(0, [0; 3])],
            asked: None,
            checks: 0,
            prompts: vec![(0, Prompt::Nothing)],
            checked: Vec::new(),
            covered_for: None,
            incidents: Vec::new(),
            nonce: 1,
        };
        seat.tell(Event::Painted(Shown::Covered));
        seat.tell(Event::Eyes { rules, measures });
        seat.tell(Event::LinkUp { timings: Timings::default(), observed_until_ms: None });
        seat
    }

    fn able(liveness: Asked, client: Client) -> Self {
        Self::new(rules(liveness), MEASURES_LIGHT | MEASURES_TURN, client)
    }

    fn tell(&mut self, event: Event) {
        self.nonce = if self.nonce == 0 { 0 } else { self.nonce.wrapping_add(1).max(1) };
        for action in self.decider.handle(self.now_ms, event, [self.nonce; 16]) {
            match action {
                Action::Cover(reason) => {
                    self.covered_for = Some(reason);
                    self.tell(Event::Painted(Shown::Covered));
                }
                Action::Uncover => {
                    assert_eq!(self.shown.last().unwrap().1, [0; 3], "light on the desktop");
                    self.tell(Event::Painted(Shown::Visible));
                }
                Action::Measure(light) => {
                    self.asked = Some((self.now_ms, light));
                    self.checks += 1;
                }
                Action::Light(rgb) => self.shown.push((self.now_ms, rgb.unwrap_or_default())),
                Action::Prompt(prompt) => self.prompts.push((self.now_ms, prompt)),
                Action::Checked { result, opened } => self.checked.push((result, opened)),
                Action::OpenIncident { reason, .. } => self.incidents.push(reason),
                _ => {}
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 50 {
            self.now_ms += 50;
            self.clear_ms = if self.state == State::Clear { self.clear_ms + 50 } else { 0 };
            if self.now_ms.is_multiple_of(500) {
                self.attest();
            }
            self.answer();
            self.tell(Event::Tick);
        }
    }

    fn attest(&mut self) {
        let attest = Attest {
            operator_confirmed_age_ms: if self.state == State::Absent { 60_000 } else { 100 },
            not_alone_ms: if self.state == State::Stranger { 5_000 } else { 0 },
            clear_ms: self.clear_ms,
            ..attest(self.state)
        };
        let (nonce_issued_ms, lease_until_ms) = (self.now_ms, self.now_ms + 3_000);
        self.tell(Event::Attested(Attested { attest, nonce_issued_ms, lease_until_ms }));
    }

    /// The client answers once its time is over.
    fn answer(&mut self) {
        let Some((begun_ms, light)) = self.asked else { return };
        if self.now_ms < begun_ms + u64::from(light.duration_ms) + 60 || self.client == Client::Silent {
            return;
        }
        self.asked = None;
        let samples = (0..light.duration_ms)
            .step_by(usize::try_from(light.duration_ms / 40 + 1).unwrap())
            .map(|t_ms| Sample { t_ms, values: self.values(begun_ms, light.check, t_ms) });
        let samples = samples.collect();
        let (id, check) = (light.id, light.check);
        self.tell(Event::Lit(Lit { id, check, clipped_permille: 0, far_permille: 90, samples }));
    }

    fn values(&self, begun_ms: u64, check: u8, t_ms: u32) -> Vec<i16> {
        let at_ms = (begun_ms + u64::from(t_ms)).saturating_sub(220);
        if check == Check::Turn.number() {
            let prompt =
                self.prompts.iter().rev().find(|(since_ms, _)| *since_ms <= at_ms.saturating_sub(200));
            return vec![match prompt {
                Some((_, Prompt::Turn(Pose::Turned(turn::Side::Left)))) if self.client == Client::Turns => {
                    250
                }
                Some((_, Prompt::Turn(Pose::Turned(turn::Side::Right)))) if self.client == Client::Turns => {
                    -250
                }
                _ => 10,
            }];
        }
        let rgb =
            self.shown.iter().rev().find(|(since_ms, _)| *since_ms <= at_ms).map_or([0; 3], |shown| shown.1);
        let shown = linear(rgb);
        let adds: [f64; PLACES] = match self.client {
            Client::Head | Client::Restless => [0.15, 0.25, 0.17, 0.2, 0.33, 0.02, 0.04, 0.01],
            Client::Sheet => [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.01],
            _ => [0.0; PLACES],
        };
        let film = if self.client == Client::Film { 0.06 * (f64::from(t_ms) / 230.0).sin() } else { 0.0 };
        let noise = |index: usize| f64::from((t_ms * 7 + u32::try_from(index).unwrap() * 13) % 11) / 5_000.0;
        let at = f64::from(t_ms) + self.now_ms as f64;
        let wander = |place: usize| {
            let is_restless = self.client == Client::Restless && place < FACE_PLACES;
            if is_restless { RESTLESS * (at / (160.0 + 23.0 * place as f64)).sin() } else { 0.0 }
        };
        let value = |(index, add): (usize, f64)| {
            let flicker = if index / 3 == FAR { 0.0 } else { film };
            let light = 1.0 + add * shown[index % 3] + flicker + noise(index) + wander(index / 3);
            (light.ln() * 1_000.0).round() as i16
        };
        (0..PLACES * 3).map(|index| (index, adds[index / 3])).map(value).collect()
    }

    fn is_open(&self) -> bool {
        self.decider.shown() == Shown::Visible
    }

    fn leave_and_return(&mut self, ms: u64) {
        self.state = State::Absent;
        self.pass(ms);
        assert!(!self.is_open());
        self.state = State::Clear;
    }
}

#[test]
fn nothing_is_asked_where_the_policy_asks_for_nothing() {
    for liveness in [Asked::Off, Asked::Passive] {
        let mut seat = Seat::able(liveness, Client::Silent);
        seat.pass(4_000);
        assert!(seat.is_open() && seat.checked.is_empty() && seat.shown.len() == 1);
    }
}

#[test]
fn a_head_opens_after_its_light_and_a_sheet_never_does() {
    for liveness in [Asked::LightPreferred, Asked::LightRequired] {
        let mut head = Seat::able(liveness, Client::Head);
        head.pass(2_500);
        assert!(!head.is_open(), "not before it was checked");
        head.pass(4_000);
        assert!(head.is_open(), "{:?}", head.checked);
        assert_eq!(head.checked, [(LivenessResult::Lit, true)]);
        let lit: Vec<u64> = head.shown.windows(2).map(|pair| pair[1].0 - pair[0].0).skip(1).collect();
        assert_eq!(lit, [350; 5], "each step as long as planned, and no light after it");

        for client in [Client::Sheet, Client::Film] {
            let mut fake = Seat::able(liveness, client);
            fake.pass(90_000);
            assert!(!fake.is_open());
            assert!(fake.checked.len() >= 4 && fake.checked.len() < 12, "{}", fake.checked.len());
            assert!(fake.checked.iter().all(|(_, opened)| !opened), "{:?}", fake.checked);
            assert_eq!(fake.covered_for, Some(Reason::Spoof));
            assert!(fake.incidents.is_empty(), "nothing was visible yet");
        }
    }
}

#[test]
fn after_a_failure_one_good_answer_may_be_luck_and_a_new_connection_changes_nothing() {
    for reconnects in [false, true] {
        let mut seat = Seat::able(Asked::LightRequired, Client::Sheet);
        while seat.checked.is_empty() {
            seat.pass(50);
        }
        if reconnects {
            seat.tell(Event::LinkDown { reason: Reason::ClientGone });
            let rules = rules(Asked::LightRequired);
            seat.tell(Event::Eyes { rules, measures: MEASURES_LIGHT | MEASURES_TURN });
            seat.tell(Event::LinkUp { timings: Timings::default(), observed_until_ms: None });
            seat.clear_ms = 0;
        }
        seat.client = Client::Head;
        seat.pass(15_000);
        assert!(seat.is_open(), "{:?}", seat.checked);
        assert_eq!(seat.checks, 3, "one failed and two good ones");
        seat.leave_and_return(6 * 60_000);
        seat.pass(8_000);
        assert!(seat.is_open() && seat.checks == 4, "after that one is enough again");
    }
}

#[test]
fn what_one_check_cannot_tell_the_next_ones_tell_together_at_once() {
    let mut seat = Seat::able(Asked::LightRequired, Client::Restless);
    seat.pass(2_500 + 3 * 3_400);
    assert!(seat.is_open(), "{:?} after {}", seat.checked, seat.checks);
    assert!((2..=3).contains(&seat.checks), "{}", seat.checks);
    assert_eq!(seat.checked, [(LivenessResult::Lit, true)], "nothing is said of the others");
    assert!(seat.prompts.iter().all(|(_, prompt)| *prompt != Prompt::TooBright));
}

#[test]
fn checks_are_judged_together_only_if_nothing_was_doubtful_between_them() {
    let mut seat = Seat::able(Asked::LightRequired, Client::Restless);
    while seat.checks < 2 {
        seat.pass(50);
    }
    // Somebody else for a moment: a sheet may have been raised.
    seat.state = State::Undecided;
    seat.pass(500);
    seat.state = State::Clear;
    seat.pass(3_000);
    assert!(!seat.is_open());
    assert_eq!(seat.prompts.last().unwrap().1, Prompt::Again);
}

#[test]
fn a_proof_serves_again_until_something_is_doubtful() {
    let mut seat = Seat::able(Asked::LightRequired, Client::Head);
    seat.pass(8_000);
    seat.leave_and_return(20_000);
    seat.pass(3_000);
    assert!(seat.is_open(), "a short absence");
    assert_eq!(seat.checked, [(LivenessResult::Lit, true); 2]);
    seat.leave_and_return(6 * 60_000);
    seat.pass(3_000);
    assert!(!seat.is_open(), "a long one is checked again");
    seat.pass(5_000);
    assert!(seat.is_open());
    seat.state = State::Stranger;
    seat.pass(2_000);
    seat.state = State::Clear;
    seat.client = Client::Sheet;
    seat.pass(30_000);
    assert!(!seat.is_open(), "after a stranger a picture does not open");
    assert!(seat.incidents.contains(&Reason::Stranger));
}

#[test]
fn a_client_that_cannot_be_checked_is_let_in_only_where_that_is_enough() {
    let mut old = Seat::new(rules(Asked::LightPreferred), 0, Client::Silent);
    old.pass(3_500);
    assert!(old.is_open());
    assert_eq!(old.checked, [(LivenessResult::Unable, true)]);
    let mut kept = Seat::new(rules(Asked::LightRequired), 0, Client::Silent);
    kept.pass(20_000);
    assert!(!kept.is_open());
    assert_eq!(kept.checked, [(LivenessResult::Unable, false)], "said once");
    assert_eq!(kept.prompts.last().unwrap().1, Prompt::Unable);

    let mut silent = Seat::able(Asked::LightPreferred, Client::Silent);
    silent.pass(30_000);
    assert!(silent.is_open(), "{:?}", silent.checked);
    let mut silent = Seat::able(Asked::LightRequired, Client::Silent);
    silent.pass(90_000);
    assert!(!silent.is_open());
    assert_ne!(silent.covered_for, Some(Reason::Spoof), "silence is no picture");
}

#[test]
fn what_the_sun_hides_is_for_the_policy_to_weigh() {
    let seat = |liveness, not_measurable, client| {
        let rules = EyesRules { not_measurable, ..rules(liveness) };
        let mut seat = Seat::new(rules, MEASURES_LIGHT | MEASURES_TURN, client);
        seat.pass(30_000);
        seat
    };
    let on = seat(Asked::LightPreferred, NotMeasurable::GoOn, Client::Sun);
    assert_eq!(on.checked, [(LivenessResult::NotMeasurable, true)]);
    let covered = seat(Asked::LightRequired, NotMeasurable::Cover, Client::Sun);
    assert!(!covered.is_open() && covered.prompts.iter().any(|(_, p)| *p == Prompt::TooBright));
    let turned = seat(Asked::LightRequired, NotMeasurable::Turn, Client::Turns);
    assert_eq!(turned.checked, [(LivenessResult::Turned, true)]);
    let still = seat(Asked::LightRequired, NotMeasurable::Turn, Client::Sun);
    assert!(!still.is_open() && still.checked.contains(&(LivenessResult::DidNotTurn, false)));
}

#[test]
fn who_is_disturbed_by_light_is_asked_to_turn_at_once() {
    let rules = EyesRules { first_check: FirstCheck::Turn, ..rules(Asked::LightRequired) };
    let mut seat = Seat::new(rules, MEASURES_LIGHT | MEASURES_TURN, Client::Turns);
    seat.pass(15_000);
    assert!(seat.is_open());
    assert_eq!((seat.checked.as_slice(), seat.shown.len()), (&[(LivenessResult::Turned, true)][..], 1));
}

#[test]
fn whoever_comes_meanwhile_ends_the_check_in_the_dark() {
    let mut seat = Seat::able(Asked::LightRequired, Client::Head);
    seat.pass(3_500);
    assert!(seat.shown.len() > 2, "it is being lit");
    seat.state = State::Stranger;
    seat.pass(1_000);
    assert_eq!(seat.shown.last().unwrap().1, [0; 3]);
    assert_eq!(seat.prompts.last().unwrap().1, Prompt::Nothing);
    seat.pass(5_000);
    assert!(!seat.is_open() && seat.checked.is_empty());
    // Somebody else for a moment, too short to cover, but whose face was it?
    let mut swapped = Seat::able(Asked::LightRequired, Client::Head);
    swapped.pass(3_000);
    swapped.state = State::Undecided;
    swapped.pass(500);
    swapped.state = State::Clear;
    swapped.pass(2_500);
    assert!(!swapped.is_open() && swapped.checked.is_empty());
    swapped.pass(8_000);
    assert!(swapped.is_open(), "{:?}", swapped.checked);
}

#[test]
fn without_randomness_and_after_a_stall_no_check_is_made() {
    let mut seat = Seat::able(Asked::LightRequired, Client::Head);
    seat.nonce = 0;
    seat.pass(10_000);
    assert!(!seat.is_open() && seat.asked.is_none() && seat.shown.len() == 1);
    let mut stalled = Seat::able(Asked::LightRequired, Client::Head);
    stalled.pass(3_500);
    let lit = stalled.shown.len();
    stalled.now_ms += 900;
    stalled.tell(Event::Tick);
    assert_eq!(stalled.shown.last().unwrap().1, [0; 3], "dark after {lit} steps");
}
