//! Faces in a picture: where they are, which way they look, whose they are.
//!
//! ```text
//!  scales (one picture, several sizes) ─► Face ─► pose (which way)
//!                                          └────► track ─ cosine ─► verdict (whose)
//!  embedding ─ rotate (this device's secret) ─► cosine
//! ```

pub mod embedding;
pub mod pose;
pub mod rotate;
pub mod scales;
pub mod track;
pub mod verdict;

/// One face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Left, top, width, height.
    pub bbox: [f32; 4],
    /// Subject's right eye, left eye, nose, right and left corner of the mouth.
    pub landmarks: [[f32; 2]; 5],
    /// 0 to 1.
    pub score: f32,
}

impl Face {
    /// Whether every number can be calculated with.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let numbers = self.bbox.iter().chain(self.landmarks.iter().flatten());
        numbers.chain([&self.score]).all(|v| v.is_finite())
    }

    /// The same face in a picture of another size.
    #[must_use]
    pub fn scaled(&self, by_x: f32, by_y: f32) -> Self {
        let [x, y, w, h] = self.bbox;
        Self {
            bbox: [x * by_x, y * by_y, w * by_x, h * by_y],
            landmarks: self.landmarks.map(|[x, y]| [x * by_x, y * by_y]),
            score: self.score,
        }
    }
}

/// Intersection over union of two boxes.
#[must_use]
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let overlap =
        |a0: f32, a_len: f32, b0: f32, b_len: f32| ((a0 + a_len).min(b0 + b_len) - a0.max(b0)).max(0.0);
    let both = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
    let either = a[2] * a[3] + b[2] * b[3] - both;
    if either > 0.0 { both / either } else { 0.0 }
}
