//! What entries cost, and which device they are charged to. Pure.
//!
//! Entries are never refused: whatever happened is recorded. They use up the device's daily quota, so that a device
//! which produces entries without end soon cannot store pictures either, and its sessions are covered.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_evidence::report::wire::NewEntry;
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::{VerifyingKey, keyfile};

/// An entry without its body: signature, position, time, and its share of the tree.
const ENTRY_BYTES: u64 = 512;
/// A picture's description within an entry.
const BLOB_BYTES: u64 = 192;
/// The small file that remembers a complete incident: one disk block.
const COMPLETED_BYTES: u64 = 4 * 1024;
/// Open sessions of one guard; the embedded host is one guard for all of its sessions.
const SESSIONS_MAX: usize = 2_048;

/// The device of each open session, learnt from the entry that begins it.
#[derive(Debug, Default, Clone)]
pub(super) struct Accounting {
    devices: BTreeMap<Id, Id>,
}

impl Accounting {
    /// What these entries cost each device.
    pub(super) fn bill(&mut self, entries: &[NewEntry]) -> BTreeMap<Id, u64> {
        let mut bill = BTreeMap::new();
        for entry in entries {
            let Some(session_id) = entry.session_id else { continue };
            let event = Event::decode(entry.kind, &entry.body).ok();
            if let Some(Event::SessionStart(start)) = &event
                && let Ok(key) = VerifyingKey::from_bytes(&start.device_key)
            {
                while self.devices.len() >= SESSIONS_MAX {
                    self.devices.pop_first();
                }
                self.devices.insert(session_id, keyfile::device_id(&key));
            }
            if let Some(device) = self.devices.get(&session_id) {
                let owed: &mut u64 = bill.entry(*device).or_default();
                *owed = owed.saturating_add(cost(entry, event.as_ref()));
            }
            if let Some(Event::SessionEnd(_)) = event {
                self.devices.remove(&session_id);
            }
        }
        bill
    }
}

fn cost(entry: &NewEntry, event: Option<&Event>) -> u64 {
    let file = if let Some(Event::IncidentComplete(_)) = event { COMPLETED_BYTES } else { 0 };
    ENTRY_BYTES + entry.body.len() as u64 + entry.blobs.len() as u64 * BLOB_BYTES + file
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sudare_protocol::SigningKey;
    use sudare_protocol::evidence::event::{ClientMessage, SessionEnd, SessionStart};

    pub(crate) fn device() -> Id {
        keyfile::device_id(&SigningKey::from_bytes(&[7; 32]).verifying_key())
    }

    fn of_session(session_id: Id, event: &Event) -> NewEntry {
        let (kind, body) = event.encode();
        NewEntry { session_id: Some(session_id), incident_id: None, reason: None, blobs: vec![], kind, body }
    }

    pub(crate) fn start(session_id: Id) -> NewEntry {
        let start = SessionStart {
            hello: vec![],
            open: vec![],
            device_key: SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes(),
            device_record_sha256: [0; 32],
            subject_id: None,
        };
        of_session(session_id, &Event::SessionStart(start))
    }

    pub(crate) fn message(session_id: Id, bytes: usize) -> NewEntry {
        of_session(session_id, &Event::ClientMessage(ClientMessage { message: vec![0; bytes] }))
    }

    #[test]
    fn entries_are_counted_for_the_device_of_their_session_until_it_ends() {
        let mut accounting = Accounting::default();
        assert!(accounting.bill(&[message([1; 16], 900)]).is_empty(), "nobody knows whose it is");
        accounting.bill(&[start([1; 16])]);
        let bill = accounting.bill(&[message([1; 16], 900), message([1; 16], 900), message([2; 16], 900)]);
        assert_eq!(bill.keys().collect::<Vec<_>>(), [&device()]);
        assert!((2 * 1_400..2 * 1_500).contains(&bill[&device()]), "{bill:?}");
        let end = of_session([1; 16], &Event::SessionEnd(SessionEnd { boot_ms: 1 }));
        assert!(accounting.bill(&[end])[&device()] > 0);
        assert!(accounting.bill(&[message([1; 16], 900)]).is_empty());
    }

    #[test]
    fn sessions_without_end_fill_no_memory() {
        let mut accounting = Accounting::default();
        for n in 0..3_000_u128 {
            accounting.bill(&[start(n.to_be_bytes())]);
        }
        assert_eq!(accounting.devices.len(), SESSIONS_MAX);
    }
}
