//! Pictures that come too evenly: a sign of a program, and no proof of one.
//!
//! A sensor's pictures pass a bus and an interrupt before they get their time stamp. A program may stamp them as it
//! likes, and most count them up exactly.

use std::collections::VecDeque;

/// So many intervals are judged.
const JUDGED: usize = 100;
/// A mean deviation of less than this, from the mean interval, is not what a bus does.
const EVEN_US: u64 = 20;

/// Remembers the newest intervals between pictures.
#[derive(Debug, Default)]
pub struct Cadence {
    last_us: Option<u64>,
    intervals_us: VecDeque<u64>,
}

impl Cadence {
    /// Notes the driver's time stamp of a picture; whether the last hundred came too evenly.
    pub fn is_too_even(&mut self, stamp_us: u64) -> bool {
        if let Some(last_us) = self.last_us.replace(stamp_us) {
            if self.intervals_us.len() == JUDGED {
                self.intervals_us.pop_front();
            }
            self.intervals_us.push_back(stamp_us.saturating_sub(last_us));
        }
        let count = self.intervals_us.len() as u64;
        let sum_us: u64 = self.intervals_us.iter().fold(0, |sum, us| sum.saturating_add(*us));
        // A driver that gives no time stamps is not even: it says nothing.
        if self.intervals_us.len() < JUDGED || sum_us == 0 {
            return false;
        }
        let mean_us = sum_us / count;
        let off_us = self.intervals_us.iter().fold(0_u64, |sum, us| sum.saturating_add(us.abs_diff(mean_us)));
        off_us / count < EVEN_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_too_even(stamps: impl IntoIterator<Item = u64>) -> bool {
        let mut cadence = Cadence::default();
        stamps.into_iter().fold(false, |_, stamp_us| cadence.is_too_even(stamp_us))
    }

    #[test]
    fn counted_up_stamps_are_too_even_and_those_of_a_bus_are_not() {
        assert!(is_too_even((0..150).map(|n| n * 33_333)));
        assert!(is_too_even((0..150).map(|n| n * 33_333 + n % 2)), "rounded");
        assert!(!is_too_even((0..150).map(|n| n * 33_333 + n * n * 13 % 400)));
    }

    #[test]
    fn too_few_stamps_none_and_stamps_that_jump_say_nothing() {
        assert!(!is_too_even((0..50).map(|n| n * 33_333)));
        assert!(!is_too_even((0..150).map(|_| 0)));
        assert!(!is_too_even((0..150).map(|n| if n == 100 { 0 } else { n * 33_333 })));
        assert!(!is_too_even((0..150).map(|n| if n % 2 == 0 { u64::MAX } else { 0 })));
    }
}
