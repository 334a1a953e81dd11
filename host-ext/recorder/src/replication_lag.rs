//! How far the remote copy is behind the log, in time. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::VecDeque;

/// Resolution of the measurement.
const MARK_EVERY_MS: u64 = 1_000;
/// Enough for two minutes; policies ask about one.
const MARKS_MAX: usize = 128;

/// When the log reached which size, for entries that the remote store does not have yet. The age of entries from before
/// the recorder's start is unknown and counts from the start.
#[derive(Debug, Default)]
pub(super) struct ReplicationLag {
    marks: VecDeque<(u64, u64)>,
}

impl ReplicationLag {
    /// The log has `size` entries now.
    pub(super) fn grown(&mut self, size: u64, now_ms: u64) {
        let is_news = self
            .marks
            .back()
            .is_none_or(|(last, at_ms)| size > *last && now_ms.saturating_sub(*at_ms) >= MARK_EVERY_MS);
        if is_news && self.marks.len() < MARKS_MAX {
            self.marks.push_back((size, now_ms));
        }
    }

    /// Age of the oldest entry that the remote store, which has `shipped` of them, lacks.
    pub(super) fn behind_ms(&mut self, shipped: u64, now_ms: u64) -> u64 {
        while self.marks.pop_front_if(|(size, _)| *size <= shipped).is_some() {}
        self.marks.front().map_or(0, |(_, at_ms)| now_ms.saturating_sub(*at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_the_age_of_the_oldest_missing_entry() {
        let mut lag = ReplicationLag::default();
        let at = |s: u64| 7 + s * 1_000;
        let mut behind = Vec::new();
        // One entry a second, and a copy that is always a minute behind: the lag stays the same.
        for s in 0..300 {
            lag.grown(s + 1, at(s));
            behind.push(lag.behind_ms((s + 1).saturating_sub(60), at(s)) / 1_000);
        }
        assert_eq!((behind[30], behind[59], behind[299]), (30, 59, 59));
        assert_eq!(lag.behind_ms(300, at(300)), 0);
        // Without new entries nothing is missing.
        lag.grown(300, at(400));
        assert_eq!(lag.behind_ms(300, at(500)), 0);
    }

    #[test]
    fn the_lag_of_a_copy_that_stands_still_grows_and_marks_stay_few() {
        let mut lag = ReplicationLag::default();
        for s in 0..1000 {
            let now_ms = 7 + s * 1_000;
            lag.grown(s + 1, now_ms);
            assert_eq!(lag.behind_ms(0, now_ms), s * 1_000);
        }
        assert_eq!(lag.marks.len(), MARKS_MAX);
    }
}
