//! Follows faces from frame to frame by the overlap of their boxes, so that few have to be compared. Pure.
//!
//! How long a face may be missed before its verdict no longer holds follows the camera's own rate: one that sends
//! three pictures a second in dim light shows nobody more often than every 333 ms.

mod matching;
mod presumed;

use self::matching::Matching;
use super::gone::{self, Gone};
use super::identity::{Identity, Thresholds};
use super::quality::Quality;
use super::still::{Places, Stillness};
use super::{Face, Sighting, around, iou};
use crate::evidence::Area;
use crate::presence::Who;

/// The smallest faces beyond this number are not followed: each costs CPU time, and with so many nobody is alone anyway.
pub const MAX_TRACKS: usize = 16;
/// A face not seen for longer is forgotten, at the camera's usual rate; the next face there is compared afresh.
pub const LOST_MS: u64 = 1_000;
/// After a longer gap the verdict no longer holds, at the usual rate: people may have changed places.
const TRUST_GAP_MS: u64 = 300;
/// At slower rates: this many times the time between two looks, in halves; and never longer than the second number.
const TRUST_GAP_HALVES: u64 = 5;
const TRUST_GAP_MAX_MS: u64 = 1_500;
/// Boxes that overlap less are different faces.
const SAME_FACE_IOU: f32 = 0.3;
/// Somebody who walks by is, in the next picture, up to this many widths of the face away, and about as large.
const STRIDE: f32 = 1.2;
const STRIDE_SIZE: f32 = 1.3;
/// Boxes that overlap less than this may be different faces, which one look will tell.
const STEADY_IOU: f32 = 0.55;
/// Two sightings with this score are a face.
const SURE_SCORE: f32 = 0.8;
/// How fast the width of a face follows: this share with each look.
const FOLLOW: f32 = 0.3;
/// Times between looks from which the camera's rate is told.
const INTERVALS: usize = 5;

/// One face over time.
#[derive(Debug, Clone)]
struct Track {
    id: u64,
    face: Face,
    seen_ms: u64,
    identity: Identity,
    /// Of the latest look.
    cosine: Option<f32>,
    /// When the embedder should look next.
    look_at_ms: u64,
    /// A look is under way.
    looking: bool,
    /// Comparisons requested before this time no longer count.
    trusted_from_ms: u64,
    sightings: u32,
    /// Of these, with [`SURE_SCORE`].
    strong_sightings: u32,
    /// A bit for each kind of pass that ever saw it.
    passes: u8,
    /// How it vanished, while it is not seen.
    gone: Option<Gone>,
    stillness: Stillness,
    /// Around everywhere it has been.
    extent: Area,
    /// Of its box, over the last looks: boxes of far faces tremble by a tenth.
    width: f32,
}

/// All faces in view.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    next_id: u64,
    still_places: Places,
    /// Screens, and whatever else shows faces that nobody wears.
    screens: Vec<Area>,
    updated_ms: Option<u64>,
    /// The newest times between looks.
    intervals_ms: Vec<u64>,
    /// Reused from picture to picture, as is the next one.
    matching: Matching,
    known: Vec<Tracked>,
}

/// A face in view and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracked {
    pub id: u64,
    pub face: Face,
    /// The width of its box without the detector's noise.
    pub width: f32,
    pub who: Who,
    /// Of the latest look that counted.
    pub cosine: Option<f32>,
    /// Whether the newest frame shows it.
    pub seen: bool,
    /// Whether it is beyond doubt a face: an operator's, or seen twice with a high score or at two scales.
    pub sure: bool,
    /// Vanished where nobody leaves the picture.
    pub hidden: bool,
    /// Part of the room: a poster, a photograph, somebody on a screen.
    pub still: bool,
}

impl Tracker {
    /// Takes what was found in a new frame of this width and height.
    pub fn update(&mut self, t_ms: u64, found: &[Sighting], size: [f32; 2]) {
        // By the rate before this picture: a gap must not excuse itself.
        let trust_gap_ms = self.trust_gap_ms();
        self.note_interval(t_ms);
        let lost_ms = trust_gap_ms * LOST_MS / TRUST_GAP_MS;
        self.tracks.retain(|track| t_ms.saturating_sub(track.seen_ms) <= lost_ms);
        for (track, sighting) in self.matching.pairs(&self.tracks, found) {
            match track.and_then(|i| self.tracks.get_mut(i)) {
                Some(track) => track.see(sighting, t_ms, trust_gap_ms),
                None => {
                    let known = self.still_places.holds(&sighting.face.bbox);
                    self.tracks.push(Track::new(self.next_id, sighting, t_ms, known));
                    self.next_id += 1;
                }
            }
        }
        self.note_places();
        for track in self.tracks.iter_mut().filter(|track| track.seen_ms != t_ms && track.gone.is_none()) {
            track.gone = Some(gone::how(&track.face.bbox, size));
        }
        // The longest unseen make room.
        self.tracks.sort_by_key(|track| (std::cmp::Reverse(track.seen_ms), track.id));
        self.tracks.truncate(MAX_TRACKS);
    }

    /// Where televisions and monitors are, from the next frame on.
    pub fn set_screens(&mut self, screens: impl Iterator<Item = Area>) {
        self.screens.clear();
        self.screens.extend(screens);
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
    pub fn looked(&mut self, id: u64, t_ms: u64, look: Option<(f32, Quality)>, thresholds: &Thresholds) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) else { return };
        track.looking = false;
        match look {
            Some((cosine, quality)) if t_ms >= track.trusted_from_ms => {
                track.identity.look(cosine, quality.grade(), t_ms, thresholds);
                track.cosine = Some(cosine);
                track.look_at_ms = t_ms + track.identity.recheck_ms();
            }
            _ => track.look_at_ms = 0,
        }
    }

    /// The faces of the frame of `t_ms`, and those lost a moment ago at their last place, in the order in which they
    /// first appeared.
    pub fn known(&mut self, t_ms: u64) -> &[Tracked] {
        self.known.clear();
        self.known.extend(self.tracks.iter().map(|track| track.tracked(t_ms, &self.screens)));
        self.known.sort_unstable_by_key(|tracked| tracked.id);
        &self.known
    }

    /// Where faces are part of the room, so that they need not prove it again after they were missed.
    fn note_places(&mut self) {
        for track in &mut self.tracks {
            let place = track.face.bbox;
            if track.is_still() {
                self.still_places.remember(&place);
            } else if track.identity.who() == Who::Operator {
                self.still_places.forget(&place);
            } else if track.stillness.has_moved() && self.still_places.holds(&place) {
                // Somebody walked past it and was taken for it: it may prove itself again.
                track.stillness = Stillness::default();
            }
        }
    }

    fn note_interval(&mut self, t_ms: u64) {
        if let Some(before_ms) = self.updated_ms.replace(t_ms) {
            if self.intervals_ms.len() >= INTERVALS {
                self.intervals_ms.remove(0);
            }
            self.intervals_ms.push(t_ms.saturating_sub(before_ms));
        }
    }

    fn trust_gap_ms(&self) -> u64 {
        let mut sorted = [0; INTERVALS];
        let sorted = sorted.get_mut(..self.intervals_ms.len()).unwrap_or_default();
        sorted.iter_mut().zip(&self.intervals_ms).for_each(|(place, interval_ms)| *place = *interval_ms);
        sorted.sort_unstable();
        let median_ms = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        (median_ms * TRUST_GAP_HALVES / 2).clamp(TRUST_GAP_MS, TRUST_GAP_MAX_MS)
    }
}

impl Track {
    fn new(id: u64, sighting: &Sighting, t_ms: u64, known_still: bool) -> Self {
        let mut track = Track {
            id,
            face: sighting.face,
            seen_ms: t_ms,
            identity: Identity::default(),
            cosine: None,
            look_at_ms: t_ms,
            looking: false,
            trusted_from_ms: t_ms,
            sightings: 0,
            strong_sightings: 0,
            passes: 0,
            gone: None,
            stillness: if known_still { Stillness::known() } else { Stillness::default() },
            extent: sighting.face.bbox,
            width: sighting.face.bbox[2],
        };
        track.note(sighting);
        track
    }

    fn see(&mut self, sighting: &Sighting, t_ms: u64, trust_gap_ms: u64) {
        if t_ms.saturating_sub(self.seen_ms) > trust_gap_ms {
            (self.identity, self.cosine) = (Identity::default(), None);
            self.look_at_ms = t_ms;
            self.trusted_from_ms = t_ms;
        } else if iou(&self.face.bbox, &sighting.face.bbox) < STEADY_IOU {
            self.identity.doubt();
            self.look_at_ms = self.look_at_ms.min(t_ms);
        }
        self.face = sighting.face;
        (self.seen_ms, self.gone) = (t_ms, None);
        self.note(sighting);
    }

    fn note(&mut self, sighting: &Sighting) {
        self.sightings = self.sightings.saturating_add(1);
        let strong = u32::from(sighting.face.score >= SURE_SCORE);
        self.strong_sightings = self.strong_sightings.saturating_add(strong);
        self.passes |= sighting.passes;
        self.extent = around(&self.extent, &sighting.face.bbox);
        self.width += (sighting.face.bbox[2] - self.width) * FOLLOW;
        // A box that was only kept from before says nothing about movement.
        if sighting.passes != 0 {
            self.stillness.see(self.seen_ms, sighting.by, &sighting.face.bbox);
        }
    }

    /// How well a face continues this one: the overlap of their boxes, or less than 0 for one that is a step away, which
    /// never continues the operator.
    fn likeness(&self, face: &Face) -> Option<f32> {
        let overlap = iou(&self.face.bbox, &face.bbox);
        if overlap >= SAME_FACE_IOU {
            return Some(overlap);
        }
        let steps = self.steps(face)?;
        (self.identity.who() != Who::Operator && steps <= STRIDE).then_some(-steps)
    }

    /// How many widths away a face of about the same size is.
    fn steps(&self, face: &Face) -> Option<f32> {
        let middle = |[x, y, w, h]: [f32; 4]| [x + w / 2.0, y + h / 2.0];
        let ([ax, ay], [bx, by]) = (middle(self.face.bbox), middle(face.bbox));
        let (here, there) = (self.face.bbox[2], face.bbox[2]);
        let alike = here > 0.0 && there > 0.0 && here.max(there) <= here.min(there) * STRIDE_SIZE;
        alike.then(|| (bx - ax).hypot(by - ay) / here.max(there))
    }

    /// As others see it in the frame of `t_ms`.
    fn tracked(&self, t_ms: u64, screens: &[Area]) -> Tracked {
        let is_picture = self.is_picture(screens);
        Tracked {
            id: self.id,
            face: self.face,
            width: self.width,
            who: self.identity.who(),
            cosine: self.cosine,
            seen: self.seen_ms == t_ms,
            sure: self.is_sure(),
            hidden: self.gone == Some(Gone::Hidden) && !is_picture,
            still: is_picture,
        }
    }

    /// Part of the room, or of a screen that it never left.
    fn is_picture(&self, screens: &[Area]) -> bool {
        let in_screen = || screens.iter().any(|screen| holds(screen, &self.extent));
        self.is_still() || (self.identity.who() != Who::Operator && in_screen())
    }

    /// The operator is never part of the room by this alone.
    fn is_still(&self) -> bool {
        self.stillness.is_still() && self.identity.who() != Who::Operator
    }

    fn is_sure(&self) -> bool {
        let often = self.strong_sightings >= 2 || (self.sightings >= 2 && self.passes.count_ones() >= 2);
        often || self.identity.who() == Who::Operator
    }
}

/// Whether all of the second area lies in the first one.
fn holds([left, top, width, height]: &Area, [x, y, w, h]: &Area) -> bool {
    left <= x && top <= y && x + w <= left + width && y + h <= top + height
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };
    const SIZE: [f32; 2] = [640.0, 480.0];
    const PORTRAIT: Quality =
        Quality { size_px: 110.0, score: 0.94, yaw_deg: 3.0, sharp: 0.09, light: 120.0 };

    impl Tracker {
        fn in_view(&mut self, t_ms: u64) -> Vec<Tracked> {
            self.known(t_ms).iter().filter(|tracked| tracked.seen).copied().collect()
        }
    }

    fn face(x: f32) -> Face {
        Face { bbox: [x, 0.0, 50.0, 60.0], landmarks: [[0.0; 2]; 5], score: 0.9 }
    }

    fn update(tracker: &mut Tracker, t_ms: u64, faces: &[Face]) {
        let found: Vec<_> = faces.iter().map(|face| Sighting::by(0, *face)).collect();
        tracker.update(t_ms, &found, SIZE);
    }

    /// One frame in which each look gives the cosine that `person` has.
    fn frame(tracker: &mut Tracker, t_ms: u64, faces: &[Face], cosine: f32) -> usize {
        update(tracker, t_ms, faces);
        let due = tracker.due(t_ms);
        for (id, _) in &due {
            tracker.looked(*id, t_ms, Some((cosine, PORTRAIT)), &LIMITS);
        }
        due.len()
    }

    #[test]
    fn a_face_is_looked_at_when_it_appears_and_once_a_second_after() {
        let mut tracker = Tracker::default();
        let looks: Vec<_> =
            (0..31).filter(|i| frame(&mut tracker, i * 100, &[face(*i as f32)], 0.8) > 0).collect();
        assert_eq!(looks, [0, 1, 2, 3, 13, 23]);
        assert_eq!(tracker.in_view(3000)[0].who, Who::Operator);
    }

    #[test]
    fn a_short_gap_keeps_the_verdict_and_a_longer_one_does_not() {
        for (gap_ms, who, looks) in [(300, Who::Operator, 0), (400, Who::Undecided, 1)] {
            let (mut tracker, t_ms) = (Tracker::default(), 400 + gap_ms);
            for i in 0..5 {
                frame(&mut tracker, i * 100, &[face(0.0)], 0.8);
            }
            update(&mut tracker, t_ms, &[face(2.0)]);
            assert_eq!(tracker.in_view(t_ms)[0].who, who, "{gap_ms}");
            assert_eq!(tracker.due(t_ms).len(), looks, "{gap_ms}");
        }
        let mut tracker = Tracker::default();
        frame(&mut tracker, 0, &[face(0.0)], 0.8);
        update(&mut tracker, LOST_MS + 1, &[face(0.0)]);
        assert_eq!(tracker.in_view(LOST_MS + 1)[0].id, 1);
    }

    #[test]
    fn a_slow_camera_is_given_its_own_time() {
        for interval_ms in [333, 500] {
            let mut tracker = Tracker::default();
            let who = |i: u64, tracker: &mut Tracker| {
                frame(tracker, i * interval_ms, &[face(0.0)], 0.8);
                tracker.in_view(i * interval_ms)[0].who
            };
            let recognised = (0..20).find(|i| who(*i, &mut tracker) == Who::Operator);
            assert_eq!(recognised, Some(4), "{interval_ms}");
            // But a pause is one for it as well.
            let t_ms = 4 * interval_ms + 1_600;
            update(&mut tracker, t_ms, &[face(0.0)]);
            assert_eq!(tracker.in_view(t_ms)[0].who, Who::Undecided);
        }
    }

    #[test]
    fn looks_that_become_half_as_many_to_spare_a_battery_keep_the_verdict() {
        let mut tracker = Tracker::default();
        // Something moved, then calm, then thrift: as `Attention` plans it.
        let moving = (0..10).map(|i| i * 100);
        let times = moving.chain((0..8).map(|i| 1_100 + i * 200)).chain((0..9).map(|i| 2_900 + i * 400));
        for t_ms in times {
            frame(&mut tracker, t_ms, &[face(0.0)], 0.8);
            assert!(t_ms < 300 || tracker.in_view(t_ms)[0].who == Who::Operator, "{t_ms}");
        }
    }

    #[test]
    fn a_box_is_a_face_when_it_is_plain_or_seen_at_two_scales() {
        let sure = |found: [(f32, u8); 2]| {
            let mut tracker = Tracker::default();
            for (i, (score, pass)) in (0..).zip(found) {
                tracker.update(i * 100, &[Sighting::by(pass, Face { score, ..face(0.0) })], SIZE);
            }
            tracker.in_view(100)[0].sure
        };
        assert!(sure([(0.9, 0), (0.85, 0)]) && sure([(0.65, 0), (0.7, 1)]));
        assert!(!sure([(0.7, 0), (0.75, 0)]) && !sure([(0.7, 0), (0.9, 0)]));
    }

    #[test]
    fn a_look_begun_before_the_gap_does_not_vouch_for_who_came_after_it() {
        let mut tracker = Tracker::default();
        update(&mut tracker, 0, &[face(0.0)]);
        let (id, _) = tracker.due(0)[0];
        update(&mut tracker, 500, &[face(0.0)]);
        tracker.looked(id, 0, Some((0.9, PORTRAIT)), &LIMITS);
        assert_eq!(tracker.in_view(500)[0].who, Who::Undecided);
        assert_eq!(tracker.due(500).len(), 1);
    }

    #[test]
    fn a_jump_is_looked_at_at_once() {
        let mut tracker = Tracker::default();
        (0..4).for_each(|i| assert_eq!(frame(&mut tracker, i * 100, &[face(0.0)], 0.8), 1));
        assert_eq!(frame(&mut tracker, 400, &[face(5.0)], 0.8), 0);
        assert_eq!(tracker.in_view(400)[0].who, Who::Operator);
        // Not low enough for somebody else, but not good enough after a jump.
        assert_eq!(frame(&mut tracker, 500, &[face(25.0)], 0.4), 1);
        assert_eq!(tracker.in_view(500)[0].who, Who::Undecided);
    }

    #[test]
    fn who_walks_by_is_one_person_and_never_becomes_the_operator() {
        let mut tracker = Tracker::default();
        for i in 0..8_u16 {
            update(&mut tracker, u64::from(i) * 100, &[face(f32::from(i) * 45.0)]);
        }
        assert_eq!(tracker.in_view(700).iter().map(|t| (t.id, t.sure)).collect::<Vec<_>>(), [(0, true)]);
        let mut tracker = Tracker::default();
        (0..5).for_each(|i| _ = frame(&mut tracker, i * 100, &[face(0.0)], 0.8));
        update(&mut tracker, 500, &[face(45.0)]);
        assert_eq!(tracker.in_view(500)[0].id, 1, "the operator went out, and somebody else came in");
    }

    #[test]
    fn who_appears_on_a_screen_and_stays_there_is_a_picture_and_who_steps_before_it_is_not() {
        const TELEVISION: Area = [200.0, 0.0, 200.0, 120.0];
        let in_front = |from: u16| {
            let mut tracker = Tracker::default();
            tracker.set_screens([TELEVISION].into_iter());
            for i in 0..20_u16 {
                update(&mut tracker, u64::from(i) * 100, &[face(f32::from((from + i * 12).min(260)))]);
            }
            tracker.in_view(1_900)[0].still
        };
        assert!(in_front(240) && !in_front(150));
    }

    #[test]
    fn a_poster_that_somebody_walks_past_is_a_poster_again() {
        let mut tracker = Tracker::default();
        let poster = face(300.0);
        let still = |tracker: &mut Tracker, t_ms: u64, x: f32| {
            update(tracker, t_ms, &[face(x)]);
            tracker.in_view(t_ms)[0].still
        };
        assert!((0..100).any(|i| still(&mut tracker, i * 100, 300.0)));
        let past = (100..160).filter(|i| still(&mut tracker, i * 100, 300.0 + (*i as f32 - 100.0) / 2.0));
        assert!(past.count() < 30, "it was taken for the person");
        let again = (160..300).find(|i| still(&mut tracker, i * 100, poster.bbox[0]));
        assert!(again.is_some_and(|i| i < 260), "{again:?}");
    }

    #[test]
    fn two_people_side_by_side_keep_their_tracks() {
        let mut tracker = Tracker::default();
        for i in 0..20_u16 {
            let step = f32::from(i) * 3.0;
            update(&mut tracker, u64::from(i) * 100, &[face(200.0 - step), face(step)]);
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
            update(&mut tracker, t_ms, &crowd);
            assert_eq!(tracker.in_view(t_ms).len(), MAX_TRACKS);
            assert!(tracker.in_view(t_ms).iter().any(|t| t.face.bbox[2] > 80.0));
        }
    }
}
