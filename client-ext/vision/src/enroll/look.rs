//! One face in one picture: good enough for a template, or why not.

use sudare_client_core::evidence::Area;
use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::{Face, pose};
use sudare_client_core::frame::Frame;

use super::fault::Fault;
use super::{LIGHT, MAX_ROLL_DEG, MAX_YAW_DEG, MIN_FACE_WIDTH_PX, SHARP_MIN};
use crate::align::{self, AlignedFace};
use crate::engine::{Engine, EngineError};
use crate::turned;

/// A look that may become part of a template.
pub(super) struct Look {
    pub(super) embedding: Embedding,
    pub(super) yaw_deg: f32,
    /// Where the face is, in shares of the picture.
    pub(super) place: Area,
}

/// Examines one face. The outer error is the engine's, the inner one the picture's.
pub(super) fn look(
    engine: &mut Engine,
    frame: &Frame,
    face: &Face,
) -> Result<Result<Look, Fault>, EngineError> {
    if let Some(fault) = unsuitable(face) {
        return Ok(Err(fault));
    }
    let tilt_deg = match turned::turn_deg(&mut engine.detector, frame, face)? {
        0.0 => pose::roll_deg(&face.landmarks),
        turn_deg => turn_deg,
    };
    let targets = engine.embedder.facts().landmarks_px;
    let Some(aligned) = align::align(frame, &face.landmarks, &targets) else {
        return Ok(Err(Fault::NoFace));
    };
    if let Some(fault) = bad(tilt_deg, &aligned) {
        return Ok(Err(fault));
    }
    let embedding = engine.embedder.embed(&aligned)?;
    let place = share(&face.bbox, frame);
    Ok(Ok(Look { embedding, yaw_deg: pose::yaw_deg(&face.landmarks), place }))
}

/// A box in shares of its picture.
#[allow(clippy::cast_precision_loss, reason = "picture sides are at most 65,535")]
pub(super) fn share([x, y, w, h]: &Area, frame: &Frame) -> Area {
    let (width, height) = (frame.width.max(1) as f32, frame.height.max(1) as f32);
    [x / width, y / height, w / width, h / height]
}

/// A face that is too small or looks away.
pub(super) fn unsuitable(face: &Face) -> Option<Fault> {
    let yaw_deg = pose::yaw_deg(&face.landmarks);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded for a message; saturates"
    )]
    let (width_px, rounded_deg) = (face.bbox[2].round() as u32, yaw_deg.round() as i32);
    if face.bbox[2] < MIN_FACE_WIDTH_PX {
        return Some(Fault::TooSmall { width_px });
    }
    (yaw_deg.abs() > MAX_YAW_DEG).then_some(Fault::Turned { yaw_deg: rounded_deg })
}

/// A face that other people's would resemble. Written so that a value that is no number is refused.
fn bad(tilt_deg: f32, face: &AlignedFace) -> Option<Fault> {
    let light = face.light();
    if !(-MAX_ROLL_DEG..=MAX_ROLL_DEG).contains(&tilt_deg) {
        #[allow(clippy::cast_possible_truncation, reason = "rounded for a message; saturates")]
        return Some(Fault::Tilted { roll_deg: tilt_deg.round() as i32 });
    }
    if !LIGHT.contains(&light) {
        return Some(if light > *LIGHT.end() { Fault::Bright } else { Fault::Dark });
    }
    let is_sharp = face.sharpness() >= SHARP_MIN;
    if !is_sharp {
        return Some(Fault::Blurred);
    }
    face.is_covered().then_some(Fault::Covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A face of 100 pixels that looks straight ahead.
    fn face() -> Face {
        let landmarks = [[30.0, 40.0], [70.0, 40.0], [50.0, 62.0], [34.0, 82.0], [66.0, 82.0]];
        Face { bbox: [0.0, 0.0, 100.0, 130.0], landmarks, score: 0.9 }
    }

    #[test]
    fn a_face_that_is_far_or_looks_away_is_refused_with_its_reason() {
        assert_eq!(unsuitable(&face()), None);
        let small = Face { bbox: [0.0, 0.0, 79.0, 100.0], ..face() };
        assert_eq!(unsuitable(&small), Some(Fault::TooSmall { width_px: 79 }));
        let mut turned = face();
        turned.landmarks[2][0] += 30.0;
        let fault = unsuitable(&turned).unwrap();
        assert!(matches!(fault, Fault::Turned { yaw_deg: 36.. }), "{fault:?}");
        assert!(fault.of("me.jpg").starts_with("the face in me.jpg is turned"), "{}", fault.of("me.jpg"));
    }

    #[test]
    fn a_place_is_told_in_shares_of_its_picture() {
        let frame = Frame { width: 200, height: 100, rgb: Vec::new(), t_ms: 0, seq: 0 };
        assert_eq!(share(&[50.0, 50.0, 20.0, 10.0], &frame), [0.25, 0.5, 0.1, 0.1]);
    }
}
