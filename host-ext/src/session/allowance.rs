//! How many entries of the log a client may cause, pure.
//!
//! The protocol's own limit (messages in a second) keeps the host's processor free. This one keeps its disk:
//! a signed message that is logged stays for ever, and an enrolled device can sign as many as it likes.
//! Clients in good order stay far below: one lock and one unlock in a second at most, and a handshake now
//! and then.

/// What `Allowance` gives back in a second.
const PER_SECOND: u64 = 4;
/// What may come at once: a seat where people come and go, after a quiet time.
const BURST: u64 = 64;
/// A session's beginning is a long entry, and an end comes with it.
pub(super) const SESSION_COSTS: u64 = 4;
/// A signed message.
pub(super) const MESSAGE_COSTS: u64 = 1;

#[derive(Debug)]
pub(super) struct Allowance {
    left_milli: u64,
    since_ms: u64,
}

impl Allowance {
    pub(super) fn new(now_ms: u64) -> Self {
        Allowance { left_milli: BURST * 1_000, since_ms: now_ms }
    }

    /// Takes `cost`, or says that there is not so much.
    pub(super) fn take(&mut self, cost: u64, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.since_ms);
        self.since_ms = self.since_ms.max(now_ms);
        let given_milli = passed_ms.saturating_mul(PER_SECOND);
        self.left_milli = self.left_milli.saturating_add(given_milli).min(BURST * 1_000);
        let left_milli = self.left_milli.checked_sub(cost * 1_000);
        self.left_milli = left_milli.unwrap_or(self.left_milli);
        left_milli.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(every_ms: u64, for_ms: u64) -> u64 {
        let mut allowance = Allowance::new(0);
        (0..for_ms / every_ms).filter(|n| allowance.take(MESSAGE_COSTS, n * every_ms)).count() as u64
    }

    #[test]
    fn a_flood_is_cut_and_a_busy_seat_is_not() {
        let day_ms = 24 * 3_600_000;
        assert_eq!(taken(500, day_ms), day_ms / 500, "a lock and an unlock each second, all day");
        let flood = taken(20, 60_000);
        assert!((BURST + 59 * PER_SECOND..=BURST + 60 * PER_SECOND).contains(&flood), "{flood}");
    }

    #[test]
    fn what_is_refused_costs_nothing_and_a_clock_that_goes_back_gives_nothing() {
        let mut allowance = Allowance::new(1_000);
        while allowance.take(SESSION_COSTS, 1_000) {}
        assert!(!allowance.take(SESSION_COSTS, 0));
        assert!(!allowance.take(SESSION_COSTS, 1_999));
        assert!(allowance.take(SESSION_COSTS, 2_000));
    }
}
