//! Why the witness could not work; nothing is cosigned when one of these is returned.

use std::path::PathBuf;

use sudare_evidence::store::StoreError;
use sudare_protocol::tlog::{CosignatureError, NoteError};
use thiserror::Error;

/// A failure of the witness itself; it says nothing about the log.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// The folder is not the memory of a witness.
    #[error(
        "{0} is not the memory of a witness. Create key and memory together with `sudare-witness keygen`. If a memory \
         was lost, do not use its key again, because a witness without memory would cosign a rewritten log: create a \
         new key and give it to the auditors"
    )]
    NoMemory(PathBuf),
    /// The memory belongs to another key.
    #[error(
        "the memory in {0} belongs to another key. Give the key and the memory that were created together"
    )]
    ForeignMemory(PathBuf),
    /// A file of the memory is damaged.
    #[error(
        "the memory of the witness is damaged, and nothing is cosigned for this log: {path}: {detail}. Restore the \
         file from a backup that is not older than the last cosignature, or create a new witness"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Another process has locked the memory for too long.
    #[error("another process has held the lock {0} for seconds. End it, or wait until its change is made")]
    Busy(PathBuf),
    /// The clock went backwards.
    #[error(
        "the clock of the witness is {behind_s} s behind its last cosignature. A cosignature is worth no more than its \
         time: correct the clock"
    )]
    Clock {
        /// How far.
        behind_s: u64,
    },
    /// The memory cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoint cannot be cosigned.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// A checkpoint or key of a log is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
}
