//! Records who opened what, and why: one line of JSON per opening, durable before the picture is written; on the
//! host, an entry of the log before that.
//!
//! ```text
//! {"time","log","incident","blob","label","viewer","purpose","entry"}      viewer = age recipient
//! entry 42: number of the purpose, picture, first 8 bytes of SHA-256(viewer)
//! ```
//! The file lies beside the opened pictures and proves nothing against its owner. It is the honest reviewer's own
//! record (PCI DSS 10.2.1.3 asks for one). The entry cannot be taken back; it holds no free text, since the log
//! outlives whatever a purpose may name.

use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sudare_evidence::log::Draft;
use sudare_protocol::cose::KeyId;
use sudare_protocol::evidence::event::View as Viewed;
use sudare_protocol::evidence::{BlobRef, Event, Label};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::utc::utc;

use super::files::append_line;
use crate::error::AuditError;
use crate::live_log::AuditWriter;

/// Name of the file of views, in the folder of the opened pictures.
pub const VIEWS: &str = "views.jsonl";

/// What is the same for all pictures of one review.
#[derive(Clone, Copy, Debug)]
pub struct Viewing<'a> {
    /// Origin of the log.
    pub log: &'a str,
    /// Incident in hex.
    pub incident: &'a str,
    /// The auditor's age recipient.
    pub viewer: &'a str,
    /// The purpose, in the auditor's words.
    pub purpose: &'a str,
    /// The purpose for the log, as a number whose meaning the organisation defines; 0 if there is none.
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
    /// Records that a picture is opened at `now_ms` (Unix time): in the log if a recorder is given, then in the folder
    /// `out`. If either fails, the picture must not be shown.
    pub fn record(
        &self,
        recorder: Option<&mut AuditWriter>,
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

/// How the log identifies a viewer: the first bytes of SHA-256 over the age recipient as text.
pub fn viewer_id(recipient: &str) -> KeyId {
    let mut id = KeyId::default();
    let digest: [u8; 32] = Sha256::digest(recipient).into();
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id
}
