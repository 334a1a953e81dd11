//! Faces that nobody wears: posters, photographs, prints on the wall. Pure.
//!
//! Nobody keeps still enough to be taken for a wall: even somebody who reads moves by millimetres with each breath. A
//! face that has not moved since it was first seen, for [`STILL_MS`], is part of the room. Whoever was ever seen to move
//! is not, however still they sit afterwards. Its place is remembered, so that a poster that is missed for a while, or
//! that somebody walked past, need not have been followed without a break.
//!
//! The boxes of passes of different sizes differ by a pixel or two, so that only boxes of the same kind of pass are
//! compared; and detectors jump now and then, so that medians and a percentile decide, and not single boxes.

use super::iou;
use crate::attention::KINDS;
use crate::evidence::Area;

/// A face must not move for this long.
const STILL_MS: u64 = 6_000;
/// How far four of five boxes may lie from the middle one: a part of the face's width, but at least the part of a pixel
/// that noise alone makes.
const WANDER_SHARE: f32 = 0.006;
const WANDER_PX: f32 = 0.5;
const MOST: f32 = 0.8;
/// Whoever wanders, or has gone, this many times as far is a person for good. A known place is given more.
const MOVED_TIMES: f32 = 2.5;
const KNOWN_TIMES: f32 = 4.0;
/// A sighting this often is enough.
const EACH_MS: u64 = 200;
/// Sightings of each kind that are compared.
const KEPT: usize = 40;
/// Fewer say nothing.
const LEAST: usize = 12;
/// The newest of these tell where it is now.
const NEWEST: usize = 3;
/// A box that overlaps a remembered place by this much is in it.
const SAME_PLACE_IOU: f32 = 0.7;
const PLACES_MAX: usize = 16;

/// Where one face has been.
#[derive(Debug, Clone, Default)]
pub struct Stillness {
    /// As each kind of pass saw it.
    courses: [Course; KINDS],
    since_ms: Option<u64>,
    moved: bool,
    still: bool,
}

/// The newest boxes of one kind of pass, oldest first.
#[derive(Debug, Clone, Default)]
struct Course(Vec<Spot>);

#[derive(Debug, Clone, Copy)]
struct Spot {
    t_ms: u64,
    /// Middle across, middle down, half the width.
    at: [f32; 3],
}

/// How a face moved, in pixels.
#[derive(Debug, Clone, Copy)]
struct Wander {
    /// How far most boxes lie from the middle one.
    most_px: f32,
    /// How far the newest do.
    newest_px: f32,
}

impl Stillness {
    /// A face that appears where one was still before.
    #[must_use]
    pub fn known() -> Self {
        Stillness { still: true, ..Stillness::default() }
    }

    /// Whether it is part of the room.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        self.still && !self.moved
    }

    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.moved
    }

    /// Notes where a kind of pass sees it.
    pub fn see(&mut self, t_ms: u64, kind: u8, [x, y, w, h]: &Area) {
        let since_ms = *self.since_ms.get_or_insert(t_ms);
        let at = [x + w / 2.0, y + h / 2.0, w / 2.0];
        // A value that is no number is a movement.
        self.moved |= !at.iter().all(|value| value.is_finite());
        let Some(course) = self.courses.get_mut(usize::from(kind)).filter(|_| !self.moved) else { return };
        if !course.add(Spot { t_ms, at }) {
            return;
        }
        let Some(wander) = course.wander() else { return };
        let limit_px = WANDER_PX.max(w * WANDER_SHARE);
        let moved_px = limit_px * if self.still { KNOWN_TIMES } else { MOVED_TIMES };
        self.moved = wander.most_px > moved_px || wander.newest_px > moved_px;
        let still_px = if self.still { moved_px } else { limit_px };
        let keeps_still =
            self.courses.iter().filter_map(Course::wander).all(|wander| wander.most_px <= still_px);
        self.still = keeps_still && (self.still || t_ms.saturating_sub(since_ms) >= STILL_MS);
    }
}

impl Course {
    /// False if the last one is too recent.
    fn add(&mut self, spot: Spot) -> bool {
        if self.0.last().is_some_and(|last| spot.t_ms.saturating_sub(last.t_ms) < EACH_MS) {
            return false;
        }
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push(spot);
        true
    }

    /// `None` while there are too few.
    fn wander(&self) -> Option<Wander> {
        if self.0.len() < LEAST {
            return None;
        }
        let middle = medians(&self.0);
        let most_px = percentile(&self.0, MOST, |spot| distance(&spot.at, &middle));
        let newest = medians(self.0.get(self.0.len() - NEWEST..).unwrap_or_default());
        Some(Wander { most_px, newest_px: distance(&newest, &middle) })
    }
}

/// The largest of the differences.
fn distance(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn medians(spots: &[Spot]) -> [f32; 3] {
    [0, 1, 2].map(|i| percentile(spots, 0.5, |spot| spot.at[i]))
}

/// Of a value that each of at most [`KEPT`] spots has.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some dozens of values"
)]
fn percentile(spots: &[Spot], share: f32, value: impl Fn(&Spot) -> f32) -> f32 {
    let mut values = [0.0; KEPT];
    let count = spots.len().min(KEPT);
    values.iter_mut().zip(spots).for_each(|(place, spot)| *place = value(spot));
    let values = values.get_mut(..count).unwrap_or_default();
    values.sort_unstable_by(f32::total_cmp);
    let last = count.saturating_sub(1) as f32;
    values.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

/// Places in which a face was still.
#[derive(Debug, Default)]
pub struct Places(Vec<Area>);

impl Places {
    /// Remembers one; the oldest makes room.
    pub fn remember(&mut self, place: &Area) {
        if self.holds(place) {
            return;
        }
        if self.0.len() >= PLACES_MAX {
            self.0.remove(0);
        }
        self.0.push(*place);
    }

    /// Somebody was seen to move there: it is no such place.
    pub fn forget(&mut self, place: &Area) {
        self.0.retain(|known| iou(known, place) < SAME_PLACE_IOU);
    }

    #[must_use]
    pub fn holds(&self, place: &Area) -> bool {
        self.0.iter().any(|known| iou(known, place) >= SAME_PLACE_IOU)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::{FINE, PART, WHOLE};

    /// Uneven, between -1 and 1.
    fn dice(i: u64, salt: u64) -> f32 {
        let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0x85eb_ca6b));
        f32::from(i8::from_le_bytes([mixed.wrapping_mul(0xff51_afd7_ed55_8ccd).to_be_bytes()[0]])) / 128.0
    }

    /// When a face of this width that wanders by so many pixels is taken for a part of the room.
    fn still_at(width: f32, wander_px: f32, kind: impl Fn(u64) -> u8) -> Option<u64> {
        let mut stillness = Stillness::default();
        (0..600).map(|i| i * 100).find(|t_ms| {
            let kind = kind(*t_ms);
            // Each kind of pass has a place of its own for it.
            let x = 300.0 + dice(*t_ms, 1) * wander_px + f32::from(kind) * 1.5;
            stillness.see(*t_ms, kind, &[x, 80.0 + dice(*t_ms, 2) * wander_px, width, width * 1.3]);
            stillness.is_still()
        })
    }

    #[test]
    fn a_poster_is_still_and_a_person_is_not() {
        for (width, noise_px) in [(28.0, 0.4), (60.0, 0.4), (120.0, 0.6)] {
            assert_eq!(still_at(width, noise_px, |_| WHOLE), Some(STILL_MS), "{width}");
        }
        // 2 mm of breathing at 1 m and 2.5 m.
        let moves = |width, px| still_at(width, px, |_| WHOLE);
        assert_eq!((moves(120.0, 3.0), moves(28.0, 1.5)), (None, None));
    }

    #[test]
    fn passes_of_several_sizes_do_not_make_a_movement() {
        let kind = |t_ms: u64| [WHOLE, FINE, WHOLE, PART][usize::try_from(t_ms / 100 % 4).unwrap_or(0)];
        assert!(still_at(40.0, 0.4, kind).is_some_and(|ms| ms < STILL_MS + 2_000));
        assert_eq!(still_at(40.0, 2.0, kind), None);
    }

    #[test]
    fn a_jump_of_the_detector_is_no_movement() {
        let mut stillness = Stillness::default();
        for i in 0..100_u64 {
            let x = if i % 15 == 7 { 304.0 } else { 300.0 };
            stillness.see(i * 200, WHOLE, &[x, 80.0, 40.0, 50.0]);
        }
        assert!(stillness.is_still());
    }

    #[test]
    fn whoever_moved_once_is_a_person_for_good() {
        let mut stillness = Stillness::default();
        for t_ms in (0..60_000).step_by(100) {
            let x = if t_ms < 3_000 { 300.0 + t_ms as f32 / 50.0 } else { 360.0 };
            stillness.see(t_ms, WHOLE, &[x, 80.0, 40.0, 50.0]);
            assert!(!stillness.is_still(), "{t_ms}");
        }
        let mut broken = Stillness::default();
        (0..600).for_each(|i| broken.see(i * 100, WHOLE, &[f32::NAN, 80.0, 40.0, 50.0]));
        assert!(!broken.is_still() && broken.has_moved());
    }

    #[test]
    fn who_sat_like_a_stone_and_leans_forward_is_somebody_within_a_second() {
        let mut stillness = Stillness::default();
        for t_ms in (0..12_000).step_by(100) {
            stillness.see(t_ms, WHOLE, &[300.0, 80.0, 40.0, 50.0]);
        }
        assert!(stillness.is_still());
        let leans = |t_ms: u64| 300.0 + (t_ms - 12_000) as f32 / 50.0;
        for t_ms in (12_000..12_900).step_by(100) {
            stillness.see(t_ms, WHOLE, &[leans(t_ms), 80.0, 40.0, 50.0]);
        }
        assert!(stillness.has_moved() && !stillness.is_still());
    }

    #[test]
    fn places_are_remembered_bounded_and_forgotten() {
        let mut places = Places::default();
        let place = |i: u16| [f32::from(i) * 50.0, 0.0, 40.0, 50.0];
        (0..40).for_each(|i| places.remember(&place(i)));
        assert!(places.0.len() == PLACES_MAX && places.holds(&place(39)) && !places.holds(&place(0)));
        places.forget(&place(39));
        assert!(!places.holds(&place(39)));
    }
}
