//! Whether somebody alive is there, as far as the policy asks: when to check, what the cover shows meanwhile, and what
//! an answer is worth. Pure, a part of the decision.
//!
//! ```text
//!  released ─► prove ─ no proof ─► Measure (LIGHT) ─► Light, Light, … ─► LIT ─► judge ─┬─► proof ─► Uncover
//!                 │                                                                    ├─► words, a rest, again
//!                 └─ proof that holds ─► Uncover                                       └─► turn your head instead
//! ```
//! Nothing here shows the desktop: it can only keep it covered for longer. Whatever covers for another reason ends a
//! check, and whatever makes it doubtful who sits there ends a proof.

use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::eyes::{EyesRules, FirstCheck, Liveness as Asked, NotMeasurable};
use sudare_protocol::light::turn::{self, Pose, TURNS_MS, Turns};
use sudare_protocol::light::{
    self, Check, Light, Lit, MEASURE_MS, MEASURES_LIGHT, MEASURES_TURN, STEPS, Sequence, Timeline, judge,
};
use sudare_protocol::message::Id;
use sudare_protocol::reason::Reason;

use super::Action;

/// How long after the measurement an answer may come.
const ANSWER_MS: u64 = 2_500;
/// A step that is shown later than this is not the step that was planned; the host was busy, and begins anew.
const STEP_LATE_MS: u32 = 150;
/// After a failed check the next one waits: twice as long each time.
const REST_MIN_MS: u64 = 2_000;
const REST_MAX_MS: u64 = 60_000;
/// After this many failures in a row a picture is suspected.
const FAILURES_MAX: u32 = 3;
/// So many good answers in a row are needed after a failure: a picture that is tried again and again would get in at
/// last by luck.
const ANSWERS_AFTER_FAILURE: u32 = 2;
/// So often a client is asked that does not answer.
const SILENCES_MAX: u32 = 2;
const MINUTE_MS: u64 = 60_000;

/// What the cover says about a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prompt {
    #[default]
    Nothing,
    /// Look at the screen while its light changes.
    Light,
    /// Do as it says.
    Turn(Pose),
    /// That did not work; another check follows.
    Again,
    /// The room is too bright.
    TooBright,
    /// The client cannot be checked.
    Unable,
}

/// A check in progress.
#[derive(Debug)]
struct Running {
    id: u64,
    plan: Plan,
    begun_ms: u64,
}

#[derive(Debug)]
enum Plan {
    Light { sequence: Sequence, starts_ms: Vec<u32>, end_ms: Option<u32> },
    Turn(Turns),
}

/// What one check has shown, and since when that holds.
#[derive(Debug, Clone, Copy)]
struct Proof {
    result: LivenessResult,
    at_ms: u64,
}

#[derive(Debug)]
pub(super) struct Liveness {
    rules: EyesRules,
    measures: u8,
    proof: Option<Proof>,
    running: Option<Running>,
    prompt: Prompt,
    next_id: u64,
    failures: u32,
    /// Good answers that are still needed.
    answers_needed: u32,
    silences: u32,
    rests_until_ms: u64,
    /// Checks by light that could not tell yet, and when the first of them began.
    series: judge::Series,
    series_begun_ms: u64,
    /// Light was tried, and the policy then asks for turns.
    turns_next: bool,
    covered_ms: u64,
    away_since_ms: Option<u64>,
}

fn nothing_asked() -> EyesRules {
    EyesRules { liveness: Asked::Off, ..EyesRules::default() }
}

impl Liveness {
    /// Asks for nothing; without a client there is nothing to open.
    pub(super) fn off() -> Self {
        Self::new(nothing_asked(), 0)
    }

    /// There is no client any more.
    pub(super) fn end_with_client(&mut self) {
        self.begin_with(nothing_asked(), 0);
    }

    /// For a client that can measure this.
    fn new(rules: EyesRules, measures: u8) -> Self {
        Liveness {
            rules,
            measures,
            proof: None,
            running: None,
            prompt: Prompt::Nothing,
            next_id: 1,
            failures: 0,
            answers_needed: 1,
            silences: 0,
            rests_until_ms: 0,
            series: judge::Series::default(),
            series_begun_ms: 0,
            turns_next: rules.first_check == FirstCheck::Turn,
            covered_ms: 0,
            away_since_ms: None,
        }
    }

    /// Another client, or the same one anew. What failed before stays in mind: whoever reconnects is no more alive.
    pub(super) fn begin_with(&mut self, rules: EyesRules, measures: u8) {
        let rests_until_ms = if self.failures > 0 { self.rests_until_ms } else { 0 };
        *self = Liveness {
            failures: self.failures,
            answers_needed: self.answers_needed,
            rests_until_ms,
            next_id: self.next_id,
            ..Self::new(rules, measures)
        };
    }

    /// Whether the desktop may be shown; if not, does what is needed for it. `fresh` is random, and absent while no
    /// check can begin.
    pub(super) fn prove(&mut self, now_ms: u64, fresh: Option<Id>, actions: &mut Vec<Action>) -> bool {
        if !self.rules.liveness.is_checked() {
            return true;
        }
        self.forget_old_proof(now_ms);
        if let Some(proof) = self.proof {
            self.say(Prompt::Nothing, actions);
            actions.push(Action::Checked { result: proof.result, opened: true });
            self.away_since_ms = None;
            return true;
        }
        if self.running.is_none()
            && now_ms >= self.rests_until_ms
            && let Some(fresh) = fresh
        {
            self.begin(now_ms, fresh, actions);
            return self.proof.is_some() && self.prove(now_ms, None, actions);
        }
        false
    }

    /// Why it stays covered although nothing else speaks against it.
    pub(super) fn denies(&self) -> Option<Reason> {
        (self.failures >= FAILURES_MAX).then_some(Reason::Spoof)
    }

    /// When the check in progress began, or the first of those that are judged together with it.
    pub(super) fn begun_ms(&self) -> Option<u64> {
        self.running.as_ref().map(|_| self.series_begun_ms)
    }

    fn forget_old_proof(&mut self, now_ms: u64) {
        let Some(proof) = self.proof else { return };
        let holds_ms = u64::from(self.rules.holds_minutes) * MINUTE_MS;
        let away_ms = self.away_since_ms.map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        let is_old = proof.at_ms < self.covered_ms && now_ms.saturating_sub(proof.at_ms) >= holds_ms;
        if is_old || away_ms >= u64::from(self.rules.away_minutes) * MINUTE_MS {
            self.proof = None;
        }
    }

    fn begin(&mut self, now_ms: u64, fresh: Id, actions: &mut Vec<Action>) {
        let check = if self.turns_next { Check::Turn } else { Check::Light };
        let wanted = if check == Check::Turn { MEASURES_TURN } else { MEASURES_LIGHT };
        if self.measures & wanted == 0 || self.silences >= SILENCES_MAX {
            return self.unable(now_ms, actions);
        }
        let mut nonce = [0; 32];
        nonce.iter_mut().zip(fresh).for_each(|(to, from)| *to = from);
        let (plan, duration_ms) = match check {
            Check::Light => {
                let sequence = Sequence::from_nonce(nonce).at(self.series.strength());
                self.say(Prompt::Light, actions);
                (Plan::Light { sequence, starts_ms: Vec::new(), end_ms: None }, MEASURE_MS)
            }
            Check::Turn => {
                self.say(Prompt::Turn(Pose::Front), actions);
                (Plan::Turn(Turns::from_nonce(nonce)), TURNS_MS)
            }
        };
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        actions.push(Action::Measure(Light { id, check: check.number(), duration_ms }));
        if !self.series.wants_more() {
            self.series_begun_ms = now_ms;
        }
        self.running = Some(Running { id, plan, begun_ms: now_ms });
    }

    fn unable(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        if self.rules.liveness == Asked::LightPreferred {
            self.believe(LivenessResult::Unable, now_ms);
        } else {
            if self.prompt != Prompt::Unable {
                actions.push(Action::Checked { result: LivenessResult::Unable, opened: false });
            }
            self.say(Prompt::Unable, actions);
            self.rests_until_ms = now_ms.saturating_add(REST_MAX_MS);
            self.silences = 0;
        }
    }

    /// Time passes: the next step is shown, or the answer is overdue.
    pub(super) fn advance(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        let Some(running) = &mut self.running else { return };
        let since_ms = u32::try_from(now_ms.saturating_sub(running.begun_ms)).unwrap_or(u32::MAX);
        let (is_busy, lasts_ms, prompt) = match &mut running.plan {
            Plan::Light { sequence, starts_ms, end_ms } => {
                let is_busy = show_steps(sequence, starts_ms, end_ms, since_ms, actions);
                (is_busy, MEASURE_MS, Prompt::Light)
            }
            Plan::Turn(turns) => (false, TURNS_MS, Prompt::Turn(turns.at(since_ms).unwrap_or(Pose::Front))),
        };
        if is_busy {
            self.rests_until_ms = now_ms.saturating_add(REST_MIN_MS);
            return self.abandon(actions);
        }
        if u64::from(since_ms) > u64::from(lasts_ms) + ANSWER_MS {
            self.end(actions);
            self.silences = self.silences.saturating_add(1);
            return self.fail(LivenessResult::Late, now_ms, actions);
        }
        self.say(prompt, actions);
    }

    /// The client has measured; `unbroken` says that nothing but the operator was seen all the while.
    pub(super) fn answered(&mut self, lit: &Lit, unbroken: bool, now_ms: u64, actions: &mut Vec<Action>) {
        let Some(running) = self.running.take_if(|running| running.id == lit.id) else { return };
        let result = running.judge(lit, &mut self.series, now_ms);
        self.running = Some(running);
        self.end(actions);
        // Over a line that is too slow nothing can be measured, however often it is tried.
        self.silences = if result == LivenessResult::Late { self.silences.saturating_add(1) } else { 0 };
        if !unbroken {
            // Somebody else may have been measured: that says nothing about either.
            self.series.forget();
            self.rests_until_ms = now_ms.saturating_add(REST_MIN_MS);
            return self.say(Prompt::Again, actions);
        }
        match result {
            LivenessResult::Lit | LivenessResult::Turned => self.good(result, now_ms),
            // Another check at once may show what it is.
            LivenessResult::NotMeasurable if self.series.wants_more() => {}
            LivenessResult::NotMeasurable => self.not_measurable(now_ms, actions),
            denied => self.fail(denied, now_ms, actions),
        }
    }

    fn good(&mut self, result: LivenessResult, now_ms: u64) {
        self.answers_needed = self.answers_needed.saturating_sub(1);
        if self.answers_needed == 0 {
            self.believe(result, now_ms);
        }
    }

    fn not_measurable(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        let result = LivenessResult::NotMeasurable;
        match self.rules.not_measurable {
            NotMeasurable::GoOn => self.believe(result, now_ms),
            NotMeasurable::Turn if !self.turns_next => self.turns_next = true,
            NotMeasurable::Turn | NotMeasurable::Cover => {
                actions.push(Action::Checked { result, opened: false });
                self.rest(now_ms);
                self.say(Prompt::TooBright, actions);
            }
        }
    }

    fn believe(&mut self, result: LivenessResult, now_ms: u64) {
        self.proof = Some(Proof { result, at_ms: now_ms });
        (self.failures, self.answers_needed, self.away_since_ms) = (0, 1, None);
        self.turns_next = self.rules.first_check == FirstCheck::Turn;
    }

    fn fail(&mut self, result: LivenessResult, now_ms: u64, actions: &mut Vec<Action>) {
        actions.push(Action::Checked { result, opened: false });
        // A client that says nothing is no picture; `begin` gives it up.
        if result != LivenessResult::Late {
            self.failures = self.failures.saturating_add(1);
            self.answers_needed = ANSWERS_AFTER_FAILURE;
        }
        self.rest(now_ms);
        self.say(Prompt::Again, actions);
    }

    fn rest(&mut self, now_ms: u64) {
        let doublings = self.failures.saturating_sub(1).min(8);
        let rest_ms = (REST_MIN_MS << doublings).min(REST_MAX_MS);
        self.rests_until_ms = now_ms.saturating_add(rest_ms);
    }

    /// It is covered for another reason now: no check, and no words of one.
    pub(super) fn abandon(&mut self, actions: &mut Vec<Action>) {
        self.series.forget();
        self.end(actions);
        self.say(Prompt::Nothing, actions);
    }

    /// The cover is black again.
    fn end(&mut self, actions: &mut Vec<Action>) {
        if let Some(running) = self.running.take()
            && matches!(running.plan, Plan::Light { end_ms: None, .. })
        {
            actions.push(Action::Light(None));
        }
    }

    fn say(&mut self, prompt: Prompt, actions: &mut Vec<Action>) {
        if self.prompt != prompt {
            self.prompt = prompt;
            actions.push(Action::Prompt(prompt));
        }
    }

    /// It is covered now, or for another reason than before.
    pub(super) fn covered(&mut self, reason: Reason, from_visible: bool, now_ms: u64) {
        if from_visible {
            self.covered_ms = now_ms;
        }
        match reason {
            Reason::Absent => {
                self.away_since_ms.get_or_insert(now_ms);
            }
            // Whoever sits there afterwards may be somebody else, or a picture.
            Reason::Stranger
            | Reason::Spoof
            | Reason::CameraBlocked
            | Reason::CameraLost
            | Reason::CameraBusy
            | Reason::StaleView
            | Reason::Break
            | Reason::ClockJump
            | Reason::ClientGone
            | Reason::BadMessage => self.proof = None,
            _ => {}
        }
    }

    /// A silence of the network hid something, or lasted too long.
    pub(super) fn doubt(&mut self) {
        self.proof = None;
    }
}

impl Running {
    fn judge(&self, lit: &Lit, series: &mut judge::Series, now_ms: u64) -> LivenessResult {
        match &self.plan {
            Plan::Light { sequence, starts_ms, end_ms } => {
                let timeline = <[u32; STEPS]>::try_from(starts_ms.as_slice()).ok().zip(*end_ms);
                // Nobody can have measured what was not yet shown.
                let Some((starts_ms, end_ms)) = timeline.filter(|_| lit.check == Check::Light.number())
                else {
                    return LivenessResult::DoesNotFollow;
                };
                match series.judge(sequence, &Timeline { starts_ms, end_ms }, lit) {
                    judge::Outcome::Lit => LivenessResult::Lit,
                    judge::Outcome::Flat => LivenessResult::Flat,
                    judge::Outcome::DoesNotFollow => LivenessResult::DoesNotFollow,
                    judge::Outcome::NotMeasurable => LivenessResult::NotMeasurable,
                    judge::Outcome::Late => LivenessResult::Late,
                }
            }
            Plan::Turn(turns) => {
                let is_over = now_ms.saturating_sub(self.begun_ms) >= u64::from(turn::LAST_TURN_MS);
                if !is_over || lit.check != Check::Turn.number() {
                    return LivenessResult::DidNotTurn;
                }
                match turn::judge(turns, lit) {
                    turn::Outcome::Turned => LivenessResult::Turned,
                    turn::Outcome::DidNotTurn => LivenessResult::DidNotTurn,
                    turn::Outcome::NotMeasurable => LivenessResult::NotMeasurable,
                }
            }
        }
    }
}

/// Shows what is due; true if the host was too busy to show it in time.
fn show_steps(
    sequence: &Sequence,
    starts_ms: &mut Vec<u32>,
    end_ms: &mut Option<u32>,
    since_ms: u32,
    actions: &mut Vec<Action>,
) -> bool {
    if end_ms.is_some() {
        return false;
    }
    let step = starts_ms.len();
    let due_ms = light::step_at_ms(u32::try_from(step).unwrap_or(u32::MAX));
    if since_ms < due_ms {
        return false;
    }
    match sequence.colors().get(step) {
        Some(rgb) => {
            starts_ms.push(since_ms);
            actions.push(Action::Light(Some(*rgb).filter(|rgb| *rgb != [0; 3])));
        }
        None => {
            *end_ms = Some(since_ms);
            actions.push(Action::Light(None));
        }
    }
    since_ms - due_ms > STEP_LATE_MS
}

#[cfg(test)]
mod tests;
