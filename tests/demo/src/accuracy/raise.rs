//! Somebody raises a phone: when, where to, and what became of it. Pure.

use std::rc::Rc;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use sudare_protocol::reason::Reason;
use sudare_test_kit::scene::{HEIGHT, WIDTH};

use super::painter::Placed;
use super::phone_prop::{PhoneProp, Pose};
use super::scene::{Class, PX_PER_METRE};

/// A phone must be noticed within this time after it is held up, and the desktop be gone behind it from then on.
pub(super) const IN_TIME_MS: u16 = 2_000;
/// Between the phone and the face beside it, in widths of the face. A head with its hair is wider than its face.
const HEAD_SHARE: f32 = 0.78;
const CHIN_SHARE: f32 = 0.72;
const GAP_PX: f32 = 5.0;
/// Skin where the face shows none.
const SKIN: [u8; 3] = [196, 152, 126];

/// Where the phone is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hold {
    /// At the height of the face; 1 is to the right in the picture, -1 to the left.
    Beside(f32),
    Below,
    /// Nothing is left of the face to see.
    BeforeFace,
}

/// A phone that is raised and stays there until the scene ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Raise {
    prop: PhoneProp,
    pub(super) hold: Hold,
    /// By the second person, and not by whoever sits there.
    pub(super) by_other: bool,
    /// Of the phone, from the camera.
    pub(super) metres: f32,
    /// When it begins to come up, and when it is up, in seconds of the scene.
    pub(super) from_s: f64,
    pub(super) held_s: f64,
    /// How it leans, in radians, and where the trembling of the hand begins.
    turn: f32,
    phase: f64,
}

impl Raise {
    /// One of many, held like that.
    pub(super) fn chosen(
        hold: Hold,
        [across, by_other]: [bool; 2],
        metres: f32,
        from_s: f64,
        dice: &mut ChaCha8Rng,
    ) -> Self {
        let side = if dice.random_bool(0.5) { 1.0 } else { -1.0 };
        let upright = if across { std::f32::consts::FRAC_PI_2 * side } else { 0.0 };
        let beside = if let Hold::Beside(side) = hold { Some(side) } else { None };
        Raise {
            prop: PhoneProp::chosen(across, beside, dice),
            hold,
            by_other,
            metres,
            from_s,
            held_s: from_s + dice.random_range(0.4..0.8),
            turn: upright + dice.random_range(-0.14_f32..0.14),
            phase: dice.random_range(0.0..6.0),
        }
    }

    /// How long ago it was held up, at this time of the scene.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a scene")]
    #[must_use]
    pub(super) fn held_ms(&self, seconds: f64) -> Option<u64> {
        (seconds >= self.held_s).then_some(((seconds - self.held_s) * 1e3) as u64)
    }

    /// Who holds it, of those who are placed.
    #[must_use]
    pub(super) fn holder(&self) -> usize {
        usize::from(self.by_other)
    }

    /// The phone at this time of the scene, in the hand of this person. It goes along with the head.
    #[must_use]
    pub(super) fn placed(&self, seconds: f64, holder: &Placed) -> Option<Placed> {
        if seconds < self.from_s {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "pixels and shares")]
        let sways = |per_s: f64| (seconds * per_s + self.phase).sin() as f32;
        let px_per_cm = PX_PER_METRE / 100.0 / self.metres.max(0.1);
        let turn = self.turn + 0.03 * sways(1.3);
        let half = self.prop.half_px(px_per_cm, turn);
        let [x, y] = self.middle(holder, half);
        #[allow(clippy::cast_possible_truncation, reason = "pixels and shares")]
        let share = ((seconds - self.from_s) / (self.held_s - self.from_s)).clamp(0.0, 1.0) as f32;
        // A hand starts and stops gently.
        let below = 1.0 - share * share * (3.0 - 2.0 * share);
        let tremor = [sways(1.9) * 0.35 + sways(5.3) * 0.12, sways(1.6) * 0.3 + sways(4.7) * 0.1];
        let middle = [
            x + tremor[0] * px_per_cm,
            y + tremor[1] * px_per_cm + below * (side_px(HEIGHT) + half[1] - y).max(0.0),
        ];
        let clothes = holder.clothes.unwrap_or(SKIN);
        let sprite = self.prop.sprite(&Pose { middle, px_per_cm, turn }, skin_of(holder), clothes);
        Some(Placed { sprite: Rc::new(sprite), at: middle, metres: self.metres, clothes: None, yaw_deg: 0.0 })
    }

    /// Where it is held up, so that all of it is in the picture.
    fn middle(&self, holder: &Placed, [half_w, half_h]: [f32; 2]) -> [f32; 2] {
        let [x, y, w, h] = holder.head();
        let (x, y) = (x + w / 2.0, y + h / 2.0);
        let [x, y] = match self.hold {
            Hold::Beside(side) => [x + side * (HEAD_SHARE * w + half_w + GAP_PX), y + 0.2 * h],
            Hold::Below => [x, y + CHIN_SHARE * w + half_h + GAP_PX],
            Hold::BeforeFace => [x, y],
        };
        let inside = |at: f32, half: f32, side: u32| at.min(side_px(side) - half).max(half);
        [inside(x, half_w, WIDTH), inside(y, half_h, HEIGHT)]
    }
}

/// The mean colour of the cheeks and the nose.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels of a small picture, never negative after `max`"
)]
fn skin_of(holder: &Placed) -> [u8; 3] {
    let sprite = &holder.sprite;
    let [x, y, w, h] = sprite.head;
    let (left, top) = (x - sprite.corner[0], y - sprite.corner[1]);
    let part = |from: f32, len: f32, of: [f32; 2], most: u32| {
        let at = |share: f32| ((from + len * share).max(0.0) as u32).min(most);
        at(of[0])..at(of[1])
    };
    let rows = part(top, h, [0.5, 0.65], sprite.rgb.height());
    let columns = part(left, w, [0.3, 0.7], sprite.rgb.width());
    let (mut sum, mut n) = ([0_u32; 3], 0_u32);
    for (px, py) in rows.flat_map(|py| columns.clone().map(move |px| (px, py))) {
        let colour = sprite.rgb.get_pixel(px, py).0;
        sum.iter_mut().zip(colour).for_each(|(sum, value)| *sum += u32::from(value));
        n += 1;
    }
    if n == 0 { SKIN } else { sum.map(|sum| (sum / n) as u8) }
}

#[allow(clippy::cast_precision_loss, reason = "sides of a picture")]
const fn side_px(side: u32) -> f32 {
    side as f32
}

/// What became of a phone that was raised before a desktop that showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Raised {
    /// From when it was held up until it was the reason of a cover, and until there was a cover for any reason. What
    /// came while it was on its way up took no time.
    pub(super) noticed_ms: Option<u64>,
    pub(super) covered_ms: Option<u64>,
    /// Something else covered before.
    pub(super) otherwise: bool,
    /// How long the desktop showed after the phone should have been noticed.
    pub(super) visible_ms: u64,
    /// How long the eyes saw a face in the seat in this time.
    pub(super) face_ms: u64,
}

impl Raised {
    /// One picture: how long ago the phone was held up, if it is; why the desktop is covered, if it is; and whether the
    /// eyes see a face in the seat.
    pub(super) fn note(
        &mut self,
        held_ms: Option<u64>,
        cover: Option<Reason>,
        sees_face: bool,
        step_ms: u64,
    ) {
        let since_ms = held_ms.unwrap_or(0);
        if let Some(reason) = cover {
            self.covered_ms.get_or_insert(since_ms);
            if reason == Reason::Phone {
                self.noticed_ms.get_or_insert(since_ms);
            }
            self.otherwise |= self.noticed_ms.is_none();
        }
        if held_ms.is_some_and(|since_ms| since_ms >= u64::from(IN_TIME_MS)) {
            self.visible_ms += if cover.is_none() { step_ms } else { 0 };
            self.face_ms += if sees_face { step_ms } else { 0 };
        }
    }

    /// The phone itself was noticed, soon enough.
    #[must_use]
    pub(super) fn is_in_time(&self) -> bool {
        self.noticed_ms.is_some_and(|ms| ms <= IN_TIME_MS.into())
    }

    /// Not what this kind of scene asks for.
    #[must_use]
    pub(super) fn is_wrong(&self, class: Class) -> bool {
        if class == Class::PhoneBeforeFace { self.visible_ms > 0 } else { !self.is_in_time() }
    }

    /// The desktop was covered soon enough, whatever for.
    #[must_use]
    pub(super) fn is_covered_in_time(&self) -> bool {
        self.covered_ms.is_some_and(|ms| ms <= IN_TIME_MS.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::sprite::Sprite;
    use image::{Rgb, RgbImage};
    use rand::SeedableRng as _;

    /// A face of this width around a place.
    fn somebody(at: [f32; 2], wide: u8) -> Placed {
        let (side, half) = (u32::from(wide), f32::from(wide) / 2.0);
        let sprite = Sprite {
            rgb: RgbImage::from_pixel(side, side, Rgb([180, 140, 110])),
            alpha: vec![1.0; (side * side) as usize],
            corner: [-half, -half],
            head: [-half, -half, half * 2.0, half * 2.0],
            yaw_deg: 0.0,
        };
        Placed { sprite: Rc::new(sprite), at, metres: 0.6, clothes: Some([50; 3]), yaw_deg: 0.0 }
    }

    fn raise(hold: Hold, across: bool, metres: f32, seed: u64) -> Raise {
        Raise::chosen(hold, [across, false], metres, 0.5, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_phone_comes_up_from_below_and_leaves_the_face_free_unless_it_is_to_hide_it() {
        let person = somebody([320.0, 235.0], 115);
        let [left, top, w, h] = person.head();
        for seed in 0..3 {
            for (hold, across) in
                [(Hold::Beside(1.0), false), (Hold::Beside(-1.0), false), (Hold::Below, true)]
            {
                let raise = raise(hold, across, 0.45, seed);
                assert!(raise.placed(0.49, &person).is_none());
                let start = raise.placed(0.5, &person).unwrap();
                assert!(start.head()[1] > 470.0, "{:?}", start.head());
                let held = raise.placed(raise.held_s, &person).unwrap();
                let [x, y, wide, high] = held.head();
                let free = x > left + w || x + wide < left || y > top + h;
                assert!(free && held.at[1] + high / 2.0 < 490.0, "{hold:?} {:?}", held.head());
                assert_ne!(held.at, raise.placed(raise.held_s + 0.3, &person).unwrap().at);
            }
            let held = raise(Hold::BeforeFace, false, 0.3, seed).placed(3.0, &person).unwrap();
            let [x, y, wide, high] = held.head();
            let [middle, eyes, mouth] = [left + w / 2.0, top + h * 0.3, top + h * 0.8];
            assert!(x < middle - w * 0.35 && x + wide > middle + w * 0.35, "{:?}", held.head());
            assert!(y < eyes && y + high > mouth, "{:?}", held.head());
        }
    }

    #[test]
    fn it_is_as_large_as_its_distance_makes_it_and_the_hand_has_the_colour_of_the_face() {
        let person = somebody([320.0, 150.0], 58);
        let wide = |metres: f32| {
            let raise = Raise { turn: 0.0, ..raise(Hold::Below, false, metres, 3) };
            raise.placed(5.0, &person).unwrap().head()[2]
        };
        // 7.1 to 7.8 cm, and a case, a little turned.
        assert!((27.0..34.0).contains(&wide(1.2)), "{}", wide(1.2));
        assert!((wide(0.6) / wide(1.2) - 2.0).abs() < 0.01);
        assert_eq!(skin_of(&person), [180, 140, 110]);
    }

    #[test]
    fn a_phone_is_noticed_by_its_own_reason_and_what_else_covers_is_told_apart() {
        let noted = |all: &[(Option<u64>, Option<Reason>)]| {
            let mut raised = Raised::default();
            all.iter().for_each(|(held_ms, cover)| raised.note(*held_ms, *cover, false, 100));
            raised
        };
        let soon = noted(&[(None, None), (Some(100), None), (Some(900), Some(Reason::Phone))]);
        assert_eq!((soon.noticed_ms, soon.otherwise, soon.is_in_time()), (Some(900), false, true));
        let early = noted(&[(None, Some(Reason::Phone))]);
        assert_eq!((early.noticed_ms, early.is_in_time()), (Some(0), true));
        let other = noted(&[(Some(300), Some(Reason::Onlooker)), (Some(800), Some(Reason::Phone))]);
        assert_eq!((other.covered_ms, other.noticed_ms, other.otherwise), (Some(300), Some(800), true));
        let late = noted(&[(Some(1_900), None), (Some(2_000), None), (Some(2_100), Some(Reason::Phone))]);
        assert_eq!((late.visible_ms, late.is_in_time(), late.is_covered_in_time()), (100, false, false));
    }

    #[test]
    fn a_face_that_the_eyes_still_see_behind_a_phone_is_told() {
        let mut raised = Raised::default();
        raised.note(Some(1_000), None, true, 100);
        raised.note(Some(2_500), Some(Reason::Phone), true, 100);
        assert_eq!((raised.face_ms, raised.visible_ms), (100, 0));
    }
}
