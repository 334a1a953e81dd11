//! Where the faces that are followed look, by their mesh, and when to ask for it. Pure.
//!
//! A mesh costs a few milliseconds, so one face a picture is asked about, and each twice a second. In between its word
//! holds, unless the five landmarks, which come with each picture, have turned since: then it is asked again at once, and
//! until it answers the face counts as looking where it looks more. Without a mesh the five landmarks decide.

use super::mesh::Mesh;
use super::pose;
use super::rigid::Rigidity;
use super::track::{MAX_TRACKS, Tracked};
use crate::presence::Who;

/// Each face is asked about this often.
const EACH_MS: u64 = 480;
/// And about this often while it turns.
const TURNING_MS: u64 = 90;
/// A mesh's word holds for this long.
const VALID_MS: u64 = 1_300;
/// Five landmarks of a small face waver by 16 degrees; a larger change is a turn.
const TURNED_DEG: f32 = 25.0;
/// Narrower faces (of the picture's width) read nothing wherever they look: beyond 4 m.
const NEAR_SHARE: f32 = 0.026;

/// What the mesh said of each face.
#[derive(Debug, Default)]
pub struct Facing {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    track: u64,
    asked_ms: u64,
    said: Option<Said>,
    rigidity: Rigidity,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    t_ms: u64,
    yaw_deg: f32,
    /// What the five landmarks said of the same picture.
    five_deg: f32,
}

impl Facing {
    /// The face of the newest picture that should be asked about, if any. Faces whose direction decides nothing are
    /// not: the operator's, those of the room, and those too far away. `width` is the picture's.
    #[must_use]
    pub fn due(&self, t_ms: u64, faces: &[Tracked], width: f32) -> Option<Tracked> {
        let matters = |face: &&Tracked| {
            let near = face.width >= NEAR_SHARE * width;
            face.seen && near && face.who != Who::Operator && !face.still
        };
        let waited_ms = |face: &Tracked| match self.find(face.id) {
            None => u64::MAX,
            Some(known) => {
                let waited_ms = t_ms.saturating_sub(known.asked_ms);
                let turning = known.said.is_some_and(|said| said.turned_deg(face) > TURNED_DEG);
                if waited_ms >= EACH_MS || (turning && waited_ms >= TURNING_MS) { waited_ms } else { 0 }
            }
        };
        let face = faces.iter().filter(matters).max_by_key(|face| waited_ms(face))?;
        (waited_ms(face) > 0).then_some(*face)
    }

    /// Notes the answer about a face in the picture of `t_ms`; `None` if the mesh found no face there.
    pub fn answered(&mut self, t_ms: u64, face: &Tracked, mesh: Option<&Mesh>) {
        let known = if let Some(at) = self.known.iter().position(|known| known.track == face.id) {
            self.known.get_mut(at)
        } else {
            if self.known.len() >= MAX_TRACKS {
                self.known.remove(0);
            }
            let (track, rigidity) = (face.id, Rigidity::default());
            self.known.push(Known { track, asked_ms: t_ms, said: None, rigidity });
            self.known.last_mut()
        };
        let Some(known) = known else { return };
        known.asked_ms = t_ms;
        known.said = mesh.map(|mesh| {
            let five_deg = pose::yaw_deg(&face.face.landmarks);
            Said { t_ms, yaw_deg: mesh.yaw_deg(), five_deg }
        });
        if let Some(mesh) = mesh {
            known.rigidity.see(t_ms, mesh, face.face.bbox[2]);
        }
    }

    /// Forgets faces that are not followed any more.
    pub fn keep(&mut self, faces: &[Tracked]) {
        self.known.retain(|known| faces.iter().any(|face| face.id == known.track));
    }

    /// The yaw of a face in the picture of `t_ms`, as [`pose::yaw_deg`] counts it.
    #[must_use]
    pub fn yaw_deg(&self, t_ms: u64, face: &Tracked) -> f32 {
        let five_deg = pose::yaw_deg(&face.face.landmarks);
        match self.find(face.id).and_then(|known| known.said) {
            Some(said) if t_ms.saturating_sub(said.t_ms) > VALID_MS => five_deg,
            Some(said) if said.turned_deg(face) <= TURNED_DEG => said.yaw_deg,
            Some(said) if said.yaw_deg.abs() < five_deg.abs() => said.yaw_deg,
            _ => five_deg,
        }
    }

    /// Whether a face is a picture that stays in its place. The operator's never is by this alone.
    #[must_use]
    pub fn is_still(&self, face: &Tracked) -> bool {
        let still = self.find(face.id).is_some_and(|known| known.rigidity.is_still());
        still && face.who != Who::Operator
    }

    fn find(&self, track: u64) -> Option<&Known> {
        self.known.iter().find(|known| known.track == track)
    }
}

impl Said {
    /// By how much the five landmarks have turned since.
    fn turned_deg(&self, face: &Tracked) -> f32 {
        (pose::yaw_deg(&face.face.landmarks) - self.five_deg).abs()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Face;
    use super::super::mesh::Square;
    use super::super::mesh::tests::{face, mesh};
    use super::*;

    const WIDTH: f32 = 640.0;

    fn tracked(id: u64, who: Who) -> Tracked {
        let face = face(0.0);
        let width = face.bbox[2];
        Tracked { id, face, width, who, cosine: None, seen: true, sure: true, hidden: false, still: false }
    }

    /// The nose moves aside: the five landmarks see a turn.
    fn turned(id: u64, nose_px: f32) -> Tracked {
        let mut face = face(0.0);
        face.landmarks[2][0] += nose_px;
        Tracked { face, ..tracked(id, Who::Stranger) }
    }

    fn looking(yaw_deg: f32) -> Mesh {
        let (sin, cos) = yaw_deg.to_radians().sin_cos();
        let square = Square::around(&face(0.0), 1.5, 192.0).unwrap();
        mesh(&[(454, [100.0 * cos, 0.0, 100.0 * sin])], square)
    }

    #[test]
    fn each_face_is_asked_about_twice_a_second_and_one_a_picture() {
        let mut facing = Facing::default();
        let faces = [tracked(1, Who::Stranger), tracked(2, Who::Undecided), tracked(3, Who::Operator)];
        let mut asked = Vec::new();
        for t_ms in (0..2_000).step_by(100) {
            if let Some(face) = facing.due(t_ms, &faces, WIDTH) {
                facing.answered(t_ms, &face, Some(&looking(0.0)));
                asked.push((t_ms, face.id));
            }
        }
        let of = |id| asked.iter().filter(|(_, asked)| *asked == id).map(|(t, _)| *t).collect::<Vec<_>>();
        assert_eq!(asked.len(), 8, "{asked:?}");
        assert_eq!((of(1).len(), of(2).len(), of(3).len()), (4, 4, 0));
    }

    #[test]
    fn nobody_is_asked_whose_direction_decides_nothing() {
        let facing = Facing::default();
        let far = Face { bbox: [0.0, 0.0, 15.0, 20.0], ..face(0.0) };
        for face in [
            Tracked { still: true, ..tracked(1, Who::Stranger) },
            Tracked { seen: false, ..tracked(1, Who::Stranger) },
            Tracked { face: far, width: 15.0, ..tracked(1, Who::Stranger) },
        ] {
            assert_eq!(facing.due(0, &[face], WIDTH), None);
        }
    }

    #[test]
    fn the_mesh_is_believed_until_it_is_old_or_the_face_turns() {
        let mut facing = Facing::default();
        let ahead = tracked(1, Who::Stranger);
        assert_eq!(facing.yaw_deg(0, &ahead), pose::yaw_deg(&ahead.face.landmarks));
        facing.answered(0, &ahead, Some(&looking(70.0)));
        assert!((facing.yaw_deg(1_000, &ahead) - 70.0).abs() < 1e-3, "the five landmarks waver");
        assert!(facing.yaw_deg(1_400, &ahead).abs() < 5.0, "too old");
        assert_eq!(facing.due(100, &[ahead], WIDTH), None);

        // It looked aside and the landmarks move a lot: it may look at the screen by now.
        let moved = turned(1, 9.0);
        let five_deg = pose::yaw_deg(&moved.face.landmarks);
        assert!(five_deg > TURNED_DEG && five_deg < 70.0, "{five_deg}");
        assert_eq!(facing.yaw_deg(100, &moved), five_deg);
        assert_eq!(facing.due(100, &[moved], WIDTH), Some(moved), "at once");
        // It looked ahead, and only the landmarks say that it turned away.
        facing.answered(100, &ahead, Some(&looking(2.0)));
        assert!((facing.yaw_deg(200, &moved) - 2.0).abs() < 1e-3);
    }

    #[test]
    fn without_a_mesh_the_five_landmarks_decide() {
        let mut facing = Facing::default();
        let face = turned(1, 4.0);
        facing.answered(0, &face, None);
        assert_eq!(facing.yaw_deg(0, &face), pose::yaw_deg(&face.face.landmarks));
        assert_eq!(facing.due(100, &[face], WIDTH), None, "nor is it asked in each picture");
    }

    #[test]
    fn the_operator_is_never_part_of_the_room_by_this() {
        let mut facing = Facing::default();
        let square = Square::around(&face(0.0), 1.5, 192.0).unwrap();
        let points: Vec<_> = (0..468_u16)
            .map(|i| (usize::from(i), [f32::from(i % 19) * 6.0, f32::from(i % 23) * 5.0, 0.0]))
            .collect();
        let same = mesh(&points, square);
        (0..40).for_each(|i| facing.answered(i * 500, &tracked(1, Who::Stranger), Some(&same)));
        assert!(facing.is_still(&tracked(1, Who::Stranger)));
        assert!(!facing.is_still(&tracked(1, Who::Operator)) && !facing.is_still(&tracked(2, Who::Stranger)));
        facing.keep(&[tracked(2, Who::Stranger)]);
        assert!(!facing.is_still(&tracked(1, Who::Stranger)), "gone, and forgotten");
    }

    #[test]
    fn memory_is_bounded() {
        let mut facing = Facing::default();
        (0..500).for_each(|id| facing.answered(id, &tracked(id, Who::Stranger), Some(&looking(0.0))));
        assert_eq!(facing.known.len(), MAX_TRACKS);
    }
}
