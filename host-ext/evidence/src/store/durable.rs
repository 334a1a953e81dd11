//! The durable steps: which system calls, in which order, make something survive a power cut.
//!
//! ```text
//! replace(path…)  mkdir + fsync(parent)   once per folder and run
//!                 open(path.tmp, 0600) · pwrite      each
//!                 fdatasync(path.tmp)                all at once
//!                 rename(path.tmp, path)             each
//!                 fsync(folder)                      all at once
//! settle(folder)  fsync(folder)           before names that an earlier run left are relied on
//! append(file)    pwrite(end) · fdatasync
//!                 after a failed pwrite: ftruncate(end)
//! ```
//! After `replace` a reader finds the old or the new content, never a part, also after a power cut. Of several files that
//! are replaced together, a power cut may keep only some; a file that must not exist without another is replaced after
//! it. A folder is synced once per run even if it exists already, since the run that made it may have been killed before
//! its sync. Nothing else in the store writes files.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::error::StoreError;

/// A disk, and the folders of one store that are known to be durable.
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
        self.replace_all(&[(path, bytes)])
    }

    /// Writes several files so that each is there whole or not at all; all wait for the disk together.
    pub fn replace_all(&mut self, files: &[(&Path, &[u8])]) -> Result<(), StoreError> {
        let folders: BTreeSet<&Path> = files.iter().map(|(path, _)| folder_of(path)).collect();
        let folders: Vec<&Path> = folders.into_iter().collect();
        for folder in &folders {
            self.make_dirs(folder)?;
        }
        if let Err(error) = self.write_and_rename(files) {
            // Best effort: the next attempt overwrites a leftover.
            files.iter().for_each(|(path, _)| drop(self.disk.remove(&temporary_path(path))));
            return Err(error);
        }
        let synced = self.disk.sync_dirs(&folders);
        synced.map_err(|(at, error)| {
            StoreError::io(folders.get(at).copied().unwrap_or(&self.root), "synced", error)
        })
    }

    /// Makes a folder and those above it, durably.
    pub fn make_dirs(&mut self, folder: &Path) -> Result<(), StoreError> {
        if self.known.contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let mut made = self.disk.make_dir(folder);
        // Folders above the store are only made if they are missing: they are not ours to sync.
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

    /// Makes the names in a folder durable that an earlier run may have changed and not synced.
    pub fn settle(&self, folder: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(folder).map_err(|e| StoreError::io(folder, "synced", e))
    }

    /// Adds bytes at `end` of an open file and waits until they are durable.
    pub fn append(&self, path: &Path, file: &mut D::File, end: u64, bytes: &[u8]) -> Result<(), AppendError> {
        if let Err(error) = self.disk.write_at(file, end, bytes) {
            let state_known = self.disk.set_len(file, end).is_ok();
            return Err(AppendError { error: StoreError::io(path, "written", error), state_known });
        }
        let synced = self.disk.sync(file);
        synced.map_err(|e| AppendError { error: StoreError::io(path, "synced", e), state_known: false })
    }

    fn write_and_rename(&self, files: &[(&Path, &[u8])]) -> Result<(), StoreError> {
        let mut open = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            let path = temporary_path(path);
            let mut file = self.disk.create(&path).map_err(|e| StoreError::io(&path, "created", e))?;
            self.disk.write_at(&mut file, 0, bytes).map_err(|e| StoreError::io(&path, "written", e))?;
            open.push(file);
        }
        self.disk.sync_each(&mut open).map_err(|(at, error)| {
            StoreError::io(files.get(at).map_or(self.root.as_path(), |(path, _)| path), "synced", error)
        })?;
        for (path, _) in files {
            let renamed = self.disk.rename(&temporary_path(path), path);
            renamed.map_err(|e| StoreError::io(path, "renamed", e))?;
        }
        Ok(())
    }
}

/// Why bytes were not appended.
#[derive(Debug)]
pub struct AppendError {
    /// What went wrong.
    pub error: StoreError,
    /// True if the file is as it was before. After a failed sync the content of the disk is unknown, and a second sync
    /// that succeeds proves nothing: stop acknowledging.
    pub state_known: bool,
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// `name` becomes `name.tmp` in the same folder, so that the rename stays within it.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}
