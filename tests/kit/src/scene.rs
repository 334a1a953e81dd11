//! A seat composed from photographs: who is in view, where, and what the camera gives.
//!
//! ```text
//!  Scene, time ─► pose ─► person, held ─► canvas ─ light of the client's window ─► exposure ─► noise ─► JPEG
//!                                            glow (a client's events) ┘
//! ```
//! The photographs are cut out around the face (the places are those of the public test photographs that
//! `models/manifest.toml` pins), and put before a drawn room. The people in them move, and the light of the window
//! before which they sit falls on them: whatever checks that somebody alive is there finds what it looks for.

mod camera;
mod canvas;
mod glow;
mod held;
mod person;
mod pose;

use std::path::Path;

use image::RgbImage;

pub use self::camera::Camera;
pub use self::glow::Glow;
pub use self::held::Held;

use self::canvas::Canvas;
use self::person::{Person, Portrait, ROOM_LIGHT};
use self::pose::Pose;
use crate::lighting::{Exposure, Relit};
use crate::noise::Noise;

pub const WIDTH: u32 = 640;
pub const HEIGHT: u32 = 480;
pub const FPS: u64 = 10;
const JPEG_QUALITY: u8 = 85;
/// Where the cut-out of the operator begins in the picture; that of the stranger once beside the operator.
const OPERATOR_AT: [f32; 2] = [40.0, 20.0];
const STRANGER_AT: [f32; 2] = [340.0, 10.0];

const OPERATOR: Portrait = Portrait {
    file: "obama2.jpg",
    face: [195, 225, 275, 390],
    head: [[0.20, -0.12], [1.28, 1.25]],
    nose: [-0.30, 0.13],
    eyes: [[-0.61, -0.27], [0.22, -0.21]],
    eye_size: [0.20, 0.07],
    mouth: [-0.24, 0.58],
};
const STRANGER: Portrait = Portrait {
    file: "biden.jpg",
    face: [435, 187, 277, 382],
    head: [[0.0, -0.20], [1.42, 1.30]],
    nose: [0.20, 0.14],
    eyes: [[-0.30, -0.29], [0.56, -0.16]],
    eye_size: [0.22, 0.06],
    mouth: [-0.03, 0.49],
};
/// The operator is enrolled from other photographs than the one in the scene.
pub const ENROL: [&str; 2] = ["obama.jpg", "obama3.jpg"];

/// What the camera shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scene {
    pub operator: bool,
    /// How far the stranger has come in, 0 = out of view to 1 = beside the operator.
    pub stranger: f32,
    /// A picture of the operator that is held up.
    pub held: Option<Held>,
    pub blocked: bool,
    pub plugged: bool,
}

pub const ALONE: Scene = Scene { operator: true, stranger: 0.0, held: None, blocked: false, plugged: true };
/// Nobody is there.
pub const AWAY: Scene = Scene { operator: false, ..ALONE };

/// Draws pictures.
pub struct Seat {
    operator: Person,
    stranger: Person,
    room: RgbImage,
    wall: Relit,
    noise: Noise,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}

impl Seat {
    pub fn load(photographs: &Path) -> anyhow::Result<Self> {
        let [operator, stranger] = [OPERATOR, STRANGER].map(|portrait| Person::load(photographs, &portrait));
        Ok(Self::of(operator?, stranger?))
    }

    fn of(operator: Person, stranger: Person) -> Self {
        Seat {
            operator,
            stranger,
            room: room(),
            wall: Relit::wall(WIDTH, HEIGHT),
            noise: Noise::for_values(WIDTH * HEIGHT * 3),
        }
    }

    /// Picture number `n` of a scene, in the light of the room alone.
    pub fn frame(&self, scene: &Scene, n: u64) -> RgbImage {
        let mut picture = self.canvas(scene, n).picture;
        add_noise(&mut picture, &self.noise, n);
        picture
    }

    /// The same with a screen's light on it, red, green and blue as shares of the room's, and as the camera exposes it.
    pub(crate) fn lit(&self, scene: &Scene, n: u64, light: [f32; 3], exposure: &mut Exposure) -> RgbImage {
        let Canvas { mut picture, relit } = self.canvas(scene, n);
        // A camera that is covered finds nothing to expose for, and waits.
        if !scene.blocked {
            relit.light(&mut picture, light);
            exposure.expose(&mut picture);
        }
        add_noise(&mut picture, &self.noise, n);
        picture
    }

    /// Of a camera that has looked at the operator for a while.
    pub(crate) fn exposure(&self) -> Exposure {
        Exposure::settled(&self.canvas(&ALONE, 0).picture)
    }

    fn canvas(&self, scene: &Scene, n: u64) -> Canvas {
        let mut canvas = Canvas { picture: self.room.clone(), relit: self.wall.clone() };
        if scene.blocked {
            canvas.picture = RgbImage::new(WIDTH, HEIGHT);
            return canvas;
        }
        #[allow(clippy::cast_precision_loss, reason = "a scene lasts for minutes")]
        let seconds = n as f32 / FPS as f32;
        if scene.operator {
            self.operator.draw(&mut canvas, OPERATOR_AT, &Pose::at(seconds, 0));
        }
        if scene.stranger > 0.0 {
            let [beside, top] = STRANGER_AT;
            #[allow(clippy::cast_precision_loss, reason = "the width of a picture")]
            let outside = WIDTH as f32;
            let left = outside + (beside - outside) * scene.stranger.min(1.0);
            self.stranger.draw(&mut canvas, [left, top], &Pose::at(seconds, 1));
        }
        if let Some(held) = scene.held {
            held::draw(&mut canvas, &self.operator, held, OPERATOR_AT, seconds);
        }
        canvas
    }
}

/// Encodes a picture as a camera would.
pub fn jpeg(frame: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    jpeg_encoder::Encoder::new(&mut out, JPEG_QUALITY).encode(
        frame.as_raw(),
        side(frame.width()),
        side(frame.height()),
        jpeg_encoder::ColorType::Rgb,
    )?;
    Ok(out)
}

/// A wall, a window and a shelf, so that the picture is neither dark nor flat.
fn room() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let wall = 150 + u8::try_from(y * 50 / HEIGHT).unwrap_or(0);
        let window = (440..600).contains(&x) && (60..260).contains(&y);
        let shelf = (20..200).contains(&x) && (380..392).contains(&y);
        let colour = match (window, shelf) {
            (true, _) => [170, 200, 225],
            (_, true) => [110, 80, 60],
            _ => [wall, wall, wall - 15],
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "darker than a number")]
        let lit = |value: u8| (f32::from(value) * ROOM_LIGHT) as u8;
        image::Rgb(colour.map(lit))
    })
}

/// Adds the noise of a good camera, with a spread of 1.6.
fn add_noise(picture: &mut RgbImage, noise: &Noise, n: u64) {
    for (value, noise) in picture.iter_mut().zip(noise.of(n)) {
        *value = value.saturating_add_signed(i8::try_from(noise * 16 / 1_000).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::person::tests::nobody;
    use super::*;

    fn seat() -> Seat {
        Seat::of(nobody(), nobody())
    }

    #[test]
    fn a_frame_depends_on_its_number_alone_and_no_two_are_the_same() {
        let (one, other) = (seat(), seat());
        let mut seen = Vec::new();
        for n in 0..20 {
            let frame = one.frame(&ALONE, n);
            assert!(frame == other.frame(&ALONE, n), "picture {n} is drawn differently");
            assert!(!seen.contains(&frame), "picture {n} came before");
            seen.push(frame);
        }
        let blocked = Scene { blocked: true, ..ALONE };
        assert!(one.frame(&blocked, 1) != one.frame(&blocked, 2), "noise at least");
    }

    #[test]
    fn everybody_in_a_scene_is_in_its_picture() {
        let seat = seat();
        let scenes = [
            AWAY,
            ALONE,
            Scene { stranger: 1.0, ..ALONE },
            Scene { stranger: 0.5, ..ALONE },
            Scene { held: Some(Held::Print), ..AWAY },
            Scene { held: Some(Held::Film), ..AWAY },
            Scene { blocked: true, ..ALONE },
        ];
        let pictures: Vec<RgbImage> = scenes.iter().map(|scene| seat.canvas(scene, 7).picture).collect();
        for (n, picture) in pictures.iter().enumerate() {
            assert!(!pictures[n + 1..].contains(picture), "{:?}", scenes[n]);
        }
    }

    #[test]
    fn a_screen_lights_a_face_and_the_camera_takes_some_of_it_back() {
        let seat = seat();
        let face = |picture: &RgbImage| -> u32 {
            (0..900).map(|n| u32::from(picture.get_pixel(160 + n % 30, 130 + n / 30).0[1])).sum()
        };
        let mut exposure = seat.exposure();
        let light = [0.36; 3];
        let dark = face(&seat.lit(&ALONE, 0, [0.0; 3], &mut exposure));
        let first = face(&seat.lit(&ALONE, 1, light, &mut exposure));
        assert!(first * 100 > dark * 105, "{dark} {first}");
        let later = (2..40).map(|n| face(&seat.lit(&ALONE, n, light, &mut exposure))).last().unwrap();
        assert!(later < first && later > dark, "{dark} {first} {later}");
    }
}
