//! Somebody cut out of one picture of a clip: as large as wanted, turned, with or without something before the face; or a picture of
//! them: a poster, a print, a phone, a television.
//!
//! The head is an ellipse with soft edges, the neck a column below it; what else the clip shows stays behind.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of small pictures"
)]

use std::collections::HashMap;
use std::rc::Rc;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::costume::{Cover, cover_at, turned};
use super::people::Person;

/// Widths of a face in that of a television: 1.1 m.
const TELEVISION_FACES: f32 = 7.3;
/// Above this, all that was cut out so far is thrown away.
const KEPT_BYTES_MAX: usize = 250 << 20;

/// What shows the face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Medium {
    #[default]
    Person,
    /// A rectangle of paper on the wall.
    Poster,
    /// A photograph with a white edge, in a hand.
    Print,
    /// A phone or tablet that plays the clip.
    Phone,
    /// A television that plays the clip.
    Television,
}

impl Medium {
    /// Whether the face in it moves.
    #[must_use]
    pub(super) const fn moves(self) -> bool {
        !matches!(self, Medium::Poster | Medium::Print)
    }

    /// The edge around the picture, in widths of the face, and its colour.
    const fn edge(self) -> Option<(f32, [u8; 3])> {
        match self {
            Medium::Person | Medium::Poster => None,
            Medium::Print => Some((0.12, [236, 235, 230])),
            Medium::Phone => Some((0.10, [18, 18, 20])),
            Medium::Television => Some((0.05, [24, 24, 26])),
        }
    }
}

/// How somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Look {
    /// Width of the face, in tenths of a pixel.
    pub(super) tenths_px: u32,
    /// Turned by the rig, besides what the clip shows: positive is to the right of the picture.
    pub(super) yaw_deg: i32,
    pub(super) cover: Option<Cover>,
    /// Out of focus: the spread of the blur, in tenths of a pixel.
    pub(super) blur: u32,
    pub(super) medium: Medium,
}

impl Look {
    /// Face width at this distance, in 640 pixels of a webcam of 70 degrees.
    #[must_use]
    pub(super) fn at(metres: f32) -> Self {
        Look::wide(69.1 / metres.max(0.1))
    }

    #[must_use]
    pub(super) fn wide(face_px: f32) -> Self {
        let tenths_px = (face_px * 10.0).round() as u32;
        Look { tenths_px, yaw_deg: 0, cover: None, blur: 0, medium: Medium::Person }
    }

    #[must_use]
    pub(super) fn face_px(&self) -> f32 {
        self.tenths_px.max(1) as f32 / 10.0
    }
}

/// Pixels around the middle of somebody's place.
#[derive(Debug)]
pub(super) struct Sprite {
    pub(super) rgb: RgbImage,
    /// 0 to 1, a value per pixel.
    pub(super) alpha: Vec<f32>,
    /// Where the first pixel lies, and the head, from the middle of the person's place.
    pub(super) corner: [f32; 2],
    pub(super) head: [f32; 4],
    /// As the clip has it, and as the rig turned it.
    pub(super) yaw_deg: f32,
}

/// Everything cut out so far.
#[derive(Debug, Default)]
pub(super) struct Wardrobe {
    kept: HashMap<(usize, usize, Look), Rc<Sprite>>,
    bytes: usize,
}

impl Wardrobe {
    /// Person number `who` in picture number `picture`.
    pub(super) fn sprite(
        &mut self,
        people: &[Person],
        who: usize,
        picture: usize,
        look: Look,
    ) -> anyhow::Result<Rc<Sprite>> {
        if let Some(kept) = self.kept.get(&(who, picture, look)) {
            return Ok(Rc::clone(kept));
        }
        let person = people.get(who).ok_or_else(|| anyhow::anyhow!("nobody has the number {who}"))?;
        let made = Rc::new(cut_out(person, picture, look)?);
        if self.bytes > KEPT_BYTES_MAX {
            (self.kept, self.bytes) = (HashMap::new(), 0);
        }
        self.bytes += made.alpha.len() * 7;
        self.kept.insert((who, picture, look), Rc::clone(&made));
        Ok(made)
    }
}

fn cut_out(person: &Person, number: usize, look: Look) -> anyhow::Result<Sprite> {
    let picture = person.pictures.get(number.min(person.pictures.len() - 1));
    let picture = picture.ok_or_else(|| anyhow::anyhow!("{} has no pictures", person.name))?;
    let whole = picture.load()?;
    let [x, y, w, h] = picture.head;
    let television = look.medium == Medium::Television;
    let scale = if television {
        look.face_px() * TELEVISION_FACES / whole.width().max(1) as f32
    } else {
        look.face_px() / person.face_px
    };
    let [left, top, right, bottom] =
        if television { cut_wide(&whole, person.middle[1]) } else { cut(&whole, picture.head) };
    let part = imageops::crop_imm(&whole, left, top, right - left, bottom - top).to_image();
    let scaled = |side: u32| ((side as f32 * scale).round() as u32).max(1);
    let mut rgb = imageops::resize(&part, scaled(part.width()), scaled(part.height()), FilterType::Triangle);
    let here = |[px, py]: [f32; 2]| [(px - left as f32) * scale, (py - top as f32) * scale];
    let landmarks = picture.face.landmarks.map(here);
    let [head_x, head_y] = here([x, y]);
    let head = [head_x, head_y, w * scale, h * scale];
    if let Some(cover) = look.cover {
        let [px, py] = landmarks[2].map(|value| value.max(0.0) as u32);
        let skin = rgb.get_pixel(px.min(rgb.width() - 1), py.min(rgb.height() - 1)).0;
        for (px, py, pixel) in rgb.enumerate_pixels_mut() {
            let here = [px as f32 + 0.5, py as f32 + 0.5];
            if let Some((colour, over)) = cover_at(&landmarks, here, cover, skin) {
                *pixel = mixed(*pixel, colour, over);
            }
        }
    }
    if look.yaw_deg != 0 {
        rgb = turned(&rgb, head, landmarks[2], look.yaw_deg as f32);
    }
    if look.blur > 0 {
        rgb = imageops::fast_blur(&rgb, look.blur as f32 / 10.0);
    }
    let is_person = look.medium == Medium::Person;
    let alpha = |px: u32, py: u32| {
        if is_person { solid(head, [px as f32 + 0.5, py as f32 + 0.5], rgb.height() as f32) } else { 1.0 }
    };
    let alpha = rgb.enumerate_pixels().map(|(px, py, _)| alpha(px, py)).collect();
    let middle = match look.medium {
        // A person is where the body is.
        Medium::Person => here(person.middle),
        Medium::Television => [rgb.width() as f32 / 2.0, rgb.height() as f32 / 2.0],
        // Held up or hung by its face.
        Medium::Poster | Medium::Print | Medium::Phone => [head[0] + head[2] / 2.0, head[1] + head[3] / 2.0],
    };
    let [dx, dy] = [head[0] - middle[0], head[1] - middle[1]];
    let yaw_deg = picture.yaw_deg() + look.yaw_deg as f32;
    let bare =
        Sprite { rgb, alpha, corner: [-middle[0], -middle[1]], head: [dx, dy, head[2], head[3]], yaw_deg };
    Ok(match look.medium.edge() {
        Some((share, colour)) => edged(bare, ((head[2] * share).round() as u32).max(1), colour),
        None => bare,
    })
}

/// Left, top, right and bottom of somebody, head to shoulders.
fn cut(whole: &RgbImage, [x, y, w, h]: [f32; 4]) -> [u32; 4] {
    let (left, top) = ((x - w * 0.6).max(0.0) as u32, (y - h * 0.6).max(0.0) as u32);
    let right = ((x + w * 1.6) as u32).clamp(left + 1, whole.width().max(left + 1));
    let bottom = ((y + h * 1.45) as u32).clamp(top + 1, whole.height().max(top + 1));
    [left, top, right, bottom]
}

/// The same of what a television shows: all of the width, and nine sixteenths of that around the face.
fn cut_wide(whole: &RgbImage, face_y: f32) -> [u32; 4] {
    let height = (whole.width() * 9 / 16).clamp(1, whole.height().max(1));
    let top = ((face_y - height as f32 / 2.0).max(0.0) as u32).min(whole.height().saturating_sub(height));
    [0, top, whole.width(), top + height]
}

/// With an edge of so many pixels around it.
fn edged(sprite: Sprite, px: u32, colour: [u8; 3]) -> Sprite {
    let mut rgb =
        RgbImage::from_pixel(sprite.rgb.width() + px * 2, sprite.rgb.height() + px * 2, Rgb(colour));
    imageops::replace(&mut rgb, &sprite.rgb, i64::from(px), i64::from(px));
    let alpha = vec![1.0; (rgb.width() * rgb.height()) as usize];
    let [left, top] = sprite.corner;
    Sprite { rgb, alpha, corner: [left - px as f32, top - px as f32], ..sprite }
}

/// How much of a pixel belongs to the person.
fn solid([x, y, w, h]: [f32; 4], [px, py]: [f32; 2], bottom: f32) -> f32 {
    let (dx, dy) = ((px - x) / w - 0.5, (py - y) / h - 0.5);
    let away = ((dx / 0.74).powi(2) + ((dy + 0.13) / 0.76).powi(2)).sqrt();
    let head = ((1.0 - away) / 0.10).clamp(0.0, 1.0);
    let end = bottom.min(y + h * 1.30);
    let column = ((0.40 - dx.abs()) / 0.08).clamp(0.0, 1.0) * ((end - py) / (0.10 * h)).clamp(0.0, 1.0);
    if dy > 0.2 { head.max(column) } else { head }
}

/// `over` of the second colour on the first.
#[must_use]
pub(super) fn mixed(under: Rgb<u8>, colour: [u8; 3], over: f32) -> Rgb<u8> {
    let mix =
        |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * over).round().clamp(0.0, 255.0) as u8;
    let [r, g, b] = under.0;
    Rgb([mix(r, colour[0]), mix(g, colour[1]), mix(b, colour[2])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_has_the_width_of_its_distance() {
        assert_eq!([0.6, 2.0, 3.0].map(|metres| Look::at(metres).tenths_px), [1152, 346, 230]);
    }

    #[test]
    fn the_face_is_solid_and_its_surroundings_are_not() {
        let head = [100.0, 100.0, 100.0, 130.0];
        assert_eq!(solid(head, [150.0, 165.0], 400.0), 1.0);
        assert_eq!(solid(head, [105.0, 150.0], 400.0), 1.0, "the cheek");
        assert_eq!((solid(head, [20.0, 165.0], 400.0), solid(head, [150.0, 20.0], 400.0)), (0.0, 0.0));
        assert!(solid(head, [150.0, 250.0], 400.0) > 0.9, "the neck");
        assert_eq!(solid(head, [150.0, 270.0], 400.0), 0.0, "clothes are drawn");
    }

    #[test]
    fn colours_mix() {
        assert_eq!(mixed(Rgb([0, 100, 200]), [200, 100, 0], 0.5), Rgb([100, 100, 100]));
    }
}
