//! Rolls attestations up: one log entry for each stretch of time in which nothing changed. Pure.
//!
//! The entry says for how long the lease was renewed, and in which state. It proves that the rule was
//! enforced; it is no record of anybody's work.

use sudare_protocol::evidence::event::PresenceInterval;
use sudare_protocol::reason::State;

/// An unchanged stretch is recorded after this time at the latest.
const INTERVAL_MAX_MS: u64 = 60_000;

/// The current stretch.
#[derive(Debug, Default)]
pub(super) struct AttestationRollup {
    open: Option<PresenceInterval>,
}

impl AttestationRollup {
    /// An attestation was accepted at `now_ms` (CLOCK_BOOTTIME); returns the stretch that ended with it.
    pub(super) fn attested(
        &mut self,
        state: State,
        nonce_age_ms: u64,
        now_ms: u64,
    ) -> Option<PresenceInterval> {
        let state = state as u8;
        let is_over = self
            .open
            .is_some_and(|o| o.state != state || now_ms.saturating_sub(o.from_boot_ms) >= INTERVAL_MAX_MS);
        let ended = if is_over { self.open.take() } else { None };
        let nonce_age_ms = u32::try_from(nonce_age_ms).unwrap_or(u32::MAX);
        let open = self.open.get_or_insert(PresenceInterval {
            from_boot_ms: now_ms,
            to_boot_ms: now_ms,
            state,
            attestations: 0,
            nonce_age_max_ms: 0,
        });
        open.to_boot_ms = now_ms;
        open.attestations = open.attestations.saturating_add(1);
        open.nonce_age_max_ms = open.nonce_age_max_ms.max(nonce_age_ms);
        ended
    }

    /// The session ends or its client is lost.
    pub(super) fn end(&mut self) -> Option<PresenceInterval> {
        self.open.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_state_is_one_entry_a_minute() {
        let mut rollup = AttestationRollup::default();
        let ended: Vec<_> =
            (0..200).filter_map(|n| rollup.attested(State::Clear, 10 + n % 7, n * 500)).collect();
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].from_boot_ms, ended[0].to_boot_ms, ended[0].attestations), (0, 59_500, 120));
        assert_eq!(ended[0].nonce_age_max_ms, 16);
        let changed = rollup.attested(State::Absent, 0, 100_000).unwrap();
        assert_eq!((changed.from_boot_ms, changed.state), (60_000, State::Clear as u8));
        assert_eq!(rollup.end().unwrap().attestations, 1);
        assert_eq!(rollup.end(), None);
    }
}
