//! Opens the pictures of one incident with an auditor's identity.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::{BlobRef, Label, Media};
use sudare_protocol::seal::{self, Identity};

use super::incidents::{Incident, Picture};
use super::store::{AuditError, Store};

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

/// Incidents whose id begins with `prefix`.
pub fn find<'a>(incidents: &'a [Incident], prefix: &str) -> Vec<&'a Incident> {
    let prefix = prefix.trim().to_ascii_lowercase();
    incidents.iter().filter(|incident| !prefix.is_empty() && incident.id.starts_with(&prefix)).collect()
}

/// Writes the pictures of an incident into `out` (made 0700, files 0600; nothing is overwritten).
/// A picture that cannot be opened does not keep the others from being shown.
pub fn show(
    store: &Store,
    incident: &Incident,
    identity: &Identity,
    out: &Path,
) -> Result<Vec<Shown>, AuditError> {
    let unwritable = |path: &Path, source| AuditError::Unwritable { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(|e| unwritable(out, e))?;
    let mut shown = Vec::new();
    for (number, blob) in incident.blobs.iter().enumerate() {
        let picture = Picture::from(blob);
        match open_blob(store, blob, identity)? {
            Ok(bytes) => {
                let file = out.join(file_name(number + 1, blob));
                write_new(&file, &bytes).map_err(|e| unwritable(&file, e))?;
                shown.push(Shown { picture, file: Some(file), problem: None });
            }
            Err(problem) => shown.push(Shown { picture, file: None, problem: Some(problem) }),
        }
    }
    Ok(shown)
}

/// `1-camera-at.jpg`: sorted as they were logged, named by what they show.
fn file_name(number: usize, blob: &BlobRef) -> String {
    let label = Label::from_number(blob.label).map_or("picture", Label::as_str);
    let extension = Media::from_number(blob.media).map_or("bin", Media::extension);
    format!("{number}-{label}.{extension}")
}

type Opened = Result<zeroize::Zeroizing<Vec<u8>>, String>;

fn open_blob(store: &Store, blob: &BlobRef, identity: &Identity) -> Result<Opened, AuditError> {
    let paths = store.blob(&blob.blob_id);
    let header = store.read(&paths.header, seal::HEADER_MAX_BYTES)?;
    let body = store.read(&paths.body, seal::CIPHERTEXT_MAX_BYTES)?;
    let (Some(header), Some(body)) = (header, body) else {
        return Ok(Err("it is not in the store (erased, or removed: run `sudare-audit verify`)".to_owned()));
    };
    let whole = [header, body].concat();
    if <[u8; 32]>::from(Sha256::digest(&whole)) != blob.sha256 {
        return Ok(Err("it is not the file that the log vouches for; it was not opened".to_owned()));
    }
    Ok(seal::open(&whole, identity, &blob.commitment).map_err(|error| error.to_string()))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
