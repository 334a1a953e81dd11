//! The durable steps: in which order system calls make something last.
//!
//! ```text
//! replace(path)   mkdir + fsync(parent)   once per folder and run
//!                 open(path.tmp, 0600) · pwrite · fdatasync(path.tmp)
//!                 rename(path.tmp, path) · fsync(folder)
//! settle(folder)  fsync(folder)           before names that an earlier run left are relied on
//! append(file)    pwrite(end) · fdatasync
//!                 after a failed pwrite: ftruncate(end)
//! ```
//! After `replace` a reader finds the old or the new content, never a part, also after a power
//! cut. A folder is synced once per run even if it exists already, since the run that made it
//! may have been killed before its sync. Nothing else in the store writes files.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::StoreError;

/// A disk together with the folders of one store already known to be durable.
#[derive(Debug)]
pub struct Durable<D> {
    disk: D,
    root: PathBuf,
    known: HashSet<PathBuf>,
}

impl<D: Disk> Durable<D> {
    /// Files below `root`; no folder is known yet.
    pub fn new(disk: D, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), known: HashSet::new() }
    }

    /// The disk, for reading.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Writes a file so that it is there whole or not at all.
    pub fn replace(&mut self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        self.make_dirs(folder)?;
        let temporary = temporary_path(path);
        let written = self.write_temporary(&temporary, bytes).and_then(|()| {
            self.disk.rename(&temporary, path).map_err(|e| StoreError::io(path, "renamed", e))
        });
        if let Err(error) = written {
            // Best effort: a leftover is overwritten by the next attempt.
            drop(self.disk.remove(&temporary));
            return Err(error);
        }
        self.disk.sync_dir(folder).map_err(|e| StoreError::io(folder, "synced", e))
    }

    /// Makes a folder and those above it, and makes their names last.
    pub fn make_dirs(&mut self, folder: &Path) -> Result<(), StoreError> {
        if self.known.contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let mut made = self.disk.make_dir(folder);
        // Folders above the store are made only if they are missing: they are not ours to sync.
        let missing = made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if (folder.starts_with(&self.root) && folder != self.root) || missing {
            self.make_dirs(parent)?;
            made = self.disk.make_dir(folder);
        }
        made.map_err(|e| StoreError::io(folder, "made", e))?;
        self.disk.sync_dir(parent).map_err(|e| StoreError::io(parent, "synced", e))?;
        self.known.insert(folder.to_owned());
        Ok(())
    }

    /// Makes the names in a folder last that an earlier run may have changed and not synced.
    pub fn settle(&self, folder: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(folder).map_err(|e| StoreError::io(folder, "synced", e))
    }

    /// Adds bytes at `end` of an open file and waits until they last.
    pub fn append(&self, path: &Path, file: &mut D::File, end: u64, bytes: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.disk.write_at(file, end, bytes) {
            let state_known = self.disk.set_len(file, end).is_ok();
            return Err(AppendError { error: StoreError::io(path, "written", error), state_known });
        }
        let synced = self.disk.sync(file);
        synced.map_err(|e| AppendError { error: StoreError::io(path, "synced", e), state_known: false })
    }

    fn write_temporary(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.disk.create(path).map_err(|e| StoreError::io(path, "created", e))?;
        self.disk.write_at(&mut file, 0, bytes).map_err(|e| StoreError::io(path, "written", e))?;
        self.disk.sync(&mut file).map_err(|e| StoreError::io(path, "synced", e))
    }
}

/// Why bytes were not appended.
#[derive(Debug)]
pub struct AppendError {
    /// What went wrong.
    pub error: StoreError,
    /// True if the file is as it was before. After a failed sync nobody knows what the disk
    /// holds, and a second sync that succeeds proves nothing: stop acknowledging.
    pub state_known: bool,
}

/// `name` becomes `name.tmp` in the same folder, so that the rename stays within it.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}
