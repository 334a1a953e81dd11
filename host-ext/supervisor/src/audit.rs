//! The last line of defence, whatever went wrong before it: a display without a guard has no clients. Pure.
//!
//! The audit starts from the displays that RDP clients are attached to. So it also finds a session whose X socket was
//! hidden or replaced before the supervisor saw it, a session beyond the limit, a kind of session that cannot be
//! guarded, and a user's own VNC server. Connections that share a display get the same grace: when one takes over from
//! another, only one is left before it is over.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

/// A connection, by (xrdp's pid, its start, display).
pub(crate) type Key = (i32, u64, u32);

/// Covers the time between the start of an X server and the moment at which the supervisor notices it.
pub(crate) const GRACE_MS: u64 = 500;

/// Forbidden connections, and since when they are known.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    since_ms: BTreeMap<Key, u64>,
}

impl Audit {
    /// Tells which of these connections must end. `wrong` is the complete list: a connection that left it is
    /// forgotten.
    pub(crate) fn overdue(&mut self, wrong: &[Key], now_ms: u64) -> Vec<Key> {
        self.since_ms.retain(|key, _| wrong.contains(key));
        let mut overdue = Vec::new();
        for &key in wrong {
            let since_ms = *self.since_ms.entry(key).or_insert(now_ms);
            if now_ms.saturating_sub(since_ms) >= GRACE_MS {
                overdue.push(key);
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_guard_ends_after_the_grace_which_starts_over_when_guarded() {
        let mut audit = Audit::default();
        let (a, b) = ((1, 100, 10), (2, 100, 10));
        assert_eq!(audit.overdue(&[a], 0), []);
        assert_eq!(audit.overdue(&[a], 499), []);
        assert_eq!(audit.overdue(&[a, b], 500), [a]);
        // Guarded for a moment, so its grace starts over.
        assert_eq!(audit.overdue(&[b], 900), []);
        assert_eq!(audit.overdue(&[a, b], 1_000), [b]);
    }
}
