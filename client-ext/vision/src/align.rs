//! Moves a face to the position on which the embedder was trained: eyes, nose and mouth at fixed places in a square.
//!
//! The similarity transform (scale, rotation, shift) with the least squared error over the five landmarks; in the
//! plane, Umeyama's method (1991) without reflection has this closed form. Sampled bilinearly, black outside, as
//! OpenCV's `FaceRecognizerSF::alignCrop` does.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "picture sides are at most 65,535"
)]

use sudare_client_core::frame::Frame;

pub(super) use crate::sampling::sample;

/// Side of the aligned square.
pub const ALIGNED_SIDE_PX: usize = 112;

/// Red, green and blue planes of 112 x 112 values from 0 to 255.
pub struct AlignedFace {
    pub(super) planes: Vec<f32>,
}

/// Cuts an aligned face out of a frame. `None` if the landmarks coincide or are not finite.
#[must_use]
pub fn align(frame: &Frame, landmarks: &[[f32; 2]; 5], targets: &[[f32; 2]; 5]) -> Option<AlignedFace> {
    // Fitted in this direction and inverted: least squares in the other direction gives another scale.
    let back = Similarity::fit(landmarks, targets)?.inverse();
    let plane = ALIGNED_SIDE_PX * ALIGNED_SIDE_PX;
    let mut planes = vec![0.0; plane * 3];
    let (red, rest) = planes.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    let pixels = red.iter_mut().zip(green).zip(blue);
    for (i, ((red, green), blue)) in pixels.enumerate() {
        let point = [(i % ALIGNED_SIDE_PX) as f32, (i / ALIGNED_SIDE_PX) as f32];
        [*red, *green, *blue] = sample(frame, back.apply(point));
    }
    Some(AlignedFace { planes })
}

/// Rows and columns of the aligned square that show the face and neither hair nor background.
const FACE_PX: std::ops::Range<usize> = 20..100;

impl AlignedFace {
    /// Mean brightness of the face, 0 to 255.
    #[must_use]
    pub fn light(&self) -> f32 {
        let pixels = FACE_PX.flat_map(|y| FACE_PX.map(move |x| (x, y)));
        let sum: f32 = pixels.map(|(x, y)| self.grey(x, y)).sum();
        sum / (FACE_PX.len() * FACE_PX.len()) as f32
    }

    /// Fine detail over contrast: the smaller of the variances of the second differences across and down, over the
    /// variance of the face. A portrait has about 0.1, an enlarged face of 32 pixels 0.01, one out of focus or moving
    /// less. Both directions, because a face that moves is sharp across its way.
    #[must_use]
    pub fn sharpness(&self) -> f32 {
        let spread = |values: &mut dyn Iterator<Item = f32>| {
            let (mut n, mut sum, mut squares) = (0.0_f32, 0.0_f32, 0.0_f32);
            for value in values {
                (n, sum, squares) = (n + 1.0, sum + value, squares + value * value);
            }
            (squares / n - (sum / n) * (sum / n)).max(0.0)
        };
        let pixels = || FACE_PX.flat_map(|y| FACE_PX.map(move |x| (x, y)));
        let second = |(dx, dy): (usize, usize)| {
            move |(x, y): (usize, usize)| {
                self.grey(x - dx, y - dy) - 2.0 * self.grey(x, y) + self.grey(x + dx, y + dy)
            }
        };
        let across = spread(&mut pixels().map(second((1, 0))));
        let down = spread(&mut pixels().map(second((0, 1))));
        let contrast = spread(&mut pixels().map(|(x, y)| self.grey(x, y)));
        if contrast > 0.0 { across.min(down) / contrast } else { 0.0 }
    }

    fn grey(&self, x: usize, y: usize) -> f32 {
        let plane = ALIGNED_SIDE_PX * ALIGNED_SIDE_PX;
        let at = |colour: usize| {
            self.planes.get(colour * plane + y * ALIGNED_SIDE_PX + x).copied().unwrap_or_default()
        };
        0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)
    }
}

/// `x' = a x - b y + tx`, `y' = b x + a y + ty`.
struct Similarity {
    a: f32,
    b: f32,
    tx: f32,
    ty: f32,
}

impl Similarity {
    fn fit(from: &[[f32; 2]; 5], to: &[[f32; 2]; 5]) -> Option<Self> {
        let mean = |points: &[[f32; 2]; 5], axis: usize| points.iter().map(|p| p[axis]).sum::<f32>() / 5.0;
        let (from_x, from_y, to_x, to_y) = (mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1));
        let (mut dot, mut cross, mut size) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py, qx, qy) = (p[0] - from_x, p[1] - from_y, q[0] - to_x, q[1] - to_y);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            size += px * px + py * py;
        }
        let (a, b) = (dot / size, cross / size);
        let fit = Self { a, b, tx: to_x - a * from_x + b * from_y, ty: to_y - b * from_x - a * from_y };
        // Faces from a fifth of a pixel to half a million pixels wide; anything else is not a face.
        let usable = [fit.a, fit.b, fit.tx, fit.ty].iter().all(|v| v.is_finite())
            && (1e-8..1e6).contains(&(a * a + b * b));
        usable.then_some(fit)
    }

    fn inverse(&self) -> Self {
        let size = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / size, -self.b / size);
        Self { a, b, tx: -(a * self.tx - b * self.ty), ty: -(b * self.tx + a * self.ty) }
    }

    fn apply(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }
}

impl std::fmt::Debug for AlignedFace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedFace({} values)", self.planes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: [[f32; 2]; 5] = [[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]];

    #[test]
    fn a_turned_and_scaled_face_comes_out_straight() {
        // Where the targets lie in a frame, turned by 30 degrees, twice as large, shifted.
        let (sin, cos) = (std::f32::consts::FRAC_PI_6.sin() * 2.0, std::f32::consts::FRAC_PI_6.cos() * 2.0);
        let place = |[x, y]: [f32; 2]| [cos * x - sin * y + 150.0, sin * x + cos * y + 20.0];
        let frame = Frame {
            width: 400,
            height: 400,
            rgb: (0..400 * 400_u32).flat_map(|i| [(i % 400 / 2) as u8, (i / 400 / 2) as u8, 9]).collect(),
            t_ms: 0,
            seq: 0,
        };
        let face = align(&frame, &TARGETS.map(place), &TARGETS).unwrap();
        for point in [[10.0, 10.0], [56.0, 71.0], [100.0, 30.0]] {
            let [x, y] = place(point);
            let at = point[1] as usize * ALIGNED_SIDE_PX + point[0] as usize;
            assert!((face.planes[at] - x / 2.0).abs() < 1.0, "{point:?}");
            assert!((face.planes[12_544 + at] - y / 2.0).abs() < 1.0, "{point:?}");
        }
    }

    /// Where OpenCV 5.0.0's `FaceRecognizerSF::alignCrop` takes its corners from, for a face that the targets do not
    /// fit exactly: there the direction of the fit matters.
    #[test]
    fn the_fit_is_the_one_the_embedder_was_trained_with() {
        let landmarks = [
            [239.07472, 250.84917],
            [353.82263, 249.19014],
            [301.32172, 315.03085],
            [246.71358, 363.69064],
            [349.89337, 363.00906],
        ];
        // Colours that tell where they are from: red is half of x, green half of y.
        let rgb = (0..512 * 512_u32).flat_map(|i| [(i % 512 / 2) as u8, (i / 512 / 2) as u8, 0]).collect();
        let frame = Frame { width: 512, height: 512, rgb, t_ms: 0, seq: 0 };
        let face = align(&frame, &landmarks, &TARGETS).unwrap();
        for (at, expected) in [(0, CORNER_FIRST), (12_543, CORNER_LAST)] {
            let (x, y) = (face.planes[at] * 2.0, face.planes[12_544 + at] * 2.0);
            assert!((x - expected[0]).abs() < 1.5 && (y - expected[1]).abs() < 1.5, "{x}, {y}");
        }
    }

    const CORNER_FIRST: [f32; 2] = [125.410, 90.477];
    const CORNER_LAST: [f32; 2] = [466.864, 426.202];

    #[test]
    fn impossible_landmarks_give_no_face() {
        let frame = Frame { width: 2, height: 2, rgb: vec![1; 12], t_ms: 0, seq: 0 };
        assert!(align(&frame, &[[5.0, 5.0]; 5], &TARGETS).is_none());
        assert!(align(&frame, &[[f32::NAN, 5.0]; 5], &TARGETS).is_none());
        let outside = TARGETS.map(|[x, y]| [x - 1e4, y + 1e4]);
        assert!(align(&frame, &outside, &TARGETS).unwrap().planes.iter().all(|&v| v == 0.0));
    }
}
