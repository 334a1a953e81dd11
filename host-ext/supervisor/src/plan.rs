//! The supervisor's decisions about guards, pure: events and times in, actions out.
//!
//! ```text
//!              Appeared                    Ended (3rd time in 60 s)
//!   (unknown) ─────────► Running ───────────────────────────────► Resting 1 s … 30 s
//!                         ▲   │ Ended: again at once                │ over
//!                         └───┴◄────────────────────────────────────┘
//! ```
//! One rule overrides these states: the clients of a display whose guard has not *confirmed* within [`CONFIRM_MS`] are
//! disconnected, and again every [`DISCONNECT_EVERY_MS`] until it confirms. A guard confirms when it says `covered` and
//! read the pixels back that recently, or when it says `visible` after it has covered. A guard that has read nothing
//! back yet counts up from its own start, so its first confirmation is the heartbeat at which that count goes down. A
//! new guard inherits the clock of the one before. Times are milliseconds of CLOCK_BOOTTIME.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::{BTreeMap, VecDeque};

use crate::line::{Heartbeat, Line};

/// How long a display may go without a confirmation.
pub(crate) const CONFIRM_MS: u64 = 500;
/// The same while the session is held before its first user code: there is nothing to see yet, and the X server may be
/// slow to start on a busy machine.
pub(crate) const HELD_START_MS: u64 = 5_000;
/// A guard that is silent for this long hangs, and is replaced.
pub(crate) const HANG_MS: u64 = 2_000;
/// How long a new guard may take until its first line.
pub(crate) const FIRST_WORD_MS: u64 = 5_000;
/// After this many ends of a guard within the window, its display rests before the next one is started.
pub(crate) const FAILURES: usize = 3;
pub(crate) const FAILURE_WINDOW_MS: u64 = 60_000;
pub(crate) const PAUSE_MIN_MS: u64 = 1_000;
pub(crate) const PAUSE_MAX_MS: u64 = 30_000;
/// This long without a fault clears the count.
pub(crate) const HEALTHY_MS: u64 = 60_000;
/// How often clients that come back to an unconfirmed display are disconnected.
pub(crate) const DISCONNECT_EVERY_MS: u64 = 500;
/// After a pause of the supervisor itself, heartbeats are still unread: it judges at the next tick.
pub(crate) const STALL_MS: u64 = 250;

const _: () = assert!(CONFIRM_MS < HANG_MS && HANG_MS <= FIRST_WORD_MS);
const _: () = assert!(PAUSE_MIN_MS < PAUSE_MAX_MS && PAUSE_MAX_MS < FAILURE_WINDOW_MS);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A session's display appeared; `held` if no code of its user runs before [`Action::Release`].
    Appeared { number: u32, held: bool },
    /// Its X server has ended.
    Gone { number: u32 },
    /// The guard of that run ended, or could not be started.
    Ended { number: u32, run: u64 },
    /// A line of the guard of that run.
    Said { number: u32, run: u64, line: Line },
    /// The guard of that run wrote a line that no guard writes.
    Babbled { number: u32, run: u64 },
    /// Time passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a guard.
    Start { number: u32, run: u64 },
    /// Kill this guard; its blanker keeps the cover.
    Kill { number: u32, run: u64 },
    /// End the RDP connections to this display.
    Disconnect { number: u32, why: Why },
    /// The screen is covered: the user's code may start.
    Release { number: u32 },
    /// The display is gone; its guard may end in its own time.
    Forget { number: u32 },
}

/// Why clients are disconnected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The guard is silent.
    Silent,
    /// The guard says that it cannot confirm the cover.
    Unconfirmed,
    /// The guard failed too often.
    Failing,
    /// The guard asks for it, and says why.
    Asked(String),
}

/// All guarded displays.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    displays: BTreeMap<u32, Display>,
    runs: u64,
    ticked_ms: Option<u64>,
}

#[derive(Debug)]
struct Display {
    guard: Guard,
    run: u64,
    /// The guard of this run has covered before it showed anything.
    covered: bool,
    held: bool,
    confirmed_ms: u64,
    allowance_ms: u64,
    /// The last heartbeat did not confirm; tells [`Why::Unconfirmed`] from [`Why::Silent`].
    unconfirmed: bool,
    healthy_since_ms: Option<u64>,
    failures: VecDeque<u64>,
    pause_ms: u64,
    disconnected_ms: Option<u64>,
    /// The guard's reason for a disconnection, until the next one is due.
    asked: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Guard {
    /// `counted_ms`: the `unconfirmed_ms` of its last heartbeat.
    Running {
        heard_ms: u64,
        spoke: bool,
        counted_ms: Option<u64>,
    },
    Killed,
    Resting {
        until_ms: u64,
    },
}

impl Plan {
    pub(crate) fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Appeared { number, held } => self.appeared(number, held, now_ms, &mut actions),
            Event::Gone { number } => self.gone(number, &mut actions),
            Event::Ended { number, run } => self.ended(number, run, now_ms, &mut actions),
            Event::Said { number, run, line } => {
                if let Some(watch) = self.of_run(number, run) {
                    watch.said(number, line, now_ms, &mut actions);
                }
            }
            Event::Babbled { number, run } => {
                if let Some(watch) = self.of_run(number, run) {
                    watch.kill(number, &mut actions);
                }
            }
            Event::Tick => self.tick(now_ms, &mut actions),
        }
        actions
    }

    /// Whether this display is known.
    pub(crate) fn knows(&self, number: u32) -> bool {
        self.displays.contains_key(&number)
    }

    fn appeared(&mut self, number: u32, held: bool, now_ms: u64, actions: &mut Vec<Action>) {
        if self.knows(number) {
            return;
        }
        let run = self.next_run();
        self.displays.insert(number, Display::new(run, held, now_ms));
        actions.push(Action::Start { number, run });
    }

    fn gone(&mut self, number: u32, actions: &mut Vec<Action>) {
        if self.displays.remove(&number).is_some() {
            actions.push(Action::Forget { number });
        }
    }

    fn ended(&mut self, number: u32, run: u64, now_ms: u64, actions: &mut Vec<Action>) {
        let Some(watch) = self.of_run(number, run) else { return };
        if watch.fail(now_ms) {
            watch.disconnect(number, Why::Failing, now_ms, actions);
        } else {
            self.start(number, now_ms, actions);
        }
    }

    fn start(&mut self, number: u32, now_ms: u64, actions: &mut Vec<Action>) {
        let run = self.next_run();
        if let Some(watch) = self.displays.get_mut(&number) {
            watch.run = run;
            watch.covered = false;
            watch.guard = Guard::Running { heard_ms: now_ms, spoke: false, counted_ms: None };
            actions.push(Action::Start { number, run });
        }
    }

    fn tick(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        let stalled = self.ticked_ms.is_some_and(|last| now_ms.saturating_sub(last) > STALL_MS);
        self.ticked_ms = Some(now_ms);
        if stalled {
            return;
        }
        let mut rested = Vec::new();
        for (&number, watch) in &mut self.displays {
            match watch.guard {
                Guard::Running { heard_ms, spoke, .. } => {
                    let limit_ms = if spoke { HANG_MS } else { FIRST_WORD_MS };
                    if now_ms.saturating_sub(heard_ms) > limit_ms {
                        watch.kill(number, actions);
                    }
                }
                Guard::Resting { until_ms } if now_ms >= until_ms => rested.push(number),
                Guard::Resting { .. } | Guard::Killed => {}
            }
            watch.answer(number, now_ms, actions);
            watch.judge(number, now_ms, actions);
        }
        for number in rested {
            self.start(number, now_ms, actions);
        }
    }

    /// The display, if `run` is its current guard: lines of earlier guards no longer count.
    fn of_run(&mut self, number: u32, run: u64) -> Option<&mut Display> {
        self.displays
            .get_mut(&number)
            .filter(|watch| watch.run == run && matches!(watch.guard, Guard::Running { .. } | Guard::Killed))
    }

    fn next_run(&mut self) -> u64 {
        self.runs = self.runs.saturating_add(1);
        self.runs
    }
}

impl Display {
    fn new(run: u64, held: bool, now_ms: u64) -> Self {
        Display {
            guard: Guard::Running { heard_ms: now_ms, spoke: false, counted_ms: None },
            run,
            covered: false,
            held,
            confirmed_ms: now_ms,
            allowance_ms: if held { HELD_START_MS } else { CONFIRM_MS },
            unconfirmed: false,
            healthy_since_ms: None,
            failures: VecDeque::with_capacity(FAILURES),
            pause_ms: 0,
            disconnected_ms: None,
            asked: None,
        }
    }

    fn said(&mut self, number: u32, line: Line, now_ms: u64, actions: &mut Vec<Action>) {
        let Guard::Running { heard_ms, spoke, counted_ms } = &mut self.guard else { return };
        (*heard_ms, *spoke) = (now_ms, true);
        match line {
            Line::Heartbeat(heartbeat) => {
                // By the guard's own count, so that a delay in the pipe does not look like progress.
                let before_ms = counted_ms.replace(heartbeat.unconfirmed_ms);
                let went_down = before_ms.is_some_and(|before_ms| heartbeat.unconfirmed_ms < before_ms);
                self.heartbeat(number, heartbeat, went_down, now_ms, actions);
            }
            // The answer to an order of `takeover`.
            Line::Covered(_) => {}
            Line::Disconnect(text) => {
                self.healthy_since_ms = None;
                self.asked = Some(text);
                self.answer(number, now_ms, actions);
            }
        }
    }

    /// Does what the guard asked for. Each disconnection searches all processes of the machine, so a session that makes
    /// its guard ask without pause must not use up the supervisor's time.
    fn answer(&mut self, number: u32, now_ms: u64, actions: &mut Vec<Action>) {
        let recently = |at_ms: u64| now_ms.saturating_sub(at_ms) < DISCONNECT_EVERY_MS;
        if self.disconnected_ms.is_some_and(recently) {
            return;
        }
        if let Some(text) = self.asked.take() {
            self.disconnect(number, Why::Asked(text), now_ms, actions);
        }
    }

    fn heartbeat(
        &mut self,
        number: u32,
        heartbeat: Heartbeat,
        went_down: bool,
        now_ms: u64,
        actions: &mut Vec<Action>,
    ) {
        let read_back_ms =
            now_ms.saturating_sub(if heartbeat.covered { heartbeat.unconfirmed_ms } else { 0 });
        self.unconfirmed = heartbeat.covered && heartbeat.unconfirmed_ms > CONFIRM_MS;
        if self.unconfirmed || (heartbeat.covered && !self.covered && !went_down) {
            self.judge(number, now_ms, actions);
            return;
        }
        if !heartbeat.covered && !self.covered {
            // Nothing proves that this guard can cover.
            self.kill(number, actions);
            return;
        }
        self.covered = true;
        self.confirmed_ms = self.confirmed_ms.max(read_back_ms);
        self.allowance_ms = CONFIRM_MS;
        if std::mem::take(&mut self.held) {
            actions.push(Action::Release { number });
        }
        if now_ms.saturating_sub(*self.healthy_since_ms.get_or_insert(now_ms)) >= HEALTHY_MS {
            self.failures.clear();
            self.pause_ms = 0;
        }
    }

    /// Counts a failure; true if the display rests now.
    fn fail(&mut self, now_ms: u64) -> bool {
        self.healthy_since_ms = None;
        self.failures.retain(|&at_ms| now_ms.saturating_sub(at_ms) < FAILURE_WINDOW_MS);
        self.failures.truncate(FAILURES);
        self.failures.push_back(now_ms);
        if self.failures.len() < FAILURES && self.pause_ms == 0 {
            return false;
        }
        self.pause_ms = self.pause_ms.saturating_mul(2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.guard = Guard::Resting { until_ms: now_ms.saturating_add(self.pause_ms) };
        true
    }

    fn judge(&mut self, number: u32, now_ms: u64, actions: &mut Vec<Action>) {
        if now_ms.saturating_sub(self.confirmed_ms) <= self.allowance_ms {
            return;
        }
        self.healthy_since_ms = None;
        let recently =
            |at_ms: u64| now_ms.saturating_sub(at_ms) < DISCONNECT_EVERY_MS && at_ms > self.confirmed_ms;
        if self.disconnected_ms.is_some_and(recently) {
            return;
        }
        let why = match self.guard {
            Guard::Resting { .. } => Why::Failing,
            _ if self.unconfirmed => Why::Unconfirmed,
            _ => Why::Silent,
        };
        self.disconnect(number, why, now_ms, actions);
    }

    fn disconnect(&mut self, number: u32, why: Why, now_ms: u64, actions: &mut Vec<Action>) {
        self.disconnected_ms = Some(now_ms);
        actions.push(Action::Disconnect { number, why });
    }

    fn kill(&mut self, number: u32, actions: &mut Vec<Action>) {
        if matches!(self.guard, Guard::Running { .. }) {
            self.guard = Guard::Killed;
            actions.push(Action::Kill { number, run: self.run });
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
