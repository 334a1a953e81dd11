//! Nobody may look at a display that has no guard: the last line, whatever went wrong before it.
//!
//! It starts from what RDP clients are attached to, so it also finds a session whose X socket was
//! hidden or replaced before the supervisor saw it, one over the limit, one of a kind that is not
//! guarded, and a VNC server of a user's own. The same clock counts for connections that share a
//! display: one that takes over from another is alone before it runs out.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

/// A connection, by (xrdp's pid, its start, display).
pub(crate) type Key = (i32, u64, u32);

/// The time between the X server's start and the first look at it.
pub(crate) const GRACE_MS: u64 = 500;

/// Connections that should not be, and since when they are known.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    since_ms: BTreeMap<Key, u64>,
}

impl Audit {
    /// Tells which of these connections must end. The list is complete: who is not in it any more is
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
    fn a_connection_without_a_guard_ends_after_the_grace_and_another_one_counts_anew() {
        let mut audit = Audit::default();
        let (a, b) = ((1, 100, 10), (2, 100, 10));
        assert_eq!(audit.overdue(&[a], 0), []);
        assert_eq!(audit.overdue(&[a], 499), []);
        assert_eq!(audit.overdue(&[a, b], 500), [a]);
        // Guarded for once: the grace starts over.
        assert_eq!(audit.overdue(&[b], 900), []);
        assert_eq!(audit.overdue(&[a, b], 1_000), [b]);
    }
}
