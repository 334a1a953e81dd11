//! Making a published ONNX model ready for use, once.
//!
//! ```text
//! bytes ─► decode or tflite ─► fold ─► free_size ─► split_prelu ─► encode ─► bytes with a pinned SHA-256
//! ```
//! The block-quantised YuNet does not load in ONNX Runtime at all, and the block-quantised SFace
//! runs 2.6 times slower than it needs to. Folding their constants to fp32 mends both. The face mesh
//! is published for TensorFlow Lite only. Networks with PRelu run faster without it.
//!
//! Only bytes whose SHA-256 is in the manifest come here. The bounds below are a second line
//! behind that: a damaged file gives an [`OnnxError`], never a panic.

mod fold;
mod free_size;
mod messages;
mod split_prelu;
mod tensor;
mod tflite;

use prost::Message as _;

use crate::manifest::Step;
use messages::Model;

/// No model of ours has more nodes, or more constants.
const ITEMS_MAX: usize = 4096;

/// Why a model cannot be made ready.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OnnxError {
    #[error("it is not an ONNX model ({0})")]
    Malformed(String),
    #[error("it is not a TensorFlow Lite model ({0})")]
    NotTflite(&'static str),
    #[error("it has parts that this program does not know and would drop")]
    Lossy,
    #[error("it has more than {ITEMS_MAX} nodes or constants")]
    TooLarge,
    #[error("`{name}` {problem}")]
    Unsuitable { name: String, problem: &'static str },
}

impl OnnxError {
    fn unsuitable(name: &str, problem: &'static str) -> Self {
        Self::Unsuitable { name: name.to_owned(), problem }
    }
}

/// Applies `steps` to a published model. The same input gives the same bytes on every machine.
pub(crate) fn prepare(published: Vec<u8>, steps: &[Step]) -> Result<Vec<u8>, OnnxError> {
    if steps.is_empty() {
        return Ok(published);
    }
    let (mut model, steps) = match steps {
        [Step::FromTflite, rest @ ..] => (tflite::convert(&published)?, rest),
        _ => (decode(&published)?, steps),
    };
    // A folded model is four times as large; there is no need to hold both.
    drop(published);
    let graph = model.graph.as_mut().ok_or_else(|| OnnxError::Malformed("it has no graph".to_owned()))?;
    for step in steps {
        match step {
            Step::FoldConstants => fold::fold_constants(graph)?,
            Step::FreeSize => free_size::free_size(graph)?,
            Step::SplitPrelu => split_prelu::split_prelu(graph)?,
            Step::FromTflite => {
                return Err(OnnxError::unsuitable("from-tflite", "can only be the first step"));
            }
        }
    }
    Ok(model.encode_to_vec())
}

fn decode(bytes: &[u8]) -> Result<Model, OnnxError> {
    let model = Model::decode(bytes).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    // prost skips what it does not know. What would be written must be as long as what was read.
    if model.encoded_len() != bytes.len() {
        return Err(OnnxError::Lossy);
    }
    let graph = model.graph.as_ref();
    if graph.is_some_and(|graph| graph.node.len() > ITEMS_MAX || graph.initializer.len() > ITEMS_MAX) {
        return Err(OnnxError::TooLarge);
    }
    Ok(model)
}

#[cfg(test)]
pub(crate) fn published_model() -> Vec<u8> {
    fold::tests::quantised_model().encode_to_vec()
}

/// The same with a PRelu.
#[cfg(test)]
pub(crate) fn published_model_with_prelu() -> Vec<u8> {
    let mut model = fold::tests::quantised_model();
    if let Some(graph) = model.graph.as_mut() {
        if let Some(flat) = graph.node.last_mut() {
            flat.input = vec!["bent".to_owned(), "flat".to_owned()];
        }
        let bent = messages::Node::of("PRelu", &["c", "slopes"], "bent");
        graph.node.insert(graph.node.len().saturating_sub(1), bent);
        graph.initializer.push(messages::Tensor::of_f32("slopes", vec![2, 1, 1], &[0.25, -0.5]));
    }
    model.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fold::tests::quantised_model;
    use super::*;

    const STEPS: [Step; 2] = [Step::FoldConstants, Step::FreeSize];

    #[test]
    fn no_step_changes_no_byte() {
        assert_eq!(prepare(b"anything".to_vec(), &[]).unwrap(), b"anything");
    }

    #[test]
    fn tflite_comes_first_or_not_at_all() {
        let error = prepare(quantised_model().encode_to_vec(), &[Step::FoldConstants, Step::FromTflite]);
        assert_eq!(error.unwrap_err().to_string(), "`from-tflite` can only be the first step");
        let error = prepare(quantised_model().encode_to_vec(), &[Step::FromTflite]).unwrap_err();
        assert!(error.to_string().starts_with("it is not a TensorFlow Lite model"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_refused_rather_than_lost() {
        let mut bytes = quantised_model().encode_to_vec();
        bytes.extend([0xA0, 0x06, 0x01]); // field 100, varint 1
        assert_eq!(prepare(bytes, &STEPS), Err(OnnxError::Lossy));
    }

    #[test]
    fn too_many_nodes_are_refused() {
        let mut model = quantised_model();
        let graph = model.graph.as_mut().unwrap();
        graph.node = vec![graph.node[0].clone(); ITEMS_MAX + 1];
        assert_eq!(prepare(model.encode_to_vec(), &STEPS), Err(OnnxError::TooLarge));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = quantised_model().encode_to_vec();
        for end in 0..bytes.len() {
            assert!(prepare(bytes[..end].to_vec(), &STEPS).is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), value: u8) {
            let mut bytes = quantised_model().encode_to_vec();
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _either_is_fine = prepare(bytes, &STEPS);
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _either_is_fine = prepare(bytes, &STEPS);
        }
    }
}
