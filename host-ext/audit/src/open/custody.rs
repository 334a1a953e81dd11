//! The custodian's part: removes the second seal from the header of a full picture, giving a reason.
//!
//! A released header does not open anything by itself: it is still sealed to the auditors. It is written to
//! `<blob id>.header`, after its release was recorded in `releases.jsonl`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{BlobRef, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::{self, Identity};
use sudare_protocol::utc::utc;

use super::files::{append_line, write_new};
use super::sealed::{Shown, sealed};
use crate::error::AuditError;
use crate::incidents::{Incident, Picture, is_full};

/// File of releases in the custodian's folder.
pub const RELEASES: &str = "releases.jsonl";

/// How headers under a custodian's seal are opened.
#[derive(Debug, Default)]
pub struct Custody {
    /// The custodian's secret, if one person may hold both.
    pub identity: Option<Identity>,
    /// Folder with the headers that the custodian released.
    pub released: Option<PathBuf>,
}

impl Custody {
    /// Assembles an age file that an auditor can open.
    pub(super) fn age_file(
        &self,
        blob: &BlobRef,
        stored: &[u8],
    ) -> Result<Result<Vec<u8>, String>, AuditError> {
        if blob.header_size.is_none() {
            return Ok(Ok(stored.to_vec()));
        }
        let (wrapped, body) = match seal::split_stored(stored, blob.header_size) {
            Ok(parts) => parts,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Some(dir) = &self.released
            && let Some(header) = read_released(dir, blob)?
        {
            return Ok(Ok([&header, body].concat()));
        }
        let Some(identity) = &self.identity else {
            let advice = "it is under the custodian's seal. Ask the custodian to run `sudare-audit release`, and give \
                          the folder with --released";
            return Ok(Err(advice.to_owned()));
        };
        let header = seal::unwrap_header(wrapped, identity).map_err(|error| error.to_string());
        Ok(header.map(|header| [header.as_slice(), body].concat()))
    }
}

fn read_released(dir: &Path, blob: &BlobRef) -> Result<Option<Vec<u8>>, AuditError> {
    let path = dir.join(header_name(blob));
    if path.exists() { Ok(Store::open(dir)?.read(&path, seal::HEADER_MAX_BYTES)?) } else { Ok(None) }
}

fn header_name(blob: &BlobRef) -> String {
    format!("{}.header", hex(&blob.blob_id))
}

/// One line of [`RELEASES`].
#[derive(Debug, Serialize)]
struct Release<'a> {
    time: String,
    incident: &'a str,
    blob: String,
    reason: &'a str,
}

/// Writes the headers of an incident's full pictures to `out`, without the custodian's seal. `now_ms` is Unix time.
pub fn release(
    store: &Store,
    incident: &Incident,
    custodian: &Identity,
    reason: &str,
    out: &Path,
    now_ms: u64,
) -> Result<Vec<Shown>, AuditError> {
    let wrapped = incident.blobs.iter().filter(|blob| blob.header_size.is_some());
    let mut shown = Vec::new();
    for blob in wrapped.filter(|blob| is_full(Label::from_number(blob.label))) {
        let picture = Picture::from(blob);
        let header = sealed(store, blob)?.and_then(|stored| {
            let parts = seal::split_stored(&stored, blob.header_size);
            let header = parts.and_then(|(wrapped, _)| seal::unwrap_header(wrapped, custodian));
            header.map_err(|error| error.to_string())
        });
        match header {
            Ok(header) => {
                let (time, blob_id) = (utc(now_ms), hex(&blob.blob_id));
                append_line(
                    &out.join(RELEASES),
                    &Release { time, incident: &incident.id, blob: blob_id, reason },
                )?;
                let file = out.join(header_name(blob));
                write_new(&file, &header)?;
                shown.push(Shown { picture, file: Some(file), problem: None });
            }
            Err(problem) => shown.push(Shown { picture, file: None, problem: Some(problem) }),
        }
    }
    Ok(shown)
}
