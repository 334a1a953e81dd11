//! What a webcam sees around whoever sits there: the picture of the clip itself, as far as it reaches.
//!
//! A head that is cut out and set before another room is what a print looks like to a network that was trained on
//! prints: it has an edge, and what is around it is lit and sharp in another way. So in the seat everybody keeps the
//! picture that they were filmed in, and only beyond it something is drawn. Where the clip ends, its outermost pixels go
//! on, as a wall would; far to the sides that fades into the room in which the scene is played.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use std::collections::HashMap;

use anyhow::Context as _;
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::people::Person;
use super::scene::SEAT;
use super::sprite::{Look, mixed};

/// The clip's own picture counts alone up to so many widths of the face from the middle, and no more from the second.
const OWN_WIDTHS: [f32; 2] = [1.6, 2.3];
/// Above this many pictures, all that were drawn so far are thrown away.
const KEPT_MAX: usize = 128;

/// The pictures of whoever sits there now.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    kept: HashMap<usize, RgbImage>,
}

impl Surroundings {
    /// Somebody else sits down.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Around the person in picture number `picture`, before this room.
    pub(super) fn of(
        &mut self,
        person: &Person,
        picture: usize,
        look: &Look,
        room: &RgbImage,
    ) -> anyhow::Result<&RgbImage> {
        if !self.kept.contains_key(&picture) {
            let shown = person.pictures.get(picture);
            let clip = shown.with_context(|| format!("{} has no pictures", person.name))?.load()?;
            if self.kept.len() >= KEPT_MAX {
                self.kept.clear();
            }
            let drawn = around(&clip, person.middle, look.face_px(), look.face_px() / person.face_px, room);
            self.kept.insert(picture, drawn);
        }
        self.kept.get(&picture).context("it was just drawn")
    }
}

/// A clip's picture with its middle in the seat, so many times as large, and the room far beside it.
fn around(clip: &RgbImage, middle: [f32; 2], face_px: f32, scale: f32, room: &RgbImage) -> RgbImage {
    let scaled = |side: u32| ((side as f32 * scale).round() as u32).max(1);
    let own = imageops::resize(clip, scaled(clip.width()), scaled(clip.height()), FilterType::Triangle);
    let [left, top] = [0, 1].map(|axis| (SEAT[axis] - middle[axis] * scale).round() as i64);
    let inside =
        |at: u32, begin: i64, side: u32| (i64::from(at) - begin).clamp(0, i64::from(side) - 1) as u32;
    let [near, far] = OWN_WIDTHS.map(|widths| widths * face_px);
    RgbImage::from_fn(room.width(), room.height(), |x, y| {
        let aside = (x as f32 + 0.5 - SEAT[0]).abs();
        let over = ((far - aside) / (far - near)).clamp(0.0, 1.0);
        let pixel = own.get_pixel(inside(x, left, own.width()), inside(y, top, own.height()));
        mixed(*room.get_pixel(x, y), pixel.0, over)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use sudare_test_kit::scene::{HEIGHT, WIDTH};

    #[test]
    fn the_clip_lies_where_the_seat_is_its_edge_goes_on_and_the_room_is_far_aside() {
        // 100 by 60 pixels, a bright point in its middle, and a lower edge of another colour.
        let mut clip = RgbImage::from_pixel(100, 60, Rgb([40, 80, 120]));
        for x in 0..100 {
            clip.put_pixel(x, 59, Rgb([200, 0, 0]));
        }
        clip.put_pixel(50, 30, Rgb([255; 3]));
        let room = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([9; 3]));
        let drawn = around(&clip, [50.0, 30.0], 100.0, 1.0, &room);
        let [x, y] = SEAT.map(|at| at as u32);
        assert_eq!(drawn.get_pixel(x, y).0, [255; 3], "the middle");
        assert_eq!(drawn.get_pixel(x, y + 29).0, [200, 0, 0]);
        assert_eq!(drawn.get_pixel(x, HEIGHT - 1).0, [200, 0, 0], "below the clip its edge goes on");
        assert_eq!(drawn.get_pixel(x, 0).0, [40, 80, 120], "and above it");
        assert_eq!(drawn.get_pixel(x - 100, y).0, [40, 80, 120], "and beside it");
        assert_eq!(drawn.get_pixel(0, y).0, [9; 3], "far aside is the room");
        let [between, ..] = drawn.get_pixel(x - 195, y).0;
        assert!((10..40).contains(&between), "{between}");
    }
}
