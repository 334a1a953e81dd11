//! Why the witness could not do its work; nothing is cosigned when one of these is returned.

use std::path::PathBuf;

use sudare_evidence::store::StoreError;
use sudare_protocol::tlog::{CosignatureError, NoteError};
use thiserror::Error;

/// The witness itself failed; this says nothing about the log.
#[derive(Debug, Error)]
pub enum WitnessError {
    /// The folder was never made a witness's memory.
    #[error(
        "{0} is not the memory of a witness. Make key and memory together with `sudare-audit witness keygen`. If \
         there was a memory and it is lost, do not go on with the old key: a witness that has forgotten would \
         cosign a rewritten log. Make a new key, and give it to the auditors."
    )]
    NoMemory(PathBuf),
    /// The memory belongs to another key.
    #[error("The memory in {0} was made for another key. Give the key and the memory that belong together.")]
    ForeignMemory(PathBuf),
    /// A file of the memory cannot be relied on.
    #[error(
        "The memory of the witness is damaged: {path}: {detail}. Nothing is cosigned for this log. Restore the \
         file from a backup that is not older than the last cosignature, or make a new witness."
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Another process holds the memory for too long.
    #[error("Another process has held {0} for seconds. End it, or wait: one change at a time is made there.")]
    Busy(PathBuf),
    /// Time went back.
    #[error(
        "The clock of the witness stands {behind_s} s before its last cosignature. A cosignature is worth as much \
         as its time: set the clock right."
    )]
    Clock {
        /// How far.
        behind_s: u64,
    },
    /// The disk.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A key.
    #[error("{0}")]
    Cosignature(#[from] CosignatureError),
    /// A key of a log.
    #[error("{0}")]
    Note(#[from] NoteError),
}
