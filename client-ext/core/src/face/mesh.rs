//! The shape of a face: 468 points with depth, and what they tell. Pure.
//!
//! Numbers of points are those of MediaPipe's canonical face model. Where a face looks is told well even for small
//! faces: shrunk to 28 pixels, yaw changes by 3 degrees (p90), against 16 with five landmarks. How far mouth and eyes
//! are open is for telling a living face from a picture and for nothing else; nothing here is kept beyond a look.

use super::Face;

/// Points of a mesh.
pub const POINTS: usize = 468;
/// Points that are compared from look to look: corners and lids of the eyes, nose, mouth, brows, cheeks and outline.
pub const COMPARED: [usize; 40] = [
    33, 133, 159, 145, 263, 362, 386, 374, 1, 4, 5, 6, 195, 197, 10, 152, 234, 454, 61, 291, 13, 14, 17, 0,
    50, 280, 70, 300, 105, 334, 168, 2, 98, 327, 148, 377, 58, 288, 93, 323,
];
/// The outline beside the subject's right and left ear; the top of the forehead; the chin.
const EARS: [usize; 2] = [234, 454];
const FOREHEAD_CHIN: [usize; 2] = [10, 152];
/// Lips, upper and lower on their inner side, and the inner corners of the mouth.
const LIPS: [usize; 2] = [13, 14];
const MOUTH_CORNERS: [usize; 2] = [78, 308];
/// Upper and lower lid, and the corners, of the right and the left eye.
const LIDS: [[usize; 2]; 2] = [[159, 145], [386, 374]];
const EYE_CORNERS: [[usize; 2]; 2] = [[33, 133], [263, 362]];

/// The square of a picture that holds a face with level eyes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    /// Of the face's box, in the picture.
    middle: [f32; 2],
    /// Pixels of the picture for one of the square.
    step: f32,
    /// By how much the eyes are tilted.
    sin: f32,
    cos: f32,
    /// In pixels of the square.
    side: f32,
}

impl Square {
    /// The square of so many pixels around a face: its box's longer side, `times` over. `None` if that is no square.
    #[must_use]
    pub fn around(face: &Face, times: f32, side: f32) -> Option<Self> {
        let [x, y, w, h] = face.bbox;
        let [right_eye, left_eye, ..] = face.landmarks;
        let (across, down) = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1]);
        let between = across.hypot(down);
        let step = w.max(h) * times / side;
        let square = Square {
            middle: [x + w / 2.0, y + h / 2.0],
            step,
            sin: down / between,
            cos: across / between,
            side,
        };
        let numbers = [square.middle[0], square.middle[1], step, square.sin, square.cos];
        // Written so that a value that is no number gives no square.
        (numbers.iter().all(|value| value.is_finite()) && step > 0.0).then_some(square)
    }

    /// Where a point of the square lies in the picture. Pixels count from their middle.
    #[must_use]
    pub fn to_picture(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let half = (self.side - 1.0) / 2.0;
        let (dx, dy) = ((x - half) * self.step, (y - half) * self.step);
        [self.middle[0] + dx * self.cos - dy * self.sin, self.middle[1] + dx * self.sin + dy * self.cos]
    }

    /// Pixels of the picture for one of the square.
    #[must_use]
    pub const fn step(&self) -> f32 {
        self.step
    }
}

/// The points of one face in its square: column, row, and depth, which grows away from the camera.
#[derive(Clone, PartialEq)]
pub struct Mesh {
    points: Vec<[f32; 3]>,
    square: Square,
}

impl Mesh {
    /// Three numbers for each point; `None` if there are not as many, or one of them cannot be calculated with.
    #[must_use]
    pub fn from_values(values: &[f32], square: Square) -> Option<Self> {
        let (points, rest) = values.as_chunks::<3>();
        let usable =
            points.len() == POINTS && rest.is_empty() && values.iter().all(|value| value.is_finite());
        usable.then(|| Mesh { points: points.to_vec(), square })
    }

    /// Yaw in degrees, as [`super::pose::yaw_deg`] counts it: positive to the subject's own left.
    #[must_use]
    pub fn yaw_deg(&self) -> f32 {
        let [across, _, away] = self.between(EARS);
        away.atan2(across).to_degrees()
    }

    /// Pitch in degrees: positive downwards.
    #[must_use]
    pub fn pitch_deg(&self) -> f32 {
        let [_, down, away] = self.between(FOREHEAD_CHIN);
        away.atan2(down).to_degrees()
    }

    /// The gap between the lips over the width of the mouth; 0 is closed. NaN for a mouth without width.
    #[must_use]
    pub fn mouth_open(&self) -> f32 {
        self.share(LIPS, MOUTH_CORNERS)
    }

    /// The gap between the lids over the width of the eye, the mean of both eyes.
    #[must_use]
    pub fn eyes_open(&self) -> f32 {
        let [right, left] = [0, 1].map(|eye| self.share(LIDS[eye], EYE_CORNERS[eye]));
        f32::midpoint(right, left)
    }

    /// Where a point lies in the picture.
    #[must_use]
    pub fn in_picture(&self, number: usize) -> [f32; 2] {
        let [x, y, _] = self.point(number);
        self.square.to_picture([x, y])
    }

    /// The points of [`COMPARED`], in the picture.
    #[must_use]
    pub fn compared(&self) -> [[f32; 2]; COMPARED.len()] {
        COMPARED.map(|number| self.in_picture(number))
    }

    fn point(&self, number: usize) -> [f32; 3] {
        self.points.get(number).copied().unwrap_or([f32::NAN; 3])
    }

    fn between(&self, [from, to]: [usize; 2]) -> [f32; 3] {
        let (from, to) = (self.point(from), self.point(to));
        [to[0] - from[0], to[1] - from[1], to[2] - from[2]]
    }

    fn share(&self, gap: [usize; 2], width: [usize; 2]) -> f32 {
        let length = |pair| {
            let [x, y, _] = self.between(pair);
            x.hypot(y)
        };
        length(gap) / length(width)
    }
}

/// A face's shape is personal: only its size is printed.
impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mesh({} points)", self.points.len())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A face at (100, 80), 40 pixels wide, with its eyes tilted by this angle.
    pub(in crate::face) fn face(tilt_deg: f32) -> Face {
        let (sin, cos) = tilt_deg.to_radians().sin_cos();
        let eye = |x: f32| [120.0 + x * cos, 100.0 + x * sin];
        let landmarks = [eye(-9.0), eye(9.0), [120.0, 106.0], [112.0, 114.0], [128.0, 114.0]];
        Face { bbox: [100.0, 80.0, 40.0, 50.0], landmarks, score: 0.9 }
    }

    /// A mesh with these points and zeros elsewhere.
    pub(in crate::face) fn mesh(points: &[(usize, [f32; 3])], square: Square) -> Mesh {
        let mut values = vec![0.0; POINTS * 3];
        for (number, point) in points {
            values[number * 3..number * 3 + 3].copy_from_slice(point);
        }
        Mesh::from_values(&values, square).unwrap()
    }

    fn square() -> Square {
        Square::around(&face(0.0), 1.5, 192.0).unwrap()
    }

    #[test]
    fn the_square_is_level_and_goes_forth_and_back() {
        for tilt in [0.0, 30.0, -75.0_f32] {
            let face = face(tilt);
            let square = Square::around(&face, 1.5, 192.0).unwrap();
            let (sin, cos) = tilt.to_radians().sin_cos();
            // 75 pixels of the picture are 192 of the square.
            let (dx, dy) = (10.0 * 192.0 / 75.0, 4.0 * 192.0 / 75.0);
            let [x, y] = square.to_picture([95.5 + dx, 95.5 + dy]);
            let expected = [120.0 + 10.0 * cos - 4.0 * sin, 105.0 + 10.0 * sin + 4.0 * cos];
            assert!((x - expected[0]).abs() < 1e-3 && (y - expected[1]).abs() < 1e-3, "{tilt}: {x}, {y}");
        }
        let no_eyes = Face { landmarks: [[5.0; 2]; 5], ..face(0.0) };
        let no_box = Face { bbox: [1.0, 1.0, 0.0, 0.0], ..face(0.0) };
        let no_number = Face { bbox: [f32::NAN, 1.0, 9.0, 9.0], ..face(0.0) };
        for face in [no_eyes, no_box, no_number] {
            assert!(Square::around(&face, 1.5, 192.0).is_none());
        }
    }

    #[test]
    fn a_turn_and_a_nod_are_told_by_depth() {
        let turned = |dx: f32, dz: f32| {
            mesh(&[(234, [40.0, 90.0, 0.0]), (454, [40.0 + dx, 90.0, dz])], square()).yaw_deg()
        };
        assert_eq!(turned(110.0, 0.0), 0.0);
        assert!((turned(100.0, 100.0) - 45.0).abs() < 1e-4, "the left ear lies behind: turned to the left");
        assert!((turned(50.0, -86.6) + 60.0).abs() < 0.01);
        let nodded = mesh(&[(10, [96.0, 30.0, -20.0]), (152, [96.0, 160.0, 55.0])], square()).pitch_deg();
        assert!((nodded - 30.0).abs() < 0.1, "the chin lies behind: looking down");
    }

    #[test]
    fn mouth_and_eyes_are_open_or_closed() {
        let lips = |gap: f32| {
            let corners = [(78, [70.0, 140.0, 0.0]), (308, [110.0, 140.0, 0.0])];
            let lips = [(13, [90.0, 140.0 - gap / 2.0, 0.0]), (14, [90.0, 140.0 + gap / 2.0, 0.0])];
            mesh(&[corners, lips].concat(), square()).mouth_open()
        };
        assert_eq!((lips(0.0), lips(10.0)), (0.0, 0.25));
        let eyes = |right: f32, left: f32| {
            let corners = [(33, 60.0), (133, 80.0), (362, 112.0), (263, 132.0)];
            let lids =
                [(159, 70.0, 80.0), (145, 70.0, 80.0 + right), (386, 122.0, 80.0), (374, 122.0, 80.0 + left)];
            let points: Vec<_> = corners
                .iter()
                .map(|&(number, x)| (number, [x, 82.0, 0.0]))
                .chain(lids.iter().map(|&(number, x, y)| (number, [x, y, 0.0])))
                .collect();
            mesh(&points, square()).eyes_open()
        };
        assert_eq!((eyes(5.0, 5.0), eyes(0.0, 5.0)), (0.25, 0.125));
    }

    #[test]
    fn what_is_no_mesh_is_refused() {
        assert!(Mesh::from_values(&[1.0; POINTS * 3 - 1], square()).is_none());
        assert!(Mesh::from_values(&[1.0; POINTS * 3 + 3], square()).is_none());
        let mut broken = vec![1.0; POINTS * 3];
        broken[700] = f32::NAN;
        assert!(Mesh::from_values(&broken, square()).is_none());
        assert_eq!(format!("{:?}", mesh(&[], square())), "Mesh(468 points)");
        assert!(COMPARED.iter().all(|&number| number < POINTS));
    }
}
