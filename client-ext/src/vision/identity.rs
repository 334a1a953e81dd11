//! Whose face is it: a vector of 128 numbers, by SFace. Vectors of one person point the same way.
//!
//! Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition" (2021).

use ort::session::Session;
use ort::value::TensorRef;
use sudare_models::{EmbedderFacts, Role};
use sudare_protocol::limits::VECTOR_DIM;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use super::align::{ALIGNED_SIDE_PX, AlignedFace};
use super::engine::EngineError;

/// A face as a unit vector. It is biometric data: wiped when dropped, never printed, never serialised.
#[derive(ZeroizeOnDrop)]
pub struct Embedding(pub(super) [f32; VECTOR_DIM]);

impl Embedding {
    /// Scales to unit length; `None` for a vector that has no direction.
    #[must_use]
    pub fn from_values(values: &[f32]) -> Option<Self> {
        let mut vector: [f32; VECTOR_DIM] = values.try_into().ok()?;
        let length = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        if !length.is_finite() || length < 1e-6 {
            vector.zeroize();
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "a unit vector is stored in f32")]
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
        Some(Self(vector))
    }

    /// -1 to 1; the same person from about 0.36 on.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedding({} numbers)", self.0.len())
    }
}

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

    /// Thresholds and the places of the landmarks.
    #[must_use]
    pub fn facts(&self) -> &EmbedderFacts {
        &self.facts
    }

    /// # Errors
    /// The network failed, or gave something that is no vector.
    pub fn embed(&mut self, face: &AlignedFace) -> Result<Embedding, EngineError> {
        let shape = [1, 3, ALIGNED_SIDE_PX, ALIGNED_SIDE_PX];
        let tensor = TensorRef::from_array_view((shape, face.planes.as_slice())).map_err(failed)?;
        let outputs =
            self.session.run(ort::inputs![self.facts.input.name.as_str() => tensor]).map_err(failed)?;
        let output =
            outputs.get(self.facts.output.as_str()).ok_or_else(|| failed("the output is missing"))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        Embedding::from_values(values).ok_or_else(|| failed("the output is no vector of 128 numbers"))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::FaceEmbedder, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_scaled_to_unit_length_and_hidden() {
        let mut values = [0.0; VECTOR_DIM];
        (values[0], values[1]) = (3.0, 4.0);
        let a = Embedding::from_values(&values).unwrap();
        assert!((a.cosine(&a) - 1.0).abs() < 1e-6);
        assert_eq!(format!("{a:?}"), "Embedding(128 numbers)");
        assert!(Embedding::from_values(&[0.0; VECTOR_DIM]).is_none());
        assert!(Embedding::from_values(&[f32::NAN; VECTOR_DIM]).is_none());
        assert!(Embedding::from_values(&[1.0; 5]).is_none());
    }
}
