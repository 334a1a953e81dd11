//! Why an audit could not be done.

use std::io;
use std::path::PathBuf;

use sudare_evidence::reader::ReadError;
use sudare_protocol::tlog::NoteError;
use thiserror::Error;

use crate::authority::AuthorityError;
use crate::live_log::TendError;

/// The audit itself could not be done; nothing is said about the evidence.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Whoever checks time tokens cannot be asked.
    #[error("{0}")]
    Timestamps(#[from] AuthorityError),
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
