//! The operating point of a policy, with the real models: the same face, and a template it resembles only so far.

use image::RgbImage;
use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::{Known, Rotated};
use sudare_client_core::presence::Who;
use sudare_protocol::eyes::Recognition;

use crate::engine::Engine;
use crate::photograph_tests::{head, rotation, scene};
use crate::testing::{THRESHOLDS, models_and_photographs};
use crate::{Mode, Vision, align};

/// Between what opens under lenient and what does under strict; looks at one face differ by less.
const ALIKE: f32 = 0.565;

/// The face of this scene as the embedder sees it, turned away until the cosine is [`ALIKE`].
fn turned_away(engine: &mut Engine, head: &RgbImage) -> Vec<f32> {
    let frame = scene(0, &[(head, 60)]);
    let face = engine.detector.still(&frame).unwrap()[0];
    let targets = engine.embedder.facts().landmarks_px;
    let aligned = align::align(&frame, &face.landmarks, &targets).unwrap();
    let own = rotation().apply(&engine.embedder.embed(&aligned).unwrap()).to_template();
    // Any direction that no face prefers, without the part of it that is along the face.
    let other: Vec<f32> = (0..own.len()).map(|i| if i % 3 == 0 { 1.0 } else { -0.5 }).collect();
    let along: f32 = own.iter().zip(&other).map(|(own, other)| own * other).sum();
    let across: Vec<f32> = own.iter().zip(&other).map(|(own, other)| other - along * own).collect();
    let length = across.iter().map(|v| v * v).sum::<f32>().sqrt();
    let share = (1.0 - ALIKE * ALIKE).sqrt() / length;
    own.iter().zip(&across).map(|(own, across)| ALIKE * own + share * across).collect()
}

#[test]
fn the_policy_decides_how_alike_a_face_must_be() {
    for (recognition, who) in [(Recognition::Lenient, Who::Operator), (Recognition::Strict, Who::Undecided)] {
        let Some((mut engine, folder)) = models_and_photographs() else { return };
        let operator = head(&mut engine, &folder.join("obama3.jpg"));
        let vectors = vec![Rotated::from_template(&turned_away(&mut engine, &operator)).unwrap()];
        let known = Known { rotation: rotation(), vectors, marked: Marked::default(), self_cosine: None };
        let mut vision = Vision::new(engine, known, recognition, Mode::Lockstep).unwrap();
        let used = vision.thresholds();
        assert!((used.operator_min - THRESHOLDS.at(recognition).operator_min).abs() < 1e-6, "{used:?}");
        let seen: Vec<Who> = (0..12)
            .map(|i| vision.process(&scene(i * 100, &[(&operator, 60)])))
            .flat_map(|seen| seen.faces.into_iter().map(|face| face.who))
            .collect();
        assert_eq!(seen.last(), Some(&who), "{recognition:?}: {seen:?}");
        assert_eq!(seen.contains(&Who::Operator), who == Who::Operator, "{recognition:?}: {seen:?}");
    }
}
