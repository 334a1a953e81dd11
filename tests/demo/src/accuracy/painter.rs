//! Pictures as a webcam would send them: a room, people before it from far to near, light, noise, JPEG.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use std::path::Path;
use std::rc::Rc;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use sudare_client_core::frame::Frame;
use sudare_test_kit::noise::Noise;
use sudare_test_kit::scene::{self, HEIGHT, WIDTH};
use sudare_vision::camera::picture;

use super::sprite::{Sprite, mixed};

/// How bright the room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Light {
    Normal,
    /// A third of the light, and the noise of a camera that amplifies it.
    Dim,
}

impl Light {
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Light::Normal => "normal",
            Light::Dim => "dim",
        }
    }

    /// Factor of the brightness, and spread of the noise.
    const fn numbers(self) -> (f32, f32) {
        match self {
            Light::Normal => (1.0, 2.0),
            Light::Dim => (0.3, 5.0),
        }
    }
}

/// Somebody, or a poster, at a place.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) sprite: Rc<Sprite>,
    /// Of the middle.
    pub(super) at: [f32; 2],
    pub(super) metres: f32,
    /// `None` has no body: a poster.
    pub(super) clothes: Option<[u8; 3]>,
    /// As the clip has it, and as the rig turned it.
    pub(super) yaw_deg: f32,
}

impl Placed {
    /// The box of the head in the picture.
    #[must_use]
    pub(super) fn head(&self) -> [f32; 4] {
        let [x, y, w, h] = self.sprite.head;
        [x + self.at[0], y + self.at[1], w, h]
    }

    /// Whether all of the face is inside the picture.
    #[must_use]
    pub(super) fn is_inside(&self) -> bool {
        let [x, y, w, h] = self.head();
        x >= 0.0 && y >= 0.0 && x + w <= WIDTH as f32 && y + h <= HEIGHT as f32
    }
}

/// Draws pictures.
#[derive(Debug)]
pub(super) struct Painter {
    noise: Noise,
}

impl Default for Painter {
    fn default() -> Self {
        Painter { noise: Noise::for_values(WIDTH * HEIGHT * 3) }
    }
}

impl Painter {
    /// Picture number `n` of a scene, before the camera encodes it.
    #[must_use]
    pub(super) fn paint(&self, room: &RgbImage, placed: &[Placed], light: Light, n: u64) -> RgbImage {
        self.expose(compose(room, placed), light, n)
    }

    /// Light and noise.
    #[must_use]
    pub(super) fn expose(&self, mut picture: RgbImage, light: Light, n: u64) -> RgbImage {
        let (factor, spread) = light.numbers();
        let lit: Vec<i32> = (0..256).map(|v| (v as f32 * factor * 100.0) as i32).collect();
        let spread = spread as i32;
        for (value, noise) in picture.iter_mut().zip(self.noise.of(n)) {
            let sum = lit.get(usize::from(*value)).copied().unwrap_or(0) + noise * spread;
            *value = ((sum + 50) / 100).clamp(0, 255) as u8;
        }
        picture
    }
}

/// Everybody before a room, from far to near.
#[must_use]
pub(super) fn compose(room: &RgbImage, placed: &[Placed]) -> RgbImage {
    let mut picture = room.clone();
    let mut from_far: Vec<&Placed> = placed.iter().collect();
    from_far.sort_by(|a, b| b.metres.total_cmp(&a.metres));
    for person in from_far {
        if let Some(clothes) = person.clothes {
            dress(&mut picture, person, clothes);
        }
        paste(&mut picture, person);
    }
    picture
}

/// The same picture as the client gets it.
pub(super) fn filmed(picture: &RgbImage, t_ms: u64, seq: u64) -> anyhow::Result<Frame> {
    let frame = picture::decode(&scene::jpeg(picture)?, Path::new("a picture of the rig"))?;
    Ok(Frame { t_ms, seq, ..frame })
}

fn paste(picture: &mut RgbImage, person: &Placed) {
    let sprite = &person.sprite;
    let left = (person.at[0] + sprite.corner[0]).round() as i64;
    let top = (person.at[1] + sprite.corner[1]).round() as i64;
    for ((px, py, pixel), alpha) in sprite.rgb.enumerate_pixels().zip(&sprite.alpha) {
        let (x, y) = (left + i64::from(px), top + i64::from(py));
        if *alpha <= 0.0 || x < 0 || y < 0 || x >= i64::from(WIDTH) || y >= i64::from(HEIGHT) {
            continue;
        }
        let under = picture.get_pixel_mut(x as u32, y as u32);
        *under = if *alpha >= 1.0 { *pixel } else { mixed(*under, pixel.0, *alpha) };
    }
}

/// Shoulders and a body in one colour, from below the chin to the edge of the picture.
fn dress(picture: &mut RgbImage, person: &Placed, clothes: [u8; 3]) {
    let [x, y, w, h] = person.head();
    // A clip that ends at the chin has no neck to show above the collar.
    let ends = person.at[1] + person.sprite.corner[1] + person.sprite.rgb.height() as f32;
    let (middle, collar) = (x + w / 2.0, (y + h * 1.14).min(ends - h * 0.12));
    for row in (collar.max(0.0) as u32)..HEIGHT {
        let below = (row as f32 - collar) / h;
        let half = w * (0.38 + 0.95 * (below * 1.8).clamp(0.0, 1.0).sqrt());
        let (from, to) = ((middle - half).max(0.0) as u32, (middle + half).clamp(0.0, WIDTH as f32) as u32);
        for column in from..to {
            let aside = ((column as f32 - middle) / half).abs();
            let shade = 1.0 - 0.30 * aside * aside - 0.08 * below.min(1.0);
            let over = ((1.0 - aside) * half / 1.5).clamp(0.0, 1.0);
            let pixel = picture.get_pixel_mut(column, row);
            *pixel = mixed(*pixel, clothes.map(|c| (f32::from(c) * shade) as u8), over);
        }
    }
}

/// The room behind somebody: the outer strips of their own clip, mirrored outwards and a little out of focus.
#[must_use]
pub(super) fn room_of(clip: &RgbImage) -> RgbImage {
    let strip = (clip.width() / 9).max(2);
    let scaled = |left: u32| {
        let part = imageops::crop_imm(clip, left, 0, strip, clip.height()).to_image();
        let wide = (strip * HEIGHT / clip.height().max(1)).max(2);
        imageops::resize(&part, wide, HEIGHT, FilterType::Triangle)
    };
    let (left, right) = (scaled(0), scaled(clip.width().saturating_sub(strip)));
    let mirrored = |strip: &RgbImage, x: u32, y: u32| {
        let at = x % (strip.width() * 2);
        *strip.get_pixel(at.min(strip.width() * 2 - 1 - at), y)
    };
    let room = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let over = ((x as f32 - 200.0) / 240.0).clamp(0.0, 1.0);
        mixed(mirrored(&left, x, y), mirrored(&right, x, y).0, over)
    });
    imageops::fast_blur(&room, 1.5)
}

/// A plain wall, darker below.
#[must_use]
pub(super) fn wall() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let shade = (170 - y / 6 + x / 40) as u8;
        Rgb([shade, shade, shade.saturating_sub(8)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(x: f32, metres: f32, colour: u8) -> Placed {
        let rgb = RgbImage::from_pixel(10, 10, Rgb([colour; 3]));
        let sprite = Sprite {
            rgb,
            alpha: vec![1.0; 100],
            corner: [-5.0, -5.0],
            head: [-5.0, -5.0, 10.0, 10.0],
            yaw_deg: 0.0,
        };
        Placed { sprite: Rc::new(sprite), at: [x, 100.0], metres, clothes: None, yaw_deg: 0.0 }
    }

    #[test]
    fn who_is_nearer_hides_who_is_behind_and_each_picture_has_its_own_noise() {
        let (painter, room) = (Painter::default(), wall());
        let both = [placed(50.0, 0.6, 250), placed(52.0, 3.0, 10)];
        let picture = painter.paint(&room, &both, Light::Normal, 1);
        assert!(picture.get_pixel(50, 100).0[0] > 200 && picture.get_pixel(56, 100).0[0] < 50);
        let again = painter.paint(&room, &both, Light::Normal, 1);
        assert_eq!(picture, again);
        assert_ne!(picture, painter.paint(&room, &both, Light::Normal, 2));
        let dim = painter.paint(&room, &both, Light::Dim, 1);
        assert!(dim.get_pixel(50, 100).0[0] < 110);
    }

    #[test]
    fn a_face_over_the_edge_is_not_inside() {
        assert!(placed(5.0, 1.0, 0).is_inside() && !placed(4.0, 1.0, 0).is_inside());
        assert!(placed(635.0, 1.0, 0).is_inside() && !placed(636.0, 1.0, 0).is_inside());
    }
}
