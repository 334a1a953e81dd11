//! What the light of a screen does to a picture: on a solid face, on paper, on glass, on a wall far behind, and in a
//! camera that sets its own exposure.
//!
//! ```text
//!  picture in the room's light ─► x (1 + light of the screen x how each pixel receives it) ─► exposure ─► noise
//! ```
//! The shape here is not the client's: a head is half an ellipsoid with a nose, lit from in front and a little below, and
//! skin gives back some of the light as gloss. Numbers are shares of the room's light on the face.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use image::RgbImage;

use super::painter::Placed;
use super::sprite::Medium;

/// Where the screen is from the face: right, down, towards the camera.
const SCREEN: [f32; 3] = [0.0, 0.35, 0.94];
/// What a wall 2.5 m behind gets of the light that a face at half a metre gets, and clothes.
const BEHIND: f32 = 0.04;
const CLOTHES: f32 = 0.45;
/// Of the light on glass comes back to the camera, beside what the display itself sends.
const GLASS: f32 = 0.10;
/// The nose: how far it leans the surface, and its size in widths of the face.
const NOSE: [f32; 3] = [0.9, 0.13, 0.20];
/// Gloss: how much of the light, and how narrow.
const GLOSS: [f32; 2] = [0.25, 12.0];
/// A camera's exposure follows by this share each tenth of a second.
const FOLLOW: f32 = 0.18;

/// How much light of the screen each pixel of a picture gives back, 1 is what a surface before it does.
#[derive(Debug)]
pub(super) struct Relit {
    received: Vec<f32>,
    width: u32,
}

impl Relit {
    /// For a room with these people, pictures and things, nearest last.
    pub(super) fn of(picture: &RgbImage, placed: &[(&Placed, Medium)]) -> Self {
        let mut relit =
            Relit { received: vec![BEHIND; picture.as_raw().len() / 3], width: picture.width().max(1) };
        for (person, medium) in placed {
            relit.put(person, *medium);
        }
        relit
    }

    fn put(&mut self, person: &Placed, medium: Medium) {
        let ([x, y, w, h], sprite) = (person.head(), &person.sprite);
        let falloff = (0.6 / person.metres.max(0.1)).powi(2);
        let left = (person.at[0] + sprite.corner[0]).round();
        let top = (person.at[1] + sprite.corner[1]).round();
        let height = self.received.len() as u32 / self.width;
        if person.clothes.is_some() {
            let wide = [x - w * 0.6, x + w * 1.6];
            for row in ((y + h * 1.1).max(0.0) as u32)..height {
                for column in (wide[0].max(0.0) as u32)..(wide[1].clamp(0.0, self.width as f32) as u32) {
                    self.set(column, row, CLOTHES * falloff, 1.0);
                }
            }
        }
        for ((px, py, _), alpha) in sprite.rgb.enumerate_pixels().zip(&sprite.alpha) {
            let (column, row) = (left + px as f32, top + py as f32);
            if *alpha <= 0.0
                || column < 0.0
                || row < 0.0
                || column >= self.width as f32
                || row >= height as f32
            {
                continue;
            }
            let at = [(column - x - w / 2.0) / (w / 2.0), (row - y - h / 2.0) / (h / 2.0)];
            let received = match medium {
                Medium::Person => solid(at),
                // Paper: the same everywhere, but for its distance from the screen.
                Medium::Print | Medium::Poster => SCREEN[2],
                Medium::Phone | Medium::Television => GLASS,
            };
            self.set(column as u32, row as u32, received * falloff, *alpha);
        }
    }

    fn set(&mut self, column: u32, row: u32, received: f32, over: f32) {
        if let Some(value) = self.received.get_mut((row * self.width + column) as usize) {
            *value += (received - *value) * over;
        }
    }

    /// The picture under this light: red, green and blue as shares of the room's light on the face.
    pub(super) fn light(&self, picture: &mut RgbImage, light: [f32; 3]) {
        for (pixel, received) in picture.pixels_mut().zip(&self.received) {
            for (value, colour) in pixel.0.iter_mut().zip(light) {
                let linear = linear(*value) * (1.0 + colour * received);
                *value = encoded(linear);
            }
        }
    }
}

/// What a point of a head receives and gives back: across and down from its middle, -1 to 1 at the edges of the box.
fn solid([u, v]: [f32; 2]) -> f32 {
    let inside = 1.0 - (u * 0.92).powi(2) - (v * 0.80).powi(2);
    let mut normal = [u * 0.92, v * 0.80 * 0.7, inside.max(0.04).sqrt()];
    // The sides of the nose lean outwards, and its lower side down.
    let (dx, dy) = (u / (NOSE[1] * 2.0), (v - 0.12) / (NOSE[2] * 2.0));
    let nose = (-(dx * dx + dy * dy)).exp() * NOSE[0];
    normal[0] += nose * dx;
    normal[1] += nose * dy;
    let length = normal.iter().map(|n| n * n).sum::<f32>().sqrt().max(1e-6);
    let towards = normal.iter().zip(SCREEN).map(|(n, s)| n * s).sum::<f32>() / length;
    let lambert = towards.max(0.0);
    lambert + GLOSS[0] * lambert.powf(GLOSS[1])
}

/// A camera's own exposure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exposure {
    gain: f32,
    target: f32,
}

impl Exposure {
    /// Settled on this picture.
    pub(super) fn settled(picture: &RgbImage) -> Self {
        Exposure { gain: 1.0, target: mean(picture) }
    }

    /// Exposes the next picture, a tenth of a second later.
    pub(super) fn expose(&mut self, picture: &mut RgbImage) {
        let gain = self.gain;
        picture.iter_mut().for_each(|value| *value = encoded(linear(*value) * gain));
        let wanted = self.gain * self.target / mean(picture).max(1e-4);
        self.gain += (wanted - self.gain) * FOLLOW;
    }
}

/// Linear light of the middle of the picture, which counts most to a camera.
fn mean(picture: &RgbImage) -> f32 {
    let (w, h) = picture.dimensions();
    let (mut sum, mut count) = (0.0, 0.0_f32);
    for y in (h / 5..h * 4 / 5).step_by(8) {
        for x in (w / 5..w * 4 / 5).step_by(8) {
            sum += linear(picture.get_pixel(x, y).0[1]);
            count += 1.0;
        }
    }
    sum / count.max(1.0)
}

/// As a camera encodes light; sRGB is near enough to a power.
fn linear(value: u8) -> f32 {
    (f32::from(value) / 255.0).powf(2.2)
}

fn encoded(linear: f32) -> u8 {
    (linear.clamp(0.0, 1.0).powf(1.0 / 2.2) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_receives_most_in_front_less_at_its_sides_and_the_nose_has_two_sides() {
        let front = solid([0.0, -0.3]);
        assert!(front > 0.8 && front > solid([0.85, -0.3]) * 1.3 && front > solid([0.0, -0.95]) * 1.1);
        assert!((solid([0.12, 0.12]) - solid([-0.12, 0.12])).abs() < 1e-6, "lit from the middle");
        assert!(solid([0.2, 0.12]) < solid([0.5, 0.12]), "the side of the nose turns away");
    }

    #[test]
    fn light_adds_where_it_is_received_and_exposure_takes_it_back() {
        let room = RgbImage::from_pixel(640, 480, image::Rgb([120, 100, 90]));
        let relit = Relit::of(&room, &[]);
        let mut lit = room.clone();
        relit.light(&mut lit, [1.0, 1.0, 1.0]);
        assert!(lit.get_pixel(0, 0).0[0] >= 121 && lit.get_pixel(0, 0).0[0] < 126, "a wall hardly changes");
        let mut exposure = Exposure::settled(&room);
        let mut bright = RgbImage::from_pixel(640, 480, image::Rgb([200, 170, 150]));
        let first = {
            let mut one = bright.clone();
            exposure.expose(&mut one);
            one.get_pixel(320, 240).0[1]
        };
        for _ in 0..40 {
            bright = RgbImage::from_pixel(640, 480, image::Rgb([200, 170, 150]));
            exposure.expose(&mut bright);
        }
        assert_eq!(first, 170);
        assert!(bright.get_pixel(320, 240).0[1].abs_diff(100) < 12);
    }
}
