//! Why nothing was erased.

use sudare_evidence::store::StoreError;
use sudare_protocol::approval::ApprovalError;
use thiserror::Error;

use crate::error::AuditError;
use crate::live_log::LiveLogError;

/// Why nothing was erased.
#[derive(Debug, Error)]
pub enum EraseError {
    /// The log itself is in doubt.
    #[error(
        "the log is not intact ({0}), and nothing is erased from a log that somebody may have changed. Keep a copy and \
         investigate it first with `sudare-audit verify`"
    )]
    NotIntact(String),
    /// Without a policy nobody knows what may be erased.
    #[error("nothing of incident {0} can be erased, because its policy is not known: {1}")]
    NoPolicy(String, String),
    /// A picture that does not belong to the incident.
    #[error("incident {0} has no picture {1}. Run `sudare-audit list --json` to see its pictures")]
    NoPicture(String, String),
    /// The approvals do not suffice.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// The store cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The running recorder did not record the erasure.
    #[error(transparent)]
    LiveLog(#[from] LiveLogError),
}
