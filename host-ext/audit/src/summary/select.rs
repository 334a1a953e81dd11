//! Selects the entries of a log that concern an incident.

use std::collections::BTreeSet;

use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::tlog::tiles;

use crate::error::AuditError;
use crate::pool::MISSING_MAX;

/// Entries of the same session count from this long before the incident's first entry …
const BEFORE_MS: u64 = 10_000;
/// … until this long after it.
const AFTER_MS: u64 = 120_000;

/// Which entries concern an incident.
pub(crate) struct Wanted {
    incident_id: Id,
    /// Last entry of the incident itself.
    last: u64,
    /// Sessions whose handshakes are needed to verify its messages.
    sessions: BTreeSet<Id>,
    /// The first entry of the incident.
    first: Option<Entry>,
}

impl Wanted {
    /// Reads the entries under a checkpoint of `size`; `None` if none belongs to the incident.
    pub(crate) fn find(store: &Store, size: u64, incident_id: Id) -> Result<Option<Self>, AuditError> {
        let mut wanted = Self { incident_id, last: 0, sessions: BTreeSet::new(), first: None };
        each_leaf(store, size, |index, leaf| {
            let entry = Entry::open_unverified(leaf).ok();
            let Some(entry) = entry.filter(|entry| entry.incident_id == Some(incident_id)) else { return };
            wanted.last = index;
            wanted.sessions.extend(entry.session_id);
            wanted.first.get_or_insert(entry);
        })?;
        Ok(Some(wanted).filter(|wanted| wanted.first.is_some()))
    }

    /// Whether an entry concerns the incident.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        match entry.event() {
            Ok(Event::LogStart(_) | Event::HostKeyChange(_)) => entry.seq <= self.last,
            Ok(Event::SessionStart(_)) => {
                entry.seq <= self.last && entry.session_id.is_some_and(|id| self.sessions.contains(&id))
            }
            _ if entry.incident_id == Some(self.incident_id) => true,
            // Another incident at the same time.
            _ if entry.incident_id.is_some() => false,
            _ => self.first.as_ref().is_some_and(|first| is_near(entry, first)),
        }
    }
}

/// Whether an entry is of the same session and about the same time as the incident's first entry.
fn is_near(entry: &Entry, first: &Entry) -> bool {
    let from_ms = first.boot_ms.saturating_sub(BEFORE_MS);
    let to_ms = first.boot_ms.saturating_add(AFTER_MS);
    entry.session_id.is_some()
        && entry.session_id == first.session_id
        && entry.boot_id == first.boot_id
        && (from_ms..=to_ms).contains(&entry.boot_ms)
}

/// Calls `visit` with each readable leaf under a checkpoint of `size` entries; true if all of them are readable.
pub(crate) fn each_leaf(
    store: &Store,
    size: u64,
    mut visit: impl FnMut(u64, &[u8]),
) -> Result<bool, AuditError> {
    let (mut whole, mut missing) = (true, 0);
    for path in tiles::bundles(size) {
        if missing >= MISSING_MAX {
            break;
        }
        let bytes = store.tile(path)?.unwrap_or_default();
        missing = if bytes.is_empty() { missing + 1 } else { 0 };
        for leaf in tiles::leaves(path, &bytes) {
            match leaf {
                Ok((index, leaf)) => visit(index, leaf),
                Err(_) => whole = false,
            }
        }
    }
    Ok(whole)
}
