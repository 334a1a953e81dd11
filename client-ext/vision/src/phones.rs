//! Phones in a picture, by YOLOX-nano.
//!
//! Source: Ge, Liu, Wang, Li, Sun, "YOLOX: Exceeding YOLO Series in 2021". The picture, or a part of it, lies in the top
//! left corner of a grey square. Coordinates that come out are pixels of the frame, from its top left corner.

#![allow(clippy::cast_precision_loss, reason = "picture sides are at most 65,535")]

use ort::session::Session;
use ort::value::TensorRef;
use sudare_client_core::evidence::Area;
use sudare_client_core::face::iou;
use sudare_client_core::frame::Frame;
use sudare_client_core::phone::Phone;
use sudare_models::{Digest, PhoneFacts, Role};

use crate::engine::EngineError;
use crate::optional::fits;
use crate::prepare::{Planar, Region};

/// Values of a cell before its classes: the box, and whether there is anything.
const CELL_LEN: usize = 5;
const OBJECT: usize = 4;
/// Boxes kept before suppression, and after it; best first.
const MAX_CANDIDATES: usize = 200;
const MAX_PHONES: usize = 16;

/// The network.
#[derive(Debug)]
pub struct PhoneDetector {
    session: Session,
    facts: PhoneFacts,
    /// Of its file, for the record.
    pub sha256: Digest,
}

/// A picture as the network takes it, and how to come back from there.
#[derive(Default)]
pub struct Letterbox {
    planar: Planar,
    data: Vec<f32>,
    /// Where the part begins in the frame, and pixels of it for each pixel of the square, across and down.
    corner: [f32; 2],
    scale: [f32; 2],
    pub t_ms: u64,
}

impl PhoneDetector {
    /// # Errors
    /// The network does not take or give what the manifest says.
    pub(super) fn new(session: Session, facts: PhoneFacts, sha256: Digest) -> Result<Self, EngineError> {
        let shape = [1, cells(&facts), CELL_LEN + facts.classes];
        fits(Role::PhoneDetector, &session, &facts.input, (&facts.output, &shape))?;
        Ok(Self { session, facts, sha256 })
    }

    /// What it takes and gives.
    #[must_use]
    pub fn facts(&self) -> &PhoneFacts {
        &self.facts
    }

    /// Phones in a frame.
    ///
    /// # Errors
    /// The network failed, or its output is not what it should be.
    pub fn still(&mut self, frame: &Frame) -> Result<Vec<Phone>, EngineError> {
        let mut letterbox = Letterbox::default();
        letterbox.fill(frame, None, &self.facts);
        self.find(&letterbox)
    }

    /// Phones in a prepared frame.
    ///
    /// # Errors
    /// As [`PhoneDetector::still`].
    pub fn find(&mut self, picture: &Letterbox) -> Result<Vec<Phone>, EngineError> {
        let shape = self.facts.input.shape;
        let tensor = TensorRef::from_array_view((shape, picture.data.as_slice())).map_err(failed)?;
        let name = self.facts.input.name.as_str();
        let outputs = self.session.run(ort::inputs![name => tensor]).map_err(failed)?;
        let output = outputs.get(&self.facts.output).ok_or_else(|| failed("the output is missing"))?;
        let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
        let found = decode(values, &self.facts).map_err(failed)?;
        let ([left, top], [by_x, by_y]) = (picture.corner, picture.scale);
        let placed = |phone: Phone| {
            let [x, y, w, h] = phone.area;
            Phone { area: [left + x * by_x, top + y * by_y, w * by_x, h * by_y], ..phone }
        };
        Ok(found.into_iter().map(placed).collect())
    }
}

impl Letterbox {
    /// Takes a part of a frame, or all of it; the buffers are reused. One without pixels becomes grey.
    pub fn fill(&mut self, frame: &Frame, part: Option<Area>, facts: &PhoneFacts) {
        let [.., rows, columns] = facts.input.shape;
        self.t_ms = frame.t_ms;
        (self.corner, self.scale) = ([0.0; 2], [1.0; 2]);
        self.data.clear();
        self.data.resize(rows * columns * 3, facts.padding);
        if !frame.is_consistent() || rows == 0 || columns == 0 {
            return;
        }
        let region = part.map_or_else(|| Region::whole(frame), |part| Region::within(frame, part));
        let (width, height) = fitted([region.width, region.height], [columns, rows]);
        self.corner = [region.left as f32, region.top as f32];
        self.scale = [region.width as f32 / width as f32, region.height as f32 / height as f32];
        self.planar.fill(frame, &region, width, height, 1);
        let planes = self.data.chunks_exact_mut(rows * columns);
        for (to, from) in planes.zip(self.planar.data.chunks_exact(width * height)) {
            for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks_exact(width)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

impl std::fmt::Debug for Letterbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letterbox({:?}, {} ms)", self.planar, self.t_ms)
    }
}

/// The size of a picture that fills a frame of this size as far as it keeps its shape.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the size given")]
fn fitted([width, height]: [usize; 2], [columns, rows]: [usize; 2]) -> (usize, usize) {
    let by = (columns as f64 / width as f64).min(rows as f64 / height as f64);
    let scaled = |side: usize, most: usize| ((side as f64 * by + 1e-6) as usize).clamp(1, most);
    (scaled(width, columns), scaled(height, rows))
}

fn cells(facts: &PhoneFacts) -> usize {
    facts.strides.iter().map(|stride| columns(facts, *stride) * columns(facts, *stride)).sum()
}

/// Cells of a row at this stride.
fn columns(facts: &PhoneFacts, stride: usize) -> usize {
    facts.input.shape[3].checked_div(stride).unwrap_or(0)
}

/// The phones among the cells, in pixels of the square, best first.
fn decode(values: &[f32], facts: &PhoneFacts) -> Result<Vec<Phone>, String> {
    let len = CELL_LEN + facts.classes;
    if values.len() != cells(facts) * len {
        return Err(format!("{} numbers instead of {}", values.len(), cells(facts) * len));
    }
    let mut rows = values.chunks_exact(len);
    let mut found = Vec::new();
    for &stride in &facts.strides {
        let columns = columns(facts, stride);
        for (i, row) in rows.by_ref().take(columns * columns).enumerate() {
            let value = |at: usize| row.get(at).copied().unwrap_or(f32::NAN);
            let score = value(OBJECT) * value(CELL_LEN + facts.phone_class);
            if !score.is_finite() {
                return Err("its output holds values that are no numbers".to_owned());
            }
            if score < facts.score_min {
                continue;
            }
            let (column, line, stride) = ((i % columns) as f32, (i / columns) as f32, stride as f32);
            let (x, y) = ((value(0) + column) * stride, (value(1) + line) * stride);
            let (w, h) = (value(2).exp() * stride, value(3).exp() * stride);
            let area = [x - w / 2.0, y - h / 2.0, w, h];
            if area.iter().all(|side| side.is_finite()) {
                found.push(Phone { area, score });
            }
        }
    }
    Ok(suppress(found, facts.nms_iou_max))
}

/// Of boxes that overlap, the best stays.
fn suppress(mut found: Vec<Phone>, iou_max: f32) -> Vec<Phone> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Phone> = Vec::new();
    for phone in found {
        if kept.len() < MAX_PHONES && kept.iter().all(|better| iou(&better.area, &phone.area) <= iou_max) {
            kept.push(phone);
        }
    }
    kept
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::PhoneDetector, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> PhoneFacts {
        sudare_models::Manifest::embedded().unwrap().phone_detector.facts.clone()
    }

    /// An output in which these cells see a phone of this score, box as given.
    fn output(seen: &[(usize, f32, [f32; 4])]) -> Vec<f32> {
        let facts = facts();
        let len = CELL_LEN + facts.classes;
        let mut values = vec![0.0; cells(&facts) * len];
        for (cell, score, bbox) in seen {
            let row = &mut values[cell * len..(cell + 1) * len];
            row[..4].copy_from_slice(bbox);
            (row[OBJECT], row[CELL_LEN + facts.phone_class]) = (1.0, *score);
        }
        values
    }

    #[test]
    fn cells_are_decoded_as_published_and_the_best_of_overlapping_boxes_stays() {
        // In the second stride (16 px, 26 columns) the cell of column 3 and line 2.
        let cell = 52 * 52 + 2 * 26 + 3;
        let size = [(64.0_f32 / 16.0).ln(), (128.0_f32 / 16.0).ln()];
        let bbox = [0.5, 0.25, size[0], size[1]];
        let found = decode(&output(&[(cell, 0.8, bbox), (cell + 1, 0.5, bbox), (9, 0.3, bbox)]), &facts());
        let found = found.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = [56.0 - 32.0, 36.0 - 64.0, 64.0, 128.0];
        assert!(found[0].area.iter().zip(expected).all(|(got, wanted)| (got - wanted).abs() < 1e-3));
        assert!((found[0].score - 0.8).abs() < 1e-6);
    }

    #[test]
    fn an_output_of_another_length_or_without_numbers_is_said_and_one_full_of_phones_is_bounded() {
        assert!(decode(&[], &facts()).unwrap_err().contains("0 numbers instead of 301665"));
        let broken = output(&[(7, f32::NAN, [0.0; 4])]);
        assert!(decode(&broken, &facts()).unwrap_err().contains("no numbers"));
        // A phone of no size is none, and the others stand.
        let odd = output(&[(7, 0.9, [f32::NAN; 4]), (8, 0.9, [0.0, 0.0, 1e9, 0.0]), (900, 0.9, [0.0; 4])]);
        assert_eq!(decode(&odd, &facts()).unwrap().len(), 1);
        let all: Vec<_> = (0..3549).map(|cell| (cell, 0.9, [0.0; 4])).collect();
        assert_eq!(decode(&output(&all), &facts()).unwrap().len(), MAX_PHONES);
    }

    #[test]
    fn a_picture_lies_in_the_corner_of_a_grey_square() {
        for (width, height, fit) in [(640, 480, (416, 312)), (480, 640, (312, 416)), (3, 2000, (1, 416))] {
            assert_eq!(fitted([width, height], [416, 416]), fit);
        }
        let rgb = [10, 20, 30].repeat(64 * 32);
        let frame = Frame { width: 64, height: 32, rgb, t_ms: 5, seq: 0 };
        let mut letterbox = Letterbox::default();
        letterbox.fill(&frame, None, &facts());
        let plane = 416 * 416;
        let at = |colour: usize, x: usize, y: usize| letterbox.data[colour * plane + y * 416 + x];
        let near = |value: f32, wanted: f32| (value - wanted).abs() < 0.01;
        assert!([30.0, 20.0, 10.0].iter().enumerate().all(|(c, wanted)| near(at(c, 415, 207), *wanted)));
        assert!([114.0; 3].iter().enumerate().all(|(c, wanted)| near(at(c, 0, 208), *wanted)));
        assert_eq!((letterbox.data.len(), letterbox.scale), (plane * 3, [64.0 / 416.0, 32.0 / 208.0]));
        // A part is enlarged, and its boxes go back to where it was.
        letterbox.fill(&frame, Some([32.0, 16.0, 32.0, 16.0]), &facts());
        assert_eq!((letterbox.corner, letterbox.scale), ([32.0, 16.0], [32.0 / 416.0, 16.0 / 208.0]));
        // And one without pixels is grey all over.
        letterbox.fill(&Frame { width: 9, height: 9, rgb: vec![1], t_ms: 0, seq: 0 }, None, &facts());
        assert!(letterbox.data.iter().all(|value| *value == 114.0));
    }
}
