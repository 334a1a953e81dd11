//! Why evidence could not be stored, in words that an administrator can act on.

use std::io;
use std::path::{Path, PathBuf};

use sudare_protocol::evidence::EntryError;
use sudare_protocol::seal::SealError;
use sudare_protocol::tlog::NoteError;
use thiserror::Error;

/// Nothing was acknowledged when one of these is returned.
#[derive(Debug, Error)]
pub enum StoreError {
    /// No space left, or the quota is used up.
    #[error(
        "the disk of the evidence store is full ({path}). Nothing was acknowledged; sessions that require evidence \
         stay covered. Free or add space: recording resumes by itself"
    )]
    Full {
        /// File that was being written.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error(
        "the evidence store is read-only ({path}). Nothing was acknowledged. The system may have remounted the \
         disk after an error: check the kernel log, repair it and mount it writable"
    )]
    ReadOnly {
        /// File that was being written.
        path: PathBuf,
    },
    /// Ownership or mode is wrong.
    #[error(
        "access to {path} is denied. The evidence store must belong to the user that the recorder runs as \
         (chown -R, mode 0700)"
    )]
    Denied {
        /// File or folder.
        path: PathBuf,
    },
    /// Any other failure of a system call.
    #[error("{path} could not be {action}: {source}. Check the disk and the kernel log")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Read, written, synced …
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier sync failed, after which the content of the disk is unknown.
    #[error(
        "an earlier write to the evidence store failed half-way, so nothing more is acknowledged. Restart the \
         recorder: it reads back what the disk really holds"
    )]
    Poisoned,
    /// Another process has the store open.
    #[error("another recorder has {path} open. One log has one recorder: stop the other one first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The checkpoint is not by this log's key.
    #[error(
        "the checkpoint of the evidence store is not accepted: {0}. Use the log key this store was made with, or \
         start a new store beside it"
    )]
    Checkpoint(NoteError),
    /// Files contradict each other.
    #[error(
        "the evidence store is damaged: {0}. Nothing was changed. Keep a copy, run `sudare-audit verify` on it, \
         and restore the store or start a new one beside it"
    )]
    Damaged(String),
    /// The log's last entry is not by this log's key, or of a later version of the program.
    #[error(
        "the log's last entry is not accepted: {0}. Use the log key and at least the program version this store \
         was made with, or start a new store beside it"
    )]
    LastEntry(EntryError),
    /// More entries at once than one sync may cover.
    #[error("{0} entries at once are more than one sync may cover. Append them in several steps")]
    Batch(usize),
    /// The entry itself.
    #[error("{0}")]
    Entry(#[from] EntryError),
    /// The sealed picture itself.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// The same blob id with other content.
    #[error(
        "another picture with the id {0} is already stored. Ids are random, so the sender is at fault; the stored \
         picture stays"
    )]
    BlobExists(String),
    /// Not the bytes that were announced.
    #[error("the picture {0} is not the one that was announced. The sender is at fault; it was not stored")]
    BlobDiffers(String),
    /// The device has used up its daily quota.
    #[error(
        "this device has used up its daily quota for evidence. Its session stays covered if evidence is required. \
         Find out why; a new quota begins at midnight (UTC)"
    )]
    Quota,
    /// A guard skipped a number, or went back.
    #[error("a guard reports out of order. This is a bug in Sudare: the guard restarts by itself")]
    OutOfOrder,
    /// The recorder's process does not answer.
    #[error(
        "the recorder cannot be reached at {path}: {source}. Sessions that require evidence stay covered. Start \
         sudare-recorder.service, and run `sudare-host doctor`"
    )]
    NoRecorder {
        /// Its socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The recorder's process cannot store anything at present.
    #[error("{0}")]
    Recorder(String),
    /// The recorder's process refused something that can never be stored.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// Whether a retry is pointless, because the content itself can never be stored.
    pub fn is_contents_fault(&self) -> bool {
        matches!(
            self,
            Self::Entry(_) | Self::Seal(_) | Self::BlobExists(_) | Self::BlobDiffers(_) | Self::Refused(_)
        )
    }

    /// Files that contradict each other, and how.
    pub fn damaged(detail: impl std::fmt::Display) -> Self {
        Self::Damaged(detail.to_string())
    }

    /// Classifies a failed system call by its remedy.
    pub fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, action, source },
        }
    }
}
