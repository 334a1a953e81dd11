//! The very same picture again: a frozen camera, or a recording played over and over.
//!
//! Decoded pixels are compared, not a file's bytes: a time stamp in a comment, another compression or other tables
//! make the bytes differ while the picture stands still. A sensor's noise makes two pictures with the same pixels
//! practically impossible, unless the lens is covered; the caller leaves such pictures out.

use std::collections::VecDeque;

use crate::frame::Frame;

/// The same picture for longer than this is a frozen camera.
pub const FROZEN_MS: u64 = 2_000;
/// How many pictures are remembered: five minutes of ten a second.
const REMEMBERED: usize = 3_000;
/// A picture that comes again sooner was only sent twice.
const PERIOD_MIN_MS: u64 = 1_000;
/// Of this many different pictures in a row …
const JUDGED: usize = 32;
/// … so many must have come before, each time after the same period or a multiple of it.
const RECURRED_MIN: usize = 20;
/// How much later or earlier a picture may come than the period says; a quarter of the period at most.
const LATE_MAX_MS: u64 = 150;

/// What the newest picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// It is new, or there is too little to say otherwise.
    No,
    /// It has been the same for so long.
    Frozen { same_ms: u64 },
    /// It belongs to a sequence that is shown again and again.
    Looped { period_ms: u64 },
}

/// Remembers pictures by their fingerprints; bounded.
#[derive(Debug, Default)]
pub struct Repetition {
    /// Fingerprint and time of each picture that differs from the one before it, oldest first.
    shown: VecDeque<(u64, u64)>,
    /// After how long each of the newest pictures came again.
    lags_ms: VecDeque<Option<u64>>,
}

impl Repetition {
    /// Notes a picture that shows something.
    pub fn note(&mut self, fingerprint: u64, t_ms: u64) -> Repeats {
        match self.shown.back() {
            Some((last, since_ms)) if *last == fingerprint => {
                let same_ms = t_ms.saturating_sub(*since_ms);
                if same_ms > FROZEN_MS {
                    return Repeats::Frozen { same_ms };
                }
            }
            _ => {
                let before = self.shown.iter().rev().find(|(shown, _)| *shown == fingerprint);
                let lag_ms = before.map(|(_, at_ms)| t_ms.saturating_sub(*at_ms));
                push(&mut self.lags_ms, lag_ms.filter(|lag_ms| *lag_ms >= PERIOD_MIN_MS), JUDGED);
                push(&mut self.shown, (fingerprint, t_ms), REMEMBERED);
            }
        }
        self.period_ms().map_or(Repeats::No, |period_ms| Repeats::Looped { period_ms })
    }

    /// The period of what is shown again and again.
    fn period_ms(&self) -> Option<u64> {
        let period_ms = self.lags_ms.iter().flatten().min().copied()?;
        let late_ms = LATE_MAX_MS.min(period_ms / 4);
        let is_on_time = |lag_ms: &&u64| (*lag_ms + late_ms) % period_ms <= 2 * late_ms;
        let on_time = self.lags_ms.iter().flatten().filter(is_on_time).count();
        (on_time >= RECURRED_MIN).then_some(period_ms)
    }
}

fn push<T>(list: &mut VecDeque<T>, value: T, most: usize) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(value);
}

/// A number that different pictures share by a chance of 2^-64 only. Not against somebody who looks for two such
/// pictures.
#[must_use]
pub fn fingerprint(frame: &Frame) -> u64 {
    let size = u64::from(frame.width) << 32 | u64::from(frame.height);
    let (words, rest) = frame.rgb.as_chunks::<8>();
    let hash = words.iter().fold(mix(0, size), |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// One multiplication a word: every pixel of every picture goes through here.
fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a feed says at its end: (fingerprint, time) of each picture.
    fn last(feed: impl IntoIterator<Item = (u64, u64)>) -> Repeats {
        let mut repetition = Repetition::default();
        feed.into_iter().fold(Repeats::No, |_, (picture, t_ms)| repetition.note(picture, t_ms))
    }

    fn frame(width: u32, height: u32, pixel: impl Fn(usize) -> u8) -> Frame {
        let bytes = usize::try_from(width * height * 3).unwrap();
        Frame { width, height, rgb: (0..bytes).map(pixel).collect(), t_ms: 0, seq: 0 }
    }

    #[test]
    fn a_picture_that_stays_is_frozen_and_a_change_ends_it() {
        assert_eq!(last([(1, 1000), (1, 2000), (1, 3000)]), Repeats::No);
        assert_eq!(last([(1, 1000), (1, 2000), (1, 3500)]), Repeats::Frozen { same_ms: 2500 });
        assert_eq!(last([(1, 1000), (1, 3500), (2, 3600)]), Repeats::No);
        assert_eq!(last([(1, 1000), (2, 3600), (1, 3700), (1, 3800)]), Repeats::No);
    }

    #[test]
    fn a_recording_that_is_played_again_is_a_loop() {
        for pictures in [15, 44, 300, 1_400] {
            let lap = |n: u64| (n % pictures, n * 100);
            assert_eq!(last((0..pictures + 10).map(lap)), Repeats::No, "{pictures}: ten could be chance");
            let said = last((0..2 * pictures + 40).map(lap));
            assert_eq!(said, Repeats::Looped { period_ms: pictures * 100 });
        }
    }

    #[test]
    fn a_loop_is_noticed_although_we_see_every_third_picture_of_it_and_some_late() {
        // 44 pictures at 30 a second, of which ten a second are looked at, up to 40 ms late.
        let feed = (0..300_u64).map(|n| (n * 3 % 44, n * 100 + n * n * 7 % 40));
        assert!(matches!(last(feed), Repeats::Looped { .. }));
    }

    #[test]
    fn each_picture_sent_twice_by_a_slow_camera_is_no_loop() {
        assert_eq!(last((0..600).map(|n| (n / 2, n * 100))), Repeats::No);
        assert_eq!(last((0..600).map(|n| (n / 15, n * 100))), Repeats::No);
    }

    #[test]
    fn pictures_that_come_back_now_and_then_are_no_loop() {
        // A still room in a coarse compression: a few pictures take turns as noise will have it.
        let dice = |n: u64| n.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let feed = (0..600).map(|n| (if dice(n) % 3 == 0 { n + 10 } else { dice(n) % 7 }, n * 100));
        assert_eq!(last(feed), Repeats::No);
    }

    #[test]
    fn a_camera_that_is_live_again_is_forgiven() {
        let looped = (0..100).map(|n| (n % 20, n * 100));
        assert!(matches!(last(looped.clone()), Repeats::Looped { .. }));
        let live = (100..140).map(|n| (n, n * 100));
        assert_eq!(last(looped.chain(live)), Repeats::No);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut repetition = Repetition::default();
        for n in 0..10_000 {
            repetition.note(n, n * 100);
        }
        assert_eq!((repetition.shown.len(), repetition.lags_ms.len()), (REMEMBERED, JUDGED));
    }

    #[test]
    fn one_level_of_one_colour_or_another_size_makes_another_picture() {
        let base = fingerprint(&frame(17, 9, |i| i.to_le_bytes()[0]));
        for changed in [0, 200, 17 * 9 * 3 - 1] {
            let other = frame(17, 9, |i| i.to_le_bytes()[0] ^ u8::from(i == changed));
            assert_ne!(fingerprint(&other), base, "byte {changed}");
        }
        assert_ne!(fingerprint(&frame(9, 17, |i| i.to_le_bytes()[0])), base);
        assert_eq!(fingerprint(&frame(17, 9, |i| i.to_le_bytes()[0])), base);
        assert_ne!(fingerprint(&frame(0, 0, |_| 0)), fingerprint(&frame(1, 1, |_| 0)));
    }
}
