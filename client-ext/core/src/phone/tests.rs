//! Phones on virtual time.

use super::*;

const SIZE: [f32; 2] = [640.0, 480.0];
const FACE: Area = [260.0, 120.0, 110.0, 150.0];
const RAISED: Phone = Phone { area: [280.0, 130.0, 80.0, 150.0], score: 0.6 };

/// One moment: who is in view, what moves, and what a look would find.
#[derive(Clone, Copy)]
struct Moment<'a> {
    seen: &'a [Area],
    missed: &'a [Area],
    /// The share that changes, of the whole picture, before the face at the seat, and everywhere else.
    changed: [f32; 3],
    found: &'a [Phone],
    /// The part of the picture in which alone phones are seen, because they are far.
    far: Option<Area>,
}

const QUIET: Moment<'_> = Moment { seen: &[FACE], missed: &[], changed: [0.0; 3], found: &[], far: None };
/// The phone is before the face, which is missed.
const HIDING: Moment<'_> =
    Moment { seen: &[], missed: &[FACE], changed: [0.1, 0.3, 0.3], found: &[RAISED], far: None };

/// Plays a moment at ten pictures a second; gives the times of the looks, and the last view.
fn play(watch: &mut PhoneWatch, from_ms: u64, ms: u64, moment: Moment<'_>) -> (Vec<u64>, PhoneView) {
    let mut looks = Vec::new();
    for t_ms in (from_ms..from_ms + ms).step_by(100) {
        let changed = |area: &Area| match area {
            [0.0, 0.0, ..] => moment.changed[0],
            area if *area == before(&FACE) => moment.changed[1],
            _ => moment.changed[2],
        };
        let Moment { seen, missed, found, .. } = moment;
        let now = Surroundings { t_ms, size: SIZE, seen, missed, changed: &changed };
        if let Some(look) = watch.due(&now) {
            looks.push(t_ms);
            let is_seen = |phone: &&Phone| moment.far.is_none() || look.part.is_some() || phone.score > 0.9;
            let found: Vec<Phone> = found.iter().filter(is_seen).copied().collect();
            watch.looked(&now, &found);
            moment.far.iter().for_each(|part| assert!(look.part.is_none_or(|at| at == *part), "{look:?}"));
        }
    }
    (looks, watch.view())
}

#[test]
fn looks_are_rare_while_nothing_moves_and_about_one_a_second_otherwise() {
    let (looks, view) = play(&mut PhoneWatch::default(), 0, 10_000, QUIET);
    assert_eq!((looks, view), (vec![0, 3_000, 6_000, 9_000], PhoneView::Clear));
    let moving = Moment { changed: [0.05, 0.0, 0.0], ..QUIET };
    let (looks, _) = play(&mut PhoneWatch::default(), 0, 5_000, moving);
    assert_eq!(looks, [0, 1_000, 2_000, 3_000, 4_000]);
    // Somebody who moves all the time raises no hand all the time.
    let restless = Moment { changed: [0.2, 0.5, 0.5], ..QUIET };
    let (looks, _) = play(&mut PhoneWatch::default(), 0, 20_000, restless);
    assert!(looks.len() < 26, "{looks:?}");
}

#[test]
fn a_raised_hand_and_a_face_that_vanishes_in_movement_are_looked_at_at_once() {
    for moment in [
        Moment { changed: [0.1, 0.3, 0.0], ..QUIET },
        Moment { seen: &[], missed: &[FACE], changed: [0.1, 0.0, 0.3], ..QUIET },
    ] {
        let mut watch = PhoneWatch::default();
        play(&mut watch, 0, 2_500, QUIET);
        let (looks, _) = play(&mut watch, 2_500, 1_000, moment);
        assert_eq!(looks[..3], [2_500, 2_800, 3_100]);
    }
    // A face that left through a door, with nothing in its place.
    let left = Moment { seen: &[], missed: &[FACE], ..QUIET };
    let mut watch = PhoneWatch::default();
    play(&mut watch, 0, 500, QUIET);
    assert_eq!(play(&mut watch, 500, 2_000, left).0, [0; 0]);
}

#[test]
fn two_of_three_looks_make_a_phone_and_one_does_not() {
    let mut watch = PhoneWatch::default();
    let raised = Moment { changed: [0.1, 0.3, 0.0], found: &[RAISED], ..QUIET };
    play(&mut watch, 0, 2_500, QUIET);
    assert_eq!(play(&mut watch, 2_500, 200, raised).1, PhoneView::Maybe);
    assert_eq!(play(&mut watch, 2_700, 200, raised).1, PhoneView::InView);
    assert_eq!(watch.places(), [RAISED.area]);
    let mut watch = PhoneWatch::default();
    play(&mut watch, 0, 100, raised);
    assert_eq!(watch.view(), PhoneView::Maybe);
    let (_, view) = play(&mut watch, 100, 5_000, QUIET);
    assert_eq!((view, watch.places().len()), (PhoneView::Clear, 0));
}

#[test]
fn a_phone_put_away_is_gone_after_the_hold() {
    let mut watch = PhoneWatch::default();
    let raised = Moment { changed: [0.1, 0.3, 0.0], found: &[RAISED], ..QUIET };
    let (looks, view) = play(&mut watch, 0, 3_000, raised);
    assert_eq!(view, PhoneView::InView);
    let last_ms = *looks.last().unwrap();
    assert_eq!(play(&mut watch, 3_000, last_ms + HOLD_MS - 3_000, QUIET).1, PhoneView::InView);
    assert_eq!(play(&mut watch, last_ms + HOLD_MS, 100, QUIET).1, PhoneView::Clear);
}

#[test]
fn a_face_behind_a_phone_keeps_it_in_view_although_looks_miss_it_until_the_face_is_back() {
    // Nothing is found any more, and the tracker has long forgotten the face.
    let nobody = Moment { seen: &[], missed: &[], changed: [0.1, 0.0, 0.0], ..QUIET };
    let mut watch = PhoneWatch::default();
    play(&mut watch, 0, 1_000, HIDING);
    assert_eq!(play(&mut watch, 1_000, BEHIND_MS - 1_500, nobody).1, PhoneView::InView);
    // One sighting now and then is enough.
    play(&mut watch, BEHIND_MS, 100, Moment { found: &[RAISED], ..nobody });
    play(&mut watch, BEHIND_MS + 100, 500, Moment { found: &[RAISED], ..nobody });
    assert_eq!(play(&mut watch, BEHIND_MS + 600, 5_000, nobody).1, PhoneView::InView);
    assert_eq!(play(&mut watch, BEHIND_MS + 5_600, BEHIND_MS, nobody).1, PhoneView::Clear);

    let mut watch = PhoneWatch::default();
    play(&mut watch, 0, 1_000, HIDING);
    assert_eq!(
        play(&mut watch, 1_000, 3_000, QUIET).1,
        PhoneView::Clear,
        "the face is back, the phone is down"
    );
}

#[test]
fn a_phone_before_a_far_face_is_looked_at_enlarged_in_turn_and_that_is_enough() {
    let (face, phone) = ([500.0, 100.0, 40.0, 55.0], Phone { area: [505.0, 105.0, 18.0, 34.0], score: 0.5 });
    let quarter = Some([320.0, 35.0, 320.0, 240.0]);
    let hiding = Moment { missed: &[face], changed: [0.1, 0.0, 0.3], found: &[phone], far: quarter, ..QUIET };
    let mut watch = PhoneWatch::default();
    play(&mut watch, 0, 500, QUIET);
    assert_eq!(play(&mut watch, 500, 1_000, hiding).1, PhoneView::InView);
    // And it stays so when the tracker has forgotten the face.
    let forgotten = Moment { missed: &[], changed: [0.1, 0.0, 0.0], ..hiding };
    assert_eq!(play(&mut watch, 1_500, 30_000, forgotten).1, PhoneView::InView);
    // A near face's phone is large enough in the whole picture.
    let near = Moment { far: Some([0.0; 4]), found: &[], ..HIDING };
    play(&mut PhoneWatch::default(), 0, 5_000, near);
}

#[test]
fn a_phone_that_somebody_far_raises_beside_the_operator_is_looked_at_enlarged() {
    let (far, phone) = ([500.0, 100.0, 70.0, 95.0], Phone { area: [505.0, 200.0, 28.0, 54.0], score: 0.5 });
    let quarter = Some([320.0, 75.0, 320.0, 240.0]);
    let both = Moment { seen: &[FACE, far], far: quarter, ..QUIET };
    let mut watch = PhoneWatch::default();
    assert_eq!(play(&mut watch, 0, 3_500, both).1, PhoneView::Clear);
    let raises = Moment { changed: [0.1, 0.0, 0.3], found: &[phone], ..both };
    assert_eq!(play(&mut watch, 3_500, 1_000, raises).1, PhoneView::InView);
    // Held up already when they come into view: seen at the next looks.
    let held = Moment { changed: [0.05, 0.0, 0.0], found: &[phone], ..both };
    let mut watch = PhoneWatch::default();
    assert_eq!(play(&mut watch, 0, 2_500, held).1, PhoneView::InView);
}

#[test]
fn without_a_model_or_with_one_that_fails_nothing_is_known() {
    let mut watch = PhoneWatch::default();
    assert_eq!((watch.view(), watch.view().attested()), (PhoneView::Unknown, None));
    play(&mut watch, 0, 1_000, QUIET);
    assert_eq!(watch.view().attested(), Some(false));
    watch.failed();
    assert_eq!(watch.view().attested(), None);
    // A phone that was in view does not go because nobody looks any more.
    play(&mut watch, 2_000, 1_000, HIDING);
    watch.failed();
    assert_eq!(watch.view().attested(), Some(true));
}

#[test]
fn far_phones_and_boxes_that_are_none_do_not_count_and_all_is_bounded() {
    let odd = [
        Phone { area: [10.0, 10.0, 12.0, 20.0], score: 0.9 },
        Phone { area: [f32::NAN, 10.0, 120.0, 20.0], score: 0.9 },
        Phone { area: [10.0, 10.0, f32::INFINITY, 20.0], score: 0.9 },
    ];
    let mut watch = PhoneWatch::default();
    assert_eq!(play(&mut watch, 0, 5_000, Moment { found: &odd, ..QUIET }).1, PhoneView::Clear);
    let many = [RAISED; 100];
    let faces: Vec<Area> = (0..100_u8).map(|i| [280.0 + f32::from(i) / 10.0, 130.0, 80.0, 90.0]).collect();
    play(&mut watch, 5_000, 5_000, Moment { found: &many, missed: &faces, ..HIDING });
    assert!(watch.places.len() <= PLACES_MAX && watch.behind.len() <= PLACES_MAX);
    assert!(watch.looks.len() <= LOOKS);
}
