//! What the tests of several checks need.

use crate::evidence::{Entry, Event, VERSION};

/// The first entry of a log that nobody reported, at time 0, about nothing.
pub(super) fn entry(event: &Event) -> Entry {
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
