//! How long the log has waited for the remote store, pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How exactly it is known.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// More than two minutes; whoever asks wants to know about one.
const MARKS_MAX: usize = 128;

/// When the log was seen to have so many entries, for what the remote store does not have yet. The age of
/// what was there before the recorder's start is not known: it counts from then.
#[derive(Debug, Default)]
pub(super) struct Lag {
    marks: VecDeque<(u64, Instant)>,
}

impl Lag {
    /// The log has so many entries now.
    pub(super) fn grown(&mut self, size: u64, now: Instant) {
        let is_news = self
            .marks
            .back()
            .is_none_or(|(last, at)| size > *last && now.saturating_duration_since(*at) >= MARK_EVERY);
        if is_news && self.marks.len() < MARKS_MAX {
            self.marks.push_back((size, now));
        }
    }

    /// Age of the oldest entry that the remote store, which has so many, does not have.
    pub(super) fn behind(&mut self, shipped: u64, now: Instant) -> Duration {
        while self.marks.pop_front_if(|(size, _)| *size <= shipped).is_some() {}
        self.marks.front().map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_late_as_its_oldest_entry() {
        let (mut lag, begun) = (Lag::default(), Instant::now());
        let at = |s: u64| begun + Duration::from_secs(s);
        let mut behind = Vec::new();
        // One entry a second, and a copy that has those of a minute ago: late, but never later.
        for s in 0..300 {
            lag.grown(s + 1, at(s));
            behind.push(lag.behind((s + 1).saturating_sub(60), at(s)).as_secs());
        }
        assert_eq!((behind[30], behind[59], behind[299]), (30, 59, 59));
        assert_eq!(lag.behind(300, at(300)), Duration::ZERO);
        // Nothing new, nothing late.
        lag.grown(300, at(400));
        assert_eq!(lag.behind(300, at(500)), Duration::ZERO);
    }

    #[test]
    fn a_copy_that_stands_still_gets_later_and_marks_stay_few() {
        let (mut lag, begun) = (Lag::default(), Instant::now());
        for s in 0..1000 {
            let now = begun + Duration::from_secs(s);
            lag.grown(s + 1, now);
            assert_eq!(lag.behind(0, now), Duration::from_secs(s));
        }
        assert_eq!(lag.marks.len(), MARKS_MAX);
    }
}
