//! One incident as a zip that somebody without us can check, offline.
//!
//! ```text
//! store ──gather──► Bundle (files in memory) ──► incident.zip
//!                                     ▲              │ verify.py: Python alone, no package
//!            page = f(checked files) ─┘              └ check: `sudare-audit verify-export`
//!
//! README.txt        what this is
//! index.html        for people; made from the other files, loads and runs nothing
//! checkpoint        the signed note; with a witness's lines if a cosigned one was given
//! proof.json        [`Facts`]: places and inclusion proofs of the entries, names of the pictures
//! entries/N.cose    leaf N of the log, byte for byte
//! sealed/ID.age     a sealed picture as it is stored
//! opened/N-LABEL.jpg  the picture followed by its 32 random bytes: SHA-256 gives the log's commitment
//! verify.py         the check, written apart from ours
//! files.sha256      list for `sha256sum -c`
//! ```
//! The list keeps accidents out; what nobody can change unnoticed are checkpoint, entries and pictures,
//! because the log's key signed for them.

pub mod bundle;
pub mod check;
mod contents;
pub mod gather;
pub(crate) mod html;
mod page;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use sudare_evidence::reader::ReadError;

use super::AuditError;
use super::report::FindingRow;
pub use bundle::Bundle;
pub use check::{Outcome, check, check_witness};
pub use gather::{Request, gather};

/// The only version so far; a reader refuses others.
pub const VERSION: u16 = 1;
/// Entries of one export.
pub const ENTRIES_MAX: usize = 512;
/// The check that comes with it.
pub const VERIFY_PY: &str = include_str!("verify.py");
/// What the zip says about itself.
pub const README: &str = include_str!("README.txt");

/// `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// [`VERSION`].
    pub version: u16,
    /// Program that made it.
    pub made_by: String,
    /// Unix time when it was made, by the exporter's clock.
    pub made_ms: u64,
    /// Name of the log.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// Incident in hex.
    pub incident: String,
    /// In log order.
    pub entries: Vec<EntryFact>,
    /// All pictures of the incident, in log order.
    pub pictures: Vec<PictureFact>,
    /// What the exporter's audit of the whole log said; a third party has only the exporter's word for it.
    pub audit: AuditFact,
}

/// One entry, in `entries/<index>.cose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFact {
    /// Place in the log.
    pub index: u64,
    /// Siblings from the leaf up, in hex.
    pub proof: Vec<String>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFact {
    /// Id in hex.
    pub blob: String,
    /// File of the sealed picture, if it is part of this export.
    pub sealed: Option<String>,
    /// File of the opened picture.
    pub opened: Option<String>,
    /// Why one of them is not.
    pub problem: Option<String>,
}

/// Result of the exporter's audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFact {
    /// No findings at all.
    pub ok: bool,
    /// Nothing changed, removed or forged.
    pub integrity: bool,
    /// Entries that were checked.
    pub entries: u64,
    /// Names and places of the findings.
    pub findings: Vec<String>,
}

impl AuditFact {
    fn named(finding: &FindingRow) -> String {
        let entry = finding.entry.map(|entry| format!(" [{entry}]")).unwrap_or_default();
        format!("{}{entry}", finding.kind)
    }
}

/// Why there is no export, or why one was refused.
#[derive(Debug, Error)]
pub enum ExportError {
    /// Reading the store.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log is not under this checkpoint.
    #[error(
        "the entries do not lead to the checkpoint. Run `sudare-audit verify`: evidence that is not intact is not \
         handed on"
    )]
    NotIntact,
    /// The checkpoint given is not this log's.
    #[error("the checkpoint is not accepted: {0}")]
    Checkpoint(#[from] sudare_protocol::tlog::NoteError),
    /// The checkpoint is older than the incident.
    #[error(
        "the checkpoint covers {0} entries, and the incident goes on after them. Give a newer cosigned checkpoint, \
         or none"
    )]
    TooOld(u64),
    /// More than an export holds.
    #[error(
        "the incident has more than {0}. This is no incident that Sudare records; look at it with `show`"
    )]
    TooLarge(&'static str),
    /// Not an export, or a changed one.
    #[error("{0}. Do not rely on this copy; ask for another one")]
    Refused(String),
    /// A file outside the store.
    #[error("{path} could not be {action}: {source}. Choose another place, or check its rights and space")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Read, written.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
}
