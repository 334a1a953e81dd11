//! The files of an evidence store, read with bounds. A missing file is not the same as an unreadable one.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sudare_protocol::evidence::Id;
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::tiles::{MAX_BUNDLE_BYTES, TILE_WIDTH};
use sudare_protocol::tlog::{TileContent, TilePath};
use thiserror::Error;

use crate::store::blobs::BlobPaths;
use crate::store::disk::read_bounded;

/// The store could not be read, which says nothing about the evidence in it.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No such folder.
    #[error("{0} is not a folder. Give the folder of an evidence store, the one that holds `checkpoint`")]
    NotAFolder(PathBuf),
    /// A file is there and cannot be read.
    #[error("{path} cannot be read: {source}. Run as the user that owns the store, or on a copy of it")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// File of the newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// File of the newest checkpoint that a witness cosigned. It is not `checkpoint`, which is rewritten without
/// cosignatures.
pub const COSIGNED: &str = "checkpoint.cosigned";

/// An evidence store, or a copy of one.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The folder must exist; its content is checked later.
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        if fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir()) {
            Ok(Self { dir: dir.to_owned() })
        } else {
            Err(ReadError::NotAFolder(dir.to_owned()))
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The checkpoint's note.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(&self.dir.join(CHECKPOINT), MAX_NOTE_BYTES)
    }

    /// The note of the newest checkpoint that a witness cosigned, if there is one.
    pub fn cosigned(&self) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(&self.dir.join(COSIGNED), MAX_NOTE_BYTES)
    }

    /// A tile or bundle. If a partial one was replaced by the full one, returns the full one: the caller takes as much of
    /// it as it needs.
    pub fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let max_bytes = match path.content {
            TileContent::Entries => MAX_BUNDLE_BYTES,
            TileContent::Hashes(_) => TILE_WIDTH * 32,
        };
        let read = |path: TilePath| self.read(&self.dir.join(path.to_string()), max_bytes);
        match read(path)? {
            None if path.is_partial() => read(path.full()),
            found => Ok(found),
        }
    }

    /// True if there are entries after the first `size`.
    pub fn has_entries_after(&self, size: u64) -> bool {
        let width = usize::try_from(size % TILE_WIDTH as u64).unwrap_or(0);
        let index = size / TILE_WIDTH as u64;
        let tile = TilePath { content: TileContent::Entries, index, width: TILE_WIDTH };
        let wider = |name: &std::ffi::OsStr| {
            name.to_str().and_then(|name| name.parse::<usize>().ok()).is_some_and(|other| other > width)
        };
        let partials = fs::read_dir(self.dir.join(tile.partial_folder()));
        let wider_partial = partials.is_ok_and(|files| files.flatten().any(|file| wider(&file.file_name())));
        wider_partial || self.dir.join(tile.to_string()).exists()
    }

    /// Paths of a sealed picture's two files.
    pub fn blob(&self, blob_id: &Id) -> BlobPaths {
        BlobPaths::of(&self.dir, blob_id)
    }

    /// A file of at most `max_bytes`, or `None` if it does not exist.
    pub fn read(&self, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, ReadError> {
        match read_bounded(path, max_bytes) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // A file beyond its bound, or no regular one, reads as empty: it will not match its hash and be reported.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Vec::new())),
            Err(source) => Err(ReadError::Unreadable { path: path.to_owned(), source }),
        }
    }
}
