//! Enrolment from clips, covered faces and marked regions, on the photographs that [`crate::photograph_tests`] uses.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small picture coordinates")]

use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use sudare_client_core::face::marked::{MarkError, Marked, region};
use sudare_client_core::face::rotate::{Known, Rotated};
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::Who;
use sudare_protocol::eyes::Recognition;
use sudare_protocol::limits::VECTORS_MAX;
use sudare_protocol::template::Region;

use crate::camera::picture;
use crate::camera::{CameraFault, FrameSource};
use crate::engine::Engine;
use crate::enroll::{self, Clip, EnrollError, Fault, FromClip, LOOKS_MIN, Progress, Request};
use crate::photograph_tests::{head, rotation};
use crate::testing::models_and_photographs;
use crate::{Mode, Vision};

/// A film of these pictures, five a second.
struct Pictures(std::vec::IntoIter<RgbImage>, u64);

impl Pictures {
    fn of(pictures: Vec<RgbImage>) -> Self {
        Pictures(pictures.into_iter(), 0)
    }
}

impl FrameSource for Pictures {
    fn describe(&self) -> String {
        "pictures".to_owned()
    }

    fn next_frame(&mut self) -> Result<Frame, CameraFault> {
        let picture = self.0.next().ok_or_else(|| CameraFault::Ended { what: self.describe() })?;
        self.1 += 1;
        Ok(frame(picture, self.1 * 200))
    }
}

fn frame(picture: RgbImage, t_ms: u64) -> Frame {
    Frame { width: picture.width(), height: picture.height(), rgb: picture.into_raw(), t_ms, seq: t_ms / 100 }
}

/// A room with heads at these places.
fn room(heads: &[(&RgbImage, i64, i64)]) -> RgbImage {
    let mut room = RgbImage::from_fn(640, 480, |x, y| {
        let shade = (60 + x / 8 + y / 16) as u8;
        Rgb([shade, shade, shade.saturating_add(10)])
    });
    for (head, x, y) in heads {
        imageops::replace(&mut room, *head, *x, *y);
    }
    room
}

fn brighter(picture: &RgbImage, times: f32) -> RgbImage {
    let mut picture = picture.clone();
    picture.pixels_mut().for_each(|p| p.0 = p.0.map(|v| (f32::from(v) * times).min(255.0) as u8));
    picture
}

/// The same head with rims around the eyes.
fn with_glasses(engine: &mut Engine, head: &RgbImage) -> RgbImage {
    let face = engine.detector.still(&frame(head.clone(), 0)).unwrap()[0];
    let mut head = head.clone();
    for [x, y] in face.landmarks.into_iter().take(2) {
        for (column, row, pixel) in head.enumerate_pixels_mut() {
            let (dx, dy) = ((column as f32 - x).abs(), (row as f32 - y).abs());
            if dx <= 19.0 && dy <= 13.0 && (dx >= 17.0 || dy >= 11.0) {
                *pixel = Rgb([20; 3]);
            }
        }
    }
    head
}

/// Heads of one person that differ: three photographs, darker ones, and with glasses.
fn varied(engine: &mut Engine, folder: &Path) -> Vec<RgbImage> {
    let photographs = ["obama.jpg", "obama2.jpg", "obama3.jpg"].map(|name| head(engine, &folder.join(name)));
    let mut heads = Vec::new();
    for head in photographs {
        heads.push(brighter(&head, 0.7));
        heads.push(with_glasses(engine, &head));
        heads.push(head);
    }
    heads
}

fn request(rotation: &sudare_client_core::face::rotate::Rotation, regions: Vec<Region>) -> Request<'_> {
    Request { rotation, operator_id: [1; 16], regions }
}

const FILM: Clip = Clip { guided: false, mark_still: false };

fn take(engine: &mut Engine, pictures: Vec<RgbImage>, how: Clip) -> Result<FromClip, EnrollError> {
    let rotation = rotation();
    let mut source = Pictures::of(pictures);
    enroll::clip(engine, &mut source, how, request(&rotation, Vec::new()), &mut |_| {})
}

/// Makes a bad picture of a good one.
type Spoil<'a> = &'a dyn Fn(&RgbImage) -> RgbImage;

/// Each head at the seat, one after the other.
fn seated(heads: &[RgbImage]) -> Vec<RgbImage> {
    heads.iter().zip(0..).map(|(head, i)| room(&[(head, 200 + i % 5 * 4, 100 + i % 3 * 3)])).collect()
}

#[test]
fn a_clip_becomes_a_template_of_looks_that_differ() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let heads = varied(&mut engine, &folder);
    let FromClip { enrolled, pictures, still } = take(&mut engine, seated(&heads), FILM).unwrap();
    assert_eq!((pictures, still.len()), (heads.len(), 0));
    let template = enrolled.template;
    let vectors: Vec<Rotated> =
        template.vectors.iter().map(|values| Rotated::from_template(values).unwrap()).collect();
    assert!((LOOKS_MIN..=VECTORS_MAX).contains(&vectors.len()), "{}", vectors.len());
    for (i, a) in vectors.iter().enumerate() {
        for b in &vectors[..i] {
            let cosine = a.cosine(b);
            assert!((0.4..=0.94).contains(&cosine), "{cosine}");
        }
    }
    assert!((500..=980).contains(&template.self_cosine.unwrap()), "{:?}", template.self_cosine);
    assert!(template.to_bytes().is_ok());
    println!("{:?}", enrolled.separation);
    assert!(!enrolled.separation.is_poor(), "{:?}", enrolled.separation);
}

#[test]
fn clips_that_show_too_little_or_two_people_are_refused_with_the_reason() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let heads = varied(&mut engine, &folder);
    let other = head(&mut engine, &folder.join("biden.jpg"));
    let why = |refused: Result<FromClip, EnrollError>| refused.map(|_| ()).unwrap_err().to_string();
    let only_other = why(take(&mut engine, seated(&vec![other.clone(); 4]), FILM));
    assert!(only_other.contains("of 4 pictures 4 were good"), "{only_other}");
    // One person after the other; a single look of somebody else is left out.
    let with = |others: usize| [seated(&heads), seated(&vec![other.clone(); others])].concat();
    let mixed = why(take(&mut engine, with(4), FILM));
    assert!(mixed.contains("different people: 4 of 13"), "{mixed}");
    let alone = take(&mut engine, seated(&heads), FILM).unwrap().enrolled.template;
    let with_one = take(&mut engine, with(1), FILM).unwrap().enrolled.template;
    assert_eq!(with_one.vectors, alone.vectors);
    // The same look again and again.
    let same = why(take(&mut engine, seated(&vec![heads[2].clone(); 20]), FILM));
    assert!(same.contains("good looks that differ") && same.contains("none refused"), "{same}");
    let spoilt = |spoil: Spoil<'_>| -> Vec<RgbImage> { seated(&heads).iter().map(spoil).collect() };
    let spoils: [(Spoil<'_>, &str); 5] = [
        (&|p: &RgbImage| imageops::blur(p, 5.0), "blurred"),
        (&|p: &RgbImage| brighter(p, 0.15), "too dark"),
        (&|p: &RgbImage| imageops::rotate180(p), "tilted"),
        (&|_: &RgbImage| room(&[]), "no face"),
        (&|_: &RgbImage| room(&[(&heads[2], 20, 100), (&other, 340, 100)]), "several faces"),
    ];
    for (spoil, word) in spoils {
        let said = why(take(&mut engine, spoilt(spoil), FILM));
        assert!(said.contains(word) || said.contains("no face"), "{word}: {said}");
    }
    let empty = why(take(&mut engine, Vec::new(), FILM));
    assert!(empty.contains("of 0 pictures"), "{empty}");
}

#[test]
fn a_guided_clip_asks_for_one_step_after_the_other_and_ends() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let heads = varied(&mut engine, &folder);
    let long: Vec<RgbImage> = seated(&heads).into_iter().cycle().take(260).collect();
    let (mut steps, mut pictures, rotation) = (Vec::new(), 0, rotation());
    let mut tell = |progress: &Progress| {
        pictures += 1;
        if steps.last() != Some(&progress.step) {
            steps.push(progress.step);
        }
    };
    let how = Clip { guided: true, mark_still: false };
    let mut source = Pictures::of(long);
    enroll::clip(&mut engine, &mut source, how, request(&rotation, Vec::new()), &mut tell).unwrap();
    assert_eq!(steps.len(), 7, "{steps:?}");
    assert!(steps.last().unwrap().is_none() && pictures < 240, "{pictures}");
}

#[test]
fn masks_are_refused_and_bare_faces_are_not() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (rotation, mut covered) = (rotation(), 0);
    for name in ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"] {
        let path = folder.join(name);
        let bare = enroll::stills(&mut engine, std::slice::from_ref(&path), request(&rotation, Vec::new()));
        assert!(bare.is_ok(), "{name}: {}", bare.unwrap_err());
        let picture = picture::load(&path).unwrap();
        let face = engine.detector.still(&picture).unwrap()[0];
        let whole = RgbImage::from_raw(picture.width, picture.height, picture.rgb).unwrap();
        for colour in [[235, 236, 238], [130, 185, 220], [25, 25, 28]] {
            let masked = dir.path().join("masked.png");
            mask(&whole, &face, colour).save(&masked).unwrap();
            let refused = enroll::stills(&mut engine, &[masked], request(&rotation, Vec::new()));
            let fault = match refused {
                Err(EnrollError::Unfit { fault, .. }) => fault,
                other => panic!("{name} behind {colour:?}: {other:?}"),
            };
            println!("{name} behind {colour:?}: {fault:?}");
            covered += usize::from(fault == Fault::Covered);
        }
    }
    // The others show no face, or two: where it is, and on the mask.
    assert!(covered >= 6, "{covered} of 12 were told");
}

/// A mask from under the eyes down to the chin.
fn mask(picture: &RgbImage, face: &sudare_client_core::face::Face, colour: [u8; 3]) -> RgbImage {
    let [right_eye, left_eye, nose, ..] = face.landmarks;
    let [x, y, w, h] = face.bbox;
    // Halfway from the eyes to the tip of the nose.
    let top = ((right_eye[1] + left_eye[1]) / 2.0 + nose[1]) / 2.0;
    let mut masked = picture.clone();
    for (column, row, pixel) in masked.enumerate_pixels_mut() {
        let (column, row) = (column as f32, row as f32);
        if (x..x + w).contains(&column) && (top..y + h * 1.05).contains(&row) {
            // Folds, so that it is not a sheet of one colour.
            let fold = ((row * 0.2).sin() * 6.0) as i16;
            pixel.0 = colour.map(|v| (i16::from(v) + fold).clamp(0, 255) as u8);
        }
    }
    masked
}

#[test]
fn a_poster_spoils_no_clip_when_it_is_marked() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let heads = varied(&mut engine, &folder);
    let large = head(&mut engine, &folder.join("biden.jpg"));
    let poster =
        imageops::resize(&large, large.width() / 2, large.height() / 2, imageops::FilterType::Triangle);
    let film: Vec<RgbImage> = (0..54_usize)
        .map(|i| {
            let sway = (i % 5 * 4) as i64;
            room(&[(&heads[i % heads.len()], 120 + sway, 160), (&poster, 480, 20)])
        })
        .collect();
    let refused = take(&mut engine, film.clone(), FILM).unwrap_err();
    assert!(refused.to_string().contains("several faces"), "{refused}");
    let still = Clip { mark_still: true, ..FILM };
    let FromClip { enrolled, still: proposed, .. } = take(&mut engine, film.clone(), still).unwrap();
    let [marked] = enrolled.template.regions[..] else { panic!("{:?}", enrolled.template.regions) };
    assert!(proposed.is_empty() && marked.left > 700 && marked.top < 100, "{marked:?}");
    // Whoever walks about is no poster.
    let walkers: Vec<RgbImage> = (0..54_usize)
        .map(|i| room(&[(&heads[i % heads.len()], 120, 160), (&poster, 400 + (i % 9 * 10) as i64, 20)]))
        .collect();
    let refused = take(&mut engine, walkers, still).unwrap_err();
    assert!(refused.to_string().contains("several faces"), "{refused}");

    // The same by hand, and on a picture.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("with a poster.png");
    film[2].save(&path).unwrap();
    let rotation = rotation();
    let mut stills = |regions: Vec<Region>| {
        enroll::stills(&mut engine, std::slice::from_ref(&path), request(&rotation, regions))
            .map(|enrolled| enrolled.template.regions.clone())
    };
    assert!(matches!(stills(Vec::new()), Err(EnrollError::Unfit { fault: Fault::SeveralFaces { .. }, .. })));
    assert_eq!(stills(vec![marked]).unwrap(), [marked]);
    let seat = region([0.1, 0.2, 0.3, 0.5]).unwrap();
    let refused = stills(vec![marked, seat]);
    let is_refused = matches!(refused, Err(EnrollError::Marked(MarkError::Seat)))
        || matches!(refused, Err(EnrollError::Unfit { fault: Fault::NoFace, .. }));
    assert!(is_refused, "{refused:?}");
}

#[test]
fn a_face_inside_a_marked_region_is_nobody_and_one_beside_it_is_somebody() {
    let Some((mut engine, folder)) = models_and_photographs() else { return };
    let own = head(&mut engine, &folder.join("obama3.jpg"));
    let other = head(&mut engine, &folder.join("biden.jpg"));
    let rotation = rotation();
    let template = enroll::enroll(&mut engine, &[folder.join("obama.jpg")], &rotation, [1; 16]).unwrap();
    let vectors = template.vectors.iter().map(|v| Rotated::from_template(v).unwrap()).collect();
    let marked = Marked::of([region([0.6, 0.0, 0.4, 0.6]).unwrap()]);
    let known = Known { rotation, vectors, marked, self_cosine: None };
    let mut vision = Vision::new(engine, known, Recognition::Normal, Mode::Lockstep).unwrap();
    let mut after = |from_ms: u64, heads: &[(&RgbImage, i64, i64)]| {
        let mut seen = Vec::new();
        for i in 0..8 {
            let sway = (i % 3) as i64;
            let heads: Vec<_> = heads.iter().map(|(head, x, y)| (*head, x + sway, *y)).collect();
            let now = vision.process(&frame(room(&heads), from_ms + i * 100));
            seen = now.faces.iter().map(|face| (face.who, face.still)).collect();
        }
        seen
    };
    let inside = after(0, &[(&own, 60, 150), (&other, 410, 20)]);
    assert_eq!(inside, [(Who::Operator, false), (Who::Undecided, true)]);
    // The operator's own picture in there opens nothing.
    assert_eq!(after(5_000, &[(&own, 410, 20)]), [(Who::Undecided, true)]);
    let mut beside = after(10_000, &[(&own, 60, 150), (&other, 280, 20)]);
    beside.sort_by_key(|(who, _)| *who != Who::Operator);
    assert_eq!(beside, [(Who::Operator, false), (Who::Stranger, false)]);
    assert!(!vision.take_own_looks().is_empty(), "the operator's looks are told");
    assert!(vision.take_own_looks().is_empty(), "once");
}
