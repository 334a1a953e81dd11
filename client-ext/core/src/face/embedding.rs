//! A face as a vector of 128 numbers. Vectors of one person point the same way.

use sudare_protocol::limits::VECTOR_DIM;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

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
