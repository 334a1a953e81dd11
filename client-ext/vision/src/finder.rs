//! Searches a single picture for faces again, at its full size and at smaller ones.
//!
//! While watching, pictures are shrunk so far that a small face in the background is missed. That does not matter for
//! the decision; it does for whom the security team gets to see.

use sudare_client_core::evidence::Area;
use sudare_client_core::frame::Frame;

use crate::engine::Engine;
use crate::faces::Detector;

/// A detector that is loaded at first use, and kept.
#[derive(Debug, Default)]
pub struct Finder {
    detector: Option<Detector>,
}

impl Finder {
    /// Uses the detector in this user's cache.
    pub fn from_cache() -> Self {
        Finder::default()
    }

    /// All faces; `None` if the search failed.
    pub fn find(&mut self, frame: &Frame) -> Option<Vec<Area>> {
        let detector = match &mut self.detector {
            Some(detector) => detector,
            none => match Engine::detector_from_cache() {
                Ok(detector) => none.insert(detector),
                Err(error) => {
                    tracing::error!(%error, "the search for more faces failed; whole pictures are pixelated");
                    return None;
                }
            },
        };
        match detector.still(frame) {
            Ok(faces) => Some(faces.into_iter().map(|face| face.bbox).collect()),
            Err(error) => {
                tracing::error!(%error, "the search for more faces failed; a whole picture is pixelated");
                None
            }
        }
    }
}
