//! Each person before the camera once, in several conditions: what detector, quality and embedder say of each picture.
//!
//! The costly part of asking who opens whose desktop; `replay` asks it for all pairs from what is recorded here.

use std::rc::Rc;

use image::RgbImage;
use sudare_client_core::attention::{Pass, WHOLE, WHOLE_PX};
use sudare_client_core::face::quality::Quality;
use sudare_client_core::face::rotate::{Rotated, Rotation};
use sudare_client_core::face::{Face, iou, pose};
use sudare_client_core::frame::Frame;
use sudare_vision::align;
use sudare_vision::engine::Engine;

use super::painter::{Light, Painter, Placed, filmed, wall};
use super::people::Person;
use super::scene::{SEAT, SEAT_METRES, clothes};
use super::sprite::{self, Wardrobe};

/// Pictures a second, as the client takes them.
pub(super) const FPS: f64 = 10.0;
/// Seconds of each clip that are recorded, at most.
const SECONDS_MAX: f64 = 3.5;
/// The regular pass of the detector.
const REGULAR: Pass = Pass { kind: WHOLE, part: None, long_side: WHOLE_PX };

/// How somebody sits there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Condition {
    pub(super) name: &'static str,
    face_px: f32,
    light: Light,
    /// Spread of the blur, in tenths of a pixel.
    blur: u32,
}

pub(super) const CONDITIONS: [Condition; 5] = [
    Condition { name: "clean_120px", face_px: 120.0, light: Light::Normal, blur: 0 },
    Condition { name: "far_60px", face_px: 60.0, light: Light::Normal, blur: 0 },
    Condition { name: "dim_120px", face_px: 120.0, light: Light::Dim, blur: 0 },
    Condition { name: "blurred_120px", face_px: 120.0, light: Light::Normal, blur: 20 },
    Condition { name: "dim_blurred_90px", face_px: 90.0, light: Light::Dim, blur: 20 },
];

/// What one picture told.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) face: Face,
    pub(super) quality: Quality,
    /// With the nearest vector of each operator, in the order of the people.
    pub(super) cosines: Vec<f32>,
}

/// One person in one condition; `None` is a picture in which no face was found.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) person: usize,
    pub(super) condition: usize,
    pub(super) looks: Vec<Option<Look>>,
}

/// Somebody in the seat before a plain wall.
#[derive(Debug)]
pub(super) struct Sitting {
    painter: Painter,
    wardrobe: Wardrobe,
    room: RgbImage,
}

impl Default for Sitting {
    fn default() -> Self {
        Sitting { painter: Painter::default(), wardrobe: Wardrobe::default(), room: wall() }
    }
}

impl Sitting {
    /// Picture number `n` of a person in a condition, and where the head is in it.
    pub(super) fn picture(
        &mut self,
        people: &[Person],
        person: usize,
        condition: usize,
        n: usize,
    ) -> anyhow::Result<(Frame, [f32; 4])> {
        let Some(Condition { face_px, light, blur, .. }) = CONDITIONS.get(condition).copied() else {
            anyhow::bail!("no condition has the number {condition}");
        };
        let seconds = super::figures::count(n) / FPS;
        let number = people.get(person).map_or(0, |person| person.later(seconds));
        let look = sprite::Look { blur, ..sprite::Look::wide(face_px) };
        let sprite = self.wardrobe.sprite(people, person, number, look)?;
        let (yaw_deg, clothes) = (sprite.yaw_deg, Some(clothes(person)));
        let placed = [Placed { sprite: Rc::clone(&sprite), at: SEAT, metres: SEAT_METRES, clothes, yaw_deg }];
        let seq = u64::try_from(n)?;
        let painted = self.painter.paint(&self.room, &placed, light, seq * 31 + u64::try_from(person)?);
        let [seated, ..] = &placed;
        Ok((filmed(&painted, seq * 100, seq)?, seated.head()))
    }
}

/// The tools of one thread.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) engine: Engine,
    sitting: Sitting,
    rotation: Rotation,
}

impl Recorder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let rotation = super::enrolment::rotation();
        Ok(Recorder { engine: Engine::from_cache()?, sitting: Sitting::default(), rotation })
    }

    /// Records a person, compared with the templates of all people.
    pub(super) fn record(
        &mut self,
        people: &[Person],
        person: usize,
        condition: usize,
        templates: &[Vec<Rotated>],
    ) -> anyhow::Result<Recording> {
        let mut looks = Vec::new();
        for n in 0..pictures_of(people.get(person)) {
            let (frame, head) = self.sitting.picture(people, person, condition, n)?;
            let found = self.engine.detector.watch(&frame, &REGULAR)?.to_vec();
            let score_min = self.engine.detector.score_min();
            let here = |face: &&Face| face.score >= score_min && iou(&face.bbox, &head) > 0.2;
            let face = found.iter().filter(here).max_by(|a, b| a.score.total_cmp(&b.score));
            looks.push(match face {
                Some(face) => self.compare(&frame, face, templates)?,
                None => None,
            });
        }
        Ok(Recording { person, condition, looks })
    }

    fn compare(
        &mut self,
        frame: &Frame,
        face: &Face,
        templates: &[Vec<Rotated>],
    ) -> anyhow::Result<Option<Look>> {
        let targets = self.engine.embedder.facts().landmarks_px;
        let Some(aligned) = align::align(frame, &face.landmarks, &targets) else { return Ok(None) };
        // As the pipeline measures it.
        let quality = Quality {
            size_px: face.bbox[2],
            score: face.score,
            yaw_deg: pose::yaw_deg(&face.landmarks),
            sharp: aligned.sharpness(),
            light: aligned.light(),
        };
        let rotated = self.rotation.apply(&self.engine.embedder.embed(&aligned)?);
        let best = |template: &Vec<Rotated>| template.iter().map(|v| v.cosine(&rotated)).fold(-1.0, f32::max);
        Ok(Some(Look { face: *face, quality, cosines: templates.iter().map(best).collect() }))
    }
}

/// As many as the second half of the clip has.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
fn pictures_of(person: Option<&Person>) -> usize {
    let half = person.map_or(0, |person| person.pictures.len() - person.pictures.len() / 2);
    let seconds = (super::figures::count(half) / super::unpack::FPS).min(SECONDS_MAX);
    (seconds * FPS) as usize
}
