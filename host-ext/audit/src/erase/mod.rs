//! Erases pictures so that the log still verifies: said first, done afterwards.
//!
//! ```text
//! approvals (41) + tombstone (40) ──► log, durable ──► checkpoint ──► headers gone ──► bodies gone
//! ```
//! A crash anywhere leaves either no tombstone (nothing happened) or a tombstone whose pictures are
//! deleted by the next run, which calls the same steps again. A header is some 400 bytes without which
//! nobody can open the picture, so headers go first.

#[cfg(test)]
mod crash_tests;
mod remove;
pub mod survey;
pub mod unlisted;

use std::path::Path;

pub use remove::remove;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::log::{Draft, LogStore};
use sudare_evidence::store::{Disk, OsDisk, StoreError};
use sudare_protocol::approval::{self, ApprovalError, Wish};
use sudare_protocol::evidence::event::{Approval, BlobId, Erasure as Cause, TOMBSTONE_BLOBS_MAX, Tombstone};
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::hex::hex;
pub use survey::Survey;
use thiserror::Error;

use crate::live_log::{LiveStore, TendError};
use crate::{AuditError, Incident};

/// Pictures of one incident that may go. Only [`approved`] and `retention` make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub(super) incident_id: Id,
    pub(super) session_id: Option<Id>,
    pub(super) pictures: Vec<Id>,
    pub(super) cause: Cause,
    pub(super) approvals: Vec<Vec<u8>>,
}

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Pictures that the new tombstones name.
    pub pictures: usize,
    /// Files that were deleted, also for tombstones of an earlier run.
    pub files: usize,
    /// Index of the last tombstone, if there is a new one.
    pub entry: Option<u64>,
}

/// Why nothing was erased.
#[derive(Debug, Error)]
pub enum EraseError {
    /// The log itself is in doubt.
    #[error(
        "the log is not intact ({0}). Nothing is erased from a log that somebody may have changed: keep a copy and \
         look into it first (`sudare-audit verify`)"
    )]
    NotIntact(String),
    /// Nobody knows what may be erased.
    #[error("the policy of incident {0} is not known: {1}. Nothing of it can be erased")]
    NoPolicy(String, String),
    /// A picture of something else.
    #[error("incident {0} has no picture {1}. `sudare-audit list --json` shows them")]
    NoPicture(String, String),
    /// Approvals.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// Reading the store.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Writing it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorder that runs.
    #[error(transparent)]
    Tend(#[from] TendError),
}

/// Judges whether pictures of an incident (`pictures` empty: all) may be erased early. What an earlier
/// tombstone names needs no approval again and is left out.
pub fn approved(
    survey: &Survey,
    incident: &Incident,
    pictures: &[Id],
    approvals: Vec<Vec<u8>>,
    now_ms: u64,
) -> Result<Erasure, EraseError> {
    let of_incident: Vec<Id> = incident.own.iter().map(|blob| blob.blob_id).collect();
    if let Some(foreign) = pictures.iter().find(|id| !of_incident.contains(id)) {
        return Err(EraseError::NoPicture(incident.id.clone(), hex(foreign)));
    }
    let wanted = if pictures.is_empty() { &of_incident } else { pictures };
    let due: Vec<Id> = wanted.iter().filter(|id| !survey.is_erased(id)).copied().collect();
    let (incident_id, session_id) = survey::ids_of(incident);
    if !due.is_empty() {
        let rules = survey.rules(session_id.as_ref());
        let rules = rules.map_err(|why| EraseError::NoPolicy(incident.id.clone(), why.to_owned()))?;
        let named: Vec<BlobId> = pictures.iter().copied().map(BlobId).collect();
        let wish = Wish { origin: survey.origin(), incident_id, pictures: &named };
        approval::agree(&wish, &approvals, &rules.approvers, now_ms)?;
    }
    Ok(Erasure { incident_id, session_id, pictures: due, cause: Cause::Approved, approvals })
}

/// A log that takes the entries of an erasure: opened for writing, or that of a running recorder.
pub trait Announce {
    /// Folder of the store.
    fn dir(&self) -> &Path;
    /// Returns only once the entries are durable and under a checkpoint: the index of the last.
    fn announce(&mut self, drafts: Vec<Draft>) -> Result<u64, EraseError>;
}

impl Announce for LogStore {
    fn dir(&self) -> &Path {
        self.dir()
    }

    fn announce(&mut self, drafts: Vec<Draft>) -> Result<u64, EraseError> {
        let last = self.append_all(drafts)?;
        self.checkpoint()?;
        Ok(last)
    }
}

impl Announce for LiveStore {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn announce(&mut self, drafts: Vec<Draft>) -> Result<u64, EraseError> {
        Ok(self.tender.record(drafts)?)
    }
}

/// Erases on the host whose log it is. `unfinished` are pictures of earlier tombstones
/// ([`Survey::unfinished`]), deleted in the same run.
pub fn erase(log: &mut dyn Announce, erasures: &[Erasure], unfinished: &[Id]) -> Result<Erased, EraseError> {
    let dir = log.dir().to_owned();
    in_order(&OsDisk, &dir, erasures, unfinished, |drafts| log.announce(drafts))
}

/// The order that makes a crash harmless. `announce` must return only once the entries are durable and
/// under a checkpoint.
fn in_order<D: Disk>(
    disk: &D,
    dir: &Path,
    erasures: &[Erasure],
    unfinished: &[Id],
    mut announce: impl FnMut(Vec<Draft>) -> Result<u64, EraseError>,
) -> Result<Erased, EraseError> {
    let mut erased = Erased { files: remove(disk, dir, unfinished)?, ..Erased::default() };
    for erasure in erasures.iter().filter(|erasure| !erasure.pictures.is_empty()) {
        erased.entry = Some(announce(drafts(erasure))?);
        erased.pictures += erasure.pictures.len();
        erased.files += remove(disk, dir, &erasure.pictures)?;
    }
    Ok(erased)
}

/// The entries of one erasure: the approvals as they were signed, then what goes.
fn drafts(erasure: &Erasure) -> Vec<Draft> {
    let of_incident = |event| Draft {
        session_id: erasure.session_id,
        incident_id: Some(erasure.incident_id),
        ..Draft::of(event)
    };
    let approvals_sha256 = (!erasure.approvals.is_empty()).then(|| {
        let hash = erasure.approvals.iter().fold(Sha256::new(), |hash, signed| hash.chain_update(signed));
        hash.finalize().into()
    });
    let approvals = erasure
        .approvals
        .iter()
        .map(|signed| of_incident(Event::Approval(Approval { signed: signed.clone() })));
    let tombstones = erasure.pictures.chunks(TOMBSTONE_BLOBS_MAX).map(|pictures| {
        of_incident(Event::Tombstone(Tombstone {
            blobs: pictures.iter().copied().map(BlobId).collect(),
            cause: erasure.cause.number(),
            approvals_sha256,
        }))
    });
    approvals.chain(tombstones).collect()
}
