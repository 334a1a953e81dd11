//! Which host key the newest entries of a log name.

use std::path::Path;

use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES};

use crate::store::{Disk, StoreError};

/// Newest entries that are read when a log is opened.
pub const TAIL_ENTRIES: u64 = 4096;

/// Reads the newest [`TAIL_ENTRIES`] entries of a log of this size, or a few more. All must be under a checkpoint.
pub(super) fn host_key<D: Disk>(disk: &D, dir: &Path, size: u64) -> Result<Option<[u8; 32]>, StoreError> {
    let mut host_key = None;
    for bundle in tiles::bundles_from(size.saturating_sub(TAIL_ENTRIES), size) {
        let path = dir.join(bundle.to_string());
        let bytes = disk.read(&path, MAX_BUNDLE_BYTES).map_err(|e| StoreError::io(&path, "read", e))?;
        for leaf in tiles::leaves(bundle, &bytes) {
            let (_, leaf) = leaf.map_err(StoreError::damaged)?;
            let entry = Entry::open_unverified(leaf).map_err(StoreError::damaged)?;
            match entry.event() {
                Ok(Event::LogStart(start)) => host_key = Some(start.host_key),
                Ok(Event::HostKeyChange(change)) => host_key = Some(change.host_key),
                _ => {}
            }
        }
    }
    Ok(host_key)
}
