//! Opens pictures for a reviewer: as little as the review needs, and never unrecorded.
//!
//! ```text
//! headers/<id> ──(custodian: release)──► age header ─┐
//! blobs/<id> ─────────────────────────────────────────┴─(auditor: open)──► picture + a line in views.jsonl
//! ```
//! Unless full pictures are asked for, only those are opened on which bystanders are pixelated, and the
//! screenshots. With a custodian the headers of full pictures are sealed twice, so that no auditor opens
//! one alone.

pub mod custody;
pub mod views;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::AuditError;
pub use custody::Custody;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{BlobRef, Label, Media};
use sudare_protocol::seal::{self, Identity};
use zeroize::Zeroizing;

use super::Incident;
use super::incidents::Picture;
use super::retention::is_full;

/// What a reviewer asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The auditor's secret.
    pub identity: &'a Identity,
    /// How headers under a custodian's seal are opened.
    pub custody: Custody,
    /// Also pictures on which bystanders can be recognised.
    pub full: bool,
}

/// What became of one picture.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Which picture.
    #[serde(flatten)]
    pub picture: Picture,
    /// Where it was written.
    pub file: Option<PathBuf>,
    /// Why it was not.
    pub problem: Option<String>,
}

/// The pictures of an incident that a request covers, with their numbers in it (from 1).
pub fn chosen(incident: &Incident, full: bool) -> impl Iterator<Item = (usize, &BlobRef)> {
    let wanted = move |blob: &BlobRef| full || !is_full(Label::from_number(blob.label));
    incident.blobs.iter().enumerate().filter(move |(_, blob)| wanted(blob)).map(|(at, blob)| (at + 1, blob))
}

/// `1-camera-at.jpg`: sorted as they were logged, named by what they show.
pub fn file_name(number: usize, blob: &BlobRef) -> String {
    let label = Label::from_number(blob.label).map_or("picture", Label::as_str);
    let extension = Media::from_number(blob.media).map_or("bin", Media::extension);
    format!("{number}-{label}.{extension}")
}

/// Writes the chosen pictures into `out` (made 0700, files 0600; nothing is overwritten). Each is recorded
/// by `record` before its file is written; if that fails, nothing more is opened. A picture that cannot be
/// opened does not keep the others from being shown.
pub fn open(
    store: &Store,
    incident: &Incident,
    request: &Request<'_>,
    out: &Path,
    mut record: impl FnMut(&BlobRef) -> Result<(), AuditError>,
) -> Result<Vec<Shown>, AuditError> {
    let unwritable = |path: &Path, source| AuditError::Unwritable { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(|e| unwritable(out, e))?;
    let mut shown = Vec::new();
    for (number, blob) in chosen(incident, request.full) {
        let picture = Picture::from(blob);
        match open_picture(store, blob, request)? {
            Ok(bytes) => {
                record(blob)?;
                let file = out.join(file_name(number, blob));
                write_new(&file, &bytes).map_err(|e| unwritable(&file, e))?;
                shown.push(Shown { picture, file: Some(file), problem: None });
            }
            Err(problem) => shown.push(Shown { picture, file: None, problem: Some(problem) }),
        }
    }
    Ok(shown)
}

/// A picture in memory, or in words why it stays closed.
pub type Opened = Result<Zeroizing<Vec<u8>>, String>;

/// Opens one picture after comparing it with what the log vouches for.
pub fn open_picture(store: &Store, blob: &BlobRef, request: &Request<'_>) -> Result<Opened, AuditError> {
    let mut opened = open_salted(store, blob, request)?;
    if let Ok(picture) = &mut opened {
        let picture_bytes = picture.len().saturating_sub(seal::SALT_BYTES);
        picture.truncate(picture_bytes);
    }
    Ok(opened)
}

/// As [`open_picture`], with the salt still after the picture.
pub fn open_salted(store: &Store, blob: &BlobRef, request: &Request<'_>) -> Result<Opened, AuditError> {
    let stored = match sealed(store, blob)? {
        Ok(stored) => stored,
        Err(problem) => return Ok(Err(problem)),
    };
    let whole = match request.custody.age_file(blob, &stored)? {
        Ok(whole) => whole,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(seal::open_salted(&whole, request.identity, &blob.commitment).map_err(|error| error.to_string()))
}

/// A sealed picture as it is stored, if it is the one that the log vouches for.
pub fn sealed(store: &Store, blob: &BlobRef) -> Result<Result<Vec<u8>, String>, AuditError> {
    let paths = store.blob(&blob.blob_id);
    let header = store.read(&paths.header, seal::HEADER_MAX_BYTES)?;
    let body = store.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES)?;
    let (Some(header), Some(body)) = (header, body) else {
        return Ok(Err("it is not in the store (erased, or removed: run `sudare-audit verify`)".to_owned()));
    };
    let whole = [header, body].concat();
    let same = <[u8; 32]>::from(Sha256::digest(&whole)) == blob.sha256;
    Ok(if same {
        Ok(whole)
    } else {
        Err("it is not the file that the log vouches for; it was not opened".to_owned())
    })
}

/// Writes a private file that was not there.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file name of ours in a folder, for messages.
pub(super) fn unwritable(path: PathBuf) -> impl FnOnce(io::Error) -> AuditError {
    move |source| AuditError::Unwritable { path, source }
}
