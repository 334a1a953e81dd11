//! What a camera sees of somebody, a print or a film in a room while a screen lights it, and what the client's own code
//! measures of that.

use std::rc::Rc;

use image::RgbImage;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use sudare_client_core::attention::{Pass, WHOLE, WHOLE_PX};
use sudare_client_core::face::{Face, iou};
use sudare_client_core::frame::Frame;
use sudare_client_core::live::patches;
use sudare_client_core::presence::{CameraView, Observation};
use sudare_test_kit::lighting::Exposure;
use sudare_vision::engine::Engine;
use sudare_vision::faces::Detector;

use super::lighting::relit;
use super::painter::{self, Painter, Placed, compose, filmed, room_of};
use super::people::Person;
use super::scene::{SEAT_METRES, Seat, clothes};
use super::sprite::{Medium, Wardrobe};

/// A camera's pictures are this far apart.
pub(super) const STEP_MS: u64 = 100;
/// The way from the host to the face and back to the client, at least and at most.
pub(super) const DELAY_MS: [u64; 2] = [80, 350];
const PASS: Pass = Pass { kind: WHOLE, part: None, long_side: WHOLE_PX };

/// A room, and how much of its light on the face a white screen adds: a laptop of 14 inches at half a metre, and an RDP
/// window of a quarter of a 24-inch screen.
pub(super) const ROOMS: [(&str, f32); 8] = [
    ("evening, laptop", 1.08),
    ("evening, window", 0.54),
    ("lamp, laptop", 0.36),
    ("lamp, window", 0.18),
    ("office, laptop", 0.13),
    ("office, window", 0.07),
    ("beside a window, laptop", 0.04),
    ("beside a window, window", 0.02),
];

/// Who answers.
pub(super) const SUBJECTS: [(Medium, &str); 3] =
    [(Medium::Person, "people"), (Medium::Print, "print"), (Medium::Phone, "replay")];

/// A person, and everything that makes and takes pictures.
pub(super) struct Lab<'a> {
    people: &'a [Person],
    person: usize,
    detector: Detector,
    painter: Painter,
    wardrobe: Wardrobe,
    room: RgbImage,
}

/// Whoever or whatever is before the camera, and how the camera has settled on it.
pub(super) struct Sitter {
    medium: Medium,
    exposure: Option<Exposure>,
    face: Option<Face>,
}

impl Sitter {
    pub(super) fn new(medium: Medium) -> Self {
        Sitter { medium, exposure: None, face: None }
    }
}

impl<'a> Lab<'a> {
    pub(super) fn new(people: &'a [Person], person: usize) -> anyhow::Result<Self> {
        let clip = people.get(person).and_then(|person| person.pictures.first());
        let room =
            clip.map(|picture| picture.load()).transpose()?.map_or_else(painter::wall, |clip| room_of(&clip));
        Ok(Lab {
            people,
            person,
            detector: Engine::detector_from_cache()?,
            painter: Painter::default(),
            wardrobe: Wardrobe::default(),
            room,
        })
    }

    /// One picture, `light` being what the screen adds to the room's on the face, and what the client says of it.
    pub(super) fn look(
        &mut self,
        sitter: &mut Sitter,
        t_ms: u64,
        light: [f32; 3],
        dice: &mut ChaCha8Rng,
    ) -> anyhow::Result<Observation> {
        let placed = self.placed(sitter.medium, t_ms)?;
        let mut picture = compose(&self.room, std::slice::from_ref(&placed));
        relit(&picture, &[(&placed, sitter.medium)]).light(&mut picture, light);
        sitter.exposure.get_or_insert_with(|| Exposure::settled(&picture)).expose(&mut picture);
        let number = t_ms / STEP_MS;
        let painted = self.painter.expose(picture, painter::Light::Normal, number ^ dice.random::<u64>());
        let frame = filmed(&painted, t_ms, number)?;
        sitter.face = self.face(&frame, &placed)?.or(sitter.face);
        let light = sitter.face.map(|face| patches::measure(&frame, &face, &[face.bbox]));
        Ok(Observation { light, ..Observation::new(t_ms, CameraView::Clear, Vec::new()) })
    }

    fn placed(&mut self, medium: Medium, t_ms: u64) -> anyhow::Result<Placed> {
        #[allow(clippy::cast_precision_loss, reason = "times of a scene")]
        let seconds = t_ms as f64 / 1_000.0;
        let seat = Seat { medium, ..Seat::default() };
        let look = seat.look(seconds);
        let moved = if look.medium.moves() { seconds } else { 0.0 };
        let number = self.people.get(self.person).map_or(0, |person| person.later(moved));
        let sprite = self.wardrobe.sprite(self.people, self.person, number, look)?;
        let clothes = (look.medium == Medium::Person).then(|| clothes(self.person));
        let yaw_deg = sprite.yaw_deg;
        Ok(Placed { sprite: Rc::clone(&sprite), at: seat.at(seconds), metres: SEAT_METRES, clothes, yaw_deg })
    }

    fn face(&mut self, frame: &Frame, placed: &Placed) -> anyhow::Result<Option<Face>> {
        let score_min = self.detector.score_min();
        let found = self.detector.watch(frame, &PASS)?;
        let here = |face: &Face| face.score >= score_min && iou(&face.bbox, &placed.head()) > 0.3;
        Ok(found.iter().copied().find(here))
    }
}
