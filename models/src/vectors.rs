//! Each model's output for a known input.
//!
//! The bytes of a model are pinned; the machine that runs them is not. A program that has just
//! loaded a model runs it once on [`OutputVector::input`] and checks the output. The
//! expected numbers come from the models as published, computed by other programs
//! (`vectors/make.py`), so they check our folding as well.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Digest, ModelError, Role};

/// A known input of one role, and what the accepted models answer to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputVector {
    input: Input,
    models: Vec<Expected>,
}

/// What [`OutputVector::check`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Checked {
    /// Every stored number was met.
    Matches,
    /// No numbers are stored for this model (the fp32 SFace of the authors, see README.md).
    NothingStored,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    name: String,
    shape: [usize; 4],
    /// What stands for 255.
    #[serde(default = "byte_max")]
    value_max: f32,
}

fn byte_max() -> f32 {
    255.0
}

/// `published` and `made_with` are for people who read the file.
#[derive(Debug, Clone, Deserialize)]
struct Expected {
    sha256: Digest,
    outputs: BTreeMap<String, Output>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Output {
    tolerance: f32,
    length: usize,
    samples: Vec<(usize, f32)>,
}

/// The stored outputs of `role`; the library has none.
#[must_use]
pub fn vectors(role: Role) -> Option<OutputVector> {
    let text = match role {
        Role::FaceDetector => include_str!("../vectors/face-detector.json"),
        Role::FaceEmbedder => include_str!("../vectors/face-embedder.json"),
        Role::FaceMesh => include_str!("../vectors/face-mesh.json"),
        Role::AntiSpoof => include_str!("../vectors/anti-spoof.json"),
        Role::PhoneDetector => include_str!("../vectors/phone-detector.json"),
        Role::OnnxRuntime => return None,
    };
    // Part of the program; a test reads it.
    serde_json::from_str(text).ok()
}

impl OutputVector {
    /// Name of the input tensor.
    #[must_use]
    pub fn input_name(&self) -> &str {
        &self.input.name
    }

    /// Its shape (pictures, colours, rows, columns).
    #[must_use]
    pub fn input_shape(&self) -> [usize; 4] {
        self.input.shape
    }

    /// Its values: number i is (37 i) mod 256, divided by 255 where pixels run from 0 to 1.
    #[must_use]
    pub fn input(&self) -> Vec<f32> {
        let unit = 255.0 / self.input.value_max;
        let values = (0..=255_u8).cycle().step_by(37).map(|value| f32::from(value) / unit);
        values.take(self.input.shape.iter().product()).collect()
    }

    /// Compares what the model with this SHA-256 answered, output by output. The error names
    /// the first number that differs.
    pub fn check(
        &self,
        role: Role,
        sha256: Digest,
        outputs: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Checked, ModelError> {
        let Some(expected) = self.models.iter().find(|model| model.sha256 == sha256) else {
            return Ok(Checked::NothingStored);
        };
        for (name, expected) in &expected.outputs {
            let got = outputs.get(name).map_or(&[][..], Vec::as_slice);
            expected.check(got).map_err(|detail| ModelError::WrongOutput {
                role,
                detail: format!("output {name}: {detail}"),
            })?;
        }
        Ok(Checked::Matches)
    }
}

impl Output {
    fn check(&self, got: &[f32]) -> Result<(), String> {
        if got.len() != self.length {
            return Err(format!("{} numbers instead of {}", got.len(), self.length));
        }
        for &(index, expected) in &self.samples {
            // Written so that a NaN is a difference.
            let near = got.get(index).is_some_and(|value| (value - expected).abs() <= self.tolerance);
            if !near {
                return Err(format!("number {index} is {:?} instead of {expected}", got.get(index)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    /// Outputs that hold the stored numbers and zeros elsewhere.
    fn answers(expected: &Expected) -> BTreeMap<String, Vec<f32>> {
        let filled = |output: &Output| {
            let mut values = vec![0.0; output.length];
            output.samples.iter().for_each(|&(index, value)| values[index] = value);
            values
        };
        expected.outputs.iter().map(|(name, output)| (name.clone(), filled(output))).collect()
    }

    #[test]
    fn the_best_source_of_each_model_has_stored_outputs() {
        let manifest = Manifest::embedded().unwrap();
        for role in [Role::FaceDetector, Role::FaceEmbedder].into_iter().chain(Role::OPTIONAL) {
            let vector = vectors(role).unwrap();
            let best = manifest.sources(role, "any").next().unwrap().cached_sha256();
            assert!(vector.models.iter().any(|model| model.sha256 == best), "{role}: run vectors/make.py");
        }
        assert!(vectors(Role::OnnxRuntime).is_none());
    }

    #[test]
    fn the_input_follows_its_formula() {
        let vector = vectors(Role::FaceDetector).unwrap();
        let input = vector.input();
        assert_eq!(input.len(), 3 * 64 * 96);
        assert_eq!(vector.input_shape(), [1, 3, 64, 96]);
        assert!(input.iter().enumerate().all(|(i, &value)| f64::from(value) == (i * 37 % 256) as f64));
        let mesh = vectors(Role::FaceMesh).unwrap().input();
        assert_eq!((mesh.len(), mesh[1]), (3 * 192 * 192, 37.0 / 255.0));
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let vector = vectors(Role::FaceEmbedder).unwrap();
        let expected = &vector.models[0];
        let check = |outputs: &BTreeMap<_, _>| vector.check(Role::FaceEmbedder, expected.sha256, outputs);
        let good = answers(expected);
        assert_eq!(check(&good).unwrap(), Checked::Matches);
        for wrong in [f32::NAN, 2.0] {
            let mut outputs = good.clone();
            outputs.get_mut("fc1").unwrap()[18] = wrong;
            assert!(check(&outputs).unwrap_err().to_string().contains("output fc1: number 18 is"));
        }
        assert!(check(&BTreeMap::new()).unwrap_err().to_string().contains("0 numbers instead of 128"));
        let other = vector.check(Role::FaceEmbedder, Digest::of(b"another model"), &good).unwrap();
        assert_eq!(other, Checked::NothingStored);
    }
}
