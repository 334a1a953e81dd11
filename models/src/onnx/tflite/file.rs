//! What a TensorFlow Lite file says, as far as the face mesh needs it.
//!
//! Field numbers: `tflite/converter/schema/schema.fbs` of <https://github.com/google-ai-edge/LiteRT>. What this program
//! does not know is refused, so that nothing is computed otherwise than it was meant.

use super::flatbuffer::Table;
use crate::onnx::{ITEMS_MAX, OnnxError};

/// A model of one graph.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) tensors: Vec<Tensor<'a>>,
    /// In the order in which they are computed.
    pub(super) operators: Vec<Operator>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
}

/// A constant, or what an operator computes.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    /// Pictures: picture, row, column, colour.
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
    /// Little-endian; empty if it is computed.
    pub(super) data: &'a [u8],
}

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    I32,
}

/// One step of the computation.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) op: Op,
    /// Numbers of tensors; `None` is an input that is left out.
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Add,
    Conv(Window),
    DepthwiseConv(Window),
    Dequantise,
    MaxPool(Window, [usize; 2]),
    Pad,
    Prelu,
}

/// How a window moves over the picture: rows, then columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) strides: [usize; 2],
    /// The picture is padded so that the window stands on each stride.
    pub(super) same: bool,
}

impl<'a> File<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self, OnnxError> {
        let model = Table::root(file, b"TFL3")?;
        let codes: Vec<u8> = model.tables(1)?.iter().map(builtin_code).collect::<Result<_, _>>()?;
        let graphs = model.tables(2)?;
        let [graph] = graphs.as_slice() else {
            return Err(OnnxError::NotTflite("it should have one graph"));
        };
        let buffers = model.tables(4)?;
        let tensors = graph.tables(0)?;
        let operators = graph.tables(3)?;
        if tensors.len() > ITEMS_MAX || operators.len() > ITEMS_MAX {
            return Err(OnnxError::TooLarge);
        }
        let tensors: Vec<_> =
            tensors.iter().map(|table| tensor(table, &buffers)).collect::<Result<_, _>>()?;
        let count = tensors.len();
        let operators = operators.iter().map(|table| operator(table, &codes, count));
        Ok(Self {
            operators: operators.collect::<Result<_, _>>()?,
            inputs: numbers(&graph.i32s(1)?, count)?,
            outputs: numbers(&graph.i32s(2)?, count)?,
            tensors,
        })
    }
}

fn builtin_code(table: &Table<'_>) -> Result<u8, OnnxError> {
    // The byte came first; newer files have both, and the byte holds every code that is known here.
    table.u8(0)
}

fn tensor<'a>(table: &Table<'a>, buffers: &[Table<'a>]) -> Result<Tensor<'a>, OnnxError> {
    let kind = match table.u8(1)? {
        0 => Kind::F32,
        1 => Kind::F16,
        2 => Kind::I32,
        _ => return Err(OnnxError::NotTflite("a tensor holds numbers of an unknown kind")),
    };
    let buffer = usize::try_from(table.i32(2, 0)?).ok().and_then(|number| buffers.get(number));
    let buffer = buffer.ok_or(OnnxError::NotTflite("a tensor names data that is not there"))?;
    let shape: Result<Vec<usize>, _> = table.i32s(0)?.into_iter().map(usize::try_from).collect();
    let name = std::str::from_utf8(table.bytes(3)?);
    match (shape, name) {
        (Ok(shape), Ok(name)) => Ok(Tensor { name, shape, kind, data: buffer.bytes(0)? }),
        _ => Err(OnnxError::NotTflite("a tensor has an impossible shape or name")),
    }
}

fn operator(table: &Table<'_>, codes: &[u8], tensors: usize) -> Result<Operator, OnnxError> {
    let code = usize::try_from(table.i32(0, 0)?).ok().and_then(|number| codes.get(number));
    let options = Options(table.table(4)?);
    let op = match code {
        Some(0) => options.plain(0).map(|()| Op::Add)?,
        Some(3) => Op::Conv(options.convolution(3, [4, 5])?),
        Some(4) => {
            options.only(3, 1, "a convolution multiplies its channels")?;
            Op::DepthwiseConv(options.convolution(4, [5, 6])?)
        }
        Some(6) => Op::Dequantise,
        Some(17) => {
            options.plain(5)?;
            Op::MaxPool(options.window()?, [options.size(4)?, options.size(3)?])
        }
        Some(34) => Op::Pad,
        Some(54) => Op::Prelu,
        _ => return Err(OnnxError::NotTflite("it has an operator that this program does not know")),
    };
    let inputs = table.i32s(1)?.into_iter().map(|number| match number {
        -1 => Ok(None),
        number => Ok(numbers(&[number], tensors)?.first().copied()),
    });
    Ok(Operator {
        op,
        inputs: inputs.collect::<Result<_, OnnxError>>()?,
        outputs: numbers(&table.i32s(2)?, tensors)?,
    })
}

/// Numbers of tensors that are there.
fn numbers(numbers: &[i32], tensors: usize) -> Result<Vec<usize>, OnnxError> {
    let known = |&number: &i32| usize::try_from(number).ok().filter(|&number| number < tensors);
    let known: Option<Vec<usize>> = numbers.iter().map(known).collect();
    known.ok_or(OnnxError::NotTflite("an operator names a tensor that is not there"))
}

/// The settings of an operator; without any, each has its default.
struct Options<'a>(Option<Table<'a>>);

impl Options<'_> {
    /// A convolution without activation or dilation, whose fields have these numbers.
    fn convolution(&self, activation: usize, dilations: [usize; 2]) -> Result<Window, OnnxError> {
        self.plain(activation)?;
        for dilation in dilations {
            self.only(dilation, 1, "a convolution is dilated")?;
        }
        self.window()
    }

    fn window(&self) -> Result<Window, OnnxError> {
        let padding = self.0.as_ref().map_or(Ok(0), |table| table.u8(0))?;
        let same = match padding {
            0 => true,
            1 => false,
            _ => return Err(OnnxError::NotTflite("a window has an unknown padding")),
        };
        Ok(Window { strides: [self.size(2)?, self.size(1)?], same })
    }

    /// Refuses an activation.
    fn plain(&self, field: usize) -> Result<(), OnnxError> {
        match self.0.as_ref().map_or(Ok(0), |table| table.u8(field))? {
            0 => Ok(()),
            _ => Err(OnnxError::NotTflite("an operator has an activation of its own")),
        }
    }

    fn only(&self, field: usize, value: i32, problem: &'static str) -> Result<(), OnnxError> {
        let is = self.0.as_ref().map_or(Ok(value), |table| table.i32(field, value))?;
        if is == value { Ok(()) } else { Err(OnnxError::NotTflite(problem)) }
    }

    /// A length of at least one, and at most what any picture has.
    fn size(&self, field: usize) -> Result<usize, OnnxError> {
        let size = self.0.as_ref().map_or(Ok(0), |table| table.i32(field, 0))?;
        usize::try_from(size)
            .ok()
            .filter(|size| (1..=ITEMS_MAX).contains(size))
            .ok_or(OnnxError::NotTflite("a window has an impossible size"))
    }
}
