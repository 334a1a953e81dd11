//! Attestations rolled up: one line of the log for a time in which nothing changed, pure.
//!
//! What is kept says for how long a lease was renewed and in which state; it is a proof of enforcement,
//! not of anybody's work.

use sudare_protocol::evidence::event::PresenceInterval;
use sudare_protocol::reason::State;

/// A time without a change is written down at the latest after this.
const INTERVAL_MAX_MS: u64 = 60_000;

/// The time that is going on.
#[derive(Debug, Default)]
pub(super) struct Presence {
    open: Option<PresenceInterval>,
}

impl Presence {
    /// An attestation was accepted at `now_ms` (CLOCK_BOOTTIME); returns the time that ended with it.
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
    fn one_line_for_what_does_not_change_and_another_after_a_minute() {
        let mut presence = Presence::default();
        let ended: Vec<_> =
            (0..200).filter_map(|n| presence.attested(State::Clear, 10 + n % 7, n * 500)).collect();
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].from_boot_ms, ended[0].to_boot_ms, ended[0].attestations), (0, 59_500, 120));
        assert_eq!(ended[0].nonce_age_max_ms, 16);
        let changed = presence.attested(State::Absent, 0, 100_000).unwrap();
        assert_eq!((changed.from_boot_ms, changed.state), (60_000, State::Clear as u8));
        assert_eq!(presence.end().unwrap().attestations, 1);
        assert_eq!(presence.end(), None);
    }
}
