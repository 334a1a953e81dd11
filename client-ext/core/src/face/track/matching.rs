//! Which face of a new picture continues which track. Pure.

use super::{MAX_TRACKS, Track};
use crate::face::{Face, Sighting};

/// Buffers, reused from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Matching {
    /// The largest faces of the picture, the largest first.
    found: Vec<Sighting>,
    /// How well a face continues a track: likeness, track, face.
    likeness: Vec<(f32, usize, usize)>,
    taken: Vec<bool>,
    /// The track of each face.
    matched: Vec<Option<usize>>,
}

impl Matching {
    /// Each of the largest sightings with the index of its track: the best overlaps first, then whoever took a step.
    pub(super) fn pairs<'a>(
        &'a mut self,
        tracks: &[Track],
        found: &[Sighting],
    ) -> impl Iterator<Item = (Option<usize>, &'a Sighting)> + use<'a> {
        self.found.clear();
        self.found.extend_from_slice(found);
        self.found.sort_by(|a, b| area(&b.face).total_cmp(&area(&a.face)));
        self.found.truncate(MAX_TRACKS);
        self.likeness.clear();
        for (f, sighting) in self.found.iter().enumerate() {
            for (t, track) in tracks.iter().enumerate() {
                self.likeness.extend(track.likeness(&sighting.face).map(|like| (like, t, f)));
            }
        }
        self.likeness.sort_by(|a, b| b.0.total_cmp(&a.0));
        self.taken.clear();
        self.taken.resize(tracks.len(), false);
        self.matched.clear();
        self.matched.resize(self.found.len(), None);
        for (_, t, f) in &self.likeness {
            if let (Some(taken @ false), Some(slot @ None)) =
                (self.taken.get_mut(*t), self.matched.get_mut(*f))
            {
                (*taken, *slot) = (true, Some(*t));
            }
        }
        self.matched.iter().copied().zip(&self.found)
    }
}

fn area(face: &Face) -> f32 {
    face.bbox[2] * face.bbox[3]
}
