//! The shape of a face: 468 points in depth, by the face mesh of MediaPipe.
//!
//! Source: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs" (2019). The face is
//! cut out with level eyes, in a square of one and a half times its box, as the network was trained.

#![allow(clippy::cast_precision_loss, reason = "the side of the square is 192 pixels")]

use ort::session::Session;
use ort::value::TensorRef;
use sudare_client_core::face::Face;
use sudare_client_core::face::mesh::{Mesh, Square};
use sudare_client_core::frame::Frame;
use sudare_models::{Digest, MeshFacts, Role};

use crate::engine::EngineError;
use crate::sampling::sample;

/// The network.
pub struct FaceMesh {
    session: Session,
    facts: MeshFacts,
    /// Of its file, for the record.
    pub sha256: Digest,
    /// Red, green and blue planes of the square; reused from face to face.
    input: Vec<f32>,
}

impl FaceMesh {
    pub(super) fn new(session: Session, facts: MeshFacts, sha256: Digest) -> Self {
        Self { session, facts, sha256, input: Vec::new() }
    }

    /// The mesh of a face in a frame; `None` if the network sees no face there, or no usable numbers come out.
    ///
    /// # Errors
    /// The network failed.
    pub fn look(&mut self, frame: &Frame, face: &Face) -> Result<Option<Mesh>, EngineError> {
        let shape = self.facts.input.shape;
        let [_, _, _, side] = shape;
        let Some(square) = Square::around(face, self.facts.square, side as f32) else { return Ok(None) };
        fill(&mut self.input, frame, &square, side, self.facts.input.value_max);
        let tensor = TensorRef::from_array_view((shape, self.input.as_slice())).map_err(failed)?;
        let name = self.facts.input.name.as_str();
        let outputs = self.session.run(ort::inputs![name => tensor]).map_err(failed)?;
        let values = |name: &str| -> Result<&[f32], EngineError> {
            let value = outputs.get(name).ok_or_else(|| failed("an output is missing"))?;
            Ok(value.try_extract_tensor::<f32>().map_err(failed)?.1)
        };
        // Written so that a value that is no number is no face.
        let present = values(&self.facts.presence)?.first().is_some_and(|value| *value >= 0.0);
        if present { Ok(Mesh::from_values(values(&self.facts.points)?, square)) } else { Ok(None) }
    }
}

/// Cuts the square out of the frame.
fn fill(input: &mut Vec<f32>, frame: &Frame, square: &Square, side: usize, value_max: f32) {
    let (plane, unit) = (side * side, value_max / 255.0);
    input.clear();
    input.resize(plane * 3, 0.0);
    let (red, rest) = input.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for (i, ((red, green), blue)) in red.iter_mut().zip(green).zip(blue).enumerate() {
        let point = square.to_picture([(i % side) as f32, (i / side) as f32]);
        [*red, *green, *blue] = sample(frame, point).map(|value| value * unit);
    }
}

/// It holds the pixels of a face: only its size is printed.
impl std::fmt::Debug for FaceMesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaceMesh({} values)", self.input.len())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Model { role: Role::FaceMesh, detail: error.to_string() }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small picture coordinates")]
mod tests {
    use image::imageops;
    use sudare_client_core::face::pose;

    use super::*;
    use crate::camera::picture;
    use crate::engine::Engine;
    use crate::testing::models_and_photographs;

    #[test]
    fn the_square_is_cut_out_level_in_red_green_and_blue() {
        // Red tells the column, green the row; the eyes are tilted by a right angle.
        let rgb = (0..200 * 200_u32).flat_map(|i| [(i % 200) as u8, (i / 200) as u8, 255]).collect();
        let frame = Frame { width: 200, height: 200, rgb, t_ms: 0, seq: 0 };
        let landmarks = [[100.0, 90.0], [100.0, 110.0], [90.0, 100.0], [80.0, 95.0], [80.0, 105.0]];
        let face = Face { bbox: [80.0, 80.0, 40.0, 40.0], landmarks, score: 0.9 };
        let square = Square::around(&face, 1.5, 60.0).unwrap();
        let mut input = Vec::new();
        fill(&mut input, &frame, &square, 60, 1.0);
        assert_eq!(input.len(), 3 * 60 * 60);
        let at = |plane: usize, x: usize, y: usize| input[plane * 3600 + y * 60 + x] * 255.0;
        // To the right in the square is down in the picture, and down is to the left.
        assert!((at(1, 40, 30) - at(1, 30, 30) - 10.0).abs() < 0.1);
        assert!((at(0, 30, 40) - at(0, 30, 30) + 10.0).abs() < 0.1);
        assert!((at(2, 30, 30) - 255.0).abs() < 1e-3);
    }

    /// The mesh of the only face in a picture, and its yaw by five landmarks.
    fn meshed(engine: &mut Engine, frame: &Frame) -> (Mesh, f32, Face) {
        let face = engine.detector.still(frame).unwrap()[0];
        let mesh = engine.mesh.as_mut().unwrap().look(frame, &face).unwrap().unwrap();
        (mesh, pose::yaw_deg(&face.landmarks), face)
    }

    #[test]
    fn points_lie_on_the_face_and_a_mirrored_face_looks_the_other_way() {
        let Some((mut engine, folder)) = models_and_photographs() else { return };
        if engine.mesh.is_none() {
            return println!("SKIPPED: the face mesh is not there");
        }
        for name in ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg"] {
            let frame = picture::load(&folder.join(name)).unwrap();
            let (mesh, five_deg, face) = meshed(&mut engine, &frame);
            // The corners of the eyes lie about the landmarks of the eyes, and the tip of the nose at its own.
            let apart = |number: usize, landmark: usize| {
                let ([x, y], [lx, ly]) = (mesh.in_picture(number), face.landmarks[landmark]);
                (x - lx).hypot(y - ly) / face.bbox[2]
            };
            assert!(apart(159, 0) < 0.08 && apart(386, 1) < 0.08 && apart(4, 2) < 0.12, "{name}");
            assert!((mesh.yaw_deg() - five_deg).abs() < 20.0, "{name}: {} and {five_deg}", mesh.yaw_deg());
            assert!(mesh.pitch_deg().abs() < 25.0, "{name}: {}", mesh.pitch_deg());
            assert!((0.05..0.6).contains(&mesh.eyes_open()), "{name}: {}", mesh.eyes_open());

            let whole = image::RgbImage::from_raw(frame.width, frame.height, frame.rgb.clone()).unwrap();
            let mirrored = Frame { rgb: imageops::flip_horizontal(&whole).into_raw(), ..frame };
            let (other, ..) = meshed(&mut engine, &mirrored);
            assert!((mesh.yaw_deg() + other.yaw_deg()).abs() < 8.0, "{name}: {}", other.yaw_deg());
        }
    }

    #[test]
    fn a_small_face_looks_where_it_did_when_it_was_large() {
        let Some((mut engine, folder)) = models_and_photographs() else { return };
        if engine.mesh.is_none() {
            return println!("SKIPPED: the face mesh is not there");
        }
        for name in ["obama.jpg", "obama2.jpg", "biden.jpg"] {
            let frame = picture::load(&folder.join(name)).unwrap();
            let (large, _, face) = meshed(&mut engine, &frame);
            let by = 30.0 / face.bbox[2];
            let whole = image::RgbImage::from_raw(frame.width, frame.height, frame.rgb).unwrap();
            let size = |side: u32| (f64::from(side) * f64::from(by)) as u32;
            let (width, height) = (size(frame.width), size(frame.height));
            let rgb = imageops::resize(&whole, width, height, imageops::FilterType::Triangle).into_raw();
            let small = Frame { width, height, rgb, t_ms: 0, seq: 0 };
            let small_face = face.scaled(by, by);
            let mesh = engine.mesh.as_mut().unwrap().look(&small, &small_face).unwrap().unwrap();
            let change = (mesh.yaw_deg() - large.yaw_deg()).abs();
            assert!(change < 6.0, "{name}: {change}");
        }
    }

    #[test]
    fn where_there_is_no_face_nothing_is_said_or_at_least_nothing_breaks() {
        let Some((mut engine, _)) = models_and_photographs() else { return };
        let Some(mesh) = engine.mesh.as_mut() else { return };
        let grey = Frame { width: 64, height: 48, rgb: vec![128; 64 * 48 * 3], t_ms: 0, seq: 0 };
        let landmarks = [[20.0, 20.0], [40.0, 20.0], [30.0, 28.0], [22.0, 36.0], [38.0, 36.0]];
        let face = Face { bbox: [10.0, 5.0, 40.0, 40.0], landmarks, score: 0.9 };
        assert!(mesh.look(&grey, &face).is_ok());
        let coinciding = Face { landmarks: [[20.0; 2]; 5], ..face };
        assert_eq!(mesh.look(&grey, &coinciding).unwrap(), None);
        // A face that is far larger than the picture, and one that is far outside of it.
        let huge = face.scaled(1_000.0, 1_000.0);
        let outside = face.moved(1e7, -1e7);
        assert!(mesh.look(&grey, &huge).is_ok() && mesh.look(&grey, &outside).is_ok());
    }
}
