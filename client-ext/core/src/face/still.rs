//! Faces that nobody wears: posters, photographs, prints on the wall. Pure.
//!
//! Nobody keeps still enough to be taken for a wall: even somebody who reads moves by millimetres with each breath. A
//! face that has not moved since it was first seen, for [`STILL_MS`], is part of the room. Whoever was ever seen to move
//! is not, however still they sit afterwards. Its place is remembered, so that a poster that is missed for a while need
//! not prove itself again.

use super::iou;
use crate::evidence::Area;

/// A face must not move for this long.
const STILL_MS: u64 = 8_000;
/// How far the middle of its box may wander, as a standard deviation: a part of its width, but at least the part of a
/// pixel that noise alone makes.
const WANDER_SHARE: f32 = 0.004;
const WANDER_PX: f32 = 0.3;
/// Once it is known to be still, this many times as far, because detectors jump now and then.
const KNOWN_TIMES: f32 = 4.0;
/// A sighting this often is enough.
const EACH_MS: u64 = 200;
/// Sightings that are compared.
const KEPT: usize = 40;
/// Fewer say nothing.
const LEAST: usize = 12;
/// A box that overlaps a remembered place by this much is in it.
const SAME_PLACE_IOU: f32 = 0.7;
const PLACES_MAX: usize = 16;

/// Where one face has been.
#[derive(Debug, Clone, Default)]
pub struct Stillness {
    sightings: Vec<Sighting>,
    since_ms: Option<u64>,
    moved: bool,
    still: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    t_ms: u64,
    middle: [f32; 2],
    width: f32,
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

    /// Notes where it is.
    pub fn see(&mut self, t_ms: u64, [x, y, w, h]: &Area) {
        let since_ms = *self.since_ms.get_or_insert(t_ms);
        let is_soon = self.sightings.last().is_some_and(|last| t_ms.saturating_sub(last.t_ms) < EACH_MS);
        // A value that is no number is a movement.
        self.moved |= ![x, y, w].iter().all(|value| value.is_finite());
        if self.moved || is_soon {
            return;
        }
        if self.sightings.len() >= KEPT {
            self.sightings.remove(0);
        }
        self.sightings.push(Sighting { t_ms, middle: [x + w / 2.0, y + h / 2.0], width: *w });
        if self.sightings.len() < LEAST {
            return;
        }
        let times = if self.still { KNOWN_TIMES } else { 1.0 };
        let keeps_still = self.wander_px() <= WANDER_PX.max(w * WANDER_SHARE) * times;
        self.moved = !keeps_still;
        self.still = keeps_still && (self.still || t_ms.saturating_sub(since_ms) >= STILL_MS);
    }

    /// The larger standard deviation of the middle, across or down, and of half the width.
    fn wander_px(&self) -> f32 {
        let spread = |value: fn(&Sighting) -> f32| {
            #[allow(clippy::cast_precision_loss, reason = "some dozens of sightings")]
            let count = self.sightings.len() as f32;
            let mean = self.sightings.iter().map(value).sum::<f32>() / count;
            let squares = self.sightings.iter().map(|s| (value(s) - mean) * (value(s) - mean)).sum::<f32>();
            (squares / count).sqrt()
        };
        spread(|s| s.middle[0]).max(spread(|s| s.middle[1])).max(spread(|s| s.width / 2.0))
    }
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

    /// Uneven, between -1 and 1.
    fn dice(i: u64, salt: u64) -> f32 {
        let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0x85eb_ca6b));
        f32::from(i8::from_le_bytes([mixed.wrapping_mul(0xff51_afd7_ed55_8ccd).to_be_bytes()[0]])) / 128.0
    }

    /// When a face of this width that wanders by so many pixels is taken for a part of the room.
    fn still_at(width: f32, wander_px: f32) -> Option<u64> {
        let mut stillness = Stillness::default();
        (0..600).map(|i| i * 100).find(|t_ms| {
            let (x, y) = (300.0 + dice(*t_ms, 1) * wander_px, 80.0 + dice(*t_ms, 2) * wander_px);
            stillness.see(*t_ms, &[x, y, width, width * 1.3]);
            stillness.is_still()
        })
    }

    #[test]
    fn a_poster_is_still_and_a_person_is_not() {
        for (width, noise_px) in [(28.0, 0.3), (60.0, 0.3), (120.0, 0.5)] {
            assert_eq!(still_at(width, noise_px), Some(STILL_MS), "{width}");
        }
        // 2 mm of breathing at 1 m and 2.5 m.
        assert_eq!((still_at(120.0, 3.0), still_at(28.0, 1.5)), (None, None));
    }

    #[test]
    fn whoever_moved_once_is_a_person_for_good() {
        let mut stillness = Stillness::default();
        for t_ms in (0..60_000).step_by(100) {
            let x = if t_ms < 3_000 { 300.0 + t_ms as f32 / 50.0 } else { 360.0 };
            stillness.see(t_ms, &[x, 80.0, 40.0, 50.0]);
            assert!(!stillness.is_still(), "{t_ms}");
        }
        let mut poster_first = Stillness::default();
        for t_ms in (0..12_000).step_by(100) {
            poster_first.see(t_ms, &[300.0, 80.0, 40.0, 50.0]);
        }
        assert!(poster_first.is_still());
        for t_ms in (12_000..16_000).step_by(100) {
            poster_first.see(t_ms, &[300.0 + (t_ms - 12_000) as f32 / 100.0, 80.0, 40.0, 50.0]);
        }
        assert!(!poster_first.is_still(), "somebody stands up who sat like a stone");
        let mut broken = Stillness::default();
        (0..600).for_each(|i| broken.see(i * 100, &[f32::NAN, 80.0, 40.0, 50.0]));
        assert!(!broken.is_still());
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
