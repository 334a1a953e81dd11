//! The files of an evidence store, read with bounds, missing ones told apart from unreadable ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sudare_protocol::evidence::Id;
use sudare_protocol::tlog::NoteError;
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::tiles::{MAX_BUNDLE_BYTES, TILE_WIDTH};
use sudare_protocol::tlog::{TileContent, TilePath};
use thiserror::Error;

use super::tend::TendError;
use crate::store::blobs::BlobPaths;
use crate::store::disk::read_bounded;

/// The audit itself could not be done; nothing is said about the evidence.
#[derive(Debug, Error)]
pub enum AuditError {
    /// No such folder.
    #[error("{0} is not a folder. Give the folder of an evidence store, the one that holds `checkpoint`.")]
    NotAFolder(PathBuf),
    /// A file is there and cannot be read.
    #[error("{path} cannot be read: {source}. Run as the user that owns the store, or on a copy of it.")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whoever checks time tokens cannot be asked.
    #[error("{0}")]
    Timestamps(#[from] crate::timestamp::AuthorityError),
    /// The checkpoint is missing, or not of this log.
    #[error("the checkpoint is not accepted: {0}. Run `sudare-audit verify`, which says more")]
    Checkpoint(#[source] NoteError),
    /// A thread of the audit is gone.
    #[error("The audit stopped in the middle. This is a fault of sudare-audit: report it.")]
    Unfinished,
    /// The log does not say that a picture is looked at.
    #[error("The view could not be recorded, so the picture was not opened. {0}")]
    Unrecorded(#[source] Box<TendError>),
    /// A file cannot be written where pictures should go.
    #[error("{path} cannot be written: {source}. Give an empty folder of yours with --out.")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// File of the newest checkpoint that came back from a witness, beside `checkpoint`: that one is
/// written anew without cosignatures.
pub const COSIGNED: &str = "checkpoint.cosigned";

/// An evidence store, or a copy of one.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The folder must exist; what is in it is judged later.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        if fs::metadata(dir).is_ok_and(|metadata| metadata.is_dir()) {
            Ok(Self { dir: dir.to_owned() })
        } else {
            Err(AuditError::NotAFolder(dir.to_owned()))
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The checkpoint's note.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, AuditError> {
        self.read(&self.dir.join("checkpoint"), MAX_NOTE_BYTES)
    }

    /// The note of the newest checkpoint that a witness cosigned, if there is one.
    pub fn cosigned(&self) -> Result<Option<Vec<u8>>, AuditError> {
        self.read(&self.dir.join(COSIGNED), MAX_NOTE_BYTES)
    }

    /// A tile or bundle. Where a partial one is gone, the full one stands in for it: the
    /// caller takes as much of it as it needs.
    pub fn tile(&self, path: TilePath) -> Result<Option<Vec<u8>>, AuditError> {
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

    /// Where the halves of a sealed picture lie.
    pub fn blob(&self, blob_id: &Id) -> BlobPaths {
        BlobPaths::of(&self.dir, blob_id)
    }

    /// A file of at most `max_bytes`, or `None` if there is none.
    pub fn read(&self, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, AuditError> {
        match read_bounded(path, max_bytes) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // A file grown beyond its bound is read up to it: it will differ and be named.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Vec::new())),
            Err(source) => Err(AuditError::Unreadable { path: path.to_owned(), source }),
        }
    }
}
