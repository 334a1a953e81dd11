//! Are the sealed pictures that the log vouches for there, and are they those?
//!
//! A picture that is gone may have been erased, which a tombstone further on in the log says, so
//! what is missing is reported at the end. A tombstone speaks of its own incident only: pictures of
//! another one that it names are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::event::Tombstone;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::CIPHERTEXT_MAX_BYTES;
use sudare_protocol::verify::{FindingKind, Findings};

use super::store::{AuditError, Store};

/// Missing pictures that wait for their tombstone; more are reported at once. A fleet's host has some
/// hundred pictures a day and keeps them for two weeks.
const MISSING_MAX: usize = 1_000_000;

/// Checks each picture once, although an incident lists it when it is stored and when it is complete.
#[derive(Debug)]
pub struct BlobCheck<'a> {
    store: &'a Store,
    /// Of incidents under way.
    checked: BTreeMap<Id, Vec<BlobRef>>,
    missing: BTreeMap<Id, Missing>,
    /// What is gone with a tombstone is gone also where the log lists it once more.
    buried: BTreeSet<Id>,
}

#[derive(Debug)]
struct Missing {
    /// That listed it first.
    incident_id: Option<Id>,
    entry: u64,
    kind: FindingKind,
}

impl<'a> BlobCheck<'a> {
    /// Nothing checked yet.
    pub fn new(store: &'a Store) -> Self {
        Self { store, checked: BTreeMap::new(), missing: BTreeMap::new(), buried: BTreeSet::new() }
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

    /// Reports what is missing without a tombstone; returns how many pictures are gone with one.
    pub fn finish(self, findings: &mut Findings) -> u64 {
        let mut missing: Vec<(Id, Missing)> = self.missing.into_iter().collect();
        missing.sort_by_key(|(_, missing)| missing.entry);
        missing.iter().for_each(|(blob_id, missing)| report(blob_id, missing, findings));
        self.buried.len() as u64
    }

    fn blob(
        &mut self,
        entry: u64,
        incident_id: Option<Id>,
        blob: &BlobRef,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        match compare(self.store, blob)? {
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

    /// From here on nothing need be there of these pictures, and their headers must not be.
    fn bury(&mut self, entry: u64, incident_id: Option<Id>, tombstone: &Tombstone, findings: &mut Findings) {
        for blob_id in tombstone.blobs.iter().map(|blob| blob.0) {
            if self.missing.get(&blob_id).is_some_and(|missing| missing.incident_id == incident_id) {
                self.missing.remove(&blob_id);
                self.buried.insert(blob_id);
            }
            if self.store.blob(&blob_id).header.exists() {
                let detail = format!("picture {}: run the erasure again", hex(&blob_id));
                findings.add(FindingKind::ErasureUnfinished, Some(entry), detail);
            }
        }
    }
}

fn report(blob_id: &Id, missing: &Missing, findings: &mut Findings) {
    let what = if missing.kind == FindingKind::BlobMissing { "its body" } else { "its age header" };
    let detail = format!("picture {}: {what} is not in the store, and no tombstone says why", hex(blob_id));
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
            Found::Different(format!("{} bytes instead of {}", header + body, blob.size))
        }
        _ if sha256 != blob.sha256 => Found::Different("another hash".to_owned()),
        // Where the two parts meet decides what deleting the first one erases.
        Some(size) if u64::from(size) != header => {
            Found::Different(format!("its first part has {header} bytes instead of {size}"))
        }
        _ => Found::Same,
    })
}

/// Hashes a file piece by piece; returns its length, cut at the longest that a picture can have, or
/// `None` if there is no such file.
fn add_file(path: &Path, hash: &mut Sha256) -> Result<Option<u64>, AuditError> {
    let limit = u64::try_from(CIPHERTEXT_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut piece = vec![0; 64 * 1024];
    let mut hash_all = || -> io::Result<u64> {
        let mut file = File::open(path)?.take(limit);
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
        Err(source) => Err(AuditError::Unreadable { path: path.to_owned(), source }),
    }
}
