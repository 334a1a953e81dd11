//! Which host key the newest entries of a log name.

use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES};

use super::{LogWriter, TAIL_ENTRIES, damaged};
use crate::store::{Disk, StoreError};

/// Looks at the newest [`TAIL_ENTRIES`] entries or some more. Everything must be under a checkpoint.
pub(super) fn host_key<D: Disk>(writer: &LogWriter<D>) -> Result<Option<[u8; 32]>, StoreError> {
    let mut host_key = None;
    for bundle in tiles::bundles_from(writer.size().saturating_sub(TAIL_ENTRIES), writer.size()) {
        let path = writer.dir.join(bundle.to_string());
        let read = writer.durable.disk().read(&path, MAX_BUNDLE_BYTES);
        let bytes = read.map_err(|e| StoreError::io(&path, "read", e))?;
        for leaf in tiles::leaves(bundle, &bytes) {
            let (_, leaf) = leaf.map_err(damaged)?;
            let entry = Entry::open_unverified(leaf).map_err(damaged)?;
            match entry.event() {
                Ok(Event::LogStart(start)) => host_key = Some(start.host_key),
                Ok(Event::HostKeyChange(change)) => host_key = Some(change.host_key),
                _ => {}
            }
        }
    }
    Ok(host_key)
}
