//! Heads, sheets and films in a room of their own numbers, which the judgement does not know.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of tests")]

use super::*;
use crate::light::Sample;
use crate::limits::LIGHT_SAMPLES_MAX;

/// What stands before the camera, and how the camera sees it.
#[derive(Clone, Copy)]
struct Scene {
    /// Brightness that the full light adds, of the room's, at each place.
    adds: [f64; PLACES],
    delay_ms: f64,
    /// Relative noise of one look.
    noise: f64,
    /// How fast the exposure follows, and how much of the change it takes back; 0 = fixed.
    exposure: f64,
    interval_ms: u32,
    /// The change of its own that a film shows.
    film: f64,
    /// How far each place wanders by itself, slowly: what is printed there moves with the hand.
    wander: f64,
}

/// A head at a desk in the evening: the forehead under the ceiling lamp, the cheeks aslant, the chin in its own shade.
const HEAD: Scene = Scene {
    adds: [0.16, 0.25, 0.17, 0.21, 0.34, 0.03, 0.05, 0.01],
    delay_ms: 180.0,
    noise: 0.004,
    exposure: 0.0,
    interval_ms: 100,
    film: 0.0,
    wander: 0.0,
};

/// A print of a face on a sheet that is held up.
const PRINT: Scene = Scene { adds: [0.22, 0.22, 0.22, 0.22, 0.22, 0.22, 0.22, 0.01], ..HEAD };

struct Dice(u64);

impl Dice {
    /// Near enough to a normal distribution of deviation 1.
    fn roll(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX);
        }
        sum - 6.0
    }
}

fn shown(sequence: &Sequence, timeline: &Timeline, at_ms: f64) -> [f64; 3] {
    let step = timeline.starts_ms.iter().rposition(|start| f64::from(*start) <= at_ms);
    let lit = at_ms < f64::from(timeline.end_ms);
    step.filter(|_| lit).map_or([0.0; 3], |step| sequence.lights()[step])
}

/// The series that a client would send.
fn play(scene: Scene, sequence: &Sequence, seed: u64) -> Lit {
    let timeline = Timeline::planned();
    let (mut dice, mut exposure, mut samples) = (Dice(seed), 0.0, Vec::new());
    let mut wandered = [0.0; PLACES];
    for t_ms in (0..crate::light::MEASURE_MS).step_by(scene.interval_ms as usize).take(LIGHT_SAMPLES_MAX) {
        let light = shown(sequence, &timeline, f64::from(t_ms) - scene.delay_ms);
        let film = scene.film * (f64::from(t_ms) / 170.0 + dice.roll() * 0.4).sin();
        let mut values = Vec::new();
        for (add, wandered) in scene.adds.iter().zip(&mut wandered) {
            *wandered = *wandered * 0.85 + scene.wander * dice.roll();
            for color in light {
                let seen = 1.0 + add * color + film + *wandered + scene.noise * dice.roll();
                values.push((1_000.0 * (seen.max(0.01).ln() - exposure)).round() as i16);
            }
        }
        let face: f64 = scene.adds[..FACE_PLACES].iter().sum::<f64>() / 5.0 * light.iter().sum::<f64>() / 3.0;
        exposure += scene.exposure * ((1.0 + face).ln() - exposure);
        samples.push(Sample { t_ms, values });
    }
    Lit { id: 1, check: 0, clipped_permille: 0, far_permille: 200, samples }
}

fn outcomes(scene: Scene) -> Vec<Outcome> {
    (0..30).map(|n| in_a_row(n, |seed, sequence| play(scene, sequence, seed))).collect()
}

/// The host asks until it knows; each check of each try has a seed of its own.
fn in_a_row(number: u8, answer: impl Fn(u64, &Sequence) -> Lit) -> Outcome {
    let mut series = Series::default();
    for seed in (number * 8).. {
        let sequence = Sequence::from_nonce([seed; 32]).at(series.strength());
        let outcome = series.judge(&sequence, &Timeline::planned(), &answer(seed.into(), &sequence));
        if !series.wants_more() {
            return outcome;
        }
    }
    unreachable!("a series ends")
}

fn share(scene: Scene, wanted: Outcome) -> f64 {
    let outcomes = outcomes(scene);
    count(outcomes.iter().filter(|outcome| **outcome == wanted).count()) / count(outcomes.len())
}

#[test]
fn a_head_is_lit_in_any_room_that_can_be_measured() {
    for scale in [0.15, 0.5, 1.0, 3.0] {
        let scene = Scene { adds: HEAD.adds.map(|add| add * scale), noise: 0.002, ..HEAD };
        assert!(share(scene, Outcome::Lit) >= 0.95, "{scale}: {:?}", outcomes(scene));
    }
    for interval_ms in [80, 150, 200] {
        assert!(share(Scene { interval_ms, ..HEAD }, Outcome::Lit) >= 0.9, "{interval_ms}");
    }
}

#[test]
fn an_automatic_exposure_does_not_hide_it() {
    for exposure in [0.05, 0.2, 0.4] {
        let scene = Scene { exposure, ..HEAD };
        assert!(share(scene, Outcome::Lit) >= 0.9, "{exposure}: {:?}", outcomes(scene));
    }
}

#[test]
fn a_sheet_is_flat_however_it_is_lit() {
    for scale in [0.3, 1.0, 2.0] {
        let print = Scene { adds: PRINT.adds.map(|add| add * scale), ..PRINT };
        assert_eq!(share(print, Outcome::Lit), 0.0, "{scale}");
        // Cut out along the face: nothing beside it follows, but it has no relief.
        let mut mask = print;
        mask.adds[5..].fill(0.01);
        assert_eq!(share(mask, Outcome::Lit), 0.0, "{scale}: {:?}", outcomes(mask));
        // Bent so that its places differ: what is beside the face follows as well.
        let bent =
            Scene { adds: [0.2, 0.24, 0.18, 0.26, 0.23, 0.2, 0.21, 0.01].map(|add| add * scale), ..print };
        assert_eq!(share(bent, Outcome::Lit), 0.0, "{scale}: {:?}", outcomes(bent));
    }
}

#[test]
fn a_sheet_that_moves_in_a_hand_has_no_relief_either() {
    let adds = [0.2, 0.2, 0.2, 0.2, 0.2, 0.01, 0.01, 0.01];
    for wander in [0.004, 0.008, 0.016] {
        let lit = share(Scene { adds, wander, ..PRINT }, Outcome::Lit);
        assert!(lit <= 0.1, "{wander}: {lit}");
    }
    // And one who moves as much is still a head.
    let head = share(Scene { wander: 0.004, ..HEAD }, Outcome::Lit);
    assert!(head >= 0.85, "{head}");
}

#[test]
fn a_film_of_the_right_answer_to_another_question_does_not_follow() {
    let recorded: Vec<Lit> =
        (200..=255).map(|n| play(HEAD, &Sequence::from_nonce([n; 32]), n.into())).collect();
    let tries = recorded.iter().zip((0..30).cycle());
    let outcomes: Vec<Outcome> = tries.map(|(film, number)| in_a_row(number, |_, _| film.clone())).collect();
    let lit = outcomes.iter().filter(|outcome| **outcome == Outcome::Lit).count();
    assert!(lit <= 3, "{lit} of {}: {outcomes:?}", outcomes.len());
}

#[test]
fn a_film_on_a_bright_display_does_not_follow_either() {
    let film = Scene { adds: [0.01; PLACES], film: 0.05, ..HEAD };
    assert_eq!(share(film, Outcome::Lit), 0.0);
    // It flickers about as slowly as a sequence does, so that a few checks look as if something followed.
    assert!(share(film, Outcome::DoesNotFollow) > 0.75, "{:?}", outcomes(film));
}

#[test]
fn in_the_sun_nothing_can_be_measured() {
    let sun = Scene { adds: HEAD.adds.map(|add| add * 0.01), noise: 0.003, ..HEAD };
    assert!(share(sun, Outcome::NotMeasurable) > 0.9, "{:?}", outcomes(sun));
    let sequence = Sequence::from_nonce([1; 32]);
    let good = play(HEAD, &sequence, 1);
    let verdict = |lit: &Lit| judge(&sequence, &Timeline::planned(), lit);
    assert_eq!(verdict(&good), Outcome::Lit);
    let bright = Lit { clipped_permille: 400, ..good.clone() };
    assert_eq!(verdict(&bright), Outcome::NotMeasurable);
    for few in [vec![], good.samples[..15].to_vec(), good.samples[8..].to_vec()] {
        assert_eq!(verdict(&Lit { samples: few, ..good.clone() }), Outcome::NotMeasurable);
    }
    let mut no_face = good;
    no_face.samples.iter_mut().for_each(|sample| sample.values[0] = ABSENT);
    assert_eq!(verdict(&no_face), Outcome::NotMeasurable);
}

#[test]
fn an_answer_that_is_too_old_is_late() {
    let slow = Scene { delay_ms: 760.0, interval_ms: 80, ..HEAD };
    assert!(share(slow, Outcome::Late) > 0.6, "{:?}", outcomes(slow));
    assert_eq!(share(slow, Outcome::Lit), 0.0);
}

#[test]
fn in_a_dark_room_what_is_far_does_not_matter_and_the_exposure_is_computed() {
    let share = |scene: Scene, wanted: Outcome| {
        let outcome = |n: u8| {
            let sequence = Sequence::from_nonce([n; 32]);
            let lit = Lit { far_permille: 1, ..play(scene, &sequence, n.into()) };
            judge(&sequence, &Timeline::planned(), &lit)
        };
        count((0..30).filter(|n| outcome(*n) == wanted).count()) / 30.0
    };
    for exposure in [0.0, 0.1, 0.2, 0.3] {
        for scale in [0.5, 3.0, 12.0] {
            let brighter =
                |scene: Scene| Scene { adds: scene.adds.map(|add| add * scale), exposure, ..scene };
            assert!(share(brighter(HEAD), Outcome::Lit) >= 0.9, "{exposure} {scale}");
            assert_eq!(share(brighter(PRINT), Outcome::Lit), 0.0, "{exposure} {scale}");
        }
    }
}

#[test]
fn what_is_too_bright_is_lit_less_and_measured_then() {
    let sequence = Sequence::from_nonce([1; 32]);
    let mut series = Series::default();
    let ask = |series: &mut Series, clipped_permille| {
        let asked = sequence.at(series.strength());
        let lit = Lit { clipped_permille, ..play(HEAD, &asked, 1) };
        series.judge(&asked, &Timeline::planned(), &lit)
    };
    assert_eq!((ask(&mut series, 900), series.wants_more()), (Outcome::NotMeasurable, true));
    assert_eq!(series.strength(), Strength::Third);
    assert_eq!((ask(&mut series, 0), series.wants_more()), (Outcome::Lit, false));
    assert_eq!(series.strength(), Strength::Third, "the room is as dark as before");
    for more in [true, false] {
        assert_eq!((ask(&mut series, 900), series.wants_more()), (Outcome::NotMeasurable, more));
    }
    assert_eq!(series.strength(), Strength::Full, "the room itself is as bright, so it begins anew");
}

#[test]
fn movement_hides_what_several_checks_show() {
    let restless = Scene { wander: 0.05, ..HEAD };
    let alone = (0..30).map(|n: u8| {
        let sequence = Sequence::from_nonce([n; 32]);
        judge(&sequence, &Timeline::planned(), &play(restless, &sequence, n.into()))
    });
    let alone = count(alone.filter(|outcome| *outcome == Outcome::Lit).count()) / 30.0;
    let together = share(restless, Outcome::Lit);
    assert!(together > alone + 0.2, "{alone} alone, {together} together");
}
