//! The part of the ONNX file format that our models use.
//!
//! Field numbers: `onnx/onnx.proto` (proto2) of <https://github.com/onnx/onnx>. A field that is
//! missing here would be dropped when a model is written again, so [`super::decode`] refuses
//! every file that does not survive the way through these messages.

/// Elements of a tensor are f32.
pub(super) const FLOAT: i32 = 1;
/// Elements of a tensor are i8.
pub(super) const INT8: i32 = 3;
/// Elements of a tensor are i64.
pub(super) const INT64: i32 = 7;

/// An attribute is an integer.
const INT: i32 = 2;
/// An attribute is a list of integers.
const INTS: i32 = 7;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Model {
    #[prost(int64, optional, tag = "1")]
    pub(super) ir_version: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(super) producer_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(super) producer_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) domain: Option<String>,
    #[prost(int64, optional, tag = "5")]
    pub(super) model_version: Option<i64>,
    #[prost(string, optional, tag = "6")]
    pub(super) doc_string: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OperatorSet {
    #[prost(string, optional, tag = "1")]
    pub(super) domain: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(super) version: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(string, optional, tag = "2")]
    pub(super) name: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<Tensor>,
    #[prost(string, optional, tag = "10")]
    pub(super) doc_string: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "13")]
    pub(super) value_info: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, optional, tag = "3")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) op_type: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<Attribute>,
    #[prost(string, optional, tag = "6")]
    pub(super) doc_string: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub(super) domain: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attribute {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(float, optional, tag = "2")]
    pub(super) f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub(super) i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) s: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(int32, optional, tag = "20")]
    pub(super) kind: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    pub(super) data_type: Option<i32>,
    #[prost(float, repeated, packed = "true", tag = "4")]
    pub(super) float_data: Vec<f32>,
    #[prost(int64, repeated, packed = "true", tag = "7")]
    pub(super) int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    pub(super) name: Option<String>,
    /// Little-endian, whatever the machine.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub(super) raw_data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueInfo {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<ValueType>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueType {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorType {
    #[prost(int32, optional, tag = "1")]
    pub(super) elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

/// Either a number or the name of a free size.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub(super) value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(super) param: Option<String>,
}

impl ValueInfo {
    /// An f32 tensor of these sizes.
    pub(super) fn of_f32(name: &str, dims: &[i64]) -> Self {
        let dim = dims.iter().map(|&value| Dimension { value: Some(value), param: None }).collect();
        let tensor = TensorType { elem_type: Some(FLOAT), shape: Some(Shape { dim }) };
        Self { name: Some(name.to_owned()), kind: Some(ValueType { tensor: Some(tensor) }) }
    }

    /// The dimensions, where the value is a tensor that has some.
    pub(super) fn dims_mut(&mut self) -> Option<&mut Vec<Dimension>> {
        Some(&mut self.kind.as_mut()?.tensor.as_mut()?.shape.as_mut()?.dim)
    }
}

impl Node {
    /// An operator with one output and no attributes.
    pub(super) fn of(op: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: Some(op.to_owned()),
            ..Self::default()
        }
    }

    /// The same with the attribute `name`, a list of integers.
    pub(super) fn with_ints(mut self, name: &str, ints: &[i64]) -> Self {
        let name = Some(name.to_owned());
        self.attribute.push(Attribute {
            name,
            ints: ints.to_vec(),
            kind: Some(INTS),
            ..Attribute::default()
        });
        self
    }

    /// The same with the attribute `name`, an integer.
    pub(super) fn with_int(mut self, name: &str, i: i64) -> Self {
        let name = Some(name.to_owned());
        self.attribute.push(Attribute { name, i: Some(i), kind: Some(INT), ..Attribute::default() });
        self
    }

    /// The integer attribute `name`.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))?.i
    }
}
