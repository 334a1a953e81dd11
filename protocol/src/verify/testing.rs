//! What the tests of several checks need.

use crate::evidence::{BlobRef, Entry, Event, Label, VERSION};

/// The first entry of a log that nobody reported, at time 0, about nothing.
pub(crate) fn entry(event: &Event) -> Entry {
    let (kind, body) = event.encode();
    Entry {
        version: VERSION,
        seq: 0,
        wall_ms: 0,
        boot_ms: 0,
        boot_id: [0; 16],
        session_id: None,
        incident_id: None,
        kind,
        reason: None,
        blobs: vec![],
        body,
        source: None,
        serial: None,
    }
}

/// A small picture, identified by a number.
pub(crate) fn blob(n: u8, label: Label) -> BlobRef {
    BlobRef {
        blob_id: [n; 16],
        label: label.number(),
        media: 0,
        sha256: [n; 32],
        size: 1,
        commitment: [n; 32],
        header_size: None,
    }
}
