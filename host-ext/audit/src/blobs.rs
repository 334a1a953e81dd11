//! Checks that the sealed pictures that the log vouches for are in the store and unchanged.
//!
//! A missing picture may have been erased, as recorded by a tombstone later in the log, so missing ones are reported
//! at the end. A tombstone applies to its own incident only: pictures of other incidents that it names still count as
//! missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sudare_evidence::reader::{ReadError, Store};
use sudare_evidence::store::disk::open_regular;
use sudare_protocol::evidence::event::Tombstone;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::CIPHERTEXT_MAX_BYTES;
use sudare_protocol::verify::{FindingKind, Findings};

use crate::error::AuditError;

/// Missing pictures that may still get their tombstone; beyond this many, they are reported at once. A host takes some
/// hundred pictures a day and keeps them for two weeks.
const MISSING_MAX: usize = 1_000_000;

/// Checks each picture once, although an incident lists it twice: when it is stored and when the incident is complete.
#[derive(Debug)]
pub struct BlobCheck<'a> {
    store: &'a Store,
    /// Checked pictures of incidents that are not complete yet.
    checked: BTreeMap<Id, Vec<BlobRef>>,
    missing: BTreeMap<Id, Missing>,
    /// Erased pictures: they stay erased even if the log lists them again.
    buried: BTreeSet<Id>,
    /// Pictures whose two files were read and compared.
    compared: BTreeSet<Id>,
}

/// The pictures of a store whose files an audit vouches for.
#[derive(Clone, Debug, Default)]
pub(super) struct Pictures {
    /// Their files were compared with the log.
    pub compared: BTreeSet<Id>,
    /// Missing, as a tombstone says.
    pub erased: BTreeSet<Id>,
}

#[derive(Debug)]
struct Missing {
    /// The incident that listed it first.
    incident_id: Option<Id>,
    entry: u64,
    kind: FindingKind,
}

impl<'a> BlobCheck<'a> {
    /// Starts with nothing checked.
    pub fn new(store: &'a Store) -> Self {
        Self {
            store,
            checked: BTreeMap::new(),
            missing: BTreeMap::new(),
            buried: BTreeSet::new(),
            compared: BTreeSet::new(),
        }
    }

    /// Checks the pictures of one entry.
    pub fn check(&mut self, index: u64, entry: &Entry, findings: &mut Findings) -> Result<(), AuditError> {
        let event = entry.event();
        if let Ok(Event::Tombstone(tombstone)) = &event {
            self.bury(index, entry.incident_id, tombstone, findings);
        }
        let incident_id = entry.incident_id.unwrap_or_default();
        for blob in &entry.blobs {
            if !self.checked.get(&incident_id).is_some_and(|checked| checked.contains(blob)) {
                self.blob(index, entry.incident_id, blob, findings)?;
                self.checked.entry(incident_id).or_default().push(blob.clone());
            }
        }
        if entry.incident_id.is_none() || matches!(event, Ok(Event::IncidentComplete(_))) {
            self.checked.remove(&incident_id);
        }
        Ok(())
    }

    /// Reports pictures that are missing without a tombstone; returns those that are there or were erased.
    pub(super) fn finish(self, findings: &mut Findings) -> Pictures {
        let mut missing: Vec<(Id, Missing)> = self.missing.into_iter().collect();
        missing.sort_by_key(|(_, missing)| missing.entry);
        missing.iter().for_each(|(blob_id, missing)| report(blob_id, missing, findings));
        Pictures { compared: self.compared, erased: self.buried }
    }

    fn blob(
        &mut self,
        entry: u64,
        incident_id: Option<Id>,
        blob: &BlobRef,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let found = compare(self.store, blob)?;
        if !matches!(found, Found::Missing(_)) {
            self.compared.insert(blob.blob_id);
        }
        match found {
            Found::Same => {}
            Found::Different(detail) => {
                let detail = format!("picture {}: {detail}", hex(&blob.blob_id));
                findings.add(FindingKind::BlobDiffers, Some(entry), detail);
            }
            Found::Missing(_) if self.buried.contains(&blob.blob_id) => {}
            Found::Missing(kind) => {
                let missing = Missing { incident_id, entry, kind };
                if self.missing.len() >= MISSING_MAX {
                    report(&blob.blob_id, &missing, findings);
                } else {
                    self.missing.entry(blob.blob_id).or_insert(missing);
                }
            }
        }
        Ok(())
    }

    /// From this entry on, these pictures may be missing and their headers must be deleted.
    fn bury(&mut self, entry: u64, incident_id: Option<Id>, tombstone: &Tombstone, findings: &mut Findings) {
        for blob_id in tombstone.blobs.iter().map(|blob| blob.0) {
            if self.missing.get(&blob_id).is_some_and(|missing| missing.incident_id == incident_id) {
                self.missing.remove(&blob_id);
                self.buried.insert(blob_id);
            }
            if self.store.blob(&blob_id).header.symlink_metadata().is_ok() {
                let detail = format!("picture {}: run the erasure again", hex(&blob_id));
                findings.add(FindingKind::ErasureUnfinished, Some(entry), detail);
            }
        }
    }
}

fn report(blob_id: &Id, missing: &Missing, findings: &mut Findings) {
    let what = if missing.kind == FindingKind::BlobMissing { "its body" } else { "its age header" };
    let detail = format!("picture {}: {what} is not in the store, and there is no tombstone", hex(blob_id));
    findings.add(missing.kind, Some(missing.entry), detail);
}

enum Found {
    Same,
    Missing(FindingKind),
    Different(String),
}

fn compare(store: &Store, blob: &BlobRef) -> Result<Found, AuditError> {
    let paths = store.blob(&blob.blob_id);
    let mut hash = Sha256::new();
    let Some(header) = add_file(&paths.header, &mut hash)? else {
        return Ok(Found::Missing(FindingKind::BlobHeaderMissing));
    };
    let Some(body) = add_file(&paths.body, &mut hash)? else {
        return Ok(Found::Missing(FindingKind::BlobMissing));
    };
    let sha256: [u8; 32] = hash.finalize().into();
    Ok(match blob.header_size {
        _ if header + body != blob.size => {
            Found::Different(format!("it has {} bytes instead of {}", header + body, blob.size))
        }
        _ if sha256 != blob.sha256 => Found::Different("its hash differs".to_owned()),
        // Where the file is divided decides what is erased by deleting its first part.
        Some(size) if u64::from(size) != header => {
            Found::Different(format!("its first part has {header} bytes instead of {size}"))
        }
        _ => Found::Same,
    })
}

/// Hashes a file in pieces. Returns its length, read up to the largest possible size of a picture, or `None` if there
/// is no such file.
fn add_file(path: &Path, hash: &mut Sha256) -> Result<Option<u64>, AuditError> {
    let limit = u64::try_from(CIPHERTEXT_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut piece = vec![0; 64 * 1024];
    let mut hash_all = || -> io::Result<u64> {
        let mut file = open_regular(path)?.take(limit);
        let mut size = 0;
        loop {
            let read = file.read(&mut piece)?;
            let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(size) };
            hash.update(bytes);
            size += bytes.len() as u64;
        }
    };
    match hash_all() {
        Ok(size) => Ok(Some(size)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // A pipe or a link in its place: it does not have the picture's length, and is reported.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(0)),
        Err(source) => Err(AuditError::Read(ReadError::Unreadable { path: path.to_owned(), source })),
    }
}
