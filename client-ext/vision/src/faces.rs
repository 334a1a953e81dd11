//! Faces and their five landmarks, by YuNet.
//!
//! Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023), and the decoder in OpenCV's
//! `face_detect.cpp`. Coordinates are pixels of the frame, from its top left corner.

#![allow(clippy::cast_precision_loss, reason = "picture sides are at most 65,535")]

use ort::session::Session;
use ort::value::TensorRef;
use sudare_client_core::attention::Pass;
use sudare_client_core::face::scales::{self, Level};
use sudare_client_core::face::{Face, iou};
use sudare_client_core::frame::Frame;
use sudare_models::{DetectorFacts, Role};

use crate::engine::EngineError;
use crate::prepare::{Planar, Region, shrunk_size};

/// The longest and the shortest side at which stills are examined.
const STILL_SIDE_PX: [u32; 2] = [1280, 320];
/// Down to this score a box is worth a closer look; from the model's own one on it is a face.
pub const DOUBTFUL_SCORE: f32 = 0.35;
/// Boxes kept before suppression, best first. YuNet gives a few per face.
const MAX_CANDIDATES: usize = 1000;
/// Values per candidate in the outputs `bbox_N` and `kps_N`.
const BOX_LEN: usize = 4;
const LANDMARKS_LEN: usize = 10;

/// The network.
#[derive(Debug)]
pub struct Detector {
    session: Session,
    facts: DetectorFacts,
    /// Names of the outputs for each stride: class, objectness, box, landmarks.
    outputs: Vec<(usize, [String; 4])>,
    input: Planar,
    /// Of the newest pass.
    found: Vec<Face>,
}

impl Detector {
    pub(super) fn new(session: Session, facts: DetectorFacts) -> Self {
        let names = |stride: usize| ["cls", "obj", "bbox", "kps"].map(|part| format!("{part}_{stride}"));
        let outputs = facts.strides.iter().map(|&stride| (stride, names(stride))).collect();
        Self { session, facts, outputs, input: Planar::default(), found: Vec::new() }
    }

    /// The score from which a box is a face.
    #[must_use]
    pub fn score_min(&self) -> f32 {
        self.facts.score_min
    }

    /// Makes one pass over a frame while watching. Boxes from [`DOUBTFUL_SCORE`] on come back as well.
    ///
    /// # Errors
    /// The network failed.
    pub fn watch(&mut self, frame: &Frame, pass: &Pass) -> Result<&[Face], EngineError> {
        let region = pass.part.map_or_else(|| Region::whole(frame), |part| Region::within(frame, part));
        let (width, height) = match pass.part {
            None => shrunk_size(frame.width, frame.height, pass.long_side),
            Some(_) => sized(&region, pass.long_side),
        };
        self.at_scale(frame, &region, (width, height), DOUBTFUL_SCORE)
    }

    /// Finds small and large faces in a still picture: at up to the larger [`STILL_SIDE_PX`], and at each half of that.
    ///
    /// # Errors
    /// The network failed.
    pub fn still(&mut self, frame: &Frame) -> Result<Vec<Face>, EngineError> {
        let longest = frame.width.max(frame.height).max(1);
        let [most, least] = STILL_SIDE_PX;
        let mut side = longest.min(most);
        let mut levels = Vec::new();
        loop {
            let size = shrunk_size(frame.width, frame.height, side);
            let faces = self.at_scale(frame, &Region::whole(frame), size, self.facts.score_min)?;
            levels.push(Level { scale: side as f32 / longest as f32, faces: faces.to_vec() });
            if side <= least {
                return Ok(scales::merge(&levels, self.facts.nms_iou_max));
            }
            side = side.div_ceil(2);
        }
    }

    fn at_scale(
        &mut self,
        frame: &Frame,
        region: &Region,
        (width, height): (usize, usize),
        score_min: f32,
    ) -> Result<&[Face], EngineError> {
        if !frame.is_consistent() {
            return Err(failed("the frame does not have the size it claims"));
        }
        self.input.fill(frame, region, width, height, self.facts.size_multiple);
        let shape = [1, 3, self.input.padded_height, self.input.padded_width];
        let tensor = TensorRef::from_array_view((shape, self.input.data.as_slice())).map_err(failed)?;
        let name = self.facts.input.name.as_str();
        let outputs = self.session.run(ort::inputs![name => tensor]).map_err(failed)?;
        self.found.clear();
        for (stride, names) in &self.outputs {
            let values = |name: &str| -> Result<&[f32], EngineError> {
                let value = outputs.get(name).ok_or_else(|| failed("an output is missing"))?;
                Ok(value.try_extract_tensor::<f32>().map_err(failed)?.1)
            };
            let [cls, obj, bbox, kps] = names;
            let grid = Grid {
                stride: *stride,
                columns: self.input.padded_width / stride.max(&1),
                class: values(cls)?,
                object: values(obj)?,
                boxes: values(bbox)?,
                landmarks: values(kps)?,
            };
            grid.decode(score_min, &mut self.found);
        }
        let (by_x, by_y) = (region.width as f32 / width as f32, region.height as f32 / height as f32);
        let (left, top) = (region.left as f32, region.top as f32);
        suppress(&mut self.found, self.facts.nms_iou_max);
        self.found.iter_mut().for_each(|face| *face = face.scaled(by_x, by_y).moved(left, top));
        Ok(&self.found)
    }
}

/// The size of a part whose longer side becomes `long_side`, whether it is larger or smaller now.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the long side")]
fn sized(region: &Region, long_side: u32) -> (usize, usize) {
    let longest = region.width.max(region.height).max(1) as f32;
    let scaled = |side: usize| ((side as f32 * long_side as f32 / longest).round() as usize).max(1);
    (scaled(region.width), scaled(region.height))
}

/// What the network says at one stride: a value per cell, row by row.
struct Grid<'a> {
    stride: usize,
    columns: usize,
    class: &'a [f32],
    object: &'a [f32],
    boxes: &'a [f32],
    landmarks: &'a [f32],
}

impl Grid<'_> {
    fn decode(&self, score_min: f32, faces: &mut Vec<Face>) {
        let cells = self.class.iter().zip(self.object);
        let shapes = self.boxes.chunks_exact(BOX_LEN).zip(self.landmarks.chunks_exact(LANDMARKS_LEN));
        for (i, ((class, object), (bbox, points))) in cells.zip(shapes).enumerate() {
            let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
            // Written so that NaN is dropped.
            if score >= score_min && self.columns > 0 {
                faces.extend(self.face(i, score, bbox, points));
            }
        }
    }

    fn face(&self, cell: usize, score: f32, bbox: &[f32], points: &[f32]) -> Option<Face> {
        let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
        let stride = self.stride as f32;
        let &[dx, dy, log_width, log_height] = bbox else { return None };
        let (width, height) = (log_width.exp() * stride, log_height.exp() * stride);
        let (centre_x, centre_y) = ((column + dx) * stride, (row + dy) * stride);
        let mut landmarks = [[0.0; 2]; 5];
        for (landmark, point) in landmarks.iter_mut().zip(points.chunks_exact(2)) {
            *landmark = [(point[0] + column) * stride, (point[1] + row) * stride];
        }
        let face =
            Face { bbox: [centre_x - width / 2.0, centre_y - height / 2.0, width, height], landmarks, score };
        face.is_finite().then_some(face)
    }
}

/// Non-maximum suppression: of faces that overlap by more than `iou_max`, the best stays. Best first.
fn suppress(faces: &mut Vec<Face>, iou_max: f32) {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    faces.truncate(MAX_CANDIDATES);
    // Those that stay move to the front.
    let mut kept = 0;
    for at in 0..faces.len() {
        let (better, rest) = faces.split_at_mut(kept);
        let Some(face) = rest.get(at - kept).copied() else { break };
        if better.iter().all(|better| iou(&better.bbox, &face.bbox) <= iou_max) {
            if let Some(place) = rest.first_mut() {
                *place = face;
            }
            kept += 1;
        }
    }
    faces.truncate(kept);
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::FaceDetector, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, score: f32) -> Face {
        Face { bbox: [x, 0.0, 10.0, 10.0], landmarks: [[0.0; 2]; 5], score }
    }

    #[test]
    fn of_overlapping_faces_the_best_stays() {
        let mut faces =
            vec![face(0.0, 0.7), face(2.0, 0.9), face(1.0, 0.65), face(30.0, 0.8), face(60.0, 0.6)];
        suppress(&mut faces, 0.3);
        assert_eq!(faces, [face(2.0, 0.9), face(30.0, 0.8), face(60.0, 0.6)]);
        assert!((iou(&[0.0, 0.0, 10.0, 10.0], &[5.0, 0.0, 10.0, 10.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(iou(&[0.0; 4], &[0.0; 4]), 0.0);
    }

    #[test]
    fn a_cell_is_decoded_as_published_and_broken_numbers_are_dropped() {
        let mut boxes = vec![0.0; 6 * 4];
        boxes[4 * 4..].copy_from_slice(&[0.5, 0.25, 2.0_f32.ln(), 0.0, f32::NAN, 0.0, 0.0, 0.0]);
        let points = vec![1.0; 6 * 10];
        let (class, object) = ([0.1, 0.1, 0.1, 0.1, 0.81, 1.0], [1.0; 6]);
        let grid =
            Grid { stride: 8, columns: 3, class: &class, object: &object, boxes: &boxes, landmarks: &points };
        let mut faces = Vec::new();
        grid.decode(0.6, &mut faces);
        assert_eq!(faces.len(), 1);
        // Cell 4 is column 1, row 1.
        assert_eq!(faces[0].bbox, [12.0 - 8.0, 10.0 - 4.0, 16.0, 8.0]);
        assert_eq!(faces[0].landmarks[0], [16.0, 16.0]);
        assert!((faces[0].score - 0.9).abs() < 1e-6);
    }
}
