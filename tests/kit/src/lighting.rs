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
/// As a camera encodes light; sRGB is near enough to a power.
const GAMMA: f32 = 2.2;
/// What is received is looked up in steps this fine, far below one number of a picture, and up to so many steps.
const RECEIVED_STEP: f32 = 1.0 / 256.0;
const RECEIVED_STEPS: usize = 1_024;

/// What the light falls on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surface {
    /// A point of a head: across and down from the middle of the face, -1 to 1 at the edges of its box.
    Head([f32; 2]),
    Clothes,
    /// The same everywhere, whatever is printed on it.
    Paper,
    Glass,
    Wall,
}

impl Surface {
    /// How much light of the screen it gives back, where 1 is what a surface right before it does.
    pub fn receives(self) -> f32 {
        match self {
            Surface::Head(at) => solid(at),
            Surface::Clothes => CLOTHES,
            Surface::Paper => SCREEN[2],
            Surface::Glass => GLASS,
            Surface::Wall => BEHIND,
        }
    }
}

/// What a point of a head receives and gives back: across and down from its middle.
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

/// How much light of the screen each pixel of a picture gives back.
#[derive(Debug, Clone)]
pub struct Relit {
    received: Vec<f32>,
    width: u32,
}

impl Relit {
    /// A wall, before which nothing is yet.
    pub fn wall(width: u32, height: u32) -> Self {
        let pixels = width as usize * height as usize;
        Relit { received: vec![BEHIND; pixels], width: width.max(1) }
    }

    pub fn size(&self) -> [u32; 2] {
        [self.width, self.received.len() as u32 / self.width]
    }

    /// Something that covers the share `over` of this pixel receives so much.
    pub fn set(&mut self, column: u32, row: u32, received: f32, over: f32) {
        if let Some(value) = self.received.get_mut((row * self.width + column) as usize) {
            *value += (received - *value) * over;
        }
    }

    /// The picture under this light: red, green and blue as shares of the room's light on the face.
    pub fn light(&self, picture: &mut RgbImage, light: [f32; 3]) {
        if light.iter().all(|colour| *colour <= 0.0) {
            return;
        }
        let tables = light.map(factors);
        for (pixel, received) in picture.pixels_mut().zip(&self.received) {
            let at = ((received / RECEIVED_STEP).round() as usize).min(RECEIVED_STEPS - 1);
            for (value, table) in pixel.0.iter_mut().zip(&tables) {
                *value = (f32::from(*value) * table[at]).round() as u8;
            }
        }
    }
}

/// What light of this strength multiplies the numbers of a picture by, for each step of what is received. The numbers
/// are a power of the light, so a factor of the light is a factor of the numbers, too.
fn factors(light: f32) -> Vec<f32> {
    (0..RECEIVED_STEPS)
        .map(|step| (1.0 + light * step as f32 * RECEIVED_STEP).max(0.0).powf(1.0 / GAMMA))
        .collect()
}

/// A camera's own exposure.
#[derive(Debug, Clone, Copy)]
pub struct Exposure {
    gain: f32,
    target: f32,
}

impl Exposure {
    /// Settled on this picture.
    pub fn settled(picture: &RgbImage) -> Self {
        Exposure { gain: 1.0, target: mean(picture) }
    }

    /// Exposes the next picture, a tenth of a second later.
    pub fn expose(&mut self, picture: &mut RgbImage) {
        let mut table = [0_u8; 256];
        for (number, value) in (0..=u8::MAX).zip(&mut table) {
            *value = encoded(linear(number) * self.gain);
        }
        picture.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
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

/// Light of a number in a picture, 1 = the most.
pub fn linear(value: u8) -> f32 {
    (f32::from(value) / 255.0).powf(GAMMA)
}

fn encoded(linear: f32) -> u8 {
    (linear.clamp(0.0, 1.0).powf(1.0 / GAMMA) * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_receives_most_in_front_less_at_its_sides_and_the_nose_has_two_sides() {
        let front = solid([0.35, 0.3]);
        assert!(front > 0.8 && front > solid([0.85, -0.3]) * 1.3 && front > solid([0.0, -0.95]) * 1.1);
        assert!((solid([0.12, 0.12]) - solid([-0.12, 0.12])).abs() < 1e-6, "lit from the middle");
        assert!(solid([0.2, 0.12]) < solid([0.5, 0.12]), "the side of the nose turns away");
    }

    #[test]
    fn light_adds_where_it_is_received_and_exposure_takes_it_back() {
        let room = RgbImage::from_pixel(640, 480, image::Rgb([120, 100, 90]));
        let mut lit = room.clone();
        Relit::wall(640, 480).light(&mut lit, [1.0, 1.0, 1.0]);
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

    #[test]
    fn what_is_looked_up_is_what_would_be_computed() {
        let mut relit = Relit::wall(640, 1);
        let received = |column: u32| column as f32 / 500.0;
        (0..640).for_each(|column| relit.set(column, 0, received(column), 1.0));
        for number in [1, 60, 128, 200, 255] {
            let mut picture = RgbImage::from_pixel(640, 1, image::Rgb([number; 3]));
            let light = [1.08, 0.36, 0.02];
            relit.light(&mut picture, light);
            for (column, _, pixel) in picture.enumerate_pixels() {
                for (seen, light) in pixel.0.iter().zip(light) {
                    let computed = encoded(linear(number) * (1.0 + light * received(column)));
                    assert!(seen.abs_diff(computed) <= 1, "{number} at {column}: {seen} for {computed}");
                }
            }
        }
    }

    #[test]
    fn no_light_changes_nothing() {
        let room = RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let mut same = room.clone();
        Relit::wall(64, 48).light(&mut same, [0.0; 3]);
        assert_eq!(same, room);
    }
}
