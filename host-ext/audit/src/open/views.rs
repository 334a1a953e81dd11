//! Who opened what, and why: one JSON line per opening, written and synced before the picture is; and on the
//! host, an entry of the log before that.
//!
//! ```text
//! {"time","log","incident","blob","label","viewer","purpose","entry"}      viewer = age recipient
//! entry 42: number of the purpose, picture, first 8 bytes of SHA-256(viewer)
//! ```
//! The file lies beside the opened pictures and proves nothing against its owner. It is there for the
//! honest reviewer's record (PCI DSS 10.2.1.3 asks for one). The entry cannot be taken back; it holds no
//! words, since the log outlives whatever a purpose may name.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::log::Draft;
use sudare_protocol::cose::KeyId;
use sudare_protocol::evidence::event::View as Viewed;
use sudare_protocol::evidence::{BlobRef, Event, Label};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::utc::utc;

use super::unwritable;
use crate::error::AuditError;
use crate::live_log::Tender;

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
    /// The same as a number that the organisation gives a meaning, for the log; 0 for none.
    pub purpose_code: u16,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
}

impl Viewing<'_> {
    /// Records that a picture is opened at `now_ms` (Unix time): in the log if there is a recorder, then in
    /// the folder `out`. If either fails, the picture must not be shown.
    pub fn record(
        &self,
        recorder: Option<&mut Tender>,
        out: &Path,
        blob: &BlobRef,
        now_ms: u64,
    ) -> Result<(), AuditError> {
        let entry = recorder.map(|recorder| recorder.record(vec![self.draft(blob)])).transpose();
        let entry = entry.map_err(|error| AuditError::Unrecorded(Box::new(error)))?;
        let Viewing { log, incident, viewer, purpose, .. } = *self;
        let label = Label::from_number(blob.label).map_or("unknown", Label::as_str);
        let (time, blob) = (utc(now_ms), hex(&blob.blob_id));
        append_line(&out.join(VIEWS), &View { time, log, incident, blob, label, viewer, purpose, entry })
    }

    fn draft(&self, blob: &BlobRef) -> Draft {
        let viewer = viewer_id(self.viewer);
        let event = Event::View(Viewed { purpose: self.purpose_code, blob_id: blob.blob_id, viewer });
        Draft { incident_id: unhex(self.incident), ..Draft::of(event) }
    }
}

/// What stands for a viewer in the log: the first bytes of SHA-256 over the age recipient as text.
pub fn viewer_id(recipient: &str) -> KeyId {
    let mut id = KeyId::default();
    let digest: [u8; 32] = Sha256::digest(recipient).into();
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id
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
