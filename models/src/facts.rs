//! What a program must know about a model to prepare its input and read its output.

use serde::Deserialize;

/// Facts about the model of one role.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// Of the face detector.
    Detector(DetectorFacts),
    /// Of the face embedder.
    Embedder(EmbedderFacts),
    /// Of the face mesh.
    Mesh(MeshFacts),
    /// Of the model that says whether a face looks alive.
    AntiSpoof(AntiSpoofFacts),
    /// Of the phone detector.
    Phones(PhoneFacts),
}

/// The input tensor: f32, NCHW (picture, colour, row, column).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFacts {
    /// Name of the tensor in the graph.
    pub name: String,
    /// Pictures, colours, rows, columns; 0 means any size.
    pub shape: [usize; 4],
    /// Order of the three colour planes.
    pub colour_order: ColourOrder,
    /// Pixels run from 0 to this; no mean is subtracted outside the graph.
    pub value_max: f32,
}

/// Order of the colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourOrder {
    /// Blue first.
    Bgr,
    /// Red first.
    Rgb,
}

/// YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorFacts {
    /// The picture.
    pub input: InputFacts,
    /// Height and width must be a multiple of this.
    pub size_multiple: usize,
    /// Each stride has the outputs `cls_N`, `obj_N`, `bbox_N` and `kps_N`.
    pub strides: Vec<usize>,
    /// A face counts from this score on.
    pub score_min: f32,
    /// Of two boxes that overlap by more than this (intersection over union), the better stays.
    pub nms_iou_max: f32,
}

/// SFace (Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss", 2021).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderFacts {
    /// The aligned face.
    pub input: InputFacts,
    /// Name of the output tensor.
    pub output: String,
    /// Numbers in an embedding.
    pub embedding_length: usize,
    /// Where the landmarks lie in the aligned face, in pixels: the subject's right eye, left
    /// eye, nose, right and left corner of the mouth.
    pub landmarks_px: [[f32; 2]; 5],
    /// Two pictures show the same person from this cosine on (published threshold).
    pub same_person_min: f32,
    /// The operator is confirmed from this cosine on.
    pub operator_min: f32,
    /// Below this cosine it is somebody else; between the two it is undecided.
    pub stranger_max: f32,
}

/// The face mesh of MediaPipe (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile
/// GPUs", 2019).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshFacts {
    /// The face with level eyes, in a square.
    pub input: InputFacts,
    /// Name of the output with the points: column, row and depth of each, in pixels of the square.
    pub points: String,
    /// How many points there are.
    pub point_count: usize,
    /// Name of the output that says whether there is a face; one number, from 0 on there is one.
    pub presence: String,
    /// The side of the square is the longer side of the face's box, this many times.
    pub square: f32,
}

/// MiniFASNetV2 (minivision, "Silent-Face-Anti-Spoofing", 2020).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AntiSpoofFacts {
    /// The face in its surroundings.
    pub input: InputFacts,
    /// Name of the output tensor: one number for each class, of which the softmax is taken.
    pub output: String,
    /// How many classes there are.
    pub classes: usize,
    /// The class of living faces.
    pub live_class: usize,
    /// What is cut out is the face's box, this many times as wide and high.
    pub context: f32,
    /// A narrower face says nothing.
    pub face_min_px: f32,
    /// A mean of several looks below this denies that a face is alive. No value confirms it.
    pub denied_below: f32,
}

/// YOLOX-nano (Ge et al., "YOLOX: Exceeding YOLO Series in 2021").
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneFacts {
    /// The whole picture, in the top left corner.
    pub input: InputFacts,
    /// Name of the output tensor: for each cell of each stride a box, an objectness and the classes.
    pub output: String,
    /// The cells, in this order.
    pub strides: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
    /// The class of phones.
    pub phone_class: usize,
    /// What surrounds the picture.
    pub padding: f32,
    /// A phone counts from this score on.
    pub score_min: f32,
    /// Of two boxes that overlap by more than this (intersection over union), the better stays.
    pub nms_iou_max: f32,
}

/// ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeFacts {
    /// The highest C API of the library.
    pub api_version: u32,
}
