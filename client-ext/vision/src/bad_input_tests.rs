//! What no camera should send, to the real models: bounded time, a clear state, no panic, and nobody recognised.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small pictures"
)]

use std::time::{Duration, Instant};

use image::{RgbImage, imageops};
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::{Known, Rotation};
use sudare_client_core::face::track::MAX_TRACKS;
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::{CameraView, Presence, Who};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::reason::State;
use sudare_protocol::timings::Timings;

use crate::engine::Engine;
use crate::testing::models_and_photographs;
use crate::{Mode, Seen, Vision, align};

/// For a few pictures, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(240);

fn vision() -> Option<Vision> {
    let (engine, _) = models_and_photographs()?;
    let (rotation, marked) = (Rotation::from_seed(&[3; 32]), Marked::default());
    let nobody = Known { rotation, vectors: Vec::new(), marked, self_cosine: None };
    Some(Vision::new(engine, nobody, Recognition::Normal, Mode::Lockstep).unwrap())
}

fn frame(picture: &RgbImage, n: u64) -> Frame {
    let (width, height) = picture.dimensions();
    Frame { width, height, rgb: picture.as_raw().clone(), t_ms: n * 100, seq: n }
}

/// Uneven bytes.
fn noise(width: u32, height: u32, salt: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let mixed = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ salt.wrapping_mul(97_003))
            .wrapping_mul(2_246_822_519);
        image::Rgb([(mixed >> 8) as u8, (mixed >> 16) as u8, (mixed >> 24) as u8])
    })
}

fn head(engine: &mut Engine, name: &str, folder: &std::path::Path, face_px: f32) -> RgbImage {
    let picture = crate::camera::picture::load(&folder.join(name)).unwrap();
    let [x, y, w, h] = engine.detector.still(&picture).unwrap()[0].bbox.map(|side| side.max(0.0) as u32);
    let whole = RgbImage::from_raw(picture.width, picture.height, picture.rgb).unwrap();
    let cut =
        imageops::crop_imm(&whole, x.saturating_sub(w / 4), y.saturating_sub(h / 4), w * 3 / 2, h * 3 / 2);
    let cut = cut.to_image();
    let scale = face_px / w as f32;
    let scaled = |side: u32| (side as f32 * scale) as u32;
    imageops::resize(&cut, scaled(cut.width()), scaled(cut.height()), imageops::FilterType::Triangle)
}

#[test]
fn pictures_of_any_size_and_noise_show_nobody() {
    let Some(mut vision) = vision() else { return };
    let started = Instant::now();
    let grey = |width, height| RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
    let pictures = [
        ("one pixel", grey(1, 1)),
        ("a line", grey(1, 2_000)),
        ("a flat line", grey(4_000, 1)),
        ("noise", noise(640, 480, 1)),
        ("other noise", noise(640, 480, 2)),
        ("8K noise", noise(7_680, 4_320, 3)),
        ("grey", grey(1_280, 720)),
        (
            "a checkerboard",
            RgbImage::from_fn(640, 480, |x, y| image::Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3])),
        ),
    ];
    let mut presence = Presence::new(&Timings::default());
    for (n, (name, picture)) in (0..).zip(&pictures) {
        let seen = vision.process(&frame(picture, n));
        assert!(seen.faces.iter().all(|face| face.who != Who::Operator && !face.sure), "{name}: {seen:?}");
        let decision = presence.observe(&seen.observed(n * 100));
        assert!(decision.cover && decision.state != State::Clear, "{name}: {decision:?}");
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn a_frame_that_lies_about_its_size_is_a_lost_camera() {
    let Some(mut vision) = vision() else { return };
    for (width, height, bytes) in [(0, 0, 0), (640, 480, 10), (2, 2, 13), (u32::MAX, u32::MAX, 3)] {
        let seen = vision.process(&Frame { width, height, rgb: vec![7; bytes], t_ms: 0, seq: 0 });
        assert_eq!((seen.camera, seen.faces.len()), (CameraView::Lost, 0), "{width} {height}");
    }
}

#[test]
fn a_hundred_faces_are_bounded_and_one_larger_than_the_picture_is_nobody_known() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let small = head(&mut engine, "biden.jpg", &folder, 60.0);
    let large = head(&mut engine, "biden.jpg", &folder, 900.0);
    let mut vision = vision().unwrap();
    let mut crowd = RgbImage::from_pixel(1_280, 1_280, image::Rgb([90; 3]));
    for i in 0..100_i64 {
        imageops::replace(&mut crowd, &small, (i % 10) * 127, (i / 10) * 127);
    }
    let started = Instant::now();
    let seen: Vec<Seen> = (0..5).map(|n| vision.process(&frame(&crowd, n))).collect();
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    let found = seen.last().unwrap().faces.len();
    assert!((1..=MAX_TRACKS).contains(&found), "{found}");
    let middle = imageops::crop_imm(&large, large.width() / 2 - 320, large.height() / 2 - 240, 640, 480);
    let near = middle.to_image();
    for n in 10..16 {
        let seen = vision.process(&frame(&near, n));
        assert!(seen.faces.iter().all(|face| face.who != Who::Operator), "{seen:?}");
    }
}

#[test]
fn landmarks_that_are_no_face_are_not_aligned() {
    let picture = frame(&noise(64, 48, 9), 0);
    let target = [[38.0, 51.0], [73.0, 51.0], [56.0, 71.0], [41.0, 92.0], [70.0, 92.0]];
    for landmarks in [
        [[f32::NAN; 2]; 5],
        [[f32::INFINITY; 2]; 5],
        [[5.0; 2]; 5],
        [[1e30, 0.0], [-1e30, 0.0], [0.0, 1e30], [0.0, -1e30], [0.0, 0.0]],
    ] {
        // Either nothing, or numbers: never a panic, never a value that is no number.
        let aligned = align::align(&picture, &landmarks, &target);
        assert!(
            aligned.is_none_or(|face| face.planes.iter().all(|value| value.is_finite())),
            "{landmarks:?}"
        );
    }
}
