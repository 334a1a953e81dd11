//! Which way a face looks: yaw and roll in degrees from the five landmarks.
//!
//! A weak-perspective camera (rotate, scale, project) is fitted by least squares to a mean 3D face. Positive yaw:
//! the subject turns to their own left, which is the right side of an unmirrored picture. Good to about 8 degrees,
//! enough to tell whether somebody looks at the screen; pitch from five points is too imprecise to be offered.

#![allow(clippy::cast_possible_truncation, reason = "degrees are reported in f32")]

/// A mean adult face, in millimetres: x to the subject's left, y down, z out of the face. Landmarks in the order of
/// [`super::Face::landmarks`]; distances after Farkas, "Anthropometry of the Head and Face" (1994), with the
/// depth of the nose tip against the eyes and the corners of the mouth.
const MODEL_MM: [[f64; 3]; 5] = [
    [-32.0, -34.0, -20.0],
    [32.0, -34.0, -20.0],
    [0.0, 0.0, 14.0],
    [-25.0, 33.0, -10.0],
    [25.0, 33.0, -10.0],
];

/// The yaw of a face; 0 looks into the camera. If the landmarks make no sense, it counts as 0, the worst case.
#[must_use]
pub fn yaw_deg(landmarks: &[[f32; 2]; 5]) -> f32 {
    let yaw = fit_affine(landmarks).and_then(|[x_row, y_row]| {
        let (right, down) = orthonormalise(x_row, y_row)?;
        // The face looks along the model's z axis. In camera axes (x right, y down, z towards the viewer) that
        // direction is the third column of the rotation; its third row is `right x down`.
        let towards = right[0] * down[1] - right[1] * down[0];
        Some(right[2].atan2(towards).to_degrees() as f32)
    });
    yaw.filter(|v| v.is_finite()).unwrap_or(0.0)
}

/// How far a face is tilted in the picture, by the line through its eyes: positive clockwise. NaN if they coincide.
#[must_use]
pub fn roll_deg(landmarks: &[[f32; 2]; 5]) -> f32 {
    let [right_eye, left_eye, ..] = landmarks;
    let (x, y) = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1]);
    if x == 0.0 && y == 0.0 { f32::NAN } else { y.atan2(x).to_degrees() }
}

type Vec3 = [f64; 3];

/// The two rows of the affine camera: pixel = row . (model - mean model) + mean pixel.
fn fit_affine(landmarks: &[[f32; 2]; 5]) -> Option<[Vec3; 2]> {
    let model_mean = [0, 1, 2].map(|axis| MODEL_MM.iter().map(|p| p[axis]).sum::<f64>() / 5.0);
    let pixel_mean = [0, 1].map(|axis| landmarks.iter().map(|p| f64::from(p[axis])).sum::<f64>() / 5.0);
    let mut normal = [[0.0; 3]; 3];
    let mut right_side = [[0.0; 3]; 2];
    for (model, pixel) in MODEL_MM.iter().zip(landmarks) {
        let m = [model[0] - model_mean[0], model[1] - model_mean[1], model[2] - model_mean[2]];
        for i in 0..3 {
            for j in 0..3 {
                normal[i][j] += m[i] * m[j];
            }
            for axis in 0..2 {
                right_side[axis][i] += m[i] * (f64::from(pixel[axis]) - pixel_mean[axis]);
            }
        }
    }
    Some([solve(&normal, right_side[0])?, solve(&normal, right_side[1])?])
}

/// Cramer's rule.
fn solve(m: &[Vec3; 3], b: Vec3) -> Option<Vec3> {
    let det = dot(m[0], cross(m[1], m[2]));
    if det.abs() < 1e-9 {
        return None;
    }
    // The matrix is symmetric, so its rows are its columns.
    Some([dot(b, cross(m[1], m[2])) / det, dot(m[0], cross(b, m[2])) / det, dot(m[0], cross(m[1], b)) / det])
}

/// The orthonormal pair nearest to two rows (symmetric orthogonalisation).
fn orthonormalise(x: Vec3, y: Vec3) -> Option<(Vec3, Vec3)> {
    let (x, y) = (unit(x)?, unit(y)?);
    let sum = unit([x[0] + y[0], x[1] + y[1], x[2] + y[2]])?;
    let difference = unit([x[0] - y[0], x[1] - y[1], x[2] - y[2]])?;
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let combine = |sign: f64| [0, 1, 2].map(|i| half * (sum[i] + sign * difference[i]));
    Some((combine(1.0), combine(-1.0)))
}

fn unit(v: Vec3) -> Option<Vec3> {
    let length = dot(v, v).sqrt();
    (length > 1e-9 && length.is_finite()).then(|| v.map(|c| c / length))
}

fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model seen by a camera: turned by yaw, nodded by pitch, tilted by roll.
    fn seen(yaw: f64, pitch: f64, roll: f64) -> [[f32; 2]; 5] {
        let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
        MODEL_MM.map(|[x, y, z]| {
            let (x, z) = (x * yaw.cos() + z * yaw.sin(), z * yaw.cos() - x * yaw.sin());
            let y = y * pitch.cos() - z * pitch.sin();
            let (x, y) = (x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos());
            [(x * 1.7 + 300.0) as f32, (y * 1.7 + 200.0) as f32]
        })
    }

    #[test]
    fn yaw_is_recovered_whatever_the_tilt() {
        for yaw in [-60.0, -30.0, 0.0, 15.0, 45.0_f64] {
            for roll in [-20.0, 0.0, 20.0_f64] {
                let found = f64::from(yaw_deg(&seen(yaw, 10.0, roll)));
                // With the head tilted, the turn is shared between the axes of the picture.
                assert!((found - yaw).abs() < 12.0, "yaw {yaw}, roll {roll}: {found}");
            }
            let found = f64::from(yaw_deg(&seen(yaw, 0.0, 0.0)));
            assert!((found - yaw).abs() < 0.5, "yaw {yaw}: {found}");
        }
    }

    #[test]
    fn a_turn_to_the_subjects_left_moves_the_nose_to_the_right_of_the_picture_and_is_positive() {
        let mut points = seen(0.0, 0.0, 0.0);
        points[2][0] += 15.0;
        assert!(yaw_deg(&points) > 10.0);
    }

    #[test]
    fn a_tilt_is_told_by_the_eyes() {
        let found = roll_deg(&seen(0.0, 0.0, 30.0));
        assert!((found - 30.0).abs() < 0.1, "{found}");
        assert!(roll_deg(&[[1.0, 1.0]; 5]).is_nan());
    }

    #[test]
    fn nonsense_looks_straight() {
        assert_eq!(yaw_deg(&[[1.0, 1.0]; 5]), 0.0);
        assert_eq!(yaw_deg(&[[f32::NAN, 1.0]; 5]), 0.0);
    }
}
