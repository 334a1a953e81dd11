//! Making the height and width of a detector's input free.
//!
//! The published YuNet declares 640x640 although none of its operators needs that size. On a
//! picture of 320x256 it is five times faster.

use super::OnnxError;
use super::messages::{Dimension, Graph};

/// Declares rows and columns of the only input as free, and the number of candidates of each
/// output with them. Refuses a graph that has a size built in.
pub(super) fn free_size(graph: &mut Graph) -> Result<(), OnnxError> {
    refuse_fixed_sizes(graph)?;
    let [input] = graph.input.as_mut_slice() else {
        return Err(OnnxError::unsuitable("the graph", "should have exactly one input"));
    };
    let name = input.name.clone().unwrap_or_default();
    match input.dims_mut().map(Vec::as_mut_slice) {
        Some([_, _, rows, columns]) => {
            *rows = free("height".to_owned());
            *columns = free("width".to_owned());
        }
        _ => return Err(OnnxError::unsuitable(&name, "should have four dimensions")),
    }
    for output in &mut graph.output {
        let name = output.name.clone().unwrap_or_default();
        match output.dims_mut().map(Vec::as_mut_slice) {
            Some([_, candidates, _]) => *candidates = free(format!("{name}_candidates")),
            _ => return Err(OnnxError::unsuitable(&name, "should have three dimensions")),
        }
    }
    // Notes about the shapes in between; the runtime derives them anew.
    graph.value_info.clear();
    Ok(())
}

fn free(name: String) -> Dimension {
    Dimension { value: None, param: Some(name) }
}

fn refuse_fixed_sizes(graph: &Graph) -> Result<(), OnnxError> {
    for node in &graph.node {
        let output = node.output.first().map_or("", String::as_str);
        match (node.op_type.as_deref(), node.input.as_slice()) {
            (Some("Reshape"), [_, shape]) => {
                let shape = graph.initializer.iter().find(|tensor| tensor.name.as_ref() == Some(shape));
                let dims = shape.map(|shape| shape.i64_values()).transpose()?;
                if !dims.is_some_and(|dims| dims.contains(&-1)) {
                    return Err(OnnxError::unsuitable(output, "is reshaped to a fixed size"));
                }
            }
            // The fourth input of Resize is the size; the third is the factor.
            (Some("Resize"), [_, _, _, ..]) if node.input.get(3).is_none_or(String::is_empty) => {}
            (Some("Resize"), _) => return Err(OnnxError::unsuitable(output, "is resized to a fixed size")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fold::tests::quantised_model;
    use super::super::messages::{Model, Node};
    use super::super::prepare;
    use super::*;
    use crate::manifest::Step;
    use prost::Message as _;

    const STEPS: [Step; 2] = [Step::FoldConstants, Step::FreeSize];

    #[test]
    fn height_width_and_candidates_become_free() {
        let bytes = prepare(quantised_model().encode_to_vec(), &STEPS).unwrap();
        let mut graph = Model::decode(bytes.as_slice()).unwrap().graph.unwrap();
        let shape = |dims: &mut Vec<Dimension>| {
            dims.iter()
                .map(|d| d.param.clone().unwrap_or_else(|| d.value.unwrap().to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(shape(graph.input[0].dims_mut().unwrap()), ["1", "3", "height", "width"]);
        assert_eq!(shape(graph.output[0].dims_mut().unwrap()), ["1", "answer_candidates", "2"]);
        assert!(graph.value_info.is_empty());
    }

    #[test]
    fn a_built_in_size_is_refused() {
        let mut fixed = quantised_model();
        let graph = fixed.graph.as_mut().unwrap();
        graph.initializer[4].raw_data = Some([1_i64, 4096, 2].iter().flat_map(|d| d.to_le_bytes()).collect());
        let error = prepare(fixed.encode_to_vec(), &STEPS).unwrap_err();
        assert_eq!(error.to_string(), "`answer` is reshaped to a fixed size");

        let mut resized = quantised_model();
        let inputs = ["c", "", "", "sizes"].map(str::to_owned).to_vec();
        let resize = Node {
            op_type: Some("Resize".to_owned()),
            input: inputs,
            output: vec!["large".to_owned()],
            ..Node::default()
        };
        resized.graph.as_mut().unwrap().node.push(resize);
        let error = prepare(resized.encode_to_vec(), &STEPS).unwrap_err();
        assert_eq!(error.to_string(), "`large` is resized to a fixed size");
    }
}
