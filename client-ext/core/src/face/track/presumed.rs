//! Who is who where the policy compares no faces: somebody is at the seat, and anybody else is not that person. Pure.
//!
//! Whoever is nearest, moves as people do and comes while nobody is at the seat is presumed to be the operator. Everybody
//! else stays somebody else for as long as they are followed: whoever looked over a shoulder is not the operator when
//! that one leaves. Whether it is the right person nobody knows; records say so.

use super::{Track, Tracker};
use crate::presence::Who;

/// How long a face must have been followed, unbroken: as long as comparing one takes.
const SETTLED_MS: u64 = 500;

impl Tracker {
    /// Settles the faces of the frame of `t_ms` by where they are and when they came.
    pub fn presume(&mut self, t_ms: u64) {
        let is_taken = self.tracks.iter().any(|track| track.identity.who() == Who::Operator);
        let sits = if is_taken { None } else { self.nearest(t_ms) };
        for track in self.tracks.iter_mut().filter(|track| track.is_open(t_ms)) {
            if sits == Some(track.id) {
                track.identity.presume(Who::Operator);
            } else if is_taken || sits.is_some() {
                track.identity.presume(Who::Stranger);
            }
        }
    }

    /// Of those who are not somebody else already, and no picture on a wall.
    fn nearest(&self, t_ms: u64) -> Option<u64> {
        let sits = |track: &&Track| {
            track.is_open(t_ms)
                && track.stillness.has_moved()
                && !track.is_picture(&self.screens)
                && t_ms.saturating_sub(track.trusted_from_ms) >= SETTLED_MS
        };
        let nearest = self.tracks.iter().filter(sits).max_by(|a, b| a.width.total_cmp(&b.width))?;
        Some(nearest.id)
    }
}

impl Track {
    /// Seen now, beyond doubt a face, and nobody yet.
    fn is_open(&self, t_ms: u64) -> bool {
        self.seen_ms == t_ms && self.is_sure() && self.identity.who() == Who::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Face, Sighting};

    const SIZE: [f32; 2] = [640.0, 480.0];

    fn sighting(bbox: [f32; 4]) -> Sighting {
        Sighting::by(0, Face { bbox, landmarks: [[0.0; 2]; 5], score: 0.9 })
    }

    /// A face of this width somewhere, which breathes.
    fn breathing(x: f32, width: f32, t_ms: u64) -> Sighting {
        let sway = if (t_ms / 400).is_multiple_of(2) { 0.0 } else { width * 0.05 };
        sighting([x + sway, 100.0 + sway, width, width * 1.2])
    }

    /// Looks every 100 ms at what `found` gives, from one time to another; who is in view in the end, from the left.
    fn watch(
        tracker: &mut Tracker,
        from_ms: u64,
        to_ms: u64,
        found: impl Fn(u64) -> Vec<Sighting>,
    ) -> Vec<Who> {
        for t_ms in (from_ms..=to_ms).step_by(100) {
            tracker.update(t_ms, &found(t_ms), SIZE);
            tracker.presume(t_ms);
        }
        let mut seen: Vec<_> = tracker.known(to_ms).iter().filter(|t| t.seen).copied().collect();
        seen.sort_by(|a, b| a.face.bbox[0].total_cmp(&b.face.bbox[0]));
        seen.iter().map(|tracked| tracked.who).collect()
    }

    #[test]
    fn whoever_sits_there_alone_is_the_operator() {
        let mut tracker = Tracker::default();
        let alone = |t_ms| vec![breathing(250.0, 120.0, t_ms)];
        assert_eq!(watch(&mut tracker, 0, 5_000, alone), [Who::Operator]);
    }

    #[test]
    fn a_second_person_stays_a_second_person_when_the_first_leaves() {
        let mut tracker = Tracker::default();
        let alone = |t_ms| vec![breathing(250.0, 120.0, t_ms)];
        watch(&mut tracker, 0, 5_000, alone);
        let two = |t_ms| vec![breathing(50.0, 90.0, t_ms), breathing(250.0, 120.0, t_ms)];
        assert_eq!(watch(&mut tracker, 5_100, 9_000, two), [Who::Stranger, Who::Operator]);
        let left = |t_ms| vec![breathing(50.0, 90.0, t_ms)];
        assert_eq!(watch(&mut tracker, 9_100, 30_000, left), [Who::Stranger]);
        // The first one returns.
        assert_eq!(watch(&mut tracker, 30_100, 36_000, two), [Who::Stranger, Who::Operator]);
    }

    #[test]
    fn of_two_who_come_together_only_the_nearer_one_sits_there() {
        let mut tracker = Tracker::default();
        let two = |t_ms| vec![breathing(50.0, 90.0, t_ms), breathing(250.0, 120.0, t_ms)];
        assert_eq!(watch(&mut tracker, 0, 5_000, two), [Who::Stranger, Who::Operator]);
    }

    #[test]
    fn a_poster_never_sits_there() {
        let mut tracker = Tracker::default();
        let poster = |_| vec![sighting([50.0, 50.0, 150.0, 180.0])];
        assert_eq!(watch(&mut tracker, 0, 60_000, poster), [Who::Undecided]);
        let person = |t_ms| vec![sighting([50.0, 50.0, 150.0, 180.0]), breathing(350.0, 100.0, t_ms)];
        assert_eq!(watch(&mut tracker, 60_100, 66_000, person)[1], Who::Operator);
    }
}
