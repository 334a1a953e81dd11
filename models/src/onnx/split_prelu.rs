//! Writing PRelu as operators that ONNX Runtime computes fast.
//!
//! `PRelu(x) = (1 - s) * Relu(x) + s * x`: x where x is positive, and s * x where it is not. ONNX Runtime's own PRelu
//! breaks the blocked layout in which it runs convolutions, and converts forth and back around each one. The sum
//! rounds differently in the last digit; the model's stored outputs are still met.

use super::OnnxError;
use super::messages::{Graph, Node, Tensor};

/// Replaces every `PRelu` whose slopes are constant by four operators. Refuses a graph that has others.
pub(super) fn split_prelu(graph: &mut Graph) -> Result<(), OnnxError> {
    let mut nodes = Vec::with_capacity(graph.node.len());
    let mut rests = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        if node.op_type.as_deref() != Some("PRelu") {
            nodes.push(node);
            continue;
        }
        let ([x, slope], [output]) = (node.input.as_slice(), node.output.as_slice()) else {
            return Err(OnnxError::unsuitable("a PRelu", "should have two inputs and one output"));
        };
        let constant = graph.initializer.iter().find(|tensor| tensor.name.as_ref() == Some(slope));
        let constant =
            constant.ok_or_else(|| OnnxError::unsuitable(output, "has slopes that are no constants"))?;
        let rest = rest_of(constant, &format!("{output}/rest"))?;
        nodes.extend(four(x, slope, output));
        rests.push(rest);
    }
    graph.node = nodes;
    graph.initializer.extend(rests);
    Ok(())
}

/// One minus the slopes.
fn rest_of(slope: &Tensor, name: &str) -> Result<Tensor, OnnxError> {
    let rest: Vec<f32> = slope.f32_values()?.iter().map(|value| 1.0 - value).collect();
    slope.sizes(rest.len())?;
    Ok(Tensor::of_f32(name, slope.dims.clone(), &rest))
}

fn four(x: &str, slope: &str, output: &str) -> [Node; 4] {
    let [positive, kept, sloped, rest] =
        ["positive", "kept", "sloped", "rest"].map(|part| format!("{output}/{part}"));
    [
        Node::of("Relu", &[x], &positive),
        Node::of("Mul", &[&positive, &rest], &kept),
        Node::of("Mul", &[x, slope], &sloped),
        Node::of("Add", &[&kept, &sloped], output),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn graph(slopes: &[f32]) -> Graph {
        let dims = vec![i64::try_from(slopes.len()).unwrap(), 1, 1];
        Graph {
            node: vec![Node::of("PRelu", &["x", "s"], "y"), Node::of("PRelu", &["y", "s"], "z")],
            initializer: vec![Tensor::of_f32("s", dims, slopes)],
            ..Graph::default()
        }
    }

    /// Computes a graph of the four operators on one number for each slope.
    fn computed(graph: &Graph, x: &[f32]) -> Vec<f32> {
        let mut values: BTreeMap<String, Vec<f32>> = graph
            .initializer
            .iter()
            .map(|t| (t.name.clone().unwrap(), t.f32_values().unwrap()))
            .chain([("x".to_owned(), x.to_vec())])
            .collect();
        for node in &graph.node {
            let of = |i: usize| values[&node.input[i]].iter();
            let result: Vec<f32> = match node.op_type.as_deref().unwrap() {
                "Relu" => of(0).map(|v| v.max(0.0)).collect(),
                "Mul" => of(0).zip(of(1)).map(|(a, b)| a * b).collect(),
                "Add" => of(0).zip(of(1)).map(|(a, b)| a + b).collect(),
                other => panic!("{other}"),
            };
            values.insert(node.output[0].clone(), result);
        }
        values["z"].clone()
    }

    #[test]
    fn the_four_operators_compute_the_same() {
        let slopes = [0.25_f32, -0.5, 0.0, 1.0, 1.75, -3.0];
        let prelu = |x: f32, s: f32| if x > 0.0 { x } else { s * x };
        for x in [-2.5_f32, -1e-3, 0.0, 1e-3, 7.25] {
            let mut split = graph(&slopes);
            split_prelu(&mut split).unwrap();
            assert_eq!(split.node.len(), 8);
            let got = computed(&split, &[x; 6]);
            for (got, s) in got.iter().zip(slopes) {
                let expected = prelu(prelu(x, s), s);
                assert!((got - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{x}, {s}: {got}");
            }
        }
    }

    #[test]
    fn slopes_may_be_written_as_numbers_or_as_bytes() {
        let mut as_bytes = graph(&[0.25, -0.5]);
        let mut as_numbers = as_bytes.clone();
        let slopes = &mut as_numbers.initializer[0];
        (slopes.raw_data, slopes.float_data) = (None, vec![0.25, -0.5]);
        split_prelu(&mut as_bytes).unwrap();
        split_prelu(&mut as_numbers).unwrap();
        assert_eq!(as_numbers.initializer[1..], as_bytes.initializer[1..]);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let mut computed_slopes = graph(&[0.5]);
        computed_slopes.initializer.clear();
        let error = split_prelu(&mut computed_slopes).unwrap_err().to_string();
        assert_eq!(error, "`y` has slopes that are no constants");
        let mut wrong_shape = graph(&[0.5]);
        wrong_shape.initializer[0].dims = vec![2];
        let error = split_prelu(&mut wrong_shape).unwrap_err().to_string();
        assert_eq!(error, "`s` has a shape that does not match its data");
        let mut half = graph(&[0.5]);
        half.node[0].input.pop();
        assert!(split_prelu(&mut half).unwrap_err().to_string().contains("two inputs"));
    }
}
