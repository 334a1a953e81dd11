//! Creates an operator's template: from pictures, or from a short clip in which the person looks this way and that.
//!
//! ```text
//!  picture ─► its only face ─► look: near, upright, sharp, in good light, uncovered ─► embedding ┐
//!  clip ─► guide ─► pictures ─► the same, and where faces never moved ───────────────────────────┴─► one person?
//!                                                                   template, separation ◄─ varied ◄─┘
//! ```
//! A bad picture is refused with its reason: faces that are blurred, dark or on their head look alike, so a template made
//! of one would open for other people in the same condition.

mod clip;
mod fault;
mod look;

use std::path::{Path, PathBuf};

use sudare_client_core::evidence::Area;
use sudare_client_core::face::embedding::Embedding;
use sudare_client_core::face::enrol;
use sudare_client_core::face::marked::{self, MarkError, Marked};
use sudare_client_core::face::rotate::Rotation;
use sudare_client_core::face::separation::Separation;
use sudare_protocol::limits::VECTORS_MAX;
use sudare_protocol::template::{OperatorTemplate, Region};
use thiserror::Error;

pub use self::clip::{Clip, FromClip, Progress, clip};
pub use self::fault::{Fault, Tally};
use self::look::{Look, look};
use crate::camera::CameraFault;
use crate::camera::picture::{self, PictureError};
use crate::engine::{Engine, EngineError};

/// Narrower faces lack the detail that distinguishes people.
pub const MIN_FACE_WIDTH_PX: f32 = 80.0;
/// Half of a face that turns further away is hidden.
pub const MAX_YAW_DEG: f32 = 35.0;
/// A template of fewer looks is weak: another pose or another light is soon nobody's.
pub const LOOKS_MIN: usize = enrol::LOOKS_MIN;

/// Blurred, out of focus or enlarged faces have less; see `AlignedFace::sharpness`.
const SHARP_MIN: f32 = 0.03;
/// Mean brightness of the face, 0 to 255.
const LIGHT: std::ops::RangeInclusive<f32> = 45.0..=225.0;
/// A head tilted more looks like somebody else.
const MAX_ROLL_DEG: f32 = 25.0;

/// Why the enrolment failed. Except for [`EnrollError::Engine`], the pictures or the camera are at fault.
#[derive(Debug, Error)]
pub enum EnrollError {
    /// None, or more than a template holds.
    #[error(
        "{count} pictures were given. Give 1 to {VECTORS_MAX}; {LOOKS_MIN} or more in different light and poses work best"
    )]
    PictureCount { count: usize },
    /// A picture cannot be loaded.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture is no good.
    #[error("{}", unfit(.path, .fault))]
    Unfit { path: PathBuf, fault: Fault },
    /// Two pictures seem to show different people.
    #[error(
        "{a} and {b} do not seem to show the same person (similarity {cosine:.2}, needed {needed}). Remove the wrong picture"
    )]
    Mismatch { a: PathBuf, b: PathBuf, cosine: f32, needed: f32 },
    /// The clip cannot be read.
    #[error(transparent)]
    Camera(#[from] CameraFault),
    /// The clip shows too little of the person.
    #[error(
        "the clip has only {looks} good looks that differ, but {LOOKS_MIN} are needed: of {pictures} pictures {good} were good ({faults}). Follow the words, turn the head slowly, and sit in good light"
    )]
    FewLooks { looks: usize, good: usize, pictures: usize, faults: Tally },
    /// The clip shows one person after the other.
    #[error(
        "the clip shows different people: {others} of {looks} good looks are not of the person who is seen most. Enrol one person at a time, with nobody else before the camera"
    )]
    Mixed { others: usize, looks: usize },
    /// A region cannot be marked.
    #[error(transparent)]
    Marked(#[from] MarkError),
    /// The networks failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn unfit(path: &Path, fault: &Fault) -> String {
    fault.of(&path.display().to_string())
}

/// Who enrols, and what they said.
#[derive(Debug)]
pub struct Request<'a> {
    /// This device's matrix, which the vectors are rotated by.
    pub rotation: &'a Rotation,
    pub operator_id: [u8; 16],
    /// Where nobody ever is.
    pub regions: Vec<Region>,
}

/// A template, and what to tell about it.
#[derive(Debug)]
pub struct Enrolled {
    pub template: OperatorTemplate,
    /// Pictures that were nearly the same as another one, which are left out.
    pub alike: usize,
    pub separation: Separation,
}

/// Creates the template from stills.
///
/// # Errors
/// The first picture at fault, and why.
pub fn enroll(
    engine: &mut Engine,
    pictures: &[PathBuf],
    rotation: &Rotation,
    operator_id: [u8; 16],
) -> Result<OperatorTemplate, EnrollError> {
    let request = Request { rotation, operator_id, regions: Vec::new() };
    stills(engine, pictures, request).map(|enrolled| enrolled.template)
}

/// The same, with marked regions, and all there is to tell.
///
/// # Errors
/// As [`enroll`].
pub fn stills(
    engine: &mut Engine,
    pictures: &[PathBuf],
    request: Request<'_>,
) -> Result<Enrolled, EnrollError> {
    if !(1..=VECTORS_MAX).contains(&pictures.len()) {
        return Err(EnrollError::PictureCount { count: pictures.len() });
    }
    let marked = Marked::of(request.regions.iter().copied());
    let mut looks: Vec<(&Path, Look)> = Vec::new();
    for path in pictures {
        let look = only_face(engine, path, &marked)?;
        let needed = engine.embedder.facts().same_person_min;
        for (other, known) in &looks {
            let cosine = known.embedding.cosine(&look.embedding);
            // Written so that NaN is a mismatch.
            if !matches!(
                cosine.partial_cmp(&needed),
                Some(std::cmp::Ordering::Greater | std::cmp::Ordering::Equal)
            ) {
                let (a, b) = ((*other).to_owned(), path.clone());
                return Err(EnrollError::Mismatch { a, b, cosine, needed });
            }
        }
        looks.push((path, look));
    }
    let embeddings: Vec<&Embedding> = looks.iter().map(|(_, look)| &look.embedding).collect();
    let mut kept = enrol::varied(&embeddings, enrol::ALIKE);
    // In the order in which they were given.
    kept.sort_unstable();
    let chosen: Vec<&Look> = kept.iter().filter_map(|i| looks.get(*i)).map(|(_, look)| look).collect();
    let alike = looks.len() - chosen.len();
    finish(engine, &chosen, alike, request)
}

fn only_face(engine: &mut Engine, path: &Path, marked: &Marked) -> Result<Look, EnrollError> {
    let frame = picture::load(path)?;
    let size = [frame.width, frame.height].map(precise);
    let mut faces = engine.detector.still(&frame)?;
    faces.retain(|face| !marked.hides(&face.bbox, size));
    let unfit = |fault| EnrollError::Unfit { path: path.to_owned(), fault };
    let face = match &*faces {
        [] => return Err(unfit(Fault::NoFace)),
        [face] => face,
        several => return Err(unfit(Fault::SeveralFaces { count: several.len() })),
    };
    look(engine, &frame, face)?.map_err(unfit)
}

/// Makes the template of looks that were chosen.
fn finish(
    engine: &Engine,
    chosen: &[&Look],
    alike: usize,
    request: Request<'_>,
) -> Result<Enrolled, EnrollError> {
    let seats: Vec<Area> = chosen.iter().map(|look| look.place).collect();
    marked::check(&request.regions, &seats)?;
    let embeddings: Vec<&Embedding> = chosen.iter().map(|look| &look.embedding).collect();
    let template = OperatorTemplate {
        operator_id: request.operator_id,
        model_sha256: *engine.embedder_sha256.as_bytes(),
        rotation_id: request.rotation.id(),
        vectors: embeddings.iter().map(|e| request.rotation.apply(e).to_template()).collect(),
        regions: request.regions,
        self_cosine: enrol::self_cosine(&embeddings),
    };
    let separation = Separation::of(&embeddings, engine.embedder.facts().operator_min);
    Ok(Enrolled { template, alike, separation })
}

/// Picture sides are at most 65,535, which f32 holds exactly.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn precise(side: u32) -> f32 {
    side.max(1) as f32
}
