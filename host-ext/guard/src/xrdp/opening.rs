//! When to ask chansrv for the channel. Pure.
//!
//! Each request that fails, and each channel that the client closes, uses up one of chansrv's 255
//! slots until the session of xrdp ends. So there are few attempts per connection, further and
//! further apart.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

/// The client needs a moment after its log-on until its channels can be opened.
const FIRST_MS: u64 = 300;
/// Pauses after each failure; after the last one there is no further attempt on this connection.
const PAUSES_MS: [u64; 4] = [700, 2_000, 5_000, 15_000];
/// A channel that was open for this long was no failure.
const GOOD_MS: u64 = 30_000;

#[derive(Debug, Default)]
pub(super) struct Opening {
    /// When to ask next; `None`: not now.
    next_ms: Option<u64>,
    failures: usize,
    opened_ms: Option<u64>,
}

impl Opening {
    /// A client came.
    pub(super) fn begin(&mut self, now_ms: u64) {
        *self = Opening { next_ms: Some(now_ms + FIRST_MS), failures: 0, opened_ms: None };
    }

    /// Whether to ask now; asked once for each attempt.
    pub(super) fn is_due(&mut self, now_ms: u64) -> bool {
        let due = self.next_ms.is_some_and(|next| now_ms >= next);
        if due {
            self.next_ms = None;
        }
        due
    }

    pub(super) fn opened(&mut self, now_ms: u64) {
        self.opened_ms = Some(now_ms);
    }

    pub(super) fn failed(&mut self, now_ms: u64) {
        self.next_ms = PAUSES_MS.get(self.failures).map(|pause| now_ms + pause);
        self.failures += 1;
    }

    pub(super) fn closed(&mut self, now_ms: u64) {
        if self.opened_ms.take().is_some_and(|at| now_ms.saturating_sub(at) >= GOOD_MS) {
            self.failures = 0;
        }
        self.failed(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which it asks within two minutes, if each attempt ends like this.
    fn attempts(mut answer: impl FnMut(&mut Opening, u64)) -> Vec<u64> {
        let mut opening = Opening::default();
        opening.begin(0);
        let mut asked = Vec::new();
        for now_ms in (0..120_000).step_by(50) {
            if opening.is_due(now_ms) {
                asked.push(now_ms);
                answer(&mut opening, now_ms);
            }
        }
        asked
    }

    #[test]
    fn a_client_without_the_extension_costs_few_slots() {
        assert_eq!(attempts(|opening, now_ms| opening.failed(now_ms)), [300, 1_000, 3_000, 8_000, 23_000]);
    }

    #[test]
    fn an_answer_that_never_comes_is_asked_once() {
        assert_eq!(attempts(|_, _| {}), [300]);
    }

    #[test]
    fn a_channel_that_lasted_is_opened_again_at_once_and_one_that_flaps_is_not() {
        let flapping = attempts(|opening, now_ms| {
            opening.opened(now_ms);
            opening.closed(now_ms);
        });
        assert_eq!(flapping.len(), 5);
        let lasting = attempts(|opening, now_ms| {
            opening.opened(now_ms);
            opening.closed(now_ms + GOOD_MS);
        });
        assert_eq!(lasting, [300, 31_000, 61_700, 92_400]);
    }
}
