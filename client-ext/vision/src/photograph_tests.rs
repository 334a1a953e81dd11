//! The whole chain on real photographs, with the real models.
//!
//! The photographs are pulled at test time (`sudare models fetch --test-photographs DIR`) and named by
//! `SUDARE_TEST_PICTURES`; they are never committed. Expected numbers come from OpenCV 5.0.0 (`FaceDetectorYN`,
//! `FaceRecognizerSF`) with the same models on the same pictures.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small picture coordinates")]

use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::{Known, Rotated, Rotation};
use sudare_client_core::frame::Frame;
use sudare_client_core::light;
use sudare_client_core::live::Liveness;
use sudare_client_core::phone::PhoneView;
use sudare_client_core::presence::{CameraView, Presence, Who};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::timings::Timings;

use crate::camera::folder::Folder;
use crate::camera::{SourceOptions, picture};
use crate::engine::Engine;
use crate::enroll::{EnrollError, Fault, enroll};
use crate::testing::{boottime_ms, models_and_photographs};
use crate::watch::{Change, watch};
use crate::{Mode, Seen, Vision, align};

pub(crate) fn rotation() -> Rotation {
    Rotation::from_seed(&[3; 32])
}

/// The operator of the first photograph.
fn operators(engine: &mut Engine, folder: &Path) -> Known {
    let template = enroll(engine, &[folder.join("obama.jpg")], &rotation(), [1; 16]).unwrap();
    let vectors = template.vectors.iter().map(|v| Rotated::from_template(v).unwrap()).collect();
    Known { rotation: rotation(), vectors, marked: Marked::default(), self_cosine: None }
}

/// The head of the only person in a photograph, with the face about 110 pixels wide.
pub(crate) fn head(engine: &mut Engine, path: &Path) -> RgbImage {
    let frame = picture::load(path).unwrap();
    let [x, y, w, h] = engine.detector.still(&frame).unwrap()[0].bbox;
    let whole = RgbImage::from_raw(frame.width, frame.height, frame.rgb).unwrap();
    let (left, top) = ((x - w / 2.0).max(0.0) as u32, (y - h / 3.0).max(0.0) as u32);
    let cut = imageops::crop_imm(&whole, left, top, (w * 2.0) as u32, (h * 1.6) as u32).to_image();
    let scale = 110.0 / w;
    let (width, height) = ((cut.width() as f32 * scale) as u32, (cut.height() as f32 * scale) as u32);
    imageops::resize(&cut, width, height, imageops::FilterType::Triangle)
}

/// A frame of a webcam in a room, with heads at these places.
pub(crate) fn scene(t_ms: u64, heads: &[(&RgbImage, i64)]) -> Frame {
    let mut room = RgbImage::from_fn(640, 480, |x, y| {
        let shade = (60 + x / 8 + y / 16) as u8;
        image::Rgb([shade, shade, shade.saturating_add(10)])
    });
    // Nobody sits like a stone.
    let sway = ((t_ms / 100) % 5) as i64;
    for (head, x) in heads {
        imageops::replace(&mut room, *head, x + sway, 120 + sway / 2);
    }
    Frame { width: 640, height: 480, rgb: room.into_raw(), t_ms, seq: t_ms / 100 }
}

#[test]
fn faces_lie_where_opencv_finds_them() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let expected = [
        ("obama.jpg", [[443.1, 207.4], [550.5, 209.7], [500.7, 270.9], [445.1, 317.2], [544.4, 318.7]]),
        ("obama2.jpg", [[252.5, 360.7], [376.4, 382.2], [281.9, 446.1], [237.5, 502.2], [342.9, 519.9]]),
        ("biden.jpg", [[533.9, 330.3], [654.4, 347.0], [596.0, 418.8], [519.5, 458.7], [624.5, 475.8]]),
    ];
    for (name, landmarks) in expected {
        let faces = engine.detector.still(&picture::load(&folder.join(name)).unwrap()).unwrap();
        assert_eq!(faces.len(), 1, "{name}");
        for (found, expected) in faces[0].landmarks.iter().flatten().zip(landmarks.iter().flatten()) {
            assert!((found - expected).abs() < 3.0, "{name}: {found} is not near {expected}");
        }
    }
}

#[test]
fn people_are_told_apart_as_opencv_does() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let embeddings = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"].map(|name| {
        let frame = picture::load(&folder.join(name)).unwrap();
        let face = engine.detector.still(&frame).unwrap()[0];
        let targets = engine.embedder.facts().landmarks_px;
        engine.embedder.embed(&align::align(&frame, &face.landmarks, &targets).unwrap()).unwrap()
    });
    let expected = [(0, 1, 0.744), (0, 2, 0.792), (1, 2, 0.739), (0, 3, 0.105), (1, 3, 0.242), (2, 3, 0.152)];
    for (a, b, expected) in expected {
        let cosine = embeddings[a].cosine(&embeddings[b]);
        assert!((cosine - expected).abs() < 0.05, "{a} and {b}: {cosine} is not near {expected}");
    }
}

#[test]
fn enrolment_takes_one_person_and_refuses_everything_else() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let dir = tempfile::tempdir().unwrap();
    let photo = |name: &str| folder.join(name);
    let save = |name: &str, picture: &RgbImage| {
        let path = dir.path().join(name);
        picture.save(&path).unwrap();
        path
    };
    let (one, other) = (head(&mut engine, &photo("obama.jpg")), head(&mut engine, &photo("biden.jpg")));
    let frame = scene(0, &[(&one, 40), (&other, 340)]);
    let both = save("both.png", &RgbImage::from_raw(640, 480, frame.rgb).unwrap());
    let empty = save("empty.png", &RgbImage::from_raw(640, 480, scene(0, &[]).rgb).unwrap());
    let half = imageops::resize(&one, one.width() / 2, one.height() / 2, imageops::FilterType::Triangle);
    let far = save("far.png", &RgbImage::from_raw(640, 480, scene(0, &[(&half, 200)]).rgb).unwrap());

    let mut enrol = |pictures: &[PathBuf]| enroll(&mut engine, pictures, &rotation(), [1; 16]);
    let template = enrol(&[photo("obama.jpg"), photo("obama2.jpg"), photo("obama3.jpg")]).unwrap();
    assert_eq!(template.vectors.len(), 3);
    assert!(template.to_bytes().is_ok());
    assert!(matches!(enrol(&[photo("obama.jpg"), photo("biden.jpg")]), Err(EnrollError::Mismatch { .. })));
    let fault = |refused: Result<_, EnrollError>| match refused {
        Err(EnrollError::Unfit { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(enrol(&[both])), Fault::SeveralFaces { count: 2 });
    assert_eq!(fault(enrol(&[empty])), Fault::NoFace);
    assert!(matches!(fault(enrol(&[far])), Fault::TooSmall { .. }));
    assert!(matches!(enrol(&[]), Err(EnrollError::PictureCount { count: 0 })));
}

#[test]
fn pictures_in_which_people_look_alike_are_refused_with_the_reason() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let dir = tempfile::tempdir().unwrap();
    let one = picture::load(&folder.join("obama.jpg")).unwrap();
    let whole = RgbImage::from_raw(one.width, one.height, one.rgb).unwrap();
    let enlarged = {
        let small =
            imageops::resize(&whole, whole.width() / 12, whole.height() / 12, imageops::FilterType::Triangle);
        imageops::resize(&small, whole.width(), whole.height(), imageops::FilterType::Triangle)
    };
    let mut dark = whole.clone();
    dark.pixels_mut().for_each(|p| p.0 = p.0.map(|v| v / 6));
    let mut bright = whole.clone();
    bright.pixels_mut().for_each(|p| p.0 = p.0.map(|v| v.saturating_add(170)));
    let mut why = |name: &str, picture: &RgbImage| {
        let path = dir.path().join(format!("{name}.png"));
        picture.save(&path).unwrap();
        let refused = enroll(&mut engine, &[path], &rotation(), [1; 16]);
        refused.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(why("good", &whole), Ok(()));
    for (name, picture, words) in [
        ("blurred", imageops::blur(&whole, 6.0), "is blurred"),
        ("enlarged", enlarged, "is blurred"),
        ("dark", dark, "is too dark"),
        ("bright", bright, "is too bright"),
        ("on its head", imageops::rotate180(&whole), "is tilted by 180 degrees"),
        ("on its side", imageops::rotate90(&whole), "is tilted by -90 degrees"),
    ] {
        let said = why(name, &picture).unwrap_err();
        assert!(said.contains(words) || said.contains("shows no face"), "{name}: {said}");
    }
}

#[test]
fn operator_and_stranger_are_recognised_among_the_frames() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    // Other photographs than the one that was enrolled.
    let operator = head(&mut engine, &folder.join("obama3.jpg"));
    let stranger = head(&mut engine, &folder.join("biden.jpg"));
    let known = operators(&mut engine, &folder);
    let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Lockstep).unwrap();
    let mut look = |from_ms: u64, heads: &[(&RgbImage, i64)]| {
        let seen: Vec<_> = (0..6).map(|i| vision.process(&scene(from_ms + i * 100, heads))).collect();
        seen.into_iter().next_back().unwrap()
    };
    let who = |seen: &Seen| seen.faces.iter().map(|f| f.who).collect::<Vec<_>>();
    let alone = look(0, &[(&operator, 60)]);
    assert_eq!((who(&alone), alone.camera), (vec![Who::Operator], CameraView::Clear));
    assert!((alone.faces[0].width_share - 110.0 / 640.0).abs() < 0.03, "{}", alone.faces[0].width_share);
    let two = look(600, &[(&operator, 60), (&stranger, 360)]);
    assert_eq!(who(&two), [Who::Operator, Who::Stranger]);
    // The stranger takes the operator's very place, from one frame to the next: found out at the next look.
    let swapped: Vec<_> =
        (12..26).map(|i| who(&vision.process(&scene(i * 100, &[(&stranger, 60)])))).collect();
    let since = swapped.iter().position(|w| w[..] != [Who::Operator]).unwrap();
    assert!(since <= 10, "{swapped:?}");
    assert_eq!(swapped.last().unwrap()[..], [Who::Stranger]);
    let mut look = |from_ms: u64, heads: &[(&RgbImage, i64)]| vision.process(&scene(from_ms, heads));
    let nobody = look(3000, &[]);
    assert_eq!((who(&nobody), nobody.camera), (vec![], CameraView::Clear));
    let mut dark = scene(3600, &[]);
    dark.rgb.fill(5);
    assert_eq!(vision.process(&dark).camera, CameraView::Blocked);
}

#[test]
fn a_live_watch_comes_to_the_same_verdict_without_waiting() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let operator = head(&mut engine, &folder.join("obama3.jpg"));
    let known = operators(&mut engine, &folder);
    let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Live).unwrap();
    let first = vision.process(&scene(0, &[(&operator, 60)]));
    assert_eq!(first.faces[0].who, Who::Undecided, "the first frame must not wait for the embedder");
    for i in 1..40 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        if vision.process(&scene(i * 100, &[(&operator, 60)])).faces[0].who == Who::Operator {
            return;
        }
    }
    panic!("the operator was not recognised in 2 s");
}

#[test]
fn a_scene_is_covered_and_released_in_time() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let operator = head(&mut engine, &folder.join("obama3.jpg"));
    let stranger = head(&mut engine, &folder.join("biden.jpg"));
    let known = operators(&mut engine, &folder);
    let dir = tempfile::tempdir().unwrap();
    for i in 0..140_u64 {
        let frame = match i {
            // The operator alone, a stranger beside them from 4 s to 7 s, alone again.
            40..70 => scene(i * 100, &[(&operator, 60), (&stranger, 360)]),
            _ => scene(i * 100, &[(&operator, 60)]),
        };
        let path = dir.path().join(format!("{i:04}.jpg"));
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 90);
        encoder.encode(&frame.rgb, 640, 480, jpeg_encoder::ColorType::Rgb).unwrap();
        std::fs::write(path, jpeg).unwrap();
    }
    let mut source = Folder::open(dir.path(), SourceOptions::default()).unwrap();
    let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Lockstep).unwrap();
    let mut changes: Vec<Change> = Vec::new();
    let presence = Presence::new(&Timings::default());
    let mut thrift = |_| false;
    let mut changed = |change: &Change| changes.push(change.clone());
    let summary = watch(&mut source, &mut vision, presence, false, boottime_ms, &mut thrift, &mut changed);
    assert_eq!((summary.frames, summary.covers), (140, 1));
    let turns: Vec<_> = changes.windows(2).filter(|w| w[0].cover != w[1].cover).map(|w| w[1].t_ms).collect();
    let [shown, covered, shown_again] = turns[..] else { panic!("{changes:?}") };
    // Four looks, and the release.
    assert!((2_300..2_700).contains(&shown), "{changes:?}");
    assert!((4_900..5_600).contains(&covered), "{changes:?}");
    // Who vanishes in the middle of the picture is believed to be there for 3 s.
    assert!((11_900..12_500).contains(&shown_again), "{changes:?}");
}

#[test]
fn photographs_are_not_taken_for_a_covered_camera_even_in_dim_light() {
    let Some((_, folder)) = models_and_photographs() else { return };
    for name in ["obama.jpg", "obama3.jpg", "biden.jpg"] {
        let mut frame = picture::load(&folder.join(name)).unwrap();
        assert!(!light::is_blocked(&frame), "{name}");
        frame.rgb.iter_mut().for_each(|v| *v /= 3);
        assert!(!light::is_blocked(&frame), "{name}, dim");
        frame.rgb.iter_mut().for_each(|v| *v /= 12);
        assert!(light::is_blocked(&frame), "{name}, dark");
    }
}

#[test]
fn phones_are_looked_for_where_their_model_is_and_none_are_seen_where_none_are() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let operator = head(&mut engine, &folder.join("obama3.jpg"));
    let known = operators(&mut engine, &folder);
    let looks_for_phones = engine.phones.is_some();
    if let Some(phones) = &mut engine.phones {
        for name in ["obama.jpg", "obama2.jpg", "biden.jpg"] {
            assert_eq!(phones.still(&picture::load(&folder.join(name)).unwrap()).unwrap(), [], "{name}");
        }
    } else {
        println!("SKIPPED: the phone-detector is not installed");
    }
    let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Lockstep).unwrap();
    let seen: Vec<_> = (0..30).map(|i| vision.process(&scene(i * 100, &[(&operator, 60)]))).collect();
    let expected = if looks_for_phones { PhoneView::Clear } else { PhoneView::Unknown };
    assert!(seen.iter().all(|seen| seen.phone == expected && seen.phones.is_empty()));
    assert!(seen.iter().all(|seen| seen.liveness == Liveness::None), "its network was left out");
}

#[test]
fn whether_a_photograph_looks_alive_is_a_share_where_the_model_is() {
    let Some((_, folder)) = models_and_photographs() else { return };
    let mut engine = Engine::from_cache().unwrap();
    let Some(network) = &mut engine.anti_spoof else {
        println!("SKIPPED: anti-spoof is not installed");
        return;
    };
    for name in ["obama.jpg", "obama2.jpg", "biden.jpg"] {
        let frame = picture::load(&folder.join(name)).unwrap();
        let face = engine.detector.still(&frame).unwrap()[0];
        let live = network.live(&frame, &face.bbox).unwrap().unwrap();
        assert!((0.0..=1.0).contains(&live) && network.is_large(&face.bbox), "{name}: {live}");
    }
    assert_eq!(engine.models().len(), 5 - engine.lacking.len());
}
