//! Which scenes are played for each class. Drawn from a fixed seed, so that two runs play the same.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::costume::Cover;
use super::lens_cover::LensCover;
use super::painter::Light;
use super::raise::{Hold, IN_TIME_MS, Raise};
use super::scene::{Class, Habit, Other, Scene, Seat};
use super::sprite::Medium;

/// How much is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    /// Onlookers of a class at least, those with masks and at 3 m, and how far the near ones are.
    onlookers: usize,
    onlookers_else: usize,
    metres: &'static [f32],
    /// Phones at least; before a face half as many.
    phones: usize,
    /// Seconds of each scene without one.
    seconds: u32,
}

pub(super) const WHOLE: Extent =
    Extent { onlookers: 200, onlookers_else: 120, metres: &[1.0, 1.5, 2.0], phones: 120, seconds: 20 };
pub(super) const QUICK: Extent =
    Extent { onlookers: 12, onlookers_else: 8, metres: &[2.0], phones: 8, seconds: 8 };

/// An onlooker walks in within this time, and looks for so long from then on.
const WALK_IN_S: f64 = 0.6;
const LOOKS_S: f64 = 2.5;
/// A lens is covered for so long.
const LENS_S: f64 = 3.0;
/// A stranger in the seat tries for so long.
const STRANGER_TRIES_S: f64 = 20.0;
/// A phone hides a face for so long.
const BEFORE_FACE_S: f64 = 8.0;
/// Whoever comes with a phone stays until the end of the scene.
const STAYS_S: f64 = 60.0;
const WIDTH: f64 = 640.0;

/// All scenes of a class for `people` people, each of them the operator in turn.
#[must_use]
pub(super) fn scenes(class: Class, people: usize, extent: &Extent) -> Vec<Scene> {
    (0..people).flat_map(|operator| for_operator(class, operator, people, extent)).collect()
}

fn for_operator(class: Class, operator: usize, people: usize, extent: &Extent) -> Vec<Scene> {
    let dice = &mut ChaCha8Rng::seed_from_u64((class as u64) << 32 | operator as u64);
    let seconds = f64::from(extent.seconds);
    let scene = |light, seconds, others, dice: &mut ChaCha8Rng| Scene {
        class,
        operator,
        seated: operator,
        light,
        seconds,
        others,
        seat: Seat::default(),
        lens: None,
        raise: None,
        seed: dice.random(),
    };
    // Nobody is their own onlooker.
    let somebody = |dice: &mut ChaCha8Rng| (operator + dice.random_range(1..people.max(2))) % people.max(1);
    let lights = [Light::Normal, Light::Dim];
    let onlookers = |wanted: usize, metres: &[f32], masked: bool, dice: &mut ChaCha8Rng| -> Vec<Scene> {
        let conditions: Vec<(f32, Light)> =
            lights.iter().flat_map(|light| metres.iter().map(move |m| (*m, *light))).collect();
        let rounds = wanted.div_ceil(people.max(1)).div_ceil(conditions.len());
        let all = (0..rounds).flat_map(|_| conditions.clone()).enumerate();
        let made = all.map(|(i, (metres, light))| {
            let other = onlooker(somebody(dice), metres, masked, i % 2 == 0, dice);
            scene(light, WALK_IN_S + LOOKS_S, vec![other], dice)
        });
        made.collect()
    };
    match class {
        Class::Onlooker2m => onlookers(extent.onlookers, extent.metres, false, dice),
        Class::OnlookerMasked2m => onlookers(extent.onlookers_else, extent.metres, true, dice),
        Class::Onlooker3m => onlookers(extent.onlookers_else, &[3.0], false, dice),
        Class::Alone => lights.map(|light| scene(light, seconds, Vec::new(), dice)).to_vec(),
        Class::Street => {
            let passers = street(seconds, dice, &somebody);
            vec![scene(Light::Normal, seconds, passers, dice)]
        }
        Class::SeatedBehind => {
            let behind = [0.0, 1.0].map(|side| seated(somebody(dice), side, seconds, dice));
            vec![scene(Light::Normal, seconds, behind.to_vec(), dice)]
        }
        Class::Poster => {
            // It hangs there all day: the eyes need some seconds to tell that it never moves.
            let poster = poster(somebody(dice), seconds * 3.0, dice);
            vec![scene(Light::Normal, seconds * 3.0, vec![poster], dice)]
        }
        Class::Tv => {
            let television = television(&somebody, seconds * 3.0, dice);
            vec![scene(Light::Normal, seconds * 3.0, television, dice)]
        }
        Class::Habits => {
            let busy = |light| (seated_busy(seconds * 2.0, dice), light);
            let all = lights.map(busy);
            all.map(|(seat, light)| Scene { seat, ..scene(light, seconds * 2.0, Vec::new(), dice) }).to_vec()
        }
        Class::Lens => LensCover::ALL
            .map(|cover| Scene { lens: Some(cover), ..scene(Light::Normal, LENS_S, Vec::new(), dice) })
            .to_vec(),
        Class::Phone | Class::PhoneBeforeFace => {
            phones(&scene(Light::Normal, 0.0, Vec::new(), dice), people, extent.phones, dice)
        }
        Class::Print => {
            lights.map(|light| held(Medium::Print, scene(light, seconds, Vec::new(), dice))).to_vec()
        }
        Class::Film => {
            lights.map(|light| held(Medium::Phone, scene(light, seconds, Vec::new(), dice))).to_vec()
        }
        Class::Stranger => {
            let light = if operator.is_multiple_of(2) { Light::Normal } else { Light::Dim };
            vec![Scene { seated: somebody(dice), ..scene(light, STRANGER_TRIES_S, Vec::new(), dice) }]
        }
    }
}

/// Somebody who never only looks at the screen.
fn seated_busy(seconds: f64, dice: &mut ChaCha8Rng) -> Seat {
    Seat { habits: habits(seconds, dice), ..Seat::default() }
}

/// A picture of the operator is held up instead.
fn held(medium: Medium, scene: Scene) -> Scene {
    Scene { seat: Seat { medium, ..Seat::default() }, ..scene }
}

/// Somebody raises a phone, in each light; each second time a second person who has just come, and every third time on
/// its side.
fn phones(like: &Scene, people: usize, wanted: usize, dice: &mut ChaCha8Rng) -> Vec<Scene> {
    let hides = like.class == Class::PhoneBeforeFace;
    let each = if hides { wanted.div_ceil(2) } else { wanted }.div_ceil(people.max(1));
    let made = (0..each).map(|i| {
        // Over all operators, so that a few of each are still all kinds.
        let number = like.operator * each + i;
        let light = if (number / 2).is_multiple_of(2) { Light::Normal } else { Light::Dim };
        let (by_other, across) = (!hides && number % 2 == 1, number % 3 == 2);
        let (side, coin) = (if dice.random_bool(0.5) { 1.0 } else { -1.0 }, dice.random_bool(0.5));
        let (hold, metres, from_s) = if hides {
            // Farther from the camera, eyes or mouth would show at its sides.
            let metres = if across { 0.26..0.30 } else { 0.28..0.34 };
            (Hold::BeforeFace, dice.random_range(metres), 0.0)
        } else if by_other {
            let hold = if across || coin { Hold::Below } else { Hold::Beside(side) };
            (hold, dice.random_range(0.95..1.15), WALK_IN_S)
        } else {
            // Upright before the chest, it would not be in the picture.
            let hold = if across && coin { Hold::Below } else { Hold::Beside(side) };
            (hold, dice.random_range(0.4..0.5), 0.0)
        };
        let raise = Raise::chosen(hold, [across, by_other], metres, from_s, dice);
        let seconds = raise.held_s + if hides { BEFORE_FACE_S } else { f64::from(IN_TIME_MS) / 1e3 };
        let who = (like.operator + dice.random_range(1..people.max(2))) % people.max(1);
        let other = comes_with_phone(who, &raise, side > 0.0, dice.random_range(100.0..130.0));
        let others = by_other.then_some(other).into_iter().collect();
        Scene { light, seconds, others, raise: Some(raise), seed: dice.random(), ..like.clone() }
    });
    made.collect()
}

/// Walks in from a side, to where a phone fits between them and the edge of the picture, and stays.
fn comes_with_phone(who: usize, raise: &Raise, from_right: bool, stop: f64) -> Other {
    let walk = [[0.0, -40.0], [WALK_IN_S, stop], [WALK_IN_S + STAYS_S, stop]];
    Other {
        who,
        // An arm that is bent.
        metres: raise.metres + 0.12,
        above: 0.35,
        walk: walk.map(|[t, x]| [t, if from_right { WIDTH - x } else { x }]).to_vec(),
        turns: Vec::new(),
        cover: None,
        medium: Medium::Person,
    }
}

/// Walks in from a side and looks at the screen.
fn onlooker(who: usize, metres: f32, masked: bool, from_left: bool, dice: &mut ChaCha8Rng) -> Other {
    let half = f64::from(69.1 / metres) / 2.0;
    let stop = dice.random_range(half.max(20.0) + 30.0..150.0);
    let path = [[0.0, -half], [WALK_IN_S, stop], [WALK_IN_S + LOOKS_S, stop + dice.random_range(-6.0..6.0)]];
    let walk = path.map(|[t, x]| [t, if from_left { x } else { WIDTH - x }]).to_vec();
    let cover = masked.then(|| Cover::Mask(dice.random_range(0..3)));
    Other { who, metres, above: 0.35, walk, turns: Vec::new(), cover, medium: Medium::Person }
}

/// People pass 3.5 to 6 m behind, looking where they go or a little towards the screen.
fn street(seconds: f64, dice: &mut ChaCha8Rng, somebody: &dyn Fn(&mut ChaCha8Rng) -> usize) -> Vec<Other> {
    let (mut passers, mut from) = (Vec::new(), 0.5);
    while from < seconds {
        let to_right = dice.random_bool(0.5);
        let [enter, leave] = if to_right { [-30.0, WIDTH + 30.0] } else { [WIDTH + 30.0, -30.0] };
        let yaw = dice.random_range(30..=75) * if to_right { 1 } else { -1 };
        passers.push(Other {
            who: somebody(dice),
            metres: dice.random_range(3.5_f32..6.0),
            above: 0.35,
            walk: vec![[from, enter], [from + 3.0, leave]],
            turns: vec![(0.0, round_to_five(yaw))],
            cover: None,
            medium: Medium::Person,
        });
        from += dice.random_range(2.0..6.0);
    }
    passers
}

/// Sits 3.5 to 4 m behind, turned to their own work, and looks up for a moment now and then.
fn seated(who: usize, side: f64, seconds: f64, dice: &mut ChaCha8Rng) -> Other {
    let x = side.mul_add(390.0, dice.random_range(80.0..170.0));
    let away = round_to_five(dice.random_range(45..=75)) * if dice.random_bool(0.5) { 1 } else { -1 };
    let (mut turns, mut at) = (vec![(0.0, away)], dice.random_range(4.0..9.0));
    while at < seconds {
        turns.extend([(at, away / 4), (at + 1.2, away)]);
        at += dice.random_range(8.0..14.0);
    }
    let metres = dice.random_range(3.5_f32..4.0);
    let walk = vec![[0.0, x], [seconds, x]];
    Other { who, metres, above: 0.0, walk, turns, cover: None, medium: Medium::Person }
}

/// A portrait on the wall.
fn poster(who: usize, seconds: f64, dice: &mut ChaCha8Rng) -> Other {
    let x = dice.random_range(80.0..150.0);
    let x = if dice.random_bool(0.5) { x } else { WIDTH - x };
    let walk = vec![[0.0, x], [seconds, x]];
    Other { who, metres: 2.5, above: 0.4, walk, turns: Vec::new(), cover: None, medium: Medium::Poster }
}

/// Hangs on the wall at 3 m and is on all the time; each 2 to 6 s the film cuts to somebody else.
fn television(
    somebody: &dyn Fn(&mut ChaCha8Rng) -> usize,
    seconds: f64,
    dice: &mut ChaCha8Rng,
) -> Vec<Other> {
    let x = dice.random_range(95.0..125.0);
    let x = if dice.random_bool(0.5) { x } else { WIDTH - x };
    let (mut cuts, mut from) = (Vec::new(), 0.0);
    while from < seconds {
        let to = from + dice.random_range(2.0..6.0);
        // The next cut begins with the next picture.
        let walk = vec![[from, x], [to - 1e-3, x]];
        let (who, turns) = (somebody(dice), Vec::new());
        cuts.push(Other {
            who,
            metres: 3.0,
            above: 0.5,
            walk,
            turns,
            cover: None,
            medium: Medium::Television,
        });
        from = to;
    }
    cuts
}

/// Turns to somebody or to papers, thinks with a hand before the mouth, drinks, puts a mask on for a while.
fn habits(seconds: f64, dice: &mut ChaCha8Rng) -> Vec<(f64, f64, Habit)> {
    let (mut all, mut from) = (Vec::new(), 4.0);
    while from < seconds {
        let (habit, least_s, most_s) = match dice.random_range(0..4) {
            0 => {
                let side = if dice.random_bool(0.5) { 1 } else { -1 };
                (Habit::Turns(round_to_five(dice.random_range(30..=65)) * side), 1.0, 4.0)
            }
            1 => (Habit::Covers(Cover::Hand), 1.0, 3.0),
            2 => (Habit::Covers(Cover::Mug), 1.0, 2.5),
            _ => (Habit::Covers(Cover::Mask(dice.random_range(0..3))), 2.0, 4.0),
        };
        let to = from + dice.random_range(least_s..most_s);
        all.push((from, to, habit));
        from = to + dice.random_range(1.0..5.0);
    }
    all
}

/// So that the same heads are turned seldom.
const fn round_to_five(degrees: i32) -> i32 {
    degrees / 5 * 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scenes_are_played_in_each_run() {
        for class in Class::ALL {
            let made = scenes(class, 5, &QUICK);
            assert_eq!(made, scenes(class, 5, &QUICK), "{class:?}");
            assert!(!made.is_empty());
            assert!(made.iter().all(|scene| scene.operator < 5 && scene.seated < 5));
            assert!(made.iter().all(|scene| scene.others.iter().all(|other| other.who != scene.operator)));
        }
        assert_ne!(
            scenes(Class::Onlooker2m, 5, &QUICK)[0].others,
            scenes(Class::Onlooker2m, 5, &QUICK)[4].others
        );
    }

    #[test]
    fn enough_onlookers_come_at_each_distance_in_each_light() {
        for people in [2, 7, 20, 200] {
            let made = scenes(Class::Onlooker2m, people, &WHOLE);
            assert!(made.len() >= WHOLE.onlookers, "{people}");
            for metres in [1.0, 1.5, 2.0] {
                for light in [Light::Normal, Light::Dim] {
                    let n = made.iter().filter(|s| s.light == light && s.others[0].metres == metres).count();
                    assert!(n * 6 >= WHOLE.onlookers, "{people} {metres} {light:?}");
                }
            }
        }
    }

    #[test]
    fn an_onlooker_arrives_within_the_picture_and_looks_for_2_5_s() {
        for scene in scenes(Class::Onlooker2m, 20, &WHOLE) {
            let other = &scene.others[0];
            for seconds in [0.61, 1.0, 3.09] {
                let stand = other.stand(seconds).unwrap();
                let half = stand.look.face_px() / 2.0;
                assert!(stand.at[0] - half >= 0.0 && stand.at[0] + half <= 640.0, "{other:?}");
                assert!((stand.at[0] - 320.0).abs() > 130.0, "not behind the operator: {other:?}");
            }
        }
    }

    #[test]
    fn phones_are_raised_by_both_in_each_light_and_hide_only_the_face_that_they_are_to_hide() {
        for (people, extent) in [(4, &QUICK), (20, &WHOLE)] {
            let made = scenes(Class::Phone, people, extent);
            assert!(made.len() >= extent.phones);
            for (by_other, light) in [false, true].map(|by| [(by, Light::Normal), (by, Light::Dim)]).concat()
            {
                let like = |scene: &&Scene| scene.light == light && scene.raise.unwrap().by_other == by_other;
                assert!(made.iter().filter(like).count() * 5 >= made.len(), "{people} {by_other} {light:?}");
            }
            for scene in &made {
                let raise = scene.raise.unwrap();
                assert_eq!(raise.holder(), scene.others.len());
                assert!(raise.hold != Hold::BeforeFace && raise.metres < 1.2);
                assert!(scene.others.iter().all(|other| other.stand(scene.seconds).is_some()));
                assert!((scene.seconds - raise.held_s - 2.0).abs() < 1e-9);
            }
        }
        for scene in scenes(Class::PhoneBeforeFace, 4, &QUICK) {
            assert!(scene.others.is_empty() && scene.raise.unwrap().hold == Hold::BeforeFace);
        }
        assert!(scenes(Class::Alone, 4, &QUICK).iter().all(|scene| scene.raise.is_none()));
    }

    #[test]
    fn a_stranger_is_not_the_operator() {
        assert!(scenes(Class::Stranger, 4, &WHOLE).iter().all(|scene| scene.seated != scene.operator));
    }
}
