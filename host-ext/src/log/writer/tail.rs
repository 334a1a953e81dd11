//! What the newest entries of a log say to the recorder that goes on with it.

use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES, TILE_WIDTH};

use super::{LogWriter, Opened, TAIL_ENTRIES, damaged};
use crate::store::{Disk, StoreError};

/// Reads at least the newest [`TAIL_ENTRIES`] entries back. Everything must be under a checkpoint.
pub(super) fn read<D: Disk>(writer: &LogWriter<D>, opened: &mut Opened) -> Result<(), StoreError> {
    let first = writer.size().saturating_sub(TAIL_ENTRIES) / TILE_WIDTH as u64;
    for bundle in tiles::bundles(writer.size()).skip(usize::try_from(first).unwrap_or(usize::MAX)) {
        let path = writer.dir.join(bundle.to_string());
        let read = writer.durable.disk().read(&path, MAX_BUNDLE_BYTES);
        let bytes = read.map_err(|e| StoreError::io(&path, "read", e))?;
        for leaf in tiles::entries(&bytes) {
            let entry = Entry::open_unverified(leaf.map_err(damaged)?).map_err(damaged)?;
            take(&entry, opened);
        }
    }
    Ok(())
}

fn take(entry: &Entry, opened: &mut Opened) {
    if let (Some(source), Some(serial)) = (entry.source, entry.serial) {
        let last = opened.sources.entry(source).or_default();
        *last = serial.max(*last);
    }
    match entry.event() {
        Ok(Event::LogStart(start)) => opened.host_key = Some(start.host_key),
        Ok(Event::HostKeyChange(change)) => opened.host_key = Some(change.host_key),
        _ => {}
    }
}
