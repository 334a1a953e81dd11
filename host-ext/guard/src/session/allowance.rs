//! How many entries of the log a client may cause, pure.
//!
//! The protocol's own limit (messages in a second) keeps the host's processor free. This one keeps its disk:
//! a signed message that is logged stays for ever, and an enrolled device can sign as many as it likes.
//! Clients in good order stay far below: one lock and one unlock in a second at most, and a handshake now
//! and then. How long each may be is a limit of the protocol (`OPEN_MAX_BYTES`, `LOCK_MAX_BYTES`).
//!
//! Pictures have an allowance of their own, and a client that uses it up waits for credit and is not
//! refused: after a night without its host it has a whole spool to send.

/// What `Allowance` gives back in a second.
const PER_SECOND: u64 = 4;
/// What may come at once: a seat where people come and go, after a quiet time.
const BURST: u64 = 64;
/// A session's beginning is a long entry, and an end comes with it.
pub(super) const SESSION_COSTS: u64 = 4;
/// A signed message.
pub(super) const MESSAGE_COSTS: u64 = 1;
/// A manifest costs one for as many bytes of it.
const MANIFEST_STEP_BYTES: usize = 4 * 1024;

/// Pictures of an incident: the log keeps their manifest.
pub(super) fn pictures_cost(manifest_bytes: usize) -> u64 {
    manifest_bytes.div_ceil(MANIFEST_STEP_BYTES) as u64
}

#[derive(Debug)]
pub(super) struct Allowance {
    left_milli: u64,
    /// Taken beyond what there was.
    owed_milli: u64,
    since_ms: u64,
}

impl Allowance {
    pub(super) fn new(now_ms: u64) -> Self {
        Allowance { left_milli: BURST * 1_000, owed_milli: 0, since_ms: now_ms }
    }

    /// Takes `cost`, or says that there is not so much.
    pub(super) fn take(&mut self, cost: u64, now_ms: u64) -> bool {
        self.refill(now_ms);
        let left_milli = self.left_milli.checked_sub(cost * 1_000);
        self.left_milli = left_milli.unwrap_or(self.left_milli);
        left_milli.is_some()
    }

    /// Takes `cost` of what is here already, also where there is not so much.
    pub(super) fn charge(&mut self, cost: u64, now_ms: u64) {
        self.refill(now_ms);
        let cost_milli = cost.saturating_mul(1_000);
        self.owed_milli = self.owed_milli.saturating_add(cost_milli.saturating_sub(self.left_milli));
        self.left_milli = self.left_milli.saturating_sub(cost_milli);
    }

    /// Whether more was taken than there was.
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

    #[test]
    fn pictures_that_are_here_are_charged_and_the_next_have_to_wait() {
        let mut allowance = Allowance::new(0);
        // A spool of small incidents comes at once.
        (0..BURST).for_each(|_| allowance.charge(pictures_cost(2_500), 0));
        assert!(!allowance.is_overdrawn(0));
        allowance.charge(pictures_cost(32 * 1024), 0);
        assert!(allowance.is_overdrawn(1_999), "eight at four a second");
        assert!(!allowance.is_overdrawn(2_000));
        allowance.charge(1, 2_000);
        assert!(allowance.is_overdrawn(2_000), "what was owed left nothing");
    }
}
