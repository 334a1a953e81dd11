//! Pixelated faces on real photographs, with the real models: nobody is recognised any more, and operator and
//! intruder stay as they are. See `photograph_tests` for where the photographs come from.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small picture coordinates")]

use std::path::Path;
use std::sync::Arc;

use image::{RgbImage, imageops};
use sudare_client_core::evidence::{Areas, Mark, Picture, intruders, pixelate};
use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::{Face, iou};
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::Who;
use sudare_protocol::reason::Reason;

use crate::align;
use crate::camera::picture;
use crate::engine::Engine;
use crate::finder::Finder;
use crate::testing::{THRESHOLDS, models_and_photographs};

const PHOTOGRAPHS: [&str; 4] = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"];

fn embed(engine: &mut Engine, frame: &Frame, face: &Face) -> Embedding {
    let targets = engine.embedder.facts().landmarks_px;
    engine.embedder.embed(&align::align(frame, &face.landmarks, &targets).unwrap()).unwrap()
}

/// A photograph with its face so many pixels wide.
fn scaled(engine: &mut Engine, path: &Path, face_px: f32) -> (Frame, Face) {
    let whole = picture::load(path).unwrap();
    let scale = face_px / engine.detector.still(&whole).unwrap()[0].bbox[2];
    let picture = RgbImage::from_raw(whole.width, whole.height, whole.rgb).unwrap();
    let side = |side: u32| (side as f32 * scale) as u32;
    let small =
        imageops::resize(&picture, side(whole.width), side(whole.height), imageops::FilterType::Triangle);
    let frame =
        Frame { width: small.width(), height: small.height(), rgb: small.into_raw(), t_ms: 0, seq: 0 };
    let face = engine.detector.still(&frame).unwrap()[0];
    (frame, face)
}

/// The mean of cosines of pixelated faces with clear ones.
#[derive(Default)]
struct Mean(f32, f32);

impl Mean {
    fn add(&mut self, cosine: f32) {
        (self.0, self.1) = (self.0 + cosine, self.1 + 1.0);
    }
    fn get(&self) -> f32 {
        self.0 / self.1
    }
}

#[test]
fn a_pixelated_face_matches_nobody_at_any_size() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let clear = PHOTOGRAPHS.map(|name| {
        let (frame, face) = scaled(&mut engine, &folder.join(name), 150.0);
        (name, embed(&mut engine, &frame, &face))
    });
    let (mut same, mut other) = (Mean::default(), Mean::default());
    for name in PHOTOGRAPHS {
        for face_px in [24.0, 48.0, 110.0, 220.0] {
            let (frame, face) = scaled(&mut engine, &folder.join(name), face_px);
            let hidden = pixelate(&frame, &Areas { hide: vec![face.bbox], keep: vec![] });
            // Even who knows where eyes, nose and mouth were, or finds a face again.
            let mut faces = engine.detector.still(&hidden).unwrap();
            faces.push(face);
            for face in &faces {
                let seen = embed(&mut engine, &hidden, face);
                for (known, embedding) in &clear {
                    let cosine = seen.cosine(embedding);
                    assert!(cosine < THRESHOLDS.same_person_min, "{name} at {face_px} px, {known}: {cosine}");
                    let same_person = name[..5] == known[..5];
                    if same_person { same.add(cosine) } else { other.add(cosine) }
                }
            }
        }
    }
    // Of clear photographs these means are about 0.75 and 0.2.
    println!("same person {:.3}, another {:.3}", same.get(), other.get());
    assert!(same.get() - other.get() < 0.1, "same person {}, another {}", same.get(), other.get());
}

/// Three people before a wall: faces 110 pixels wide at 60, 300 and 520.
fn three(engine: &mut Engine, folder: &Path) -> (Frame, Vec<Face>) {
    let mut wall = RgbImage::from_pixel(800, 400, image::Rgb([120, 130, 140]));
    for (name, left) in [("obama3.jpg", 60.0), ("biden.jpg", 300.0), ("obama2.jpg", 540.0)] {
        let (frame, face) = scaled(engine, &folder.join(name), 110.0);
        let [x, y, w, h] = face.bbox;
        let person = RgbImage::from_raw(frame.width, frame.height, frame.rgb).unwrap();
        let (from_x, from_y) = ((x - 0.3 * w).max(0.0), (y - 0.4 * h).max(0.0));
        let head =
            imageops::crop_imm(&person, from_x as u32, from_y as u32, (1.6 * w) as u32, (1.8 * h) as u32);
        imageops::replace(&mut wall, &head.to_image(), left as i64, 100);
    }
    let frame = Frame { width: 800, height: 400, rgb: wall.into_raw(), t_ms: 0, seq: 0 };
    let mut faces = engine.detector.still(&frame).unwrap();
    faces.sort_by(|a, b| a.bbox[0].total_cmp(&b.bbox[0]));
    assert_eq!(faces.len(), 3);
    (frame, faces)
}

fn pixels(frame: &Frame, face: &Face) -> Vec<u8> {
    let [x, y, w, h] = face.bbox.map(|v| v as usize);
    (y..y + h).flat_map(|row| &frame.rgb[(row * frame.width as usize + x) * 3..][..w * 3]).copied().collect()
}

#[test]
fn operator_and_intruder_stay_and_the_bystander_goes() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let (frame, faces) = three(&mut engine, &folder);
    let clear: Vec<_> = faces.iter().map(|face| embed(&mut engine, &frame, face)).collect();
    let mark = |(track, (face, who)): (u64, (&Face, Who))| Mark {
        track,
        area: face.bbox,
        who,
        weight: 1.0,
        cosine: None,
        seen: true,
    };
    // The third was missed while watching, and is found by the second search.
    let marks: Vec<Mark> = (0..).zip(faces.iter().zip([Who::Operator, Who::Stranger])).map(mark).collect();
    let intruders = intruders(Reason::Onlooker, &marks, &[]);
    let taken = Picture {
        frame: Arc::new(frame.clone()),
        marks: Some(marks),
        phones: Vec::new(),
        camera: None,
        thresholds: THRESHOLDS,
    };
    let found = Finder::from_cache().find(&frame).unwrap();
    for (intruders, clear_faces) in [(intruders.as_slice(), vec![0, 1]), (&[], vec![0])] {
        let hidden = pixelate(&frame, &taken.areas(intruders, Some(&found)));
        if let Some(folder) = std::env::var_os("SUDARE_KEEP_PICTURES") {
            let path = Path::new(&folder).join(format!("pixelated-{}.png", clear_faces.len()));
            RgbImage::from_raw(800, 400, hidden.rgb.clone()).unwrap().save(path).unwrap();
        }
        let again = engine.detector.still(&hidden).unwrap();
        for (i, face) in faces.iter().enumerate() {
            let is_clear = clear_faces.contains(&i);
            assert_eq!(pixels(&hidden, face) == pixels(&frame, face), is_clear, "face {i}");
            let there = again.iter().filter(|f| iou(&f.bbox, &face.bbox) > 0.3);
            let cosines: Vec<f32> = there.map(|f| embed(&mut engine, &hidden, f).cosine(&clear[i])).collect();
            let known = cosines.iter().any(|cosine| *cosine >= THRESHOLDS.same_person_min);
            assert_eq!(known, is_clear, "face {i}: {cosines:?}");
        }
    }
}
