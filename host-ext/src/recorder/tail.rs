//! The end of the log, read at the start: who reported what last, and which incidents were completed.

use std::collections::BTreeMap;
use std::path::Path;

use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES, TILE_WIDTH};

use crate::store::{StoreError, disk};

/// Entries that are looked at. A report without an answer is among the last batch, which is smaller; a
/// file about a completed incident that a power cut took is not older than some seconds.
pub(super) const ENTRIES: u64 = 4096;

/// What of a source is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) serial: u64,
    pub(super) leaf_index: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) sources: BTreeMap<Id, Last>,
    pub(super) completed: BTreeMap<Id, u64>,
}

/// Reads the last bundles of a log with `size` entries, all of them under its checkpoint.
pub(super) fn read(store: &Path, size: u64) -> Result<Tail, StoreError> {
    let mut tail = Tail::default();
    let first = size.saturating_sub(ENTRIES) / TILE_WIDTH as u64;
    for path in tiles::bundles(size).skip(usize::try_from(first).unwrap_or(usize::MAX)) {
        let file = store.join(path.to_string());
        let bundle =
            disk::read_bounded(&file, MAX_BUNDLE_BYTES).map_err(|e| StoreError::io(&file, "read", e))?;
        for leaf in tiles::entries(&bundle) {
            let damaged = |what: String| StoreError::Damaged(format!("{}: {what}", file.display()));
            let leaf = leaf.map_err(|error| damaged(error.to_string()))?;
            // Written by this recorder, and compared with the root when the log was opened.
            tail.note(&Entry::open_unverified(leaf)?);
        }
    }
    Ok(tail)
}

impl Tail {
    fn note(&mut self, entry: &Entry) {
        if let (Some(source), Some(serial)) = (entry.source, entry.serial) {
            self.sources.insert(source, Last { serial, leaf_index: entry.seq });
        }
        if let (Some(id), Ok(Event::IncidentComplete(_))) = (entry.incident_id, entry.event()) {
            self.completed.insert(id, entry.seq);
        }
    }
}
