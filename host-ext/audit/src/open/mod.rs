//! Opens pictures for a reviewer: only what the review needs, and never unrecorded.
//!
//! ```text
//! headers/<id> ──(custodian: release)──► age header ─┐
//! blobs/<id> ─────────────────────────────────────────┴─(auditor: open)──► picture + a line in views.jsonl
//! ```
//! Unless full pictures are requested, only screenshots and pictures with pixelated bystanders are opened. If the
//! policy names a custodian, the headers of full pictures are sealed twice, so that no auditor can open one alone.

pub mod custody;
mod files;
mod sealed;
pub mod views;

use std::path::Path;

use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{BlobRef, Label, Media};
use sudare_protocol::seal::{self, Identity};
use zeroize::Zeroizing;

use crate::error::AuditError;
use crate::incidents::{Incident, Picture, is_full};

pub use custody::Custody;
pub use sealed::{Shown, sealed};

/// What a reviewer asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The auditor's secret.
    pub identity: &'a Identity,
    /// How headers under a custodian's seal are opened.
    pub custody: Custody,
    /// Include pictures on which bystanders can be recognised.
    pub full: bool,
}

/// The pictures of an incident that a request covers, numbered from 1 in log order.
pub fn chosen(incident: &Incident, full: bool) -> impl Iterator<Item = (usize, &BlobRef)> {
    let wanted = move |blob: &BlobRef| full || !is_full(Label::from_number(blob.label));
    incident.blobs.iter().enumerate().filter(move |(_, blob)| wanted(blob)).map(|(at, blob)| (at + 1, blob))
}

/// A file name such as `1-camera-at.jpg`: sorted in log order, named by what the picture shows.
pub fn file_name(number: usize, blob: &BlobRef) -> String {
    let label = Label::from_number(blob.label).map_or("picture", Label::as_str);
    let extension = Media::from_number(blob.media).map_or("bin", Media::extension);
    format!("{number}-{label}.{extension}")
}

/// Writes the chosen pictures to `out` (mode 0700, files 0600; nothing is overwritten). `record` is called with the
/// recipient that opened it before each file is written; if it fails, nothing more is opened. A picture that cannot be opened does not prevent the others
/// from being opened.
pub fn open(
    store: &Store,
    incident: &Incident,
    request: &Request<'_>,
    out: &Path,
    mut record: impl FnMut(&BlobRef, &str) -> Result<(), AuditError>,
) -> Result<Vec<Shown>, AuditError> {
    files::create_folder(out)?;
    let mut shown = Vec::new();
    for (number, blob) in chosen(incident, request.full) {
        let picture = Picture::from(blob);
        match open_picture(store, blob, request)? {
            Ok((bytes, viewer)) => {
                record(blob, &viewer)?;
                let file = out.join(file_name(number, blob));
                files::write_new(&file, &bytes)?;
                shown.push(Shown { picture, file: Some(file), problem: None });
            }
            Err(problem) => shown.push(Shown { picture, file: None, problem: Some(problem) }),
        }
    }
    Ok(shown)
}

/// A picture in memory and the age recipient that opened it, or why it could not be opened.
pub type Opened = Result<(Zeroizing<Vec<u8>>, String), String>;

/// Opens one picture after comparing it with what the log vouches for.
pub fn open_picture(store: &Store, blob: &BlobRef, request: &Request<'_>) -> Result<Opened, AuditError> {
    let mut opened = open_salted(store, blob, request)?;
    if let Ok((picture, _)) = &mut opened {
        let picture_bytes = picture.len().saturating_sub(seal::SALT_BYTES);
        picture.truncate(picture_bytes);
    }
    Ok(opened)
}

/// Like [`open_picture`], but keeps the salt after the picture.
pub fn open_salted(store: &Store, blob: &BlobRef, request: &Request<'_>) -> Result<Opened, AuditError> {
    let stored = match sealed(store, blob)? {
        Ok(stored) => stored,
        Err(problem) => return Ok(Err(problem)),
    };
    let whole = match request.custody.age_file(blob, &stored)? {
        Ok(whole) => whole,
        Err(problem) => return Ok(Err(problem)),
    };
    let viewer = request.identity.opener(&whole).unwrap_or_else(|| request.identity.recipient());
    let opened = seal::open_salted(&whole, request.identity, &blob.commitment);
    Ok(opened.map(|picture| (picture, viewer)).map_err(|error| error.to_string()))
}
