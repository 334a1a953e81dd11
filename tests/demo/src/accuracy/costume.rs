//! What the rig does to a face: a mask, a hand or a mug over its lower half, and a turn of the head.
//!
//! The turn takes the head for a cylinder with a nose: right for small faces, and no portrait. What was behind shows as
//! hair.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of small pictures"
)]

use image::{Rgb, RgbImage};

/// What is before the lower half of a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cover {
    /// In one of the colours.
    Mask(u8),
    /// Before the mouth, as when somebody thinks or coughs.
    Hand,
    /// Raised to the mouth.
    Mug,
}

impl Cover {
    /// Top, bottom and half the width at this distance from the middle, in distances between the eyes and to the mouth.
    fn shape(self, u: f32, v: f32) -> [f32; 3] {
        match self {
            Cover::Mask(_) => [0.30 + 0.30 * u * u, 1.62 - 0.35 * u * u, 1.12 - 0.22 * (v - 0.4).max(0.0)],
            Cover::Hand => [0.72 + 0.25 * u * u, 1.75, 0.95],
            Cover::Mug => [0.74 + 0.08 * round(u), 1.58 + 0.12 * round(u), MUG - 0.06 * (v - 0.8)],
        }
    }

    /// Whether it is there beside that shape.
    fn sticks_out(self, u: f32, v: f32) -> bool {
        let from_middle = |[wide, high]: [f32; 2]| ((u - MUG) / wide).hypot((v - 1.2) / high);
        self == Cover::Mug
            && u > MUG * 0.9
            && from_middle([0.32, 0.34]) < 1.0
            && from_middle([0.19, 0.21]) > 1.0
    }

    /// `skin` is the colour of the face.
    fn colour(self, skin: [u8; 3]) -> [u8; 3] {
        match self {
            Cover::Mask(colour) => MASKS.get(usize::from(colour) % MASKS.len()).copied().unwrap_or_default(),
            Cover::Hand => skin,
            Cover::Mug => [196, 60, 52],
        }
    }

    /// How much light it gives back, this far from the middle and below its top: folds and fingers are lines across, and
    /// a mug is round and glazed.
    fn shade(self, u: f32, below: f32) -> f32 {
        let lines = |to_the_mouth: f32| if (below * to_the_mouth).fract() < 0.22 { 0.90 } else { 1.0 };
        match self {
            Cover::Mask(_) => (1.0 - 0.18 * u * u) * lines(9.0),
            Cover::Hand => (1.0 - 0.18 * u * u) * lines(4.0),
            Cover::Mug if below < 0.07 => 1.25,
            Cover::Mug => 0.35 + 0.65 * round(u) + 0.45 * (-((u + 0.25) / 0.06).powi(2)).exp(),
        }
    }
}

/// Half the width of a mug.
const MUG: f32 = 0.60;

/// How far its side comes towards the camera.
fn round(u: f32) -> f32 {
    (1.0 - (u / MUG).powi(2)).max(0.0).sqrt()
}

/// Surgical blue, white, black.
const MASKS: [[u8; 3]; 3] = [[150, 188, 212], [226, 228, 226], [42, 42, 46]];

/// The colour of what covers the face at this pixel, and how much it hides.
#[must_use]
pub(super) fn cover_at(
    landmarks: &[[f32; 2]; 5],
    [x, y]: [f32; 2],
    cover: Cover,
    skin: [u8; 3],
) -> Option<([u8; 3], f32)> {
    let [one, other, nose, corner, far_corner] = *landmarks;
    let across = [other[0] - one[0], other[1] - one[1]];
    let eyes_px = (across[0] * across[0] + across[1] * across[1]).sqrt().max(1.0);
    let along = [across[0] / eyes_px, across[1] / eyes_px];
    let between = [(one[0] + other[0]) / 2.0, (one[1] + other[1]) / 2.0];
    let mouth = [(corner[0] + far_corner[0]) / 2.0, (corner[1] + far_corner[1]) / 2.0];
    // In distances between the eyes: across from the line between eyes and mouth, down from the eyes. A head that is
    // turned or nods shortens one of them, so that down is measured by the mouth.
    let down_px =
        ((mouth[1] - between[1]) * along[0] - (mouth[0] - between[0]) * along[1]).max(eyes_px * 0.5);
    let (dx, dy) = (x - between[0], y - between[1]);
    let v = (dy * along[0] - dx * along[1]) / down_px;
    let lean = ((mouth[0] - between[0]) * along[0] + (mouth[1] - between[1]) * along[1]) * v;
    let shift = ((nose[0] - between[0]) * along[0] + (nose[1] - between[1]) * along[1]) * 0.3;
    let u = ((dx * along[0] + dy * along[1]) - lean - shift) / eyes_px;
    let [top, bottom, side] = cover.shape(u, v);
    let body = (v - top).min(bottom - v).min((side - u.abs()) * eyes_px / down_px) * down_px + 0.5;
    let inside = if cover.sticks_out(u, v) { 1.0 } else { body };
    if inside <= 0.0 {
        return None;
    }
    let paint = cover.colour(skin).map(|c| (f32::from(c) * cover.shade(u, v - top)) as u8);
    Some((paint, inside.min(1.0)))
}

/// How far the tip of the nose stands out of the head, how wide and how high it is; of the width of the face.
const NOSE: [f32; 3] = [0.19, 0.11, 0.16];
/// Columns are taken so much closer than they lie, so that what the turn stretches has no gaps.
const FINER: f32 = 0.25;
/// What lies farther round than this shows from behind, in radians.
const BEHIND: f32 = 1.45;

/// Turns a head about its axis: positive degrees move the face to the right of the picture.
#[must_use]
pub(super) fn turned(from: &RgbImage, [x, y, w, h]: [f32; 4], nose: [f32; 2], yaw_deg: f32) -> RgbImage {
    let (middle, radius) = (x + w / 2.0, w * 0.62);
    let (sin, cos) = yaw_deg.to_radians().sin_cos();
    let hair = hair(from, [middle, y - h * 0.18], w * 0.3);
    let mut to = from.clone();
    let edges = [(middle - radius).max(0.0), (middle + radius).clamp(0.0, from.width() as f32)];
    let mut depths = vec![0.0_f32; from.width() as usize];
    for row in 0..from.height() {
        depths.fill(f32::NEG_INFINITY);
        for column in edges[0] as u32..edges[1] as u32 {
            to.put_pixel(column, row, hair);
        }
        let mut column = edges[0];
        while column < edges[1] {
            let across = column - middle;
            let round = (across / radius).clamp(-1.0, 1.0).asin();
            let tip = ((column - nose[0]) / (NOSE[1] * w)).powi(2)
                + ((row as f32 - nose[1]) / (NOSE[2] * w)).powi(2);
            let out = radius * round.cos() + NOSE[0] * w * (-tip).exp();
            let (place, depth) = (middle + across * cos + out * sin, out * cos - across * sin);
            let is_seen =
                (round + yaw_deg.to_radians()).abs() < BEHIND && (edges[0]..edges[1]).contains(&place);
            let nearest =
                depths.get_mut(place.max(0.0) as usize).filter(|before| is_seen && **before < depth);
            if let Some(before) = nearest {
                *before = depth;
                to.put_pixel(place as u32, row, sampled(from, column, row));
            }
            column += FINER;
        }
    }
    to
}

/// Between two columns.
fn sampled(from: &RgbImage, column: f32, row: u32) -> Rgb<u8> {
    let left = (column as u32).min(from.width() - 1);
    let next = (left + 1).min(from.width() - 1);
    super::sprite::mixed(*from.get_pixel(left, row), from.get_pixel(next, row).0, column.fract())
}

/// The mean colour above the forehead.
fn hair(picture: &RgbImage, [x, y]: [f32; 2], wide: f32) -> Rgb<u8> {
    let row = (y.max(0.0) as u32).min(picture.height().saturating_sub(1));
    let from = ((x - wide).max(0.0) as u32).min(picture.width().saturating_sub(1));
    let to = ((x + wide).max(0.0) as u32).clamp(from + 1, picture.width().max(from + 1));
    let mut sum = [0_u32; 3];
    (from..to)
        .for_each(|column| (0..3).for_each(|c| sum[c] += u32::from(picture.get_pixel(column, row).0[c])));
    Rgb(sum.map(|total| (total / (to - from)) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: [[f32; 2]; 5] = [[30.0, 40.0], [70.0, 40.0], [50.0, 62.0], [34.0, 82.0], [66.0, 82.0]];

    #[test]
    fn a_mask_hides_nose_mouth_and_chin_and_leaves_the_eyes() {
        let covered = |x: f32, y: f32, by| cover_at(&FACE, [x, y], by, [200, 150, 120]).is_some();
        let masked = |x, y| covered(x, y, Cover::Mask(0));
        assert!(masked(50.0, 62.0) && masked(34.0, 82.0) && masked(66.0, 82.0) && masked(50.0, 100.0));
        assert!(!masked(30.0, 40.0) && !masked(70.0, 40.0) && !masked(50.0, 20.0) && !masked(50.0, 125.0));
        let mug = |x, y| covered(x, y, Cover::Mug);
        assert!(mug(50.0, 82.0) && !mug(50.0, 62.0) && !mug(20.0, 82.0), "the nose shows above a mug");
        assert!(mug(84.0, 90.0) && !mug(78.0, 90.0) && !mug(16.0, 90.0), "a handle on one side, with a gap");
    }

    #[test]
    fn a_turn_moves_the_face_to_its_side_and_the_nose_farther() {
        let ramp = RgbImage::from_fn(200, 120, |x, _| Rgb([x as u8, 0, 0]));
        let turned = turned(&ramp, [50.0, 0.0, 100.0, 120.0], [100.0, 60.0], 30.0);
        // The middle, 100, now shows half of the radius further to the right; the tip of the nose beyond that.
        let places =
            |row: u32| (100..162).filter(|x| turned.get_pixel(*x, row).0[0].abs_diff(100) <= 1).max();
        let (forehead, nose) = (places(2), places(60));
        assert!(forehead.is_some_and(|x| (129..134).contains(&x)), "{forehead:?}");
        assert!(nose.is_some_and(|x| (138..143).contains(&x)), "{nose:?}");
    }

    #[test]
    fn beside_the_head_nothing_moves() {
        let ramp = RgbImage::from_fn(200, 4, |x, _| Rgb([x as u8, 0, 0]));
        let turned = turned(&ramp, [50.0, 0.0, 100.0, 4.0], [100.0, 2.0], -60.0);
        assert_eq!((turned.get_pixel(10, 1).0[0], turned.get_pixel(190, 1).0[0]), (10, 190));
    }
}
