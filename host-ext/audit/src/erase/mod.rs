//! Erases pictures so that the log still verifies: an erasure is recorded first and carried out afterwards.
//!
//! ```text
//! approvals (41) + tombstone (40) ──► log, durable ──► checkpoint ──► headers gone ──► bodies gone
//! ```
//! A crash at any point leaves either no tombstone (nothing happened) or a tombstone whose pictures the next run
//! deletes by repeating the same steps. Headers are deleted first: without these 400 bytes or so, nobody can open
//! the picture.

#[cfg(test)]
mod crash_tests;
mod error;
mod remove;
pub mod survey;
pub mod unlisted;

use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::log::{Draft, LogStore};
use sudare_evidence::store::{Disk, OsDisk};
use sudare_protocol::approval::{self, Wish};
use sudare_protocol::evidence::event::{Approval, BlobId, Erasure as Cause, TOMBSTONE_BLOBS_MAX, Tombstone};
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::hex::hex;

use crate::incidents::Incident;
use crate::live_log::LiveStore;

pub use error::EraseError;
pub use remove::remove;
pub use survey::Survey;

/// Pictures of one incident that may be erased. Only [`approved`] and `retention` make one.
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
    /// Pictures named by new tombstones.
    pub pictures: usize,
    /// Files that were deleted, including those of earlier tombstones.
    pub files: usize,
    /// Index of the last new tombstone, if there is one.
    pub entry: Option<u64>,
}

/// Decides whether pictures of an incident (all of them if `pictures` is empty) may be erased early. Those that have
/// a tombstone already are left out and need no further approval.
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
    let (incident_id, session_id) = incident.ids();
    if !due.is_empty() {
        let rules = survey.rules(session_id.as_ref());
        let rules = rules.map_err(|why| EraseError::NoPolicy(incident.id.clone(), why.to_owned()))?;
        let named: Vec<BlobId> = pictures.iter().copied().map(BlobId).collect();
        let wish = Wish { origin: survey.origin(), incident_id, pictures: &named };
        approval::agree(&wish, &approvals, &rules.approvers, now_ms)?;
    }
    Ok(Erasure { incident_id, session_id, pictures: due, cause: Cause::Approved, approvals })
}

/// A log that can record an erasure: opened for writing, or written by a running recorder.
pub trait Announce {
    /// Folder of the store.
    fn dir(&self) -> &Path;
    /// Returns the index of the last entry, but only once all of them are durable and under a checkpoint.
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
        Ok(self.writer.record(drafts)?)
    }
}

/// Erases pictures of a host's own store. `unfinished` are the pictures of earlier tombstones
/// ([`Survey::unfinished`]); their files are deleted first.
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

/// The entries of one erasure: the approvals as they were signed, then the tombstones.
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
