//! One small model with each kind of operator, and files that are none.

use proptest::prelude::*;

use super::testing::{Fields, Value, file};
use super::*;

const F32: u8 = 0;
const F16: u8 = 1;
const I32: u8 = 2;

fn tensor_of(kind: u8, shape: &[i32], buffer: i32, name: &str) -> Fields {
    vec![
        (0, Value::Ints(shape.to_vec())),
        (1, Value::Byte(kind)),
        (2, Value::Int(buffer)),
        (3, Value::Bytes(name.as_bytes().to_vec())),
    ]
}

fn operator_of(code: i32, inputs: &[i32], output: i32, options: Fields) -> Fields {
    let numbers = |numbers: &[i32]| Value::Ints(numbers.to_vec());
    vec![(0, Value::Int(code)), (1, numbers(inputs)), (2, numbers(&[output])), (4, Value::Table(options))]
}

fn f32s(count: u8) -> Vec<u8> {
    (0..count).flat_map(|value| f32::from(value).to_le_bytes()).collect()
}

/// Small whole numbers as 16-bit floats: 1024 + n is 0x6400 + n.
fn f16s(count: u16) -> Vec<u8> {
    (0..count).flat_map(|value| (0x6400 + value).to_le_bytes()).collect()
}

/// Dequantise, convolution, PRelu, depthwise convolution, addition, pool and margins.
fn fields() -> Fields {
    let codes = [6, 3, 54, 4, 0, 17, 34].map(|code| vec![(0, Value::Byte(code))]);
    let stride_2 = vec![(0, Value::Byte(0)), (1, Value::Int(2)), (2, Value::Int(2))];
    let stride_1 = vec![(0, Value::Byte(0)), (1, Value::Int(1)), (2, Value::Int(1)), (3, Value::Int(1))];
    let pool = vec![
        (0, Value::Byte(1)),
        (1, Value::Int(2)),
        (2, Value::Int(2)),
        (3, Value::Int(2)),
        (4, Value::Int(2)),
    ];
    let operators = vec![
        operator_of(0, &[1], 3, vec![]),
        operator_of(0, &[2], 4, vec![]),
        operator_of(1, &[0, 3, 4], 5, stride_2),
        operator_of(2, &[5, 6], 7, vec![]),
        operator_of(3, &[7, 8, -1], 9, stride_1),
        operator_of(4, &[7, 9], 10, vec![]),
        operator_of(5, &[10], 11, pool),
        operator_of(6, &[11, 12], 13, vec![]),
    ];
    let tensors = vec![
        tensor_of(F32, &[1, 4, 4, 2], 0, "picture"),
        tensor_of(F16, &[2, 3, 3, 2], 1, "weights"),
        tensor_of(F16, &[2], 2, "bias"),
        tensor_of(F32, &[2, 3, 3, 2], 0, "weights, widened"),
        tensor_of(F32, &[2], 0, "bias, widened"),
        tensor_of(F32, &[1, 2, 2, 2], 0, "convolved"),
        tensor_of(F32, &[1, 1, 2], 3, "slopes"),
        tensor_of(F32, &[1, 2, 2, 2], 0, "bent"),
        tensor_of(F32, &[1, 3, 3, 2], 4, "depthwise"),
        tensor_of(F32, &[1, 2, 2, 2], 0, "convolved again"),
        tensor_of(F32, &[1, 2, 2, 2], 0, "sum"),
        tensor_of(F32, &[1, 1, 1, 2], 0, "pooled"),
        tensor_of(I32, &[4, 2], 5, "margins"),
        tensor_of(F32, &[1, 1, 1, 4], 0, "answer"),
    ];
    let graph = vec![
        (0, Value::Tables(tensors)),
        (1, Value::Ints(vec![0])),
        (2, Value::Ints(vec![13])),
        (3, Value::Tables(operators)),
    ];
    let margins = [0_i32, 0, 0, 0, 0, 0, 0, 2].iter().flat_map(|margin| margin.to_le_bytes()).collect();
    let data = [vec![], f16s(36), f16s(2), f32s(2), f32s(18), margins];
    let buffers = data.map(|data| vec![(0, Value::Bytes(data))]).to_vec();
    vec![
        (0, Value::Int(3)),
        (1, Value::Tables(codes.to_vec())),
        (2, Value::Tables(vec![graph])),
        (4, Value::Tables(buffers)),
    ]
}

fn constant(graph: &Graph, name: &str) -> (Vec<i64>, Vec<f32>) {
    let tensor = graph.initializer.iter().find(|tensor| tensor.name.as_deref() == Some(name)).unwrap();
    (tensor.dims.clone(), tensor.f32_values().unwrap())
}

#[test]
fn each_kind_of_operator_is_written_the_onnx_way() {
    let graph = convert(&file(&fields())).unwrap().graph.unwrap();
    let ops: Vec<_> = graph.node.iter().map(|node| node.op_type.clone().unwrap()).collect();
    assert_eq!(ops, ["Conv", "PRelu", "Conv", "Add", "MaxPool", "Pad"]);
    let ints = |node: usize, name: &str| {
        let of = |a: &&super::super::messages::Attribute| a.name.as_deref() == Some(name);
        graph.node[node].attribute.iter().find(of).unwrap().ints.clone()
    };
    // Four pixels, a window of three on every second one: one more row and column behind.
    assert_eq!((ints(0, "pads"), ints(0, "strides")), (vec![0, 0, 1, 1], vec![2, 2]));
    assert_eq!((ints(2, "pads"), graph.node[2].int("group")), (vec![1, 1, 1, 1], Some(2)));
    assert_eq!((ints(4, "pads"), ints(4, "kernel_shape")), (vec![0; 4], vec![2, 2]));
    assert_eq!(graph.node[0].input[0], "picture");
    assert_eq!(graph.node[5].output, ["answer"]);
    assert_eq!(graph.input, [ValueInfo::of_f32("picture", &[1, 2, 4, 4])]);
    assert_eq!(graph.output, [ValueInfo::of_f32("answer", &[1, 4, 1, 1])]);
    let margins = graph.initializer.iter().find(|t| t.name.as_deref() == Some("answer/margins")).unwrap();
    assert_eq!(margins.i64_values().unwrap(), [0, 0, 0, 0, 0, 2, 0, 0]);
}

#[test]
fn weights_are_widened_and_their_axes_exchanged() {
    let graph = convert(&file(&fields())).unwrap().graph.unwrap();
    let (dims, weights) = constant(&graph, "t5/weights");
    assert_eq!(dims, [2, 2, 3, 3]);
    // Out o, row r, column c, in i was number ((o x 3 + r) x 3 + c) x 2 + i.
    assert_eq!(weights[..4], [1024.0, 1026.0, 1028.0, 1030.0]);
    assert_eq!((weights[9], weights[18], weights[35]), (1025.0, 1042.0, 1059.0));
    let (dims, weights) = constant(&graph, "t9/weights");
    assert_eq!((dims, weights[1], weights[9]), (vec![2, 1, 3, 3], 2.0, 1.0));
    assert_eq!(constant(&graph, "t7/slopes"), (vec![2, 1, 1], vec![0.0, 1.0]));
    assert_eq!(constant(&graph, "t5/bias"), (vec![2], vec![1024.0, 1025.0]));
}

/// Changes a field of the only graph and says what the error is.
fn error_with(change: impl FnOnce(&mut Fields)) -> String {
    let mut fields = fields();
    let Value::Tables(graphs) = &mut fields[2].1 else { panic!("the graphs") };
    change(&mut graphs[0]);
    convert(&file(&fields)).unwrap_err().to_string()
}

fn tables(field: &mut (usize, Value)) -> &mut Vec<Fields> {
    match &mut field.1 {
        Value::Tables(tables) => tables,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_known_is_refused_with_its_reason() {
    let none = "it is not a TensorFlow Lite model";
    for (change, reason) in [
        (error_with(|g| tables(&mut g[0])[0][1].1 = Value::Byte(9)), "numbers of an unknown kind"),
        (error_with(|g| tables(&mut g[0])[0][2].1 = Value::Int(6)), "names data that is not there"),
        (error_with(|g| tables(&mut g[0])[0][0].1 = Value::Ints(vec![-1])), "an impossible shape or name"),
        (
            error_with(|g| tables(&mut g[3])[0][0].1 = Value::Int(7)),
            "operator that this program does not know",
        ),
        (error_with(|g| tables(&mut g[3])[0][1].1 = Value::Ints(vec![14])), "a tensor that is not there"),
        (error_with(|g| tables(&mut g[3])[0][1].1 = Value::Ints(vec![-1])), "lacks an input"),
        (error_with(|g| tables(&mut g[3])[0][2].1 = Value::Ints(vec![])), "should have one output"),
        (error_with(|g| tables(&mut g[3])[2][3].1 = Value::Table(vec![])), "an impossible size"),
        (
            error_with(|g| tables(&mut g[3])[5][3].1 = Value::Table(vec![(0, Value::Byte(1))])),
            "an activation of its own",
        ),
    ] {
        assert!(change.starts_with(none) && change.contains(reason), "{change}, not {reason}");
    }
    for (change, reason) in [
        (error_with(|g| tables(&mut g[0])[1][0].1 = Value::Ints(vec![2, 3, 3, 3])), "numbers of 16 bits"),
        (error_with(|g| tables(&mut g[0])[6][0].1 = Value::Ints(vec![1, 1, 3])), "should be a constant"),
        (error_with(|g| tables(&mut g[0])[6][0].1 = Value::Ints(vec![2])), "a slope for each channel"),
        (error_with(|g| tables(&mut g[0])[12][1].1 = Value::Byte(F32)), "margins of four axes"),
        (error_with(|g| tables(&mut g[0])[0][0].1 = Value::Ints(vec![1, 4, 4])), "should have four axes"),
    ] {
        assert!(change.contains(reason), "{change}, not {reason}");
    }
}

#[test]
fn many_operators_on_the_same_data_are_bounded() {
    let error = error_with(|graph| {
        tables(&mut graph[0])[1][0].1 = Value::Ints(vec![36]);
        let dequantise = operator_of(0, &[1], 3, vec![]);
        *tables(&mut graph[3]) = vec![dequantise; 4097];
    });
    assert!(error.starts_with("it has more than 4096"), "{error}");
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = file(&fields());
    for end in 0..bytes.len() {
        assert!(convert(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert_eq!(convert(b"\x08\0\0\0ONNX").unwrap_err(), OnnxError::NotTflite("the identifier is another"));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = file(&fields());
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _either_is_fine = convert(&bytes);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let _either_is_fine = convert(&[b"\x0C\0\0\0TFL3".as_slice(), &noise].concat());
        let _either_is_fine = convert(&noise);
    }
}
