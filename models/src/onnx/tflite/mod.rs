//! From TensorFlow Lite to ONNX: the seven kinds of operators of the face mesh.
//!
//! ```text
//! bytes ─► flatbuffer ─► file (tensors, operators) ─► this file ─► ONNX graph
//! ```
//! TensorFlow Lite keeps colours last (picture, row, column, colour), ONNX keeps them before rows. The whole graph is
//! written the ONNX way, its input and outputs included, so nothing is transposed while it runs. Weights of 16 bits
//! become weights of 32, which hold them exactly; `DEQUANTIZE` disappears.
//!
//! Deliberately absent: every operator, activation and type of number that the mesh does not use. They are refused.

mod file;
mod flatbuffer;
mod half;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::file::{File, Kind, Op, Operator, Window};
use self::half::widened;
use super::OnnxError;
use super::messages::{Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use crate::manifest::ARTIFACT_BYTES_MAX;

/// Operators as of this set; ONNX Runtime has known it since 2021.
const OPERATOR_SET: i64 = 13;
const IR_VERSION: i64 = 8;

/// Writes a TensorFlow Lite model as an ONNX model; the same bytes on every machine.
pub(super) fn convert(bytes: &[u8]) -> Result<Model, OnnxError> {
    let file = File::read(bytes)?;
    let mut converter =
        Converter { file: &file, dequantised: BTreeMap::new(), graph: Graph::default(), numbers: 0 };
    for operator in &file.operators {
        converter.operator(operator)?;
    }
    let mut graph = converter.graph;
    graph.name = Some("tflite".to_owned());
    graph.input = values(&file, &file.inputs)?;
    graph.output = values(&file, &file.outputs)?;
    Ok(Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("sudare".to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
        ..Model::default()
    })
}

/// The inputs or the outputs of the graph.
fn values(file: &File<'_>, numbers: &[usize]) -> Result<Vec<ValueInfo>, OnnxError> {
    let value = |&number: &usize| {
        let dims = onnx_order(shape4(file, number)?).map(size);
        Ok(ValueInfo::of_f32(&name(file, number), &dims))
    };
    numbers.iter().map(value).collect()
}

struct Converter<'a> {
    file: &'a File<'a>,
    /// Constants that an operator widened, by the number of their tensor.
    dequantised: BTreeMap<usize, Vec<f32>>,
    graph: Graph,
    /// Constants written so far, counted by their numbers.
    numbers: usize,
}

impl Converter<'_> {
    fn operator(&mut self, operator: &Operator) -> Result<(), OnnxError> {
        let &[output] = operator.outputs.as_slice() else {
            return Err(OnnxError::NotTflite("an operator should have one output"));
        };
        let first = operator.inputs.first().copied().flatten();
        let second = operator.inputs.get(1).copied().flatten();
        let third = operator.inputs.get(2).copied().flatten();
        let missing = OnnxError::NotTflite("an operator lacks an input");
        match (operator.op, first, second) {
            (Op::Dequantise, Some(quantised), None) => self.dequantise(quantised, output),
            (Op::Add, Some(a), Some(b)) => {
                let (a, b) = (name(self.file, a), name(self.file, b));
                self.push(Node::of("Add", &[&a, &b], &name(self.file, output)));
                Ok(())
            }
            (Op::Conv(window), Some(x), Some(weights)) => {
                // Out, row, column, in; ONNX has "in" before the rows.
                self.convolution(window, [x, weights, output], third, [0, 3, 1, 2], false)
            }
            (Op::DepthwiseConv(window), Some(x), Some(weights)) => {
                // One, row, column, channel; ONNX has channel, one, row, column.
                self.convolution(window, [x, weights, output], third, [3, 0, 1, 2], true)
            }
            (Op::MaxPool(window, kernel), Some(x), None) => self.max_pool(window, kernel, x, output),
            (Op::Pad, Some(x), Some(margins)) => self.pad(x, margins, output),
            (Op::Prelu, Some(x), Some(slopes)) => self.prelu(x, slopes, output),
            _ => Err(missing),
        }
    }

    fn dequantise(&mut self, quantised: usize, output: usize) -> Result<(), OnnxError> {
        let tensor = tensor(self.file, quantised)?;
        let (words, rest) = tensor.data.as_chunks::<2>();
        if tensor.kind != Kind::F16 || !rest.is_empty() || elements(&tensor.shape) != Some(words.len()) {
            return Err(OnnxError::unsuitable(tensor.name, "should hold constant numbers of 16 bits"));
        }
        self.count(words.len())?;
        let values = words.iter().map(|word| widened(u16::from_le_bytes(*word))).collect();
        self.dequantised.insert(output, values);
        Ok(())
    }

    fn convolution(
        &mut self,
        window: Window,
        [x, weights, output]: [usize; 3],
        bias: Option<usize>,
        order: [usize; 4],
        each_channel: bool,
    ) -> Result<(), OnnxError> {
        let sizes = shape4(self.file, weights)?;
        let (values, sizes) = permuted(&self.constant(weights)?, sizes, order);
        let [_, _, rows, columns] = sizes;
        let picture = shape4(self.file, x)?;
        let pads = window.pads(&picture, [rows, columns])?;
        let (result, picture_name) = (name(self.file, output), name(self.file, x));
        let weights_name = format!("{result}/weights");
        self.write(&weights_name, &sizes, &values)?;
        let mut inputs = vec![picture_name, weights_name];
        if let Some(bias) = bias {
            let (values, bias_name) = (self.constant(bias)?, format!("{result}/bias"));
            self.write(&bias_name, &[values.len()], &values)?;
            inputs.push(bias_name);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let [_, _, _, channels] = picture;
        let node = Node::of("Conv", &inputs, &result)
            .with_ints("kernel_shape", &[rows, columns].map(size))
            .with_ints("strides", &window.strides.map(size))
            .with_ints("pads", &pads)
            .with_int("group", if each_channel { size(channels) } else { 1 });
        self.push(node);
        Ok(())
    }

    fn max_pool(
        &mut self,
        window: Window,
        kernel: [usize; 2],
        x: usize,
        output: usize,
    ) -> Result<(), OnnxError> {
        let pads = window.pads(&shape4(self.file, x)?, kernel)?;
        let node = Node::of("MaxPool", &[&name(self.file, x)], &name(self.file, output))
            .with_ints("kernel_shape", &kernel.map(size))
            .with_ints("strides", &window.strides.map(size))
            .with_ints("pads", &pads);
        self.push(node);
        Ok(())
    }

    /// Zeros around the picture, or further channels of zeros.
    fn pad(&mut self, x: usize, margins: usize, output: usize) -> Result<(), OnnxError> {
        let tensor = tensor(self.file, margins)?;
        let (words, rest) = tensor.data.as_chunks::<4>();
        let margins: Vec<i64> = words.iter().map(|word| i64::from(i32::from_le_bytes(*word))).collect();
        let sound =
            tensor.kind == Kind::I32 && rest.is_empty() && margins.iter().all(|&m| (0..4096).contains(&m));
        let (&[p0, p1, r0, r1, c0, c1, k0, k1], true) = (margins.as_slice(), sound) else {
            return Err(OnnxError::unsuitable(tensor.name, "should hold margins of four axes"));
        };
        let result = name(self.file, output);
        let margins_name = format!("{result}/margins");
        self.count(8)?;
        self.graph.initializer.push(Tensor::of_i64(&margins_name, &[p0, k0, r0, c0, p1, k1, r1, c1]));
        self.push(Node::of("Pad", &[&name(self.file, x), &margins_name], &result));
        Ok(())
    }

    fn prelu(&mut self, x: usize, slopes: usize, output: usize) -> Result<(), OnnxError> {
        let tensor = tensor(self.file, slopes)?;
        let &[1, 1, channels] = tensor.shape.as_slice() else {
            return Err(OnnxError::unsuitable(tensor.name, "should hold a slope for each channel"));
        };
        let (values, result) = (self.constant(slopes)?, name(self.file, output));
        let slopes_name = format!("{result}/slopes");
        self.write(&slopes_name, &[channels, 1, 1], &values)?;
        self.push(Node::of("PRelu", &[&name(self.file, x), &slopes_name], &result));
        Ok(())
    }

    /// The numbers of a constant, as many as its shape says.
    fn constant(&self, number: usize) -> Result<Vec<f32>, OnnxError> {
        let tensor = tensor(self.file, number)?;
        let values = match self.dequantised.get(&number) {
            Some(values) => values.clone(),
            None if tensor.kind == Kind::F32 => {
                tensor.data.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
            }
            None => Vec::new(),
        };
        if !values.is_empty() && elements(&tensor.shape) == Some(values.len()) {
            Ok(values)
        } else {
            Err(OnnxError::unsuitable(tensor.name, "should be a constant"))
        }
    }

    fn write(&mut self, name: &str, sizes: &[usize], values: &[f32]) -> Result<(), OnnxError> {
        self.count(values.len())?;
        let dims = sizes.iter().map(|&length| size(length)).collect();
        self.graph.initializer.push(Tensor::of_f32(name, dims, values));
        Ok(())
    }

    fn push(&mut self, node: Node) {
        self.graph.node.push(node);
    }

    /// Many operators may name the same data, so what they make of it is bounded, too.
    fn count(&mut self, numbers: usize) -> Result<(), OnnxError> {
        self.numbers = self.numbers.saturating_add(numbers);
        let bytes = u64::try_from(self.numbers).unwrap_or(u64::MAX).saturating_mul(4);
        if bytes > 2 * ARTIFACT_BYTES_MAX { Err(OnnxError::TooLarge) } else { Ok(()) }
    }
}

impl Window {
    /// Rows and columns before, then behind. TensorFlow puts the odd one behind.
    fn pads(&self, picture: &[usize; 4], kernel: [usize; 2]) -> Result<[i64; 4], OnnxError> {
        let [_, rows, columns, _] = *picture;
        if !self.same {
            return Ok([0; 4]);
        }
        let margin = |length: usize, kernel: usize, stride: usize| {
            let last = length.checked_sub(1)? / stride.max(1) * stride;
            Some((last + kernel).saturating_sub(length))
        };
        let [row_stride, column_stride] = self.strides;
        let margins = margin(rows, kernel[0], row_stride).zip(margin(columns, kernel[1], column_stride));
        let (down, across) = margins.ok_or(OnnxError::NotTflite("a picture has no size"))?;
        Ok([down / 2, across / 2, down - down / 2, across - across / 2].map(size))
    }
}

/// Inputs and outputs keep the names that they have in the file.
fn name(file: &File<'_>, number: usize) -> String {
    let public = file.inputs.contains(&number) || file.outputs.contains(&number);
    match file.tensors.get(number) {
        Some(tensor) if public => tensor.name.to_owned(),
        _ => format!("t{number}"),
    }
}

fn tensor<'a>(file: &'a File<'a>, number: usize) -> Result<&'a file::Tensor<'a>, OnnxError> {
    file.tensors.get(number).ok_or(OnnxError::NotTflite("an operator names a tensor that is not there"))
}

fn shape4(file: &File<'_>, number: usize) -> Result<[usize; 4], OnnxError> {
    let tensor = tensor(file, number)?;
    let shape =
        tensor.shape.as_slice().try_into().ok().filter(|shape: &[usize; 4]| {
            shape.iter().all(|&length| (1..=super::ITEMS_MAX).contains(&length))
        });
    shape.ok_or_else(|| OnnxError::unsuitable(tensor.name, "should have four axes"))
}

fn onnx_order([pictures, rows, columns, colours]: [usize; 4]) -> [usize; 4] {
    [pictures, colours, rows, columns]
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
}

/// The values with their axes in another order.
fn permuted(values: &[f32], sizes: [usize; 4], order: [usize; 4]) -> (Vec<f32>, [usize; 4]) {
    let [_, b, c, d] = sizes;
    let steps = [b * c * d, c * d, d, 1];
    let pick = |from: &[usize; 4]| order.map(|axis| from.get(axis).copied().unwrap_or(1));
    let (to, by) = (pick(&sizes), pick(&steps));
    let mut result = Vec::with_capacity(values.len());
    for i in 0..to[0] {
        for j in 0..to[1] {
            for k in 0..to[2] {
                for l in 0..to[3] {
                    let at = i * by[0] + j * by[1] + k * by[2] + l * by[3];
                    result.extend(values.get(at).copied());
                }
            }
        }
    }
    (result, to)
}

/// Sizes are at most [`super::ITEMS_MAX`], or a number of elements that are in memory.
fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
