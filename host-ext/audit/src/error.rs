//! Why an audit could not be done.

use std::io;
use std::path::PathBuf;

use sudare_evidence::reader::ReadError;
use sudare_protocol::tlog::NoteError;
use thiserror::Error;

use crate::authority::AuthorityError;
use crate::live_log::LiveLogError;

/// The audit itself could not be done; nothing is said about the evidence.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Time-stamp tokens cannot be checked.
    #[error(transparent)]
    Timestamps(#[from] AuthorityError),
    /// The checkpoint is missing, or not of this log.
    #[error("the checkpoint is refused: {0}. Run `sudare-audit verify` for the details")]
    Checkpoint(#[source] NoteError),
    /// A thread of the audit ended early.
    #[error("the audit stopped before its end. This is a bug in sudare-audit: report it")]
    Unfinished,
    /// The log could not record that a picture is opened.
    #[error("the view could not be recorded, so the picture was not opened: {0}")]
    Unrecorded(#[source] Box<LiveLogError>),
    /// A file cannot be written to the output folder.
    #[error("{path} cannot be written: {source}. Give an empty folder of yours with --out")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}
