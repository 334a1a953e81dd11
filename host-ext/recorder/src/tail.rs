//! The end of the log, read at the start: the last entry of each source, and which incidents are complete.

use std::collections::BTreeMap;
use std::path::Path;

use sudare_evidence::store::{StoreError, disk};
use sudare_protocol::cose;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::message::{self, Manifest, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES};

use crate::metrics::Sessions;

/// Entries that are read. A report that was never answered is in the last batch, which is smaller, and a power cut takes
/// only files about incidents of the last seconds.
pub(super) const ENTRIES: u64 = 4096;

/// The last entry of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) serial: u64,
    pub(super) leaf_index: u64,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) sources: BTreeMap<Id, Last>,
    pub(super) completed: BTreeMap<Id, u64>,
    /// Sessions whose end it does not tell.
    pub(super) sessions: Sessions,
    /// The manifest read last, and the entry it came in.
    announced: Option<Announced>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Announced {
    source: Id,
    serial: u64,
    incident_id: Id,
}

/// Reads the last bundles of a log with `size` entries, all under its checkpoint.
pub(super) fn read(store: &Path, size: u64) -> Result<Tail, StoreError> {
    let mut tail = Tail::default();
    for path in tiles::bundles_from(size.saturating_sub(ENTRIES), size) {
        let file = store.join(path.to_string());
        let bundle =
            disk::read_bounded(&file, MAX_BUNDLE_BYTES).map_err(|e| StoreError::io(&file, "read", e))?;
        for leaf in tiles::leaves(path, &bundle) {
            let (_, leaf) =
                leaf.map_err(|error| StoreError::damaged(format_args!("{}: {error}", file.display())))?;
            // The recorder wrote it, and opening the log compared it with the signed root.
            tail.note(&Entry::open_unverified(leaf)?);
        }
    }
    Ok(tail)
}

impl Tail {
    fn note(&mut self, entry: &Entry) {
        if let (Some(source), Some(serial)) = (entry.source, entry.serial) {
            self.sources.insert(source, Last { serial, leaf_index: entry.seq });
        }
        let event = entry.event();
        if let (Some(source), Some(session_id), Ok(event)) = (entry.source, entry.session_id, &event) {
            let reason = entry.reason.and_then(Reason::from_number);
            self.sessions.note(source, session_id, reason, event);
        }
        match event {
            Ok(Event::ClientMessage(client)) => self.announced = announced(entry, &client.message),
            Ok(Event::IncidentComplete(_)) => self.complete(entry),
            _ => {}
        }
    }

    /// Only a completion right after the client's manifest says that the client's pictures are stored. One that a guard
    /// wrote at the end of a session is about its own screenshots: the client may still bring what it has.
    fn complete(&mut self, entry: &Entry) {
        let next = |last: &Announced| {
            (Some(last.source), Some(last.serial.saturating_add(1))) == (entry.source, entry.serial)
        };
        // By the client's own id, which is the one it asks by.
        if let Some(announced) = self.announced.take_if(|last| next(last)) {
            self.completed.insert(announced.incident_id, entry.seq);
        }
    }
}

fn announced(entry: &Entry, message: &[u8]) -> Option<Announced> {
    let (source, serial) = (entry.source?, entry.serial?);
    let (what, _, body) = message::split(cose::unverified_payload(message).ok()?).ok()?;
    let manifest: Manifest = (what == kind::MANIFEST).then(|| message::body(body).ok()).flatten()?;
    Some(Announced { source, serial, incident_id: manifest.incident_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_protocol::evidence::VERSION;
    use sudare_protocol::evidence::event::{ClientMessage, IncidentComplete};

    fn entry(seq: u64, incident: u8, event: &Event) -> Entry {
        let (kind, body) = event.encode();
        Entry {
            version: VERSION,
            seq,
            wall_ms: 0,
            boot_ms: 0,
            boot_id: [0; 16],
            session_id: None,
            incident_id: Some([incident; 16]),
            kind,
            reason: None,
            blobs: vec![],
            body,
            source: Some([1; 16]),
            serial: Some(seq),
        }
    }

    fn closed(seq: u64, incident: u8, missing: u16) -> Entry {
        entry(seq, incident, &Event::IncidentComplete(IncidentComplete { missing }))
    }

    fn completed(entries: &[Entry]) -> Vec<(u8, u64)> {
        let mut tail = Tail::default();
        entries.iter().for_each(|entry| tail.note(entry));
        tail.completed.iter().map(|(id, leaf)| (id[0], *leaf)).collect()
    }

    #[test]
    fn only_the_clients_pictures_complete_an_incident() {
        assert_eq!(completed(&[closed(1, 7, 3)]), []);
        assert_eq!(
            completed(&[closed(1, 7, 0)]),
            [],
            "the session ended before the client sent its pictures"
        );
        assert_eq!(completed(&[manifest(1, 7, 9), closed(2, 7, 0)]), [(9, 2)], "by the client's id");
        assert_eq!(completed(&[manifest(1, 7, 9), closed(2, 7, 1)]), [(9, 2)], "a screenshot is missing");
        assert_eq!(completed(&[manifest(1, 7, 9), closed(3, 7, 0)]), [], "another report came between");
        assert_eq!(completed(&[manifest(1, 7, 9), closed(2, 7, 0), closed(3, 8, 0)]), [(9, 2)]);
    }

    /// A client's manifest under its own id of the incident.
    fn manifest(seq: u64, incident: u8, of_client: u8) -> Entry {
        let message = crate::tests::manifest_message(of_client);
        entry(seq, incident, &Event::ClientMessage(ClientMessage { message }))
    }
}
