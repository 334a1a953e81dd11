//! Looks for faces in a single picture again, at its full size and at smaller ones.
//!
//! While watching, pictures are shrunk so far that a small face in the background is missed, which does not
//! matter for the decision; it does for who is shown to the security team.

use sudare_client_core::evidence::Area;
use sudare_client_core::frame::Frame;

use crate::engine::Engine;
use crate::faces::Detector;

/// A detector that is loaded when it is first needed, and kept.
#[derive(Debug, Default)]
pub struct Finder {
    detector: Option<Detector>,
}

impl Finder {
    /// With the detector of this user's cache.
    pub fn from_cache() -> Self {
        Finder::default()
    }

    /// All faces; `None` if it cannot be told.
    pub fn find(&mut self, frame: &Frame) -> Option<Vec<Area>> {
        let detector = match &mut self.detector {
            Some(detector) => detector,
            none => match Engine::detector_from_cache() {
                Ok(detector) => none.insert(detector),
                Err(error) => {
                    tracing::error!(%error, "faces cannot be looked for again; whole pictures are pixelated");
                    return None;
                }
            },
        };
        match detector.still(frame) {
            Ok(faces) => Some(faces.into_iter().map(|face| face.bbox).collect()),
            Err(error) => {
                tracing::error!(%error, "faces cannot be looked for again; a whole picture is pixelated");
                None
            }
        }
    }
}
