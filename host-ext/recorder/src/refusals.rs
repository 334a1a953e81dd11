//! How often refused connections are told: whoever may connect to the socket could otherwise fill the journal. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

/// One line in this time; those in between are counted.
const EVERY_MS: u64 = 60_000;

/// Counts refusals, and says when there is something to tell.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told_ms: Option<u64>,
    untold: u64,
}

impl Refusals {
    /// One more at `now_ms` (monotonic). Gives how many were not told before it, if it is to be told now.
    pub(super) fn tell(&mut self, now_ms: u64) -> Option<u64> {
        if self.told_ms.is_some_and(|told| now_ms.saturating_sub(told) < EVERY_MS) {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told_ms = Some(now_ms);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_and_none_is_lost_from_the_count() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.tell(5), Some(0));
        let told: Vec<u64> = (0..10_000).filter_map(|n| refusals.tell(6 + n)).collect();
        assert_eq!(told, [0; 0]);
        assert_eq!(refusals.tell(5 + EVERY_MS), Some(10_000));
        assert_eq!(refusals.tell(5 + 9 * EVERY_MS), Some(0));
    }
}
