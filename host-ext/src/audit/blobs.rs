//! Are the sealed pictures that the log vouches for there, and are they those?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id};
use sudare_protocol::seal::CIPHERTEXT_MAX_BYTES;
use sudare_protocol::verify::{FindingKind, Findings};

use super::store::{AuditError, Store};
use crate::store::blobs::hex;

/// Checks each picture once, although an incident lists it when it is stored and when it is complete.
#[derive(Debug)]
pub struct BlobCheck<'a> {
    store: &'a Store,
    /// Of incidents under way.
    checked: BTreeMap<Id, Vec<BlobRef>>,
}

impl<'a> BlobCheck<'a> {
    /// Nothing checked yet.
    pub fn new(store: &'a Store) -> Self {
        Self { store, checked: BTreeMap::new() }
    }

    /// Checks the pictures of one entry.
    pub fn check(&mut self, entry: &Entry, findings: &mut Findings) -> Result<(), AuditError> {
        let incident_id = entry.incident_id.unwrap_or_default();
        let checked = self.checked.entry(incident_id).or_default();
        for blob in &entry.blobs {
            if !checked.contains(blob) {
                check_blob(self.store, entry.seq, blob, findings)?;
                checked.push(blob.clone());
            }
        }
        if checked.is_empty() || matches!(entry.event(), Ok(Event::IncidentComplete(_))) {
            self.checked.remove(&incident_id);
        }
        Ok(())
    }
}

fn check_blob(store: &Store, seq: u64, blob: &BlobRef, findings: &mut Findings) -> Result<(), AuditError> {
    let paths = store.blob(&blob.blob_id);
    let name = hex(&blob.blob_id);
    let mut hash = Sha256::new();
    let mut size = 0;
    let halves = [
        (&paths.header, FindingKind::BlobHeaderMissing, "its age header"),
        (&paths.body, FindingKind::BlobMissing, "its body"),
    ];
    for (path, missing, what) in halves {
        match add_file(path, &mut hash) {
            Ok(bytes) => size += bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                findings.add(missing, Some(seq), format!("picture {name}: {what} is not in the store"));
                return Ok(());
            }
            Err(source) => return Err(AuditError::Unreadable { path: path.clone(), source }),
        }
    }
    let sha256: [u8; 32] = hash.finalize().into();
    if size != blob.size {
        let detail = format!("picture {name}: {size} bytes instead of {}", blob.size);
        findings.add(FindingKind::BlobDiffers, Some(seq), detail);
    } else if sha256 != blob.sha256 {
        findings.add(FindingKind::BlobDiffers, Some(seq), format!("picture {name}: another hash"));
    }
    Ok(())
}

/// Hashes a file piece by piece; returns its length, cut at the longest that a picture can have.
fn add_file(path: &Path, hash: &mut Sha256) -> io::Result<u64> {
    let limit = u64::try_from(CIPHERTEXT_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut file = File::open(path)?.take(limit);
    let mut piece = vec![0; 64 * 1024];
    let mut size = 0;
    loop {
        let read = file.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(size) };
        hash.update(bytes);
        size += bytes.len() as u64;
    }
}
