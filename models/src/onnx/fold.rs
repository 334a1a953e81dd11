//! Folding block-quantised constants to fp32.
//!
//! `DequantizeLinear` (ONNX operator set 21) with `block_size` b along `axis` means
//! `y[.., i, ..] = (x[.., i, ..] - zero_point[.., i / b, ..]) * scale[.., i / b, ..]`.
//! Both operands of the product are exact in f32, so the result is the same on every machine.

use std::collections::{BTreeMap, BTreeSet};

use super::OnnxError;
use super::messages::{Graph, Node, Tensor};
use crate::manifest::ARTIFACT_BYTES_MAX;

/// Constants by name; sorted, so that the result does not depend on a hash seed.
type Constants = BTreeMap<String, Tensor>;

/// Replaces every `DequantizeLinear` and `Reshape` whose inputs are all constant by its value,
/// and drops what nothing uses any more: constants, graph inputs, shape notes.
pub(super) fn fold_constants(graph: &mut Graph) -> Result<(), OnnxError> {
    let mut constants = take_constants(graph)?;
    let mut kept = Vec::with_capacity(graph.node.len());
    let mut folded_bytes = 0;
    for node in std::mem::take(&mut graph.node) {
        let Some(value) = fold(&node, &constants)? else {
            kept.push(node);
            continue;
        };
        folded_bytes += value.raw_data.as_ref().map_or(0, Vec::len);
        if u64::try_from(folded_bytes).map_or(true, |bytes| bytes > 2 * ARTIFACT_BYTES_MAX) {
            return Err(OnnxError::TooLarge);
        }
        insert(&mut constants, value)?;
    }
    graph.node = kept;
    drop_unused(graph, constants);
    Ok(())
}

fn take_constants(graph: &mut Graph) -> Result<Constants, OnnxError> {
    let mut constants = Constants::new();
    for tensor in std::mem::take(&mut graph.initializer) {
        insert(&mut constants, tensor)?;
    }
    Ok(constants)
}

fn insert(constants: &mut Constants, tensor: Tensor) -> Result<(), OnnxError> {
    let name = tensor.name.clone().unwrap_or_default();
    match constants.insert(name, tensor) {
        None => Ok(()),
        Some(first) => {
            Err(OnnxError::unsuitable(first.name.as_deref().unwrap_or_default(), "is defined twice"))
        }
    }
}

fn fold(node: &Node, constants: &Constants) -> Result<Option<Tensor>, OnnxError> {
    let inputs: Option<Vec<&Tensor>> = node.input.iter().map(|name| constants.get(name)).collect();
    let (Some(inputs), [output]) = (inputs, node.output.as_slice()) else { return Ok(None) };
    match (node.op_type.as_deref(), inputs.as_slice()) {
        (Some("DequantizeLinear"), &[quantised, scale, zero_point]) => {
            dequantise(node, output, quantised, scale, zero_point).map(Some)
        }
        (Some("Reshape"), &[value, shape]) => reshape(output, value, shape).map(Some),
        _ => Ok(None),
    }
}

fn dequantise(
    node: &Node,
    output: &str,
    quantised: &Tensor,
    scale: &Tensor,
    zero_point: &Tensor,
) -> Result<Tensor, OnnxError> {
    let unsuitable = |problem| OnnxError::unsuitable(output, problem);
    let (values, scales, zeros) = (quantised.i8_values()?, scale.f32_values()?, zero_point.i8_values()?);
    let sizes = quantised.sizes(values.len())?;
    let axis = usize::try_from(node.int("axis").unwrap_or(1)).ok().filter(|&axis| axis < sizes.len());
    let axis = axis.ok_or_else(|| unsuitable("is quantised along an axis that it does not have"))?;
    let block = usize::try_from(node.int("block_size").unwrap_or(0)).ok().filter(|&block| block > 0);
    let block = block.ok_or_else(|| unsuitable("is not quantised in blocks"))?;

    let length = sizes.get(axis).copied().unwrap_or(1);
    let inner: usize = sizes.iter().skip(axis + 1).product();
    let mut scale_sizes = sizes;
    if let Some(size) = scale_sizes.get_mut(axis) {
        *size = length.div_ceil(block);
    }
    if scale.sizes(scales.len())? != scale_sizes || zero_point.sizes(zeros.len())? != scale_sizes {
        return Err(unsuitable("has scales or zero points of another shape"));
    }

    let row_of_blocks = length.div_ceil(block) * inner;
    let rows =
        values.chunks(length * inner).zip(scales.chunks(row_of_blocks).zip(zeros.chunks(row_of_blocks)));
    let mut result = Vec::with_capacity(values.len());
    for (row, (scales, zeros)) in rows {
        // A block longer than the axis is legal and means one block.
        let blocks = row.chunks(block.min(length) * inner);
        for (values, (scales, zeros)) in blocks.zip(scales.chunks(inner).zip(zeros.chunks(inner))) {
            for line in values.chunks(inner) {
                let terms = line.iter().zip(scales.iter().zip(zeros));
                result.extend(terms.map(|(&x, (&s, &z))| f32::from(i16::from(x) - i16::from(z)) * s));
            }
        }
    }
    Ok(Tensor::of_f32(output, quantised.dims.clone(), &result))
}

fn reshape(output: &str, value: &Tensor, shape: &Tensor) -> Result<Tensor, OnnxError> {
    let reshaped = Tensor { name: Some(output.to_owned()), dims: shape.i64_values()?, ..value.clone() };
    reshaped.sizes(value.f32_values()?.len())?;
    Ok(reshaped)
}

fn drop_unused(graph: &mut Graph, constants: Constants) {
    let outputs = graph.output.iter().filter_map(|output| output.name.as_deref());
    let used: BTreeSet<&str> =
        graph.node.iter().flat_map(|node| &node.input).map(String::as_str).chain(outputs).collect();
    let made: BTreeSet<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    let named =
        |name: &Option<String>, set: &BTreeSet<&str>| set.contains(name.as_deref().unwrap_or_default());
    graph.input.retain(|input| {
        named(&input.name, &used) && !constants.contains_key(input.name.as_deref().unwrap_or_default())
    });
    graph.value_info.retain(|value| named(&value.name, &made));
    graph.initializer = constants.into_values().filter(|tensor| named(&tensor.name, &used)).collect();
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::messages::*;
    use super::super::prepare;
    use super::*;
    use crate::manifest::Step;
    use prost::Message as _;

    fn node(op: &str, inputs: &[&str], output: &str, ints: &[(&str, i64)]) -> Node {
        Node {
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: ints
                .iter()
                .map(|&(name, i)| Attribute {
                    name: Some(name.to_owned()),
                    i: Some(i),
                    kind: Some(2),
                    ..Attribute::default()
                })
                .collect(),
            ..Node::default()
        }
    }

    fn tensor(name: &str, data_type: i32, dims: &[i64], raw: Vec<u8>) -> Tensor {
        Tensor {
            name: Some(name.to_owned()),
            data_type: Some(data_type),
            dims: dims.to_vec(),
            raw_data: Some(raw),
            ..Tensor::default()
        }
    }

    fn value(name: &str, dims: &[i64]) -> ValueInfo {
        let dim = dims.iter().map(|&d| Dimension { value: Some(d), param: None }).collect();
        let tensor = TensorType { elem_type: Some(FLOAT), shape: Some(Shape { dim }) };
        ValueInfo { name: Some(name.to_owned()), kind: Some(ValueType { tensor: Some(tensor) }) }
    }

    /// A convolution whose weights are int8 in blocks of two along axis 1, with a last block of
    /// one; its result is flattened to [1, -1, 2].
    pub(in crate::onnx) fn quantised_model() -> Model {
        let scales = [0.5_f32, 2.0, 1.0, 0.25];
        let graph = Graph {
            name: Some("tiny".to_owned()),
            node: vec![
                node("DequantizeLinear", &["w_q", "w_s", "w_z"], "w_d", &[("axis", 1), ("block_size", 2)]),
                node("Reshape", &["w_d", "w_shape"], "w", &[]),
                node("Conv", &["picture", "w"], "c", &[]),
                node("Reshape", &["c", "flat"], "answer", &[]),
            ],
            initializer: vec![
                tensor("w_q", INT8, &[2, 3], vec![1, 2, 3, 0xFF, 0x80, 0x7F]),
                tensor("w_s", FLOAT, &[2, 2], scales.iter().flat_map(|s| s.to_le_bytes()).collect()),
                tensor("w_z", INT8, &[2, 2], vec![0, 1, 0xFF, 127]),
                tensor(
                    "w_shape",
                    INT64,
                    &[4],
                    [2_i64, 3, 1, 1].iter().flat_map(|d| d.to_le_bytes()).collect(),
                ),
                tensor("flat", INT64, &[3], [1_i64, -1, 2].iter().flat_map(|d| d.to_le_bytes()).collect()),
            ],
            input: vec![value("picture", &[1, 3, 64, 64]), value("w_q", &[2, 3]), value("stray", &[1])],
            output: vec![value("answer", &[1, 4096, 2])],
            value_info: vec![value("w_d", &[2, 3]), value("c", &[1, 2, 64, 64])],
            doc_string: None,
        };
        Model { ir_version: Some(6), graph: Some(graph), ..Model::default() }
    }

    fn folded(model: &Model) -> Graph {
        let bytes = prepare(model.encode_to_vec(), &[Step::FoldConstants]).unwrap();
        Model::decode(bytes.as_slice()).unwrap().graph.unwrap()
    }

    #[test]
    fn weights_are_exact() {
        let graph = folded(&quantised_model());
        let weights = graph.initializer.iter().find(|t| t.name.as_deref() == Some("w")).unwrap();
        assert_eq!(weights.dims, [2, 3, 1, 1]);
        // (1-0)/2, (2-0)/2, (3-1)*2; (-1+1)*1, (-128+1)*1, (127-127)/4
        assert_eq!(weights.f32_values().unwrap(), [0.5, 1.0, 4.0, 0.0, -127.0, 0.0]);
    }

    #[test]
    fn only_what_is_used_stays() {
        let graph = folded(&quantised_model());
        let names = |of: &[ValueInfo]| of.iter().filter_map(|v| v.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            graph.node.iter().filter_map(|n| n.op_type.as_deref()).collect::<Vec<_>>(),
            ["Conv", "Reshape"]
        );
        assert_eq!(
            graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect::<Vec<_>>(),
            ["flat", "w"]
        );
        assert_eq!(names(&graph.input), ["picture"]);
        assert_eq!(names(&graph.value_info), ["c"]);
        assert_eq!(graph.output, quantised_model().graph.unwrap().output);
    }

    #[test]
    fn blocks_along_the_first_axis_have_inner_scales() {
        let dequantise_along_0 =
            node("DequantizeLinear", &["q", "s", "z"], "d", &[("axis", 0), ("block_size", 2)]);
        let scales = [1.0_f32, 10.0, 100.0, 1000.0];
        let constants: Constants = [
            tensor("q", INT8, &[3, 2], vec![1, 2, 3, 4, 5, 6]),
            tensor("s", FLOAT, &[2, 2], scales.iter().flat_map(|s| s.to_le_bytes()).collect()),
            tensor("z", INT8, &[2, 2], vec![0; 4]),
        ]
        .map(|t| (t.name.clone().unwrap(), t))
        .into();
        let value = fold(&dequantise_along_0, &constants).unwrap().unwrap();
        assert_eq!(value.f32_values().unwrap(), [1.0, 20.0, 3.0, 40.0, 500.0, 6000.0]);
    }

    /// Changes one constant of the model and says what the error is.
    fn error_with(change: impl FnOnce(&mut Graph)) -> String {
        let mut model = quantised_model();
        change(model.graph.as_mut().unwrap());
        prepare(model.encode_to_vec(), &[Step::FoldConstants]).unwrap_err().to_string()
    }

    #[test]
    fn a_model_that_does_not_fit_together_is_refused_with_its_reason() {
        assert_eq!(
            error_with(|g| g.initializer[0].dims = vec![2, 4]),
            "`w_q` has a shape that does not match its data"
        );
        assert_eq!(
            error_with(|g| g.initializer[0].dims = vec![-2, -3]),
            "`w_q` has a shape that does not match its data"
        );
        assert_eq!(
            error_with(|g| g.initializer[1].dims = vec![4, 1]),
            "`w_d` has scales or zero points of another shape"
        );
        assert_eq!(
            error_with(|g| g.initializer[0].data_type = Some(FLOAT)),
            "`w_q` should hold int8 numbers"
        );
        assert_eq!(
            error_with(|g| g.initializer[1].raw_data = Some(vec![0; 15])),
            "`w_s` ends in the middle of a number"
        );
        assert_eq!(error_with(|g| g.node[0].attribute.clear()), "`w_d` is not quantised in blocks");
        assert_eq!(
            error_with(|g| g.node[0].attribute[0].i = Some(2)),
            "`w_d` is quantised along an axis that it does not have"
        );
        assert_eq!(
            error_with(|g| g.initializer[3].raw_data = Some(vec![0; 32])),
            "`w` has a shape that does not match its data"
        );
        assert_eq!(error_with(|g| g.initializer[1].name = Some("w_q".to_owned())), "`w_q` is defined twice");
    }

    #[test]
    fn a_block_longer_than_everything_is_one_block() {
        let error = error_with(|g| g.node[0].attribute[1].i = Some(i64::MAX));
        assert_eq!(error, "`w_d` has scales or zero points of another shape");
    }
}
