//! Creates an operator's template from pictures: one face in each, near, upright, sharp, in good light, facing the
//! camera, all the same person.
//!
//! A bad picture is refused with its reason: faces that are blurred, dark or on their head look alike, so a template made
//! of one would open for other people in the same condition.

use std::path::{Path, PathBuf};

use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::rotate::Rotation;
use sudare_client_core::face::{Face, pose};
use sudare_protocol::limits::VECTORS_MAX;
use sudare_protocol::template::OperatorTemplate;
use thiserror::Error;

use crate::align::{self, AlignedFace};
use crate::camera::picture::{self, PictureError};
use crate::engine::{Engine, EngineError};
use crate::turned;

/// Narrower faces lack the detail that distinguishes people.
pub const MIN_FACE_WIDTH_PX: f32 = 80.0;
/// Half of a face that turns further away is hidden.
pub const MAX_YAW_DEG: f32 = 35.0;

/// Blurred, out of focus or enlarged faces have less; see `AlignedFace::sharpness`.
const SHARP_MIN: f32 = 0.03;
/// Mean brightness of the face, 0 to 255.
const LIGHT: std::ops::RangeInclusive<f32> = 45.0..=225.0;
/// A head tilted more looks like somebody else.
const MAX_ROLL_DEG: f32 = 25.0;

/// Why the enrolment failed. Except for [`EnrollError::Engine`], a picture is at fault.
#[derive(Debug, Error)]
pub enum EnrollError {
    /// None, or more than a template holds.
    #[error(
        "{count} pictures were given. Give 1 to {VECTORS_MAX}; two or three in different light work best"
    )]
    PictureCount { count: usize },
    /// A picture cannot be loaded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// It shows nobody.
    #[error("{path} shows no face. Take a picture with the face in the middle, in good light")]
    NoFace { path: PathBuf },
    /// It shows more than one person.
    #[error(
        "{path} shows {count} faces. Take another picture with nobody but the operator, or crop this one"
    )]
    SeveralFaces { path: PathBuf, count: usize },
    /// The face is too far away.
    #[error(
        "the face in {path} is {width_px} pixels wide, but at least {MIN_FACE_WIDTH_PX} are needed. Sit nearer to the camera, or use a larger picture"
    )]
    TooSmall { path: PathBuf, width_px: u32 },
    /// The face looks away.
    #[error(
        "the face in {path} is turned by {yaw_deg} degrees, but at most {MAX_YAW_DEG} are allowed. Look into the camera"
    )]
    Turned { path: PathBuf, yaw_deg: i32 },
    /// The head is tilted, or the picture lies on its side or its head.
    #[error(
        "the face in {path} is tilted by {roll_deg} degrees. Keep the head upright, or turn the picture if it lies on its side"
    )]
    Tilted { path: PathBuf, roll_deg: i32 },
    /// There is too little detail.
    #[error(
        "the face in {path} is blurred. Keep still, clean the lens, and sit where the camera is in focus"
    )]
    Blurred { path: PathBuf },
    /// The light is too weak.
    #[error("the face in {path} is too dark. Turn on a light in front of you")]
    Dark { path: PathBuf },
    /// The light is too strong.
    #[error("the face in {path} is too bright. Turn away from the lamp or the window")]
    Bright { path: PathBuf },
    /// Two pictures seem to show different people.
    #[error(
        "{a} and {b} do not seem to show the same person (similarity {cosine:.2}, needed {needed}). Remove the wrong picture"
    )]
    Mismatch { a: PathBuf, b: PathBuf, cosine: f32, needed: f32 },
    /// The networks failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Creates the template; its vectors are rotated by this device's matrix.
///
/// # Errors
/// The first picture at fault, and why.
pub fn enroll(
    engine: &mut Engine,
    pictures: &[PathBuf],
    rotation: &Rotation,
    operator_id: [u8; 16],
) -> Result<OperatorTemplate, EnrollError> {
    if !(1..=VECTORS_MAX).contains(&pictures.len()) {
        return Err(EnrollError::PictureCount { count: pictures.len() });
    }
    let mut embeddings: Vec<(&Path, Embedding)> = Vec::new();
    for path in pictures {
        let embedding = only_face(engine, path)?;
        let needed = engine.embedder.facts().same_person_min;
        for (other, known) in &embeddings {
            let cosine = known.cosine(&embedding);
            // Written so that NaN is a mismatch.
            if !matches!(
                cosine.partial_cmp(&needed),
                Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal)
            ) {
                let (a, b) = ((*other).to_owned(), path.clone());
                return Err(EnrollError::Mismatch { a, b, cosine, needed });
            }
        }
        embeddings.push((path, embedding));
    }
    Ok(OperatorTemplate {
        operator_id,
        model_sha256: *engine.embedder_sha256.as_bytes(),
        rotation_id: rotation.id(),
        vectors: embeddings.iter().map(|(_, e)| rotation.apply(e).to_template()).collect(),
    })
}

fn only_face(engine: &mut Engine, path: &Path) -> Result<Embedding, EnrollError> {
    let frame = picture::load(path)?;
    let face = suitable(path, &engine.detector.still(&frame)?)?;
    let tilt_deg = match turned::turn_deg(&mut engine.detector, &frame, &face)? {
        0.0 => pose::roll_deg(&face.landmarks),
        turn_deg => turn_deg,
    };
    let targets = engine.embedder.facts().landmarks_px;
    let aligned = align::align(&frame, &face.landmarks, &targets)
        .ok_or_else(|| EnrollError::NoFace { path: path.to_owned() })?;
    good(path, tilt_deg, &aligned)?;
    Ok(engine.embedder.embed(&aligned)?)
}

/// Refuses a face that other people's would resemble. Written so that a value that is no number is refused.
fn good(path: &Path, tilt_deg: f32, face: &AlignedFace) -> Result<(), EnrollError> {
    let (path, light) = (path.to_owned(), face.light());
    if !(-MAX_ROLL_DEG..=MAX_ROLL_DEG).contains(&tilt_deg) {
        #[allow(clippy::cast_possible_truncation, reason = "rounded for a message; saturates")]
        return Err(EnrollError::Tilted { path, roll_deg: tilt_deg.round() as i32 });
    }
    if !LIGHT.contains(&light) {
        return Err(if light > *LIGHT.end() {
            EnrollError::Bright { path }
        } else {
            EnrollError::Dark { path }
        });
    }
    let is_sharp = face.sharpness() >= SHARP_MIN;
    if is_sharp { Ok(()) } else { Err(EnrollError::Blurred { path }) }
}

fn suitable(path: &Path, faces: &[Face]) -> Result<Face, EnrollError> {
    let path = path.to_owned();
    let face = match faces {
        [] => return Err(EnrollError::NoFace { path }),
        [face] => *face,
        several => return Err(EnrollError::SeveralFaces { path, count: several.len() }),
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded for a message; saturates"
    )]
    let (width_px, yaw_deg) = (face.bbox[2].round() as u32, pose::yaw_deg(&face.landmarks).round() as i32);
    if face.bbox[2] < MIN_FACE_WIDTH_PX {
        return Err(EnrollError::TooSmall { path, width_px });
    }
    if pose::yaw_deg(&face.landmarks).abs() > MAX_YAW_DEG {
        return Err(EnrollError::Turned { path, yaw_deg });
    }
    Ok(face)
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
    fn each_unsuitable_picture_has_its_own_reason() {
        let path = Path::new("me.jpg");
        assert_eq!(suitable(path, &[face()]).unwrap(), face());
        assert!(matches!(suitable(path, &[]), Err(EnrollError::NoFace { .. })));
        assert!(matches!(suitable(path, &[face(); 2]), Err(EnrollError::SeveralFaces { count: 2, .. })));
        let small = Face { bbox: [0.0, 0.0, 79.0, 100.0], ..face() };
        assert!(matches!(suitable(path, &[small]), Err(EnrollError::TooSmall { width_px: 79, .. })));
        let mut turned = face();
        turned.landmarks[2][0] += 30.0;
        let error = suitable(path, &[turned]).unwrap_err();
        assert!(matches!(error, EnrollError::Turned { yaw_deg: 36.., .. }), "{error}");
        assert!(error.to_string().starts_with("the face in me.jpg is turned"), "{error}");
    }
}
