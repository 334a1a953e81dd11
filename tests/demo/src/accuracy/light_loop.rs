//! One check by light, or as many in a row as it takes to tell, in a closed loop: what the host's cover shows lights the
//! rig's faces, prints and films; what the client's code measures of them, the host's code judges.
//!
//! ```text
//!  nonce ─► Sequence ─► light of the screen, some delay later ─► picture ─► detector, patches ─► LIT ─► judge
//! ```
//! How much light there is comes from geometry and data sheets (a screen's luminance against usual rooms), not from
//! rooms that were measured.

use std::collections::BTreeMap;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sudare_client_core::live::lit::Measuring;
use sudare_protocol::light::judge::{Outcome, Series};
use sudare_protocol::light::{Check, Light, Lit, MEASURE_MS, Sequence, Timeline, linear};

use super::figures::{Kind, Tally};
use super::light_lab::{DELAY_MS, Lab, ROOMS, STEP_MS, SUBJECTS, Sitter};
use super::people::Person;
use super::replay::with;
use super::sprite::Medium;

/// The camera's exposure settles before it begins.
const SETTLE_MS: u64 = 1_000;

/// One series of checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    person: usize,
    room: usize,
    subject: usize,
    outcome: Outcome,
}

/// All series of one person: each subject in each of these rooms.
pub(super) fn check(people: &[Person], person: usize, rooms: usize) -> anyhow::Result<Vec<Checked>> {
    let mut lab = Lab::new(people, person)?;
    let mut dice = ChaCha8Rng::seed_from_u64(0x11_0000 + person as u64);
    let mut all = Vec::new();
    let rooms = ROOMS.iter().enumerate().take(rooms);
    for ((room, named), (subject, medium)) in
        rooms.flat_map(|room| SUBJECTS.iter().enumerate().map(move |subject| (room, subject)))
    {
        let outcome = check_series(&mut lab, named.1, medium.0, &mut dice)?;
        tracing::debug!(person, room = named.0, subject = medium.1, ?outcome);
        all.push(Checked { person, room, subject, outcome });
    }
    Ok(all)
}

/// As many checks at once as the host wants before it judges.
fn check_series(
    lab: &mut Lab<'_>,
    level: f32,
    medium: Medium,
    dice: &mut ChaCha8Rng,
) -> anyhow::Result<Outcome> {
    let (mut series, mut sitter) = (Series::default(), Sitter::new(medium));
    let delay_ms = dice.random_range(DELAY_MS[0]..=DELAY_MS[1]);
    let mut begins_ms = SETTLE_MS;
    for t_ms in (0..SETTLE_MS).step_by(usize::try_from(STEP_MS)?) {
        lab.look(&mut sitter, t_ms, [0.0; 3], dice)?;
    }
    loop {
        let sequence = Sequence::from_nonce(dice.random()).at(series.strength());
        let timeline = Timeline::planned();
        let answer = measure(lab, &mut sitter, begins_ms, dice, |since_ms| {
            let since_ms = since_ms.checked_sub(delay_ms);
            since_ms.map_or([0.0; 3], |since_ms| shown(&sequence, &timeline, since_ms).map(|c| c * level))
        })?;
        let outcome = series.judge(&sequence, &timeline, &answer);
        if !series.wants_more() {
            return Ok(outcome);
        }
        begins_ms += u64::from(MEASURE_MS) + STEP_MS;
    }
}

/// What the client answers, under the light that falls on whoever sits there so long after it began.
fn measure(
    lab: &mut Lab<'_>,
    sitter: &mut Sitter,
    begins_ms: u64,
    dice: &mut ChaCha8Rng,
    light: impl Fn(u64) -> [f32; 3],
) -> anyhow::Result<Lit> {
    let asked = Light { id: 1, check: Check::Light.number(), duration_ms: MEASURE_MS };
    let mut measuring = Measuring::new(&asked).ok_or_else(|| anyhow::anyhow!("no such check"))?;
    for since_ms in (0_u64..).step_by(usize::try_from(STEP_MS)?) {
        let t_ms = begins_ms + since_ms;
        if let Some(answer) = measuring.tick(t_ms) {
            return Ok(answer);
        }
        measuring.observe(&lab.look(sitter, t_ms, light(since_ms), dice)?, t_ms);
    }
    anyhow::bail!("the client never answered")
}

/// What the cover shows so long after the check began.
#[allow(clippy::cast_possible_truncation, reason = "a screen's light")]
fn shown(sequence: &Sequence, timeline: &Timeline, since_ms: u64) -> [f32; 3] {
    let steps = sequence.colors();
    let step = timeline.starts_ms.iter().zip(steps).rev().find(|(start, _)| u64::from(**start) <= since_ms);
    match step {
        Some((_, rgb)) if since_ms < u64::from(timeline.end_ms) => linear(rgb).map(|c| c as f32),
        _ => [0.0; 3],
    }
}

/// Errors where the light was measurable, by room, and how often it was not.
pub(super) fn figures(checked: &[Checked], people: &[Person]) -> Vec<(&'static str, Value)> {
    [("active_light.bpcer", 0), ("active_light.apcer_print", 1), ("active_light.apcer_replay", 2)]
        .map(|(key, subject)| {
            let of = || checked.iter().filter(move |checked| checked.subject == subject);
            let figure = figure(of(), people, subject);
            let by_room: BTreeMap<&str, Value> = ROOMS
                .iter()
                .enumerate()
                .map(|(room, (name, _))| {
                    (*name, self::figure(of().filter(|checked| checked.room == room), people, subject))
                })
                .filter(|(_, figure)| !figure.is_null())
                .collect();
            (key, with(figure, "by_room", json!(by_room)))
        })
        .to_vec()
}

fn figure<'c>(checked: impl Iterator<Item = &'c Checked>, people: &[Person], subject: usize) -> Value {
    let (mut tally, mut not_measurable, mut all) = (Tally::default(), 0_u32, 0_u32);
    for one in checked {
        all += 1;
        if one.outcome == Outcome::NotMeasurable {
            not_measurable += 1;
            continue;
        }
        let lit = one.outcome == Outcome::Lit;
        let is_wrong = if subject == 0 { !lit } else { lit };
        let kind = people.get(one.person).map_or(Kind::Synthetic, |person| person.kind);
        tally.add(f64::from(u8::from(is_wrong)), kind);
    }
    if all == 0 {
        return Value::Null;
    }
    let share = f64::from(not_measurable) / f64::from(all);
    let figure = tally.figure();
    let figure = if figure.is_null() { json!({ "value": null, "n": 0 }) } else { figure };
    with(with(figure, "not_measurable", json!(share)), "checks", json!(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cover_shows_one_step_after_the_other_and_then_nothing() {
        let (sequence, timeline) = (Sequence::from_nonce([7; 32]), Timeline::planned());
        let at = |ms: u32| shown(&sequence, &timeline, ms.into());
        assert_eq!(at(timeline.starts_ms[0] - 1), [0.0; 3]);
        for (start, rgb) in timeline.starts_ms.iter().zip(sequence.colors()) {
            for (shown, wanted) in at(*start).iter().zip(linear(rgb)) {
                assert!((f64::from(*shown) - wanted).abs() < 1e-6);
            }
        }
        assert_eq!(at(timeline.end_ms), [0.0; 3]);
    }

    #[test]
    fn what_cannot_be_measured_is_no_error_and_is_told() {
        let one = |subject, outcome| Checked { person: 0, room: 0, subject, outcome };
        let all = [
            one(0, Outcome::Lit),
            one(0, Outcome::DoesNotFollow),
            one(0, Outcome::NotMeasurable),
            one(1, Outcome::Flat),
            one(1, Outcome::Lit),
        ];
        let told: BTreeMap<&str, Value> = figures(&all, &[]).into_iter().collect();
        assert_eq!(
            (&told["active_light.bpcer"]["value"], &told["active_light.bpcer"]["n"]),
            (&json!(0.5), &json!(2))
        );
        assert!((told["active_light.bpcer"]["not_measurable"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(told["active_light.apcer_print"]["value"], json!(0.5));
        assert_eq!(told["active_light.apcer_replay"], Value::Null);
    }
}
