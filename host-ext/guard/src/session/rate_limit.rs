//! How many entries of the log a client may cause: a token bucket. Pure.
//!
//! The protocol's own limit (messages in a second) keeps the host's processor free. This one keeps its disk:
//! a signed message that is logged stays for ever, and an enrolled device can sign as many as it likes.
//! A client that works normally stays far below it: one lock and one unlock a second at most, and a handshake now
//! and then. How long each may be is a limit of the protocol (`OPEN_MAX_BYTES`, `LOCK_MAX_BYTES`).
//!
//! Pictures have a bucket of their own, and a client that empties it waits for credit instead of being
//! refused: after a night without its host it has a whole spool to send.

/// Refilled in a second.
const PER_SECOND: u64 = 4;
/// The most that may come at once: a busy seat after a quiet time.
const BURST: u64 = 64;
/// The beginning of a session is a long entry, and its end is another one.
pub(super) const SESSION_COSTS: u64 = 4;
/// A signed message.
pub(super) const MESSAGE_COSTS: u64 = 1;
/// A manifest costs one for each started step.
const MANIFEST_STEP_BYTES: usize = 4 * 1024;

/// The cost of an incident's pictures: the log keeps their manifest.
pub(super) fn pictures_cost(manifest_bytes: usize) -> u64 {
    manifest_bytes.div_ceil(MANIFEST_STEP_BYTES) as u64
}

#[derive(Debug)]
pub(super) struct RateLimit {
    left_milli: u64,
    /// Charged beyond what was left.
    owed_milli: u64,
    since_ms: u64,
}

impl RateLimit {
    pub(super) fn new(now_ms: u64) -> Self {
        RateLimit { left_milli: BURST * 1_000, owed_milli: 0, since_ms: now_ms }
    }

    /// Takes `cost`; returns false, and takes nothing, if the budget is exhausted.
    pub(super) fn take(&mut self, cost: u64, now_ms: u64) -> bool {
        self.refill(now_ms);
        let left_milli = self.left_milli.checked_sub(cost * 1_000);
        self.left_milli = left_milli.unwrap_or(self.left_milli);
        left_milli.is_some()
    }

    /// Charges `cost` for what has arrived already, even beyond the budget.
    pub(super) fn charge(&mut self, cost: u64, now_ms: u64) {
        self.refill(now_ms);
        let cost_milli = cost.saturating_mul(1_000);
        self.owed_milli = self.owed_milli.saturating_add(cost_milli.saturating_sub(self.left_milli));
        self.left_milli = self.left_milli.saturating_sub(cost_milli);
    }

    /// Whether more was charged than the budget held, and is not refilled yet.
    pub(super) fn is_overdrawn(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        self.owed_milli > 0
    }

    fn refill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.since_ms);
        self.since_ms = self.since_ms.max(now_ms);
        let given_milli = passed_ms.saturating_mul(PER_SECOND);
        let rest_milli = given_milli.saturating_sub(self.owed_milli);
        self.owed_milli = self.owed_milli.saturating_sub(given_milli);
        self.left_milli = self.left_milli.saturating_add(rest_milli).min(BURST * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(every_ms: u64, for_ms: u64) -> u64 {
        let mut limit = RateLimit::new(0);
        (0..for_ms / every_ms).filter(|n| limit.take(MESSAGE_COSTS, n * every_ms)).count() as u64
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
        let mut limit = RateLimit::new(1_000);
        while limit.take(SESSION_COSTS, 1_000) {}
        assert!(!limit.take(SESSION_COSTS, 0));
        assert!(!limit.take(SESSION_COSTS, 1_999));
        assert!(limit.take(SESSION_COSTS, 2_000));
    }

    #[test]
    fn pictures_that_are_here_are_charged_and_the_next_have_to_wait() {
        let mut limit = RateLimit::new(0);
        // A spool of small incidents comes at once.
        (0..BURST).for_each(|_| limit.charge(pictures_cost(2_500), 0));
        assert!(!limit.is_overdrawn(0));
        limit.charge(pictures_cost(32 * 1024), 0);
        assert!(limit.is_overdrawn(1_999), "eight owed, at four a second");
        assert!(!limit.is_overdrawn(2_000));
        limit.charge(1, 2_000);
        assert!(limit.is_overdrawn(2_000), "repaying left nothing in the bucket");
    }
}
