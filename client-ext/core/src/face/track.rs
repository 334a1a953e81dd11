//! Follows faces from frame to frame by the overlap of their boxes, so that few have to be compared. Pure.

use super::verdict::{Thresholds, Verdict};
use super::{Face, iou};
use crate::presence::Who;

/// The smallest faces beyond this number are not followed: each costs CPU time, and with so many nobody is alone anyway.
pub const MAX_TRACKS: usize = 16;
/// A face not seen for longer is forgotten; the next face there is compared afresh.
pub const LOST_MS: u64 = 1_000;
/// After a longer gap the verdict no longer holds: people may have changed places.
const TRUST_GAP_MS: u64 = 300;
/// Boxes that overlap less are different faces.
const SAME_FACE_IOU: f32 = 0.3;
/// Boxes that overlap less than this may be different faces, which one look will tell.
const STEADY_IOU: f32 = 0.55;

/// One face over time.
#[derive(Debug, Clone)]
struct Track {
    id: u64,
    face: Face,
    seen_ms: u64,
    verdict: Verdict,
    /// Of the latest look.
    cosine: Option<f32>,
    /// When the embedder should look next.
    look_at_ms: u64,
    /// A look is under way.
    looking: bool,
    /// Comparisons requested before this time no longer count.
    trusted_from_ms: u64,
}

/// All faces in view.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    next_id: u64,
}

/// A face in view and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    pub id: u64,
    pub face: Face,
    pub who: Who,
    /// Of the latest look that counted.
    pub cosine: Option<f32>,
    /// Whether the newest frame shows it.
    pub seen: bool,
}

impl Tracker {
    /// Takes the faces of a new frame.
    pub fn update(&mut self, t_ms: u64, faces: &[Face]) {
        self.tracks.retain(|track| t_ms.saturating_sub(track.seen_ms) <= LOST_MS);
        let mut faces: Vec<Face> = faces.to_vec();
        faces.sort_by(|a, b| area(b).total_cmp(&area(a)));
        faces.truncate(MAX_TRACKS);
        let mut taken = vec![false; self.tracks.len()];
        let mut new = Vec::new();
        for (track, face) in pairs(&self.tracks, &faces, &mut taken) {
            match track.and_then(|i| self.tracks.get_mut(i)) {
                Some(track) => track.see(face, t_ms),
                None => new.push(face),
            }
        }
        for face in new {
            self.tracks.push(Track {
                id: self.next_id,
                face,
                seen_ms: t_ms,
                verdict: Verdict::NONE,
                cosine: None,
                look_at_ms: t_ms,
                looking: false,
                trusted_from_ms: t_ms,
            });
            self.next_id += 1;
        }
        // The longest unseen make room.
        self.tracks.sort_by_key(|track| (std::cmp::Reverse(track.seen_ms), track.id));
        self.tracks.truncate(MAX_TRACKS);
    }

    /// Faces of the newest frame that the embedder should look at; from now on a look at them is under way.
    pub fn due(&mut self, t_ms: u64) -> Vec<(u64, Face)> {
        let due = |track: &&mut Track| track.seen_ms == t_ms && !track.looking && track.look_at_ms <= t_ms;
        self.tracks
            .iter_mut()
            .filter(due)
            .map(|track| {
                track.looking = true;
                (track.id, track.face)
            })
            .collect()
    }

    /// Notes the result of a look at the frame of `t_ms`. `None` means that it failed, and another is due at once.
    pub fn looked(&mut self, id: u64, t_ms: u64, cosine: Option<f32>, thresholds: &Thresholds) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) else { return };
        track.looking = false;
        match cosine {
            Some(cosine) if t_ms >= track.trusted_from_ms => {
                track.verdict.look(cosine, t_ms, thresholds);
                track.cosine = Some(cosine);
                track.look_at_ms = t_ms + track.verdict.recheck_ms();
            }
            _ => track.look_at_ms = 0,
        }
    }

    /// The faces of the frame of `t_ms`, in the order in which they first appeared.
    #[must_use]
    pub fn in_view(&self, t_ms: u64) -> Vec<Tracked> {
        let mut faces = self.known(t_ms);
        faces.retain(|tracked| tracked.seen);
        faces
    }

    /// The same, and faces lost less than [`LOST_MS`] ago, at their last place.
    #[must_use]
    pub fn known(&self, t_ms: u64) -> Vec<Tracked> {
        let tracked = |t: &Track| Tracked {
            id: t.id,
            face: t.face,
            who: t.verdict.who(),
            cosine: t.cosine,
            seen: t.seen_ms == t_ms,
        };
        let mut faces: Vec<_> = self.tracks.iter().map(tracked).collect();
        faces.sort_by_key(|tracked| tracked.id);
        faces
    }
}

impl Track {
    fn see(&mut self, face: Face, t_ms: u64) {
        if t_ms.saturating_sub(self.seen_ms) > TRUST_GAP_MS {
            (self.verdict, self.cosine) = (Verdict::NONE, None);
            self.look_at_ms = t_ms;
            self.trusted_from_ms = t_ms;
        } else if iou(&self.face.bbox, &face.bbox) < STEADY_IOU {
            self.look_at_ms = self.look_at_ms.min(t_ms);
        }
        self.face = face;
        self.seen_ms = t_ms;
    }
}

fn area(face: &Face) -> f32 {
    face.bbox[2] * face.bbox[3]
}

/// Each face with the index of its track, best overlaps first.
fn pairs(tracks: &[Track], faces: &[Face], taken: &mut [bool]) -> Vec<(Option<usize>, Face)> {
    let mut overlaps: Vec<(f32, usize, usize)> = Vec::new();
    for (f, face) in faces.iter().enumerate() {
        for (t, track) in tracks.iter().enumerate() {
            let overlap = iou(&track.face.bbox, &face.bbox);
            if overlap >= SAME_FACE_IOU {
                overlaps.push((overlap, t, f));
            }
        }
    }
    overlaps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut matched = vec![None; faces.len()];
    for (_, t, f) in overlaps {
        if let (Some(taken @ false), Some(slot @ None)) = (taken.get_mut(t), matched.get_mut(f)) {
            (*taken, *slot) = (true, Some(t));
        }
    }
    matched.into_iter().zip(faces.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { operator_min: 0.42, same_person_min: 0.363, stranger_max: 0.30 };

    fn face(x: f32) -> Face {
        Face { bbox: [x, 0.0, 50.0, 60.0], landmarks: [[0.0; 2]; 5], score: 0.9 }
    }

    /// One frame in which each look gives the cosine that `person` has.
    fn frame(tracker: &mut Tracker, t_ms: u64, faces: &[Face], cosine: f32) -> usize {
        tracker.update(t_ms, faces);
        let due = tracker.due(t_ms);
        for (id, _) in &due {
            tracker.looked(*id, t_ms, Some(cosine), &LIMITS);
        }
        due.len()
    }

    #[test]
    fn a_face_is_looked_at_when_it_appears_and_once_a_second_after() {
        let mut tracker = Tracker::default();
        let looks: Vec<_> =
            (0..31).filter(|i| frame(&mut tracker, i * 100, &[face(*i as f32)], 0.8) > 0).collect();
        assert_eq!(looks, [0, 10, 20, 30]);
        assert_eq!(tracker.in_view(3000)[0].who, Who::Operator);
    }

    #[test]
    fn a_short_gap_keeps_the_verdict_and_a_longer_one_does_not() {
        for (gap_ms, who, looks) in [(300, Who::Operator, 0), (400, Who::Undecided, 1)] {
            let mut tracker = Tracker::default();
            frame(&mut tracker, 0, &[face(0.0)], 0.8);
            tracker.update(gap_ms, &[face(2.0)]);
            assert_eq!(tracker.in_view(gap_ms)[0].who, who, "{gap_ms}");
            assert_eq!(tracker.due(gap_ms).len(), looks, "{gap_ms}");
        }
        let mut tracker = Tracker::default();
        frame(&mut tracker, 0, &[face(0.0)], 0.8);
        tracker.update(LOST_MS + 1, &[face(0.0)]);
        assert_eq!(tracker.in_view(LOST_MS + 1)[0].id, 1);
    }

    #[test]
    fn a_look_begun_before_the_gap_does_not_vouch_for_who_came_after_it() {
        let mut tracker = Tracker::default();
        tracker.update(0, &[face(0.0)]);
        let (id, _) = tracker.due(0)[0];
        tracker.update(500, &[face(0.0)]);
        tracker.looked(id, 0, Some(0.9), &LIMITS);
        assert_eq!(tracker.in_view(500)[0].who, Who::Undecided);
        assert_eq!(tracker.due(500).len(), 1);
    }

    #[test]
    fn a_jump_is_looked_at_at_once() {
        let mut tracker = Tracker::default();
        assert_eq!(frame(&mut tracker, 0, &[face(0.0)], 0.8), 1);
        assert_eq!(frame(&mut tracker, 100, &[face(5.0)], 0.8), 0);
        assert_eq!(frame(&mut tracker, 200, &[face(25.0)], 0.1), 1);
        assert_eq!(tracker.in_view(200)[0].who, Who::Undecided);
    }

    #[test]
    fn two_people_side_by_side_keep_their_tracks() {
        let mut tracker = Tracker::default();
        for i in 0..20_u16 {
            let step = f32::from(i) * 3.0;
            tracker.update(u64::from(i) * 100, &[face(200.0 - step), face(step)]);
        }
        let ids: Vec<_> = tracker.in_view(1900).iter().map(|t| (t.id, t.face.bbox[0])).collect();
        assert_eq!(ids, [(0, 143.0), (1, 57.0)]);
    }

    #[test]
    fn a_crowd_is_bounded_and_the_near_faces_are_kept() {
        let mut tracker = Tracker::default();
        let mut crowd: Vec<_> = (0..40_u16).map(|i| face(f32::from(i) * 100.0)).collect();
        crowd[39].bbox[2] = 90.0;
        for t_ms in [0, 100, 200] {
            tracker.update(t_ms, &crowd);
            assert_eq!(tracker.in_view(t_ms).len(), MAX_TRACKS);
            assert!(tracker.in_view(t_ms).iter().any(|t| t.face.bbox[2] > 80.0));
        }
    }
}
