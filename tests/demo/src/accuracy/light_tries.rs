//! Whole tries before a session that asks for light: a person, a print or a film stays before the camera, the host's own
//! decision checks as often as it wants to, and its cover lights them.
//!
//! ```text
//!  Decider ─ Measure, Light ─► what the cover shows ~ delay ~► picture ─► patches, LIT ─► Decider ─► Uncover?
//! ```
//! The eyes are taken to be deceived all the while: every attestation says that the operator is there, alone.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sudare_client_core::live::lit::Measuring;
use sudare_guard::decision::{Action, Decider, Event};
use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::eyes::{EyesRules, Liveness, NotMeasurable};
use sudare_protocol::host::Attested;
use sudare_protocol::light::{MEASURES_LIGHT, linear};
use sudare_protocol::message::{Attest, Shown};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::timings::Timings;

use super::figures::{Kind, Tally, count, percentile};
use super::light_lab::{DELAY_MS, Lab, ROOMS, STEP_MS, SUBJECTS, Sitter};
use super::people::Person;
use super::replay::with;

/// How long each stays before the camera.
const STAYS_MS: u64 = 30_000;
const ATTESTS_MS: u64 = 500;
const LEASE_MS: u64 = 3_000;

/// What became of one try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    person: usize,
    subject: usize,
    /// When the desktop showed.
    opened_ms: Option<u64>,
    refused: u32,
    not_measurable: u32,
}

/// Each subject of one person in some of the rooms.
pub(super) fn try_all(people: &[Person], person: usize, rooms: &[usize]) -> anyhow::Result<Vec<Tried>> {
    let mut lab = Lab::new(people, person)?;
    let mut dice = ChaCha8Rng::seed_from_u64(0x22_0000 + person as u64);
    let mut all = Vec::new();
    for (room, level) in rooms.iter().filter_map(|room| ROOMS.get(*room)) {
        for (subject, (medium, named)) in SUBJECTS.iter().enumerate() {
            let mut tried = Try::new(*level, Sitter::new(*medium), &mut dice);
            let (opened_ms, refused, not_measurable) = tried.play(&mut lab, &mut dice)?;
            tracing::debug!(person, room, subject = named, opened_ms, refused, not_measurable);
            all.push(Tried { person, subject, opened_ms, refused, not_measurable });
        }
    }
    Ok(all)
}

/// One session, its cover, and whoever sits before it.
struct Try {
    decider: Decider,
    level: f32,
    delay_ms: u64,
    sitter: Sitter,
    measuring: Option<Measuring>,
    /// What the cover shows, since when.
    shown: Vec<(u64, [f32; 3])>,
    refused: u32,
    not_measurable: u32,
}

impl Try {
    fn new(level: f32, sitter: Sitter, dice: &mut ChaCha8Rng) -> Self {
        Try {
            decider: Decider::new(0),
            level,
            delay_ms: dice.random_range(DELAY_MS[0]..=DELAY_MS[1]),
            sitter,
            measuring: None,
            shown: Vec::new(),
            refused: 0,
            not_measurable: 0,
        }
    }

    /// When it opened, and how many checks refused it or measured nothing.
    fn play(&mut self, lab: &mut Lab<'_>, dice: &mut ChaCha8Rng) -> anyhow::Result<(Option<u64>, u32, u32)> {
        let rules = EyesRules {
            liveness: Liveness::LightRequired,
            not_measurable: NotMeasurable::Cover,
            ..EyesRules::default()
        };
        self.tell(0, Event::Painted(Shown::Covered), dice);
        self.tell(0, Event::Eyes { rules, measures: MEASURES_LIGHT }, dice);
        self.tell(0, Event::LinkUp { timings: Timings::default(), observed_until_ms: None }, dice);
        for now_ms in (STEP_MS..STAYS_MS).step_by(usize::try_from(STEP_MS)?) {
            if now_ms.is_multiple_of(ATTESTS_MS) {
                self.tell(now_ms, Event::Attested(clear(now_ms)), dice);
            }
            self.measure(lab, now_ms, dice)?;
            self.tell(now_ms, Event::Tick, dice);
            if self.decider.shown() == Shown::Visible {
                return Ok((Some(now_ms), self.refused, self.not_measurable));
            }
        }
        Ok((None, self.refused, self.not_measurable))
    }

    /// The client looks while it is asked to: what nobody measures need not be painted.
    fn measure(&mut self, lab: &mut Lab<'_>, now_ms: u64, dice: &mut ChaCha8Rng) -> anyhow::Result<()> {
        let Some(mut measuring) = self.measuring.take() else { return Ok(()) };
        if let Some(answer) = measuring.tick(now_ms) {
            self.tell(now_ms, Event::Lit(answer), dice);
            return Ok(());
        }
        let seen_ms = now_ms.saturating_sub(self.delay_ms);
        let light = self.shown.iter().rev().find(|(since_ms, _)| *since_ms <= seen_ms);
        let light = light.map_or([0.0; 3], |(_, light)| light.map(|c| c * self.level));
        measuring.observe(&lab.look(&mut self.sitter, now_ms, light, dice)?, now_ms);
        self.measuring = Some(measuring);
        Ok(())
    }

    fn tell(&mut self, now_ms: u64, event: Event, dice: &mut ChaCha8Rng) {
        for action in self.decider.handle(now_ms, event, dice.random()) {
            match action {
                Action::Cover(_) => self.tell(now_ms, Event::Painted(Shown::Covered), dice),
                Action::Uncover => self.tell(now_ms, Event::Painted(Shown::Visible), dice),
                Action::Measure(light) => self.measuring = Measuring::new(&light),
                Action::Light(rgb) => self.shown.push((now_ms, light_of(rgb.unwrap_or_default()))),
                Action::Checked { result: LivenessResult::NotMeasurable, .. } => self.not_measurable += 1,
                Action::Checked { opened: false, .. } => self.refused += 1,
                _ => {}
            }
        }
    }
}

/// The operator is there, alone, and has been from the beginning.
fn clear(now_ms: u64) -> Attested {
    let attest = Attest {
        nonce: [0; 16],
        state: State::Clear,
        cover: false,
        reason: Reason::None,
        operator_confirmed_age_ms: 100,
        not_alone_ms: 0,
        undecided_ms: 0,
        clear_ms: now_ms,
        frame_age_ms: 100,
        boot_ms: now_ms,
        dwell_ms: None,
        distance_band: None,
        facing: None,
        phone: None,
        assurance: Some(1),
        recognised: Some(true),
        asked: None,
        suspect: None,
    };
    Attested { attest, nonce_issued_ms: now_ms, lease_until_ms: now_ms + LEASE_MS }
}

#[allow(clippy::cast_possible_truncation, reason = "a screen's light")]
fn light_of(rgb: [u8; 3]) -> [f32; 3] {
    linear(rgb).map(|c| c as f32)
}

/// For how long prints and films had the desktop, and how soon people did.
pub(super) fn figures(tried: &[Tried], people: &[Person]) -> Vec<(&'static str, Value)> {
    let kind = |tried: &Tried| people.get(tried.person).map_or(Kind::Synthetic, |person| person.kind);
    let visible = |subject: usize| {
        let of = || tried.iter().filter(move |tried| tried.subject == subject);
        let seconds: Vec<f64> = of().map(visible_s).collect();
        let Some(most) = seconds.iter().copied().reduce(f64::max) else { return Value::Null };
        json!({
            "value": most, "n": seconds.len(), "kind": of().map(kind).min().map(Kind::as_str),
            "of_seconds": seconds_of(STAYS_MS), "opened": of().filter(|tried| tried.opened_ms.is_some()).count(),
            "refused": of().map(|tried| tried.refused).sum::<u32>(),
            "not_measurable": of().map(|tried| tried.not_measurable).sum::<u32>(), "liveness": "light-required",
        })
    };
    let (mut shut_out, mut opened_s) = (Tally::default(), Vec::new());
    for tried in tried.iter().filter(|tried| tried.subject == 0) {
        shut_out.add(f64::from(u8::from(tried.opened_ms.is_none())), kind(tried));
        opened_s.extend(tried.opened_ms.map(seconds_of));
    }
    let delay = json!({ "p50": percentile(&opened_s, 0.5), "p95": percentile(&opened_s, 0.95) });
    let operators = match shut_out.figure() {
        Value::Null => Value::Null,
        figure => with(figure, "opening_s", delay),
    };
    vec![
        ("spoof_visible_s_max.print", visible(1)),
        ("spoof_visible_s_max.replay", visible(2)),
        ("active_light.shut_out", operators),
    ]
}

fn visible_s(tried: &Tried) -> f64 {
    tried.opened_ms.map_or(0.0, |opened_ms| seconds_of(STAYS_MS.saturating_sub(opened_ms)))
}

fn seconds_of(ms: u64) -> f64 {
    count(usize::try_from(ms).unwrap_or(usize::MAX)) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_counts_by_its_longest_sight_and_a_person_by_being_shut_out() {
        let one = |subject, opened_ms| Tried { person: 0, subject, opened_ms, refused: 1, not_measurable: 0 };
        let all = [one(0, Some(6_000)), one(0, None), one(1, None), one(1, Some(18_000)), one(2, None)];
        let told: std::collections::BTreeMap<&str, Value> = figures(&all, &[]).into_iter().collect();
        let print = &told["spoof_visible_s_max.print"];
        assert_eq!((&print["value"], &print["n"], &print["opened"]), (&json!(12.0), &json!(2), &json!(1)));
        assert_eq!(told["spoof_visible_s_max.replay"]["value"], json!(0.0));
        let people = &told["active_light.shut_out"];
        assert_eq!((&people["value"], &people["opening_s"]["p50"]), (&json!(0.5), &json!(6.0)));
        assert!(figures(&[], &[]).iter().all(|(_, figure)| figure.is_null()));
    }
}
