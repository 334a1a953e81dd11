//! Which of a camera's formats is asked for. Pure.
//!
//! Drivers list sizes and rates one by one, or as ranges with a step; some list none at all. Whatever is asked for, the
//! driver's answer counts.

use super::MAX_FRAME_SIDE_PX;
use super::yuv::Order;

/// How a format's pictures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Jpeg,
    Packed(Order),
}

/// Video4Linux's names of what can be read, best first.
pub(super) const READABLE: [([u8; 4], Kind); 6] = [
    (*b"MJPG", Kind::Jpeg),
    (*b"JPEG", Kind::Jpeg),
    (*b"YUYV", Kind::Packed(Order::Yuyv)),
    (*b"UYVY", Kind::Packed(Order::Uyvy)),
    (*b"YVYU", Kind::Packed(Order::Yvyu)),
    (*b"VYUY", Kind::Packed(Order::Vyuy)),
];
pub(super) const WANTED_PX: (u32, u32) = (640, 480);
/// Of ten pictures a second, none is missed.
const WANTED_MILLI_FPS: std::ops::RangeInclusive<u64> = 10_000..=30_000;

pub(super) fn kind_of(code: [u8; 4]) -> Option<Kind> {
    READABLE.iter().find(|(readable, _)| *readable == code).map(|(_, kind)| *kind)
}

/// A format that a camera offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) code: [u8; 4],
    pub(super) size: (u32, u32),
    /// Seconds a picture, numerator and denominator; `None` if the driver does not list rates.
    pub(super) interval: Option<(u32, u32)>,
}

/// Sides or intervals from the least to the most in steps; 0 for a step means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) least: u32,
    pub(super) most: u32,
    pub(super) step: u32,
}

impl Range {
    /// What comes nearest to a wish without being more, unless all is.
    pub(super) fn nearest(self, wanted: u32) -> u32 {
        let reach = wanted.clamp(self.least, self.most.max(self.least)) - self.least;
        self.least + reach / self.step.max(1) * self.step.max(1)
    }
}

/// The size to ask for where any in these ranges can be had.
pub(super) fn size_within(width: Range, height: Range) -> (u32, u32) {
    (width.nearest(WANTED_PX.0), height.nearest(WANTED_PX.1))
}

/// The interval to ask for between the shortest and the longest (in seconds, numerator and denominator).
pub(super) fn interval_within(shortest: (u32, u32), longest: (u32, u32)) -> (u32, u32) {
    const WANTED: (u32, u32) = (1, 15);
    if milli_fps(WANTED) > milli_fps(shortest) {
        shortest
    } else if milli_fps(WANTED) < milli_fps(longest) {
        longest
    } else {
        WANTED
    }
}

/// Pictures in a thousand seconds. Drivers say 1/30, 256/7680 or 333333/10000000 for the same.
fn milli_fps((numerator, denominator): (u32, u32)) -> u64 {
    u64::from(denominator) * 1_000 / u64::from(numerator.max(1))
}

/// The offers that can be read, best first: 640x480 at 10 to 30 pictures a second, else what comes nearest.
pub(super) fn ranked(offers: &[Offer], refused: &[[u8; 4]]) -> Vec<Offer> {
    let is_usable = |offer: &&Offer| {
        let (width, height) = offer.size;
        let rate = offer.interval.is_none_or(|interval| interval.0 > 0 && interval.1 > 0);
        let sides = (1..=MAX_FRAME_SIDE_PX).contains(&width) && (1..=MAX_FRAME_SIDE_PX).contains(&height);
        kind_of(offer.code).is_some() && sides && rate && !refused.contains(&offer.code)
    };
    let rank = |offer: &Offer| {
        let rate = offer.interval.map(milli_fps);
        let rate_is_odd = rate.is_some_and(|rate| !WANTED_MILLI_FPS.contains(&rate));
        let size_off = offer.size.0.abs_diff(WANTED_PX.0) + offer.size.1.abs_diff(WANTED_PX.1);
        let preference = READABLE.iter().position(|(code, _)| *code == offer.code);
        // Of the rates that will do, the lowest leaves the sensor the most light; of those that will not, the highest.
        let rate = rate.unwrap_or_default();
        let too_slow = u64::MAX.saturating_sub(rate) * u64::from(rate < *WANTED_MILLI_FPS.start());
        (rate_is_odd, size_off, preference, too_slow, rate)
    };
    let mut usable: Vec<Offer> = offers.iter().filter(is_usable).copied().collect();
    usable.sort_by_key(rank);
    usable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(code: &[u8; 4], size: (u32, u32), interval: (u32, u32)) -> Offer {
        Offer { code: *code, size, interval: Some(interval) }
    }

    #[test]
    fn the_best_format_is_chosen() {
        let all = [
            offer(b"MJPG", (1920, 1080), (1, 30)),
            offer(b"YUYV", (640, 480), (1, 30)),
            offer(b"MJPG", (640, 480), (1, 60)),
            offer(b"MJPG", (640, 480), (1, 30)),
            offer(b"MJPG", (640, 480), (1, 15)),
            offer(b"NV12", (640, 480), (1, 15)),
        ];
        let best = |offers: &[Offer], refused: &[[u8; 4]]| ranked(offers, refused).first().copied();
        assert_eq!(best(&all, &[]), Some(all[4]));
        assert_eq!(best(&all, &[*b"MJPG"]), Some(all[1]), "the other format");
        assert_eq!(best(&all[..1], &[]), Some(all[0]));
        assert_eq!(best(&all[5..], &[]), None);
    }

    #[test]
    fn rates_are_numbers_however_they_are_written() {
        for interval in [(1, 30), (256, 7680), (333_333, 10_000_000), (1001, 30_000)] {
            let odd = offer(b"YUYV", (640, 480), interval);
            let fast = offer(b"YUYV", (640, 480), (1, 60));
            assert_eq!(ranked(&[fast, odd], &[]).first(), Some(&odd), "{interval:?}");
        }
        let slow = [(2, 15), (1, 5), (1, 3)].map(|interval| offer(b"YUYV", (640, 480), interval));
        assert_eq!(ranked(&slow, &[])[0], slow[0], "the fastest of those that are too slow");
    }

    #[test]
    fn of_a_range_the_nearest_is_asked_for() {
        let range = |least, most, step| Range { least, most, step };
        assert_eq!(size_within(range(32, 1920, 16), range(32, 1080, 8)), (640, 480));
        assert_eq!(size_within(range(1, 8192, 0), range(1, 8192, 1)), (640, 480));
        assert_eq!(size_within(range(32, 8192, 100), range(800, 1080, 8)), (632, 800));
        assert_eq!(size_within(range(2, 320, 2), range(2, 240, 2)), (320, 240));
        assert_eq!(range(10, 5, 3).nearest(7), 10, "a malfunctioning driver");
        assert_eq!(range(u32::MAX, u32::MAX, u32::MAX).nearest(1), u32::MAX);
        assert_eq!(interval_within((1, 60), (1, 1)), (1, 15));
        assert_eq!(interval_within((1, 10), (1, 5)), (1, 10));
        assert_eq!(interval_within((1, 120), (1, 30)), (1, 30));
        assert_eq!(interval_within((1, 1000), (1000, 1)), (1, 15));
    }

    #[test]
    fn nonsense_is_passed_over_and_a_format_without_rates_is_not() {
        let unknown = Offer { code: *b"MJPG", size: (640, 480), interval: None };
        let nonsense =
            [((0, 480), (1, 30)), ((640, 99_999), (1, 30)), ((640, 480), (0, 30)), ((640, 480), (1, 0))];
        let mut offers: Vec<Offer> =
            nonsense.iter().map(|(size, rate)| offer(b"MJPG", *size, *rate)).collect();
        offers.push(unknown);
        assert_eq!(ranked(&offers, &[]), [unknown]);
    }
}
