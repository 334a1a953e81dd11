//! Faces in a picture: where they are, which way they look, whose they are.
//!
//! ```text
//!  scales (one still, several sizes) ───► Face ─► pose (which way)
//!  gathered (one frame, several passes) ─┤
//!                                          └────► track ─ cosine, quality ─► identity (whose)
//!  mesh (468 points) ─► facing (which way, from look to look) · rigid (a picture of a face?)
//!  embedding ─ rotate (this device's secret) ─► cosine
//!  enrolment: guide (what to do) ─► embeddings ─► enrol (which make a template) ─► separation (from others)
//! ```
//! `marked` is what the operator said is no person, `drift` whether the template still fits.

pub mod drift;
pub mod embedding;
pub mod enrol;
pub mod facing;
pub mod gathered;
pub mod gone;
pub mod guide;
pub mod identity;
pub mod marked;
pub mod mesh;
mod others;
pub mod pose;
pub mod quality;
pub mod rigid;
pub mod rotate;
pub mod scales;
pub mod separation;
pub mod still;
pub mod track;

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

    /// The same face in a picture of which this one was a part.
    #[must_use]
    pub fn moved(&self, x: f32, y: f32) -> Self {
        let [left, top, w, h] = self.bbox;
        let landmarks = self.landmarks.map(|[px, py]| [px + x, py + y]);
        Self { bbox: [left + x, top + y, w, h], landmarks, score: self.score }
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

/// A face that one or more passes of the detector found in the same picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    pub face: Face,
    /// A bit for each kind of pass that saw it; none if it was only kept from before.
    pub passes: u8,
    /// The kind of the pass whose box it is.
    pub by: u8,
}

impl Sighting {
    /// By one pass alone.
    #[must_use]
    pub const fn by(pass: u8, face: Face) -> Self {
        Sighting { face, passes: 1 << pass, by: pass }
    }
}

/// Intersection over union of two boxes.
#[must_use]
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let both = shared(a, b);
    let either = a[2] * a[3] + b[2] * b[3] - both;
    if either > 0.0 { both / either } else { 0.0 }
}

/// The area that two boxes share.
#[must_use]
pub fn shared(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let overlap =
        |a0: f32, a_len: f32, b0: f32, b_len: f32| ((a0 + a_len).min(b0 + b_len) - a0.max(b0)).max(0.0);
    overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3])
}

/// The smallest box that holds both.
#[must_use]
pub fn around([ax, ay, aw, ah]: &[f32; 4], [bx, by, bw, bh]: &[f32; 4]) -> [f32; 4] {
    let (left, top) = (ax.min(*bx), ay.min(*by));
    [left, top, (ax + aw).max(bx + bw) - left, (ay + ah).max(by + bh) - top]
}
