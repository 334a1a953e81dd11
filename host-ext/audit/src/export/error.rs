//! Why there is no export, or why one was refused.

use std::io;
use std::path::PathBuf;

use sudare_evidence::reader::ReadError;
use sudare_protocol::tlog::NoteError;
use thiserror::Error;

use crate::error::AuditError;

/// Why there is no export, or why one was refused.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The audit failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The entries do not give the root of this checkpoint.
    #[error(
        "the entries do not lead to the checkpoint, and evidence that is not intact cannot be exported. Run \
         `sudare-audit verify`"
    )]
    NotIntact,
    /// The given checkpoint does not belong to this log.
    #[error("the checkpoint is refused: {0}")]
    Checkpoint(#[from] NoteError),
    /// The checkpoint is older than the incident.
    #[error(
        "the checkpoint covers {0} entries, but the incident has later ones. Give a newer cosigned checkpoint, or none"
    )]
    TooOld(u64),
    /// More than an export holds.
    #[error(
        "the incident has more than {0}, which no incident recorded by Sudare has. Investigate it with \
         `sudare-audit show`"
    )]
    TooLarge(&'static str),
    /// Not an export, or one that was changed.
    #[error("{0}. Do not rely on this copy; ask for another one")]
    Refused(String),
    /// A file outside the store.
    #[error(
        "{path} could not be {action}: {source}. Choose another place, or check its permissions and free space"
    )]
    File {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}
