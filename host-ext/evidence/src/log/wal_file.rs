//! The write-ahead file on the disk: an open file, and when it starts anew.

use std::path::{Path, PathBuf};

use super::wal::WalHeader;
use crate::store::{Disk, Durable, StoreError};

/// Entries that no checkpoint covers yet get one when they reach this size.
pub(super) const PENDING_MAX_BYTES: usize = 8 * 1024 * 1024;
/// The file starts anew at the first checkpoint after it reaches this size.
pub(super) const WAL_ROTATE_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct WalFile<F> {
    pub(super) path: PathBuf,
    pub(super) file: F,
    pub(super) header: WalHeader,
    pub(super) end: u64,
}

impl<F> WalFile<F> {
    /// Starts a new, empty file in place of the old one.
    pub(super) fn start<D: Disk<File = F>>(
        durable: &mut Durable<D>,
        path: &Path,
        header: WalHeader,
    ) -> Result<Self, StoreError> {
        let bytes = header.encode();
        durable.replace(path, &bytes)?;
        let file = durable.disk().open(path).map_err(|e| StoreError::io(path, "opened", e))?;
        Ok(Self { path: path.to_owned(), file, header, end: bytes.len() as u64 })
    }
}
