//! Who opened what, and why, when pictures are opened offline: one JSON line per opening, written and
//! synced before the picture is.
//!
//! ```text
//! {"time","log","incident","blob","label","viewer","purpose"}      viewer = age recipient
//! ```
//! The file lies beside the opened pictures and proves nothing against its owner. It is there for the
//! honest reviewer's record (PCI DSS 10.2.1.3 asks for one).

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::Serialize;
use sudare_protocol::evidence::{BlobRef, Label};

use super::unwritable;
use crate::audit::incidents::utc;
use crate::audit::store::AuditError;
use crate::store::blobs::hex;

/// File of views in the folder of the opened pictures.
pub const VIEWS: &str = "views.jsonl";

/// What does not change from picture to picture.
#[derive(Clone, Copy, Debug)]
pub struct Viewing<'a> {
    /// Origin of the log.
    pub log: &'a str,
    /// Incident in hex.
    pub incident: &'a str,
    /// The auditor's age recipient.
    pub viewer: &'a str,
    /// Why, in the auditor's words.
    pub purpose: &'a str,
}

#[derive(Serialize)]
struct View<'a> {
    time: String,
    log: &'a str,
    incident: &'a str,
    blob: String,
    label: &'a str,
    viewer: &'a str,
    purpose: &'a str,
}

impl Viewing<'_> {
    /// Records that a picture is opened at `now_ms` (Unix time).
    pub fn record(&self, out: &Path, blob: &BlobRef, now_ms: u64) -> Result<(), AuditError> {
        let Viewing { log, incident, viewer, purpose } = *self;
        let label = Label::from_number(blob.label).map_or("unknown", Label::as_str);
        let view =
            View { time: utc(now_ms), log, incident, blob: hex(&blob.blob_id), label, viewer, purpose };
        append_line(&out.join(VIEWS), &view)
    }
}

/// Adds a line to a private file and waits until it lasts.
pub(super) fn append_line(path: &Path, line: &impl Serialize) -> Result<(), AuditError> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(unwritable(path.to_owned()))
}
