//! A phone as it shows to the camera while its owner looks at its screen: the back, with the cameras in it, in one hand
//! or in both.
//!
//! It is a drawing: a slab with round corners, and fingers that are round sticks. It has the size, the place, the light
//! and the movement of a real one, and neither its reflections nor a real hand's shape. How often drawn phones are
//! noticed is not how often real ones are.
//!
//! All lengths are centimetres from the middle of the phone, across and down along its own sides, until they are pixels.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use image::{Rgb, RgbImage};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use sudare_test_kit::scene::{HEIGHT, WIDTH};

use super::sprite::Sprite;

/// How far an edge runs, in pixels: a webcam's are never sharper.
const SOFT_PX: f32 = 1.4;
/// Of the corners.
const CORNER_CM: f32 = 1.1;
/// A case is so much larger than the phone on each side.
const CASE_CM: f32 = 0.22;
/// The frame around the back.
const FRAME_CM: f32 = 0.18;
/// From the edge of the back to the cameras.
const INSET_CM: f32 = 0.45;
const FINGER_CM: f32 = 0.85;
/// From the wrist to where the arm is lost before the body: aside, and down.
const ARM_CM: [f32; 2] = [11.0, 60.0];
/// Room for hands and arms beside the phone, and for fingers above it.
const HANDS_CM: f32 = 18.0;
const FINGERS_CM: f32 = 3.0;
const GLASS: [u8; 3] = [13, 14, 17];
/// Black, graphite, white, silver, blue, violet, red, green, pink, gold.
const BACKS: [[u8; 3]; 10] = [
    [26, 26, 29],
    [70, 71, 75],
    [232, 231, 227],
    [186, 188, 192],
    [58, 84, 122],
    [146, 134, 168],
    [166, 40, 46],
    [70, 96, 84],
    [226, 196, 192],
    [212, 192, 162],
];
/// Black, navy, clay, sand, mint, orange.
const CASES: [[u8; 3]; 6] =
    [[30, 30, 32], [38, 48, 78], [150, 84, 70], [206, 190, 164], [150, 190, 172], [214, 116, 46]];

/// How the cameras lie in the back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cameras {
    /// In a square: two or three.
    Square(u8),
    /// One below the other, down one side.
    Strip,
    /// In a bar from side to side.
    Bar,
}

/// One phone, and how it is held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PhoneProp {
    size_cm: [f32; 2],
    back: [u8; 3],
    case: Option<[u8; 3]>,
    cameras: Cameras,
    /// Where light lies on the back, across it.
    gloss_cm: f32,
    /// On its side, in both hands.
    pub(super) across: bool,
    /// The hand that holds it upright: 1 is to the right of the picture, -1 to the left. And where its elbow is from there.
    hand: f32,
    elbow: f32,
    /// How much of the back the fingers reach over, of its width, and how far up the hand begins.
    reach: f32,
    grip_cm: f32,
    /// Long ones.
    has_sleeves: bool,
}

/// Where it is in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pose {
    /// Of its middle, in pixels.
    pub(super) middle: [f32; 2],
    pub(super) px_per_cm: f32,
    /// In radians; a positive one leans its top to the right.
    pub(super) turn: f32,
}

impl Pose {
    /// From lengths along the picture's sides to lengths along the phone's.
    fn own(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.turn.sin_cos();
        [x * cos + y * sin, y * cos - x * sin]
    }
}

/// A finger, a palm or an arm: a round stick.
#[derive(Debug, Clone, Copy)]
struct Limb {
    from: [f32; 2],
    to: [f32; 2],
    radius: f32,
    colour: [u8; 3],
}

/// One point, as far as it is painted.
#[derive(Debug, Clone, Copy, Default)]
struct Dot {
    rgb: [f32; 3],
    alpha: f32,
}

impl PhoneProp {
    /// One of many. Beside a face, at this side of it, it is in the hand of this side, and the elbow is towards the body.
    pub(super) fn chosen(across: bool, beside: Option<f32>, dice: &mut ChaCha8Rng) -> Self {
        let back = BACKS.get(dice.random_range(0..BACKS.len())).copied().unwrap_or(GLASS);
        let case = CASES.get(dice.random_range(0..CASES.len())).copied().filter(|_| dice.random_bool(0.4));
        let cameras = match dice.random_range(0..4) {
            0 => Cameras::Strip,
            1 => Cameras::Bar,
            2 => Cameras::Square(2),
            _ => Cameras::Square(3),
        };
        let hand = if dice.random_bool(0.5) { 1.0 } else { -1.0 };
        PhoneProp {
            size_cm: [dice.random_range(7.1..7.8), dice.random_range(14.6..16.2)],
            back,
            case,
            cameras,
            gloss_cm: dice.random_range(-4.0..4.0),
            across,
            hand: beside.unwrap_or(hand),
            elbow: beside.map_or(hand, |side| -side),
            reach: dice.random_range(0.35..1.0),
            grip_cm: dice.random_range(4.4..6.4),
            has_sleeves: dice.random_bool(0.6),
        }
    }

    /// Half of the room that the phone takes in the picture, in pixels, without the hands.
    #[must_use]
    pub(super) fn half_px(&self, px_per_cm: f32, turn: f32) -> [f32; 2] {
        let ([w, h], (sin, cos)) = (self.half_cm(), turn.sin_cos());
        [w * cos.abs() + h * sin.abs(), w * sin.abs() + h * cos.abs()].map(|cm| cm * px_per_cm)
    }

    /// Phone, hands and arms, cut off where the picture ends.
    #[must_use]
    pub(super) fn sprite(&self, pose: &Pose, skin: [u8; 3], clothes: [u8; 3]) -> Sprite {
        let [half_w, half_h] = self.half_px(pose.px_per_cm, pose.turn);
        let ([x, y], hands) = (pose.middle, HANDS_CM * pose.px_per_cm);
        let within = |at: f32, side: u32| at.clamp(0.0, side as f32) as u32;
        let (left, top) = (
            within(x - half_w - hands, WIDTH - 1),
            within(y - half_h - FINGERS_CM * pose.px_per_cm, HEIGHT - 1),
        );
        let right = within((x + half_w + hands).ceil(), WIDTH).max(left + 1);
        let (arms, hands) = self.limbs(pose, skin, clothes);
        let mut alpha = Vec::new();
        let rgb = RgbImage::from_fn(right - left, HEIGHT - top, |px, py| {
            let here = [(left + px) as f32 + 0.5 - x, (top + py) as f32 + 0.5 - y];
            let own = pose.own(here.map(|px| px / pose.px_per_cm));
            let mut dot = Dot::default();
            arms.iter().for_each(|arm| dot.put(arm, own, pose.px_per_cm));
            self.paint_phone(&mut dot, own, pose.px_per_cm);
            hands.iter().for_each(|hand| dot.put(hand, own, pose.px_per_cm));
            alpha.push(dot.alpha);
            Rgb(dot.rgb.map(|value| value.round().clamp(0.0, 255.0) as u8))
        });
        let corner = [left as f32 - x, top as f32 - y];
        Sprite { rgb, alpha, corner, head: [-half_w, -half_h, half_w * 2.0, half_h * 2.0], yaw_deg: 0.0 }
    }

    fn half_cm(&self) -> [f32; 2] {
        let case = if self.case.is_some() { CASE_CM } else { 0.0 };
        self.size_cm.map(|cm| cm / 2.0 + case)
    }

    fn paint_phone(&self, dot: &mut Dot, at: [f32; 2], px_per_cm: f32) {
        let half @ [w, h] = self.half_cm();
        let outside = rounded(at, half, CORNER_CM);
        if outside * px_per_cm > SOFT_PX {
            return;
        }
        let (back, rim, shine) = match self.case {
            Some(case) => (case, 0.72, 6.0),
            None => (self.back, 1.3, 34.0),
        };
        // Lit from above, with a band of light across.
        let shade = 1.0 - 0.07 * at[1] / h - 0.04 * at[0] / w;
        let band = (0.8 * at[0] + 0.6 * at[1] - self.gloss_cm) / 1.5;
        let gloss = shine * (-band * band).exp();
        dot.paint(back.map(|c| f32::from(c).max(24.0) * rim), soft(outside, px_per_cm));
        dot.paint(back.map(|c| f32::from(c) * shade + gloss), soft(outside + FRAME_CM, px_per_cm));
        self.paint_cameras(dot, at, px_per_cm);
    }

    /// What they lie in stands out of the back, so that it has an edge.
    fn paint_cameras(&self, dot: &mut Dot, at: [f32; 2], px_per_cm: f32) {
        let [w, h] = self.half_cm();
        let (half, lenses): ([f32; 2], &[[f32; 2]]) = match self.cameras {
            Cameras::Square(2) => ([1.5, 1.6], &[[-0.55, -0.65], [0.55, 0.65]]),
            Cameras::Square(_) => ([1.8, 1.85], &[[-0.8, -0.85], [-0.8, 0.85], [0.8, 0.0]]),
            Cameras::Strip => ([0.9, 2.6], &[[0.0, -1.6], [0.0, 0.0], [0.0, 1.5]]),
            Cameras::Bar => ([w - 0.3, 1.0], &[[-1.7, 0.0], [-0.2, 0.0]]),
        };
        let corner = [-w + INSET_CM + half[0], -h + INSET_CM + half[1]];
        let middle = if self.cameras == Cameras::Bar { [0.0, -h + 2.6] } else { corner };
        let here = [at[0] - middle[0], at[1] - middle[1]];
        let outside = rounded(here, half, 0.8);
        if outside * px_per_cm > SOFT_PX {
            return;
        }
        let island = if self.cameras == Cameras::Bar { [44, 45, 48] } else { self.back };
        dot.paint(island.map(|c| f32::from(c) * 0.62), soft(outside, px_per_cm));
        dot.paint(island.map(|c| f32::from(c) * 0.9 + 10.0), soft(outside + 0.12, px_per_cm));
        let mut disc = |[x, y]: [f32; 2], radius: f32, colour: [f32; 3]| {
            let away = (here[0] - x).hypot(here[1] - y) - radius;
            dot.paint(colour, soft(away, px_per_cm));
        };
        for [x, y] in lenses {
            disc([*x, *y], 0.72, [92.0, 93.0, 97.0]);
            disc([*x, *y], 0.60, GLASS.map(f32::from));
            disc([x - 0.16, y - 0.18], 0.15, [128.0, 140.0, 168.0]);
        }
        let flash = if self.cameras == Cameras::Bar { [1.5, 0.0] } else { [half[0] - 0.6, 0.55 - half[1]] };
        if self.cameras != Cameras::Strip {
            disc(flash, 0.26, [236.0, 228.0, 204.0]);
        }
    }

    /// What is behind the phone, and what is before it.
    fn limbs(&self, pose: &Pose, skin: [u8; 3], clothes: [u8; 3]) -> (Vec<Limb>, Vec<Limb>) {
        let limb = |from, to, radius| Limb { from, to, radius, colour: skin };
        let sleeve_from = if self.has_sleeves { 0.08 } else { 0.5 };
        let arm = |wrist: [f32; 2], side: f32| {
            let [x, y] = pose.own([side * ARM_CM[0], ARM_CM[1]]);
            let at = |share: f32| [wrist[0] + x * share, wrist[1] + y * share];
            let sleeve = Limb { from: at(sleeve_from), to: at(1.0), radius: 3.6, colour: clothes };
            [limb(wrist, at(0.6), 2.7), sleeve]
        };
        let [w, h] = self.half_cm();
        let (mut arms, mut hands) = (Vec::new(), Vec::new());
        if self.across {
            for end in [-1.0, 1.0] {
                // Nobody holds a hand over the cameras.
                let over = if end < 0.0 { 0.5 } else { 2.2 };
                let [root, tip] = [end * (h + 1.2), end * (h - over)];
                // Which side of the picture this end is on.
                let side = -end * pose.turn.sin().signum();
                arms.extend(arm([0.2, end * (h + 2.6)], side));
                hands.push(limb([-1.0, end * (h + 2.1)], [1.6, end * (h + 2.1)], 1.9));
                hands.extend([-2.0, -0.3, 1.4].map(|u| limb([u, root], [u * 0.9, tip], FINGER_CM)));
            }
        } else {
            let side = self.hand;
            arms.extend(arm([side * 2.6, h + 2.8], self.elbow));
            arms.push(limb([side * (w + 0.4), h - 6.5], [side * (w + 0.4), h - 1.0], 0.95));
            hands.push(limb([side * 2.4, h - 0.4], [side * 2.4, h + 2.6], 2.7));
            hands.push(limb([side * (w + 0.2), h - self.grip_cm], [side * (w - 0.6), h], 1.2));
            for finger in 0..4_u8 {
                let down = h - self.grip_cm + 1.62 * f32::from(finger);
                let tip = [side * (w - 2.0 * w * self.reach), down - 0.5];
                hands.push(limb([side * (w + 0.3), down], tip, FINGER_CM));
            }
        }
        (arms, hands)
    }
}

impl Dot {
    /// Lays so much of a colour over what is there.
    fn paint(&mut self, colour: [f32; 3], over: f32) {
        let alpha = over + self.alpha * (1.0 - over);
        if over <= 0.0 || alpha <= 0.0 {
            return;
        }
        for (under, colour) in self.rgb.iter_mut().zip(colour) {
            *under += (colour - *under) * over / alpha;
        }
        self.alpha = alpha;
    }

    /// Darker towards the sides of a limb, as round things are: so that fingers part.
    fn put(&mut self, limb: &Limb, at: [f32; 2], px_per_cm: f32) {
        let away = from_line(at, limb.from, limb.to);
        let round = (away / limb.radius).min(1.0).powi(2);
        let colour = limb.colour.map(|c| f32::from(c) * (1.0 - 0.38 * round));
        self.paint(colour, soft(away - limb.radius, px_per_cm));
    }
}

/// How much of a pixel lies inside of an edge that is so far away; inside it is negative.
fn soft(outside_cm: f32, px_per_cm: f32) -> f32 {
    (0.5 - outside_cm * px_per_cm / SOFT_PX).clamp(0.0, 1.0)
}

/// How far a point is outside of a rectangle with round corners.
fn rounded([x, y]: [f32; 2], [half_w, half_h]: [f32; 2], radius: f32) -> f32 {
    let radius = radius.min(half_w).min(half_h);
    let (dx, dy) = (x.abs() - half_w + radius, y.abs() - half_h + radius);
    dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
}

/// How far a point is from the line between two.
fn from_line([x, y]: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let [ux, uy] = [to[0] - from[0], to[1] - from[1]];
    let length = (ux * ux + uy * uy).max(1e-6);
    let along = (((x - from[0]) * ux + (y - from[1]) * uy) / length).clamp(0.0, 1.0);
    (x - from[0] - ux * along).hypot(y - from[1] - uy * along)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    const SKIN: [u8; 3] = [200, 150, 120];
    const CLOTHES: [u8; 3] = [10, 200, 10];

    fn prop(across: bool) -> PhoneProp {
        let chosen = PhoneProp::chosen(across, None, &mut ChaCha8Rng::seed_from_u64(7));
        let held = PhoneProp { hand: 1.0, elbow: 1.0, reach: 0.5, grip_cm: 5.0, ..chosen };
        PhoneProp { size_cm: [7.5, 15.0], case: None, ..held }
    }

    /// How solid the picture is there.
    fn alpha(sprite: &Sprite, pose: &Pose, x: f32, y: f32) -> f32 {
        let [px, py] = [x - pose.middle[0] - sprite.corner[0], y - pose.middle[1] - sprite.corner[1]];
        sprite.alpha[(py as u32 * sprite.rgb.width() + px as u32) as usize]
    }

    #[test]
    fn a_phone_has_its_size_soft_edges_and_a_hand_below() {
        let pose = Pose { middle: [320.0, 200.0], px_per_cm: 10.0, turn: 0.0 };
        let sprite = prop(false).sprite(&pose, SKIN, CLOTHES);
        assert_eq!(sprite.head, [-37.5, -75.0, 75.0, 150.0]);
        let at = |x, y| alpha(&sprite, &pose, x, y);
        assert_eq!((at(320.0, 128.0), at(320.0, 122.0)), (1.0, 0.0), "from 125 on");
        assert_eq!((at(285.0, 180.0), at(280.0, 180.0)), (1.0, 0.0), "from 282.5 on");
        assert!((at(282.2, 180.0) - 0.5).abs() < 0.2, "{}", at(282.2, 180.0));
        assert_eq!(at(283.2, 125.8), 0.0, "a round corner");
        assert!(at(345.0, 290.0) > 0.9 && at(285.0, 290.0) < 0.1, "the hand is on its side");
        assert!(at(400.0, 470.0) > 0.9, "an arm leads out of the picture");
    }

    #[test]
    fn on_its_side_it_is_wide_and_has_two_hands() {
        let pose = Pose { middle: [320.0, 200.0], px_per_cm: 8.0, turn: std::f32::consts::FRAC_PI_2 };
        let phone = prop(true);
        let [half_w, half_h] = phone.half_px(8.0, pose.turn);
        assert!((half_w - 60.0).abs() < 0.01 && (half_h - 30.0).abs() < 0.01);
        let sprite = phone.sprite(&pose, SKIN, CLOTHES);
        let at = |x, y| alpha(&sprite, &pose, x, y);
        assert!(at(320.0, 180.0) > 0.9 && at(320.0, 240.0) < 0.1);
        assert!(at(320.0 - 76.0, 200.0) > 0.9 && at(320.0 + 76.0, 200.0) > 0.9);
    }

    #[test]
    fn many_differ_and_one_that_is_out_of_the_picture_paints_nothing() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let all: Vec<PhoneProp> = (0..40).map(|_| PhoneProp::chosen(false, None, &mut dice)).collect();
        assert!(all.iter().any(|phone| phone.case.is_some()) && all.iter().any(|phone| phone.case.is_none()));
        for cameras in [Cameras::Square(2), Cameras::Square(3), Cameras::Strip, Cameras::Bar] {
            assert!(all.iter().any(|phone| phone.cameras == cameras), "{cameras:?}");
        }
        for middle in [[320.0, 900.0], [-400.0, 100.0], [2_000.0, -900.0]] {
            let pose = Pose { middle, px_per_cm: 5.0, turn: 0.1 };
            let sprite = all[0].sprite(&pose, SKIN, CLOTHES);
            assert_eq!(sprite.alpha.len() as u32, sprite.rgb.width() * sprite.rgb.height());
            assert!(sprite.alpha.iter().all(|alpha| *alpha == 0.0), "{middle:?}");
        }
    }
}
