//! What several passes found in one picture, each face once. Pure.
//!
//! ```text
//!  whole 480, whole 640, part ─► faces (a score that is enough) ─► merged: better box, passes of both
//!                            └─► doubtful boxes ─► confirm a face of another pass, or are looked at again
//! ```
//! A box that lies almost wholly within another face is a part of that face, seen by the wrong scale; and a face that a
//! part of the picture cuts through is left to the passes that see all of it.

use super::{Face, Sighting, iou, shared};
use crate::attention::{PART, Pass};
use crate::evidence::Area;

/// Boxes that overlap this much are of the same face.
const SAME_FACE_IOU: f32 = 0.3;
/// A box that lies within another by this share of its own area is a part of that face: heads do not show through heads.
const WITHIN: f32 = 0.6;
/// So near to the edge of a part, in shares of its side, a face is cut.
const CUT_SHARE: f32 = 0.01;

/// The faces of one picture so far. Reused from picture to picture.
#[derive(Debug, Default)]
pub struct Gathered {
    faces: Vec<Sighting>,
    doubtful: Vec<Sighting>,
    questions: Vec<Area>,
}

impl Gathered {
    /// Begins another picture.
    pub fn clear(&mut self) {
        self.faces.clear();
        self.doubtful.clear();
        self.questions.clear();
    }

    /// Takes one box of a pass over a picture of this width and height.
    pub fn add(&mut self, pass: &Pass, face: Face, score_min: f32, size: [f32; 2]) {
        if pass.part.is_some_and(|part| is_cut(&face.bbox, &part, size)) {
            return;
        }
        let list = if face.score >= score_min { &mut self.faces } else { &mut self.doubtful };
        merge(list, Sighting::by(pass.kind, face));
    }

    /// A part alone says nothing about the rest of the picture: whoever was seen before is still there.
    pub fn keep(&mut self, before: impl Iterator<Item = Face>) {
        for face in before {
            if !self.faces.iter().any(|new| is_same(&new.face, &face)) {
                self.faces.push(Sighting { passes: 0, ..Sighting::by(0, face) });
            }
        }
    }

    /// The faces, and the places that deserve a closer look.
    #[must_use]
    pub fn settle(&mut self) -> (&[Sighting], &[Area]) {
        for doubt in self.doubtful.drain(..) {
            match self.faces.iter_mut().find(|sighting| is_same(&sighting.face, &doubt.face)) {
                // Another pass is sure: this one has seen it as well.
                Some(sighting) => sighting.passes |= doubt.passes,
                None if doubt.passes & (1 << PART) == 0 => self.questions.push(doubt.face.bbox),
                None => {}
            }
        }
        (&self.faces, &self.questions)
    }
}

/// Adds a sighting; of two of the same face the better box stays, with the passes of both.
fn merge(found: &mut Vec<Sighting>, new: Sighting) {
    let mut new = new;
    // A new box may join several that were apart so far.
    while let Some(at) = found.iter().position(|old| is_same(&old.face, &new.face)) {
        let old = found.swap_remove(at);
        let passes = old.passes | new.passes;
        new = Sighting { passes, ..better(old, new) };
    }
    found.push(new);
}

/// Which box of the same face: the one around it rather than a part of it, otherwise the surer one.
fn better(old: Sighting, new: Sighting) -> Sighting {
    if iou(&old.face.bbox, &new.face.bbox) < SAME_FACE_IOU {
        return if area(&new.face) > area(&old.face) { new } else { old };
    }
    if new.face.score > old.face.score { new } else { old }
}

fn is_same(a: &Face, b: &Face) -> bool {
    if iou(&a.bbox, &b.bbox) >= SAME_FACE_IOU {
        return true;
    }
    let smaller = area(a).min(area(b));
    smaller > 0.0 && shared(&a.bbox, &b.bbox) >= WITHIN * smaller
}

/// Whether a part ends within a face, and the picture does not.
fn is_cut([x, y, w, h]: &Area, [left, top, width, height]: &Area, size: [f32; 2]) -> bool {
    let (near_x, near_y) = (width * CUT_SHARE, height * CUT_SHARE);
    let (right, bottom) = (left + width, top + height);
    (*left > 0.0 && *x <= left + near_x)
        || (*top > 0.0 && *y <= top + near_y)
        || (right < size[0] && x + w >= right - near_x)
        || (bottom < size[1] && y + h >= bottom - near_y)
}

fn area(face: &Face) -> f32 {
    face.bbox[2] * face.bbox[3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{FINE, WHOLE};

    const SIZE: [f32; 2] = [640.0, 480.0];
    const PASS: Pass = Pass { kind: WHOLE, part: None, long_side: 480 };
    const SCORE_MIN: f32 = 0.6;

    fn face(bbox: Area, score: f32) -> Face {
        Face { bbox, landmarks: [[0.0; 2]; 5], score }
    }

    fn gathered(found: &[(Pass, Face)]) -> (Vec<Sighting>, Vec<Area>) {
        let mut gathered = Gathered::default();
        found.iter().for_each(|(pass, face)| gathered.add(pass, *face, SCORE_MIN, SIZE));
        let (faces, questions) = gathered.settle();
        (faces.to_vec(), questions.to_vec())
    }

    #[test]
    fn a_face_that_two_passes_see_is_one_with_the_better_box() {
        let fine = Pass { kind: FINE, ..PASS };
        let (faces, _) = gathered(&[
            (PASS, face([100.0, 100.0, 40.0, 50.0], 0.7)),
            (fine, face([102.0, 101.0, 38.0, 50.0], 0.9)),
        ]);
        assert_eq!((faces.len(), faces[0].passes, faces[0].by), (1, 0b11, FINE));
        assert_eq!(faces[0].face.score, 0.9);
    }

    #[test]
    fn a_part_of_a_face_is_not_a_second_face_and_who_looks_past_it_is() {
        let seated = face([250.0, 150.0, 120.0, 150.0], 0.9);
        let mouth = face([280.0, 230.0, 60.0, 60.0], 0.95);
        for order in [[seated, mouth], [mouth, seated]] {
            let (faces, _) = gathered(&order.map(|face| (PASS, face)));
            assert_eq!(faces.len(), 1);
            assert_eq!(
                faces[0].face.bbox, seated.bbox,
                "the whole face, although the part has the higher score"
            );
        }
        let behind = face([350.0, 130.0, 40.0, 50.0], 0.9);
        assert_eq!(gathered(&[(PASS, seated), (PASS, behind)]).0.len(), 2, "half hidden by the head");
    }

    #[test]
    fn a_face_that_a_part_cuts_through_is_left_to_the_other_passes() {
        let part = Pass { kind: PART, part: Some([320.0, 0.0, 320.0, 240.0]), long_side: 640 };
        let count = |bbox| gathered(&[(part, face(bbox, 0.9))]).0.len();
        assert_eq!(count([321.0, 100.0, 60.0, 80.0]), 0);
        assert_eq!(count([400.0, 170.0, 60.0, 69.0]), 0);
        assert_eq!(count([400.0, 0.0, 60.0, 80.0]), 1, "the picture ends there as well");
        assert_eq!(count([400.0, 50.0, 60.0, 80.0]), 1);
    }

    #[test]
    fn a_doubtful_box_confirms_a_face_or_is_a_question() {
        let fine = Pass { kind: FINE, ..PASS };
        let (bbox, elsewhere) = ([100.0, 100.0, 40.0, 50.0], [400.0, 100.0, 40.0, 50.0]);
        let found = [(PASS, face(bbox, 0.7)), (fine, face(bbox, 0.4)), (PASS, face(elsewhere, 0.4))];
        let (faces, questions) = gathered(&found);
        assert_eq!((faces[0].passes, questions), (0b11, vec![elsewhere]));
    }

    #[test]
    fn who_was_seen_before_stays_while_only_a_part_is_looked_at() {
        let (before, new) = (face([100.0, 100.0, 40.0, 50.0], 0.9), face([101.0, 100.0, 40.0, 50.0], 0.7));
        let mut all = Gathered::default();
        all.add(&PASS, new, SCORE_MIN, SIZE);
        all.keep([before, face([400.0, 100.0, 40.0, 50.0], 0.9)].into_iter());
        let (faces, _) = all.settle();
        let passes: Vec<u8> = faces.iter().map(|sighting| sighting.passes).collect();
        assert_eq!(passes.len(), 2);
        assert!(passes.contains(&0) && passes.contains(&1), "{passes:?}");
    }
}
