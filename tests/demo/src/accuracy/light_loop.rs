//! The check by light in a closed loop: what the host's cover shows lights the rig's faces, prints and films; what the
//! client's code measures of them, the host's code judges.
//!
//! ```text
//!  nonce ─► Sequence ─► light of the screen, some delay later ─► picture ─► detector, patches ─► LIT ─► judge
//! ```
//! How much light there is comes from geometry and data sheets (a screen's luminance against usual rooms), not from
//! rooms that were measured.

use std::collections::BTreeMap;
use std::rc::Rc;

use image::RgbImage;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sudare_client_core::attention::{Pass, WHOLE, WHOLE_PX};
use sudare_client_core::face::{Face, iou};
use sudare_client_core::frame::Frame;
use sudare_client_core::live::lit::Measuring;
use sudare_client_core::live::patches;
use sudare_client_core::presence::{CameraView, Observation};
use sudare_protocol::light::judge::{Outcome, judge};
use sudare_protocol::light::{Check, Light, MEASURE_MS, Sequence, Timeline};
use sudare_test_kit::lighting::Exposure;
use sudare_vision::engine::Engine;
use sudare_vision::faces::Detector;

use super::figures::{Kind, Tally};
use super::lighting::relit;
use super::painter::{self, Painter, Placed, compose, filmed, room_of};
use super::people::Person;
use super::replay::with;
use super::scene::{SEAT_METRES, Seat, clothes};
use super::sprite::{Medium, Wardrobe};

const STEP_MS: u64 = 100;
/// The way from the host to the face and back to the client, at least and at most.
const DELAY_MS: [u64; 2] = [80, 350];
/// The camera's exposure settles before it begins.
const SETTLE_MS: u64 = 1_000;
const PASS: Pass = Pass { kind: WHOLE, part: None, long_side: WHOLE_PX };

/// A room, and how much of its light on the face a white screen adds: a laptop of 14 inches at half a metre, and an RDP
/// window of a quarter of a 24-inch screen.
pub(super) const ROOMS: [(&str, f32); 8] = [
    ("evening, laptop", 1.08),
    ("evening, window", 0.54),
    ("lamp, laptop", 0.36),
    ("lamp, window", 0.18),
    ("office, laptop", 0.13),
    ("office, window", 0.07),
    ("beside a window, laptop", 0.04),
    ("beside a window, window", 0.02),
];

/// Who answers.
const SUBJECTS: [(Medium, &str); 3] =
    [(Medium::Person, "people"), (Medium::Print, "print"), (Medium::Phone, "replay")];

/// One check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    person: usize,
    room: usize,
    subject: usize,
    outcome: Outcome,
}

/// All checks of one person: each subject in each of these rooms.
pub(super) fn check(people: &[Person], person: usize, rooms: usize) -> anyhow::Result<Vec<Checked>> {
    let mut lab = Lab::new(people, person)?;
    let mut dice = ChaCha8Rng::seed_from_u64(0x11_0000 + person as u64);
    let mut all = Vec::new();
    let rooms = ROOMS.iter().enumerate().take(rooms);
    for ((room, named), (subject, medium)) in
        rooms.flat_map(|room| SUBJECTS.iter().enumerate().map(move |subject| (room, subject)))
    {
        let outcome = lab.check(named.1, medium.0, &mut dice)?;
        tracing::debug!(person, room = named.0, subject = medium.1, ?outcome);
        all.push(Checked { person, room, subject, outcome });
    }
    Ok(all)
}

/// A person, and everything that makes and takes pictures.
struct Lab<'a> {
    people: &'a [Person],
    person: usize,
    detector: Detector,
    painter: Painter,
    wardrobe: Wardrobe,
    room: RgbImage,
}

impl<'a> Lab<'a> {
    fn new(people: &'a [Person], person: usize) -> anyhow::Result<Self> {
        let clip = people.get(person).and_then(|person| person.pictures.first());
        let room =
            clip.map(|picture| picture.load()).transpose()?.map_or_else(painter::wall, |clip| room_of(&clip));
        Ok(Lab {
            people,
            person,
            detector: Engine::detector_from_cache()?,
            painter: Painter::default(),
            wardrobe: Wardrobe::default(),
            room,
        })
    }

    fn check(&mut self, level: f32, medium: Medium, dice: &mut ChaCha8Rng) -> anyhow::Result<Outcome> {
        let seat = Seat { medium, ..Seat::default() };
        let (sequence, timeline) = (Sequence::from_nonce(dice.random()), Timeline::planned());
        let delay_ms = dice.random_range(DELAY_MS[0]..=DELAY_MS[1]);
        let light = Light { id: 1, check: Check::Light.number(), duration_ms: MEASURE_MS };
        let mut measuring = Measuring::new(&light).ok_or_else(|| anyhow::anyhow!("no such check"))?;
        let mut exposure = None;
        let mut last = None;
        for n in 0_u64.. {
            let t_ms = n * STEP_MS;
            let placed = self.placed(&seat, t_ms)?;
            let mut picture = compose(&self.room, std::slice::from_ref(&placed));
            let since_ms = t_ms.checked_sub(SETTLE_MS + delay_ms);
            let shown = since_ms.map_or([0.0; 3], |since_ms| shown(&sequence, &timeline, since_ms));
            relit(&picture, &[(&placed, medium)]).light(&mut picture, shown.map(|c| c * level));
            exposure.get_or_insert_with(|| Exposure::settled(&picture)).expose(&mut picture);
            let painted = self.painter.expose(picture, painter::Light::Normal, n ^ dice.random::<u64>());
            let frame = filmed(&painted, t_ms, n)?;
            last = self.face(&frame, &placed)?.or(last);
            let Some(began_ms) = t_ms.checked_sub(SETTLE_MS) else { continue };
            if let Some(answer) = measuring.tick(began_ms) {
                return Ok(judge(&sequence, &timeline, &answer));
            }
            let light = last.map(|face: Face| patches::measure(&frame, &face, &[face.bbox]));
            let seen = Observation { light, ..Observation::new(began_ms, CameraView::Clear, Vec::new()) };
            measuring.observe(&seen, began_ms);
        }
        Ok(Outcome::NotMeasurable)
    }

    fn placed(&mut self, seat: &Seat, t_ms: u64) -> anyhow::Result<Placed> {
        #[allow(clippy::cast_precision_loss, reason = "times of a scene")]
        let seconds = t_ms as f64 / 1_000.0;
        let look = seat.look(seconds);
        let moved = if look.medium.moves() { seconds } else { 0.0 };
        let number = self.people.get(self.person).map_or(0, |person| person.later(moved));
        let sprite = self.wardrobe.sprite(self.people, self.person, number, look)?;
        let clothes = (look.medium == Medium::Person).then(|| clothes(self.person));
        let yaw_deg = sprite.yaw_deg;
        Ok(Placed { sprite: Rc::clone(&sprite), at: seat.at(seconds), metres: SEAT_METRES, clothes, yaw_deg })
    }

    fn face(&mut self, frame: &Frame, placed: &Placed) -> anyhow::Result<Option<Face>> {
        let score_min = self.detector.score_min();
        let found = self.detector.watch(frame, &PASS)?;
        let here = |face: &Face| face.score >= score_min && iou(&face.bbox, &placed.head()) > 0.3;
        Ok(found.iter().copied().find(here))
    }
}

/// What the cover shows so long after the check began.
#[allow(clippy::cast_possible_truncation, reason = "a screen's light")]
fn shown(sequence: &Sequence, timeline: &Timeline, since_ms: u64) -> [f32; 3] {
    let steps = sequence.steps();
    let step = timeline.starts_ms.iter().zip(steps).rev().find(|(start, _)| u64::from(**start) <= since_ms);
    match step {
        Some((_, shade)) if since_ms < u64::from(timeline.end_ms) => shade.linear().map(|c| c as f32),
        _ => [0.0; 3],
    }
}

/// Errors where the light was measurable, by room, and how often it was not.
pub(super) fn figures(checked: &[Checked], people: &[Person]) -> Vec<(&'static str, Value)> {
    [("bpcer", 0), ("apcer_print", 1), ("apcer_replay", 2)]
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
        for (start, shade) in timeline.starts_ms.iter().zip(sequence.steps()) {
            for (shown, wanted) in at(*start).iter().zip(shade.linear()) {
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
        assert_eq!((&told["bpcer"]["value"], &told["bpcer"]["n"]), (&json!(0.5), &json!(2)));
        assert!((told["bpcer"]["not_measurable"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(told["apcer_print"]["value"], json!(0.5));
        assert_eq!(told["apcer_replay"], Value::Null);
    }
}
