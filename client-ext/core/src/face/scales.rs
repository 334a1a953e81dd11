//! Merges the faces that the detector found in one still picture at several scales. Pure.
//!
//! YuNet works for faces of about 10 to 300 pixels. Above that its boxes get worse and it sees faces in folds and
//! shadows; below, it finds nothing. So each face is taken from the finest scale at which it is not too large, and a
//! large one must show at the next coarser scale as well, where it is plainly visible.

use super::{Face, iou};

/// A face that is larger at some scale is better taken from a coarser one.
const FINE_FACE_PX: f32 = 400.0;
/// A larger face must also show at half the scale, or it is not a face.
const LARGE_FACE_PX: f32 = 96.0;
/// Boxes that overlap by this much confirm each other.
const CONFIRMED_IOU: f32 = 0.3;

/// Faces found at one scale, in pixels of the original picture.
#[derive(Debug)]
pub struct Level {
    /// Size at this scale over original size.
    pub scale: f32,
    pub faces: Vec<Face>,
}

/// The faces of a picture from its levels, finest first; of faces that overlap by more than `iou_max` one stays.
/// Best score first.
#[must_use]
pub fn merge(levels: &[Level], iou_max: f32) -> Vec<Face> {
    let mut candidates = Vec::new();
    for (i, level) in levels.iter().enumerate() {
        for face in &level.faces {
            let size_px = face.bbox[2].max(face.bbox[3]) * level.scale;
            let shows_smaller = levels.get(i + 1).is_none_or(|coarser| {
                coarser.faces.iter().any(|other| iou(&face.bbox, &other.bbox) >= CONFIRMED_IOU)
            });
            if size_px <= LARGE_FACE_PX || shows_smaller {
                candidates.push((size_px > FINE_FACE_PX, i, *face));
            }
        }
    }
    candidates.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.score.total_cmp(&a.2.score)));
    let mut kept: Vec<Face> = Vec::new();
    for (_, _, face) in candidates {
        if kept.iter().all(|better| iou(&better.bbox, &face.bbox) <= iou_max) {
            kept.push(face);
        }
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f32, size: f32, score: f32) -> Face {
        Face { bbox: [x, 0.0, size, size], landmarks: [[0.0; 2]; 5], score }
    }

    fn levels(fine: Vec<Face>, coarse: Vec<Face>) -> [Level; 2] {
        [Level { scale: 1.0, faces: fine }, Level { scale: 0.5, faces: coarse }]
    }

    #[test]
    fn a_face_is_taken_from_the_finest_scale_it_suits() {
        let found = merge(&levels(vec![face(0.0, 200.0, 0.8)], vec![face(5.0, 200.0, 0.9)]), 0.3);
        assert_eq!(found, [face(0.0, 200.0, 0.8)]);
        let found = merge(&levels(vec![face(0.0, 500.0, 0.9)], vec![face(5.0, 500.0, 0.8)]), 0.3);
        assert_eq!(found, [face(5.0, 500.0, 0.8)]);
    }

    #[test]
    fn a_large_face_that_vanishes_at_half_the_scale_was_none() {
        assert_eq!(merge(&levels(vec![face(0.0, 200.0, 0.8)], vec![]), 0.3), []);
        let small = vec![face(0.0, 20.0, 0.7)];
        assert_eq!(merge(&levels(small.clone(), vec![]), 0.3), small);
        let coarse_only = vec![face(0.0, 500.0, 0.7)];
        assert_eq!(merge(&levels(vec![], coarse_only.clone()), 0.3), coarse_only);
    }
}
