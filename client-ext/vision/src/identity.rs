//! Whose face is it: a vector of 128 numbers, by SFace.
//!
//! Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition" (2021).

use ort::session::Session;
use ort::value::TensorRef;
use sudare_client_core::face::embedding::Embedding;
use sudare_models::{EmbedderFacts, Role};

use crate::align::{ALIGNED_SIDE_PX, AlignedFace};
use crate::engine::EngineError;

/// The network.
#[derive(Debug)]
pub struct Embedder {
    session: Session,
    facts: EmbedderFacts,
}

impl Embedder {
    pub(super) fn new(session: Session, facts: EmbedderFacts) -> Self {
        Self { session, facts }
    }

    /// Thresholds, and where landmarks belong.
    #[must_use]
    pub fn facts(&self) -> &EmbedderFacts {
        &self.facts
    }

    /// # Errors
    /// The network failed, or its output is not a vector.
    pub fn embed(&mut self, face: &AlignedFace) -> Result<Embedding, EngineError> {
        let shape = [1, 3, ALIGNED_SIDE_PX, ALIGNED_SIDE_PX];
        let tensor = TensorRef::from_array_view((shape, face.planes.as_slice())).map_err(failed)?;
        let outputs =
            self.session.run(ort::inputs![self.facts.input.name.as_str() => tensor]).map_err(failed)?;
        let output =
            outputs.get(self.facts.output.as_str()).ok_or_else(|| failed("the output is missing"))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        Embedding::from_values(values).ok_or_else(|| failed("the output is not a vector of 128 numbers"))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::FaceEmbedder, detail: error.to_string() }
}
