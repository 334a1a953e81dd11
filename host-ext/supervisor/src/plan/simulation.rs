//! Thousands of random lives of displays and guards on virtual time, against the rules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the world does in the next 50 ms.
#[derive(Debug, Clone)]
enum Step {
    Appear(u32, bool),
    Vanish(u32),
    /// The present guard covers, confirmed so long ago.
    Cover(u32, u64),
    Show(u32),
    Crash(u32),
    Babble(u32),
    /// A guard that is no longer in charge speaks.
    Ghost(u32),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 10u32..13;
    prop_oneof![
        2 => (number.clone(), any::<bool>()).prop_map(|(d, held)| Step::Appear(d, held)),
        1 => number.clone().prop_map(Step::Vanish),
        12 => (number.clone(), 0u64..700).prop_map(|(d, ms)| Step::Cover(d, ms)),
        8 => number.clone().prop_map(Step::Show),
        3 => number.clone().prop_map(Step::Crash),
        1 => number.clone().prop_map(Step::Babble),
        1 => number.prop_map(Step::Ghost),
        8 => (1u8..60).prop_map(Step::Wait),
    ]
}

/// What must hold of one display, kept apart from how the plan keeps it.
#[derive(Debug)]
struct Model {
    live: Option<u64>,
    killed: bool,
    held: bool,
    confirmed_ms: u64,
    allowance_ms: u64,
    covered: bool,
    counted_ms: Option<u64>,
    disconnected_ms: u64,
}

struct World {
    plan: Plan,
    models: BTreeMap<u32, Model>,
    now_ms: u64,
    last_run: u64,
}

impl World {
    fn event(&mut self, event: Event) {
        for action in self.plan.handle(event, self.now_ms) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { number, run } => {
                let model = self.models.get_mut(&number).unwrap();
                assert_eq!(model.live, None, "two guards on one display");
                assert!(run > self.last_run, "runs are told apart");
                self.last_run = run;
                (model.live, model.covered, model.killed) = (Some(run), false, false);
                model.counted_ms = None;
            }
            Action::Kill { number, run } => {
                if let Some(model) = self.models.get_mut(&number) {
                    assert_eq!(model.live, Some(run));
                    model.killed = true;
                }
            }
            Action::Disconnect { number, .. } => {
                self.models.get_mut(&number).unwrap().disconnected_ms = self.now_ms;
            }
            Action::Release { number } => {
                let model = self.models.get_mut(&number).unwrap();
                assert!(std::mem::take(&mut model.held), "released twice, or never held");
                assert!(model.covered, "user code before the cover");
            }
            Action::Forget { number } => assert!(!self.models.contains_key(&number)),
        }
    }

    fn beat(&mut self, number: u32, covered: bool, unconfirmed_ms: u64) {
        let Some(model) = self.models.get_mut(&number) else { return };
        let Some(run) = model.live else { return };
        if !model.killed {
            let read_back_ms = self.now_ms.saturating_sub(unconfirmed_ms);
            let before_ms = model.counted_ms.replace(unconfirmed_ms);
            let counts = model.covered || before_ms.is_some_and(|ms| unconfirmed_ms < ms);
            if covered && unconfirmed_ms <= CONFIRM_MS && counts {
                model.covered = true;
                model.confirmed_ms = model.confirmed_ms.max(read_back_ms);
                model.allowance_ms = CONFIRM_MS;
            } else if !covered && model.covered {
                model.confirmed_ms = self.now_ms;
            }
        }
        let line = Line::Heartbeat(Heartbeat { covered, unconfirmed_ms, client: true, blanker_pid: 1 });
        self.event(Event::Said { number, run, line });
    }

    fn end(&mut self, number: u32) {
        let Some(run) = self.models.get_mut(&number).and_then(|m| m.live.take()) else { return };
        self.event(Event::Ended { number, run });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Appear(number, held) => {
                if !self.plan.knows(number) {
                    let allowance_ms = if held { HELD_START_MS } else { CONFIRM_MS };
                    let (confirmed_ms, disconnected_ms) = (self.now_ms, 0);
                    let (live, killed, covered, counted_ms) = (None, false, false, None);
                    let model = Model {
                        live,
                        killed,
                        held,
                        confirmed_ms,
                        allowance_ms,
                        covered,
                        counted_ms,
                        disconnected_ms,
                    };
                    self.models.insert(number, model);
                }
                self.event(Event::Appeared { number, held });
            }
            Step::Vanish(number) => {
                self.models.remove(&number);
                self.event(Event::Gone { number });
            }
            Step::Cover(number, ms) => self.beat(number, true, ms),
            Step::Show(number) => self.beat(number, false, 0),
            Step::Crash(number) => self.end(number),
            Step::Babble(number) => {
                if let Some(run) = self.models.get(&number).and_then(|m| m.live) {
                    self.event(Event::Babbled { number, run });
                }
            }
            Step::Ghost(number) => {
                let line = Line::Heartbeat(Heartbeat {
                    covered: true,
                    unconfirmed_ms: 0,
                    client: true,
                    blanker_pid: 1,
                });
                let run = self.models.get(&number).and_then(|m| m.live).unwrap_or(1).saturating_sub(1);
                self.event(Event::Said { number, run, line });
            }
            Step::Wait(ticks) => {
                for _ in 0..ticks {
                    self.pass();
                }
            }
        }
    }

    fn pass(&mut self) {
        self.now_ms += 50;
        self.event(Event::Tick);
        let dead: Vec<u32> = self.models.iter().filter(|(_, m)| m.killed).map(|(d, _)| *d).collect();
        for number in dead {
            self.end(number);
        }
        for (number, model) in &self.models {
            let late_ms = self.now_ms.saturating_sub(model.confirmed_ms);
            if late_ms > model.allowance_ms + 50 {
                let since_ms = self.now_ms - model.disconnected_ms;
                assert!(
                    since_ms <= DISCONNECT_EVERY_MS + 50,
                    "display {number}: unconfirmed for {late_ms} ms, last disconnected {since_ms} ms ago"
                );
            }
            if model.live.is_none() {
                let resting = self.plan.displays.get(number).is_some_and(|d| d.pause_ms > 0);
                assert!(resting, "display {number} has no guard and does not wait for one");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_an_unconfirmed_display_has_no_client(steps in prop::collection::vec(step(), 1..120)) {
        let mut world =
            World { plan: Plan::default(), models: BTreeMap::new(), now_ms: 10_000, last_run: 0 };
        world.pass();
        for step in &steps {
            world.step(step);
            world.pass();
        }
    }
}
