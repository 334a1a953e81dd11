//! Which device had agreed to which notice, and when: from the handshakes that the log keeps.
//!
//! OPEN names the digest of the notice that was accepted on the device, under the device's signature; HELLO carries the
//! policy with the notice itself, under the organisation's. The walk checks both signatures.

use std::collections::BTreeMap;

use serde::Serialize;
use sudare_protocol::cose;
use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::hex::hex;
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::notice::Notice;
use sudare_protocol::records::Policy;

use crate::handshake;

/// What one device had agreed to in some of its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// The device's id, in hexadecimal.
    pub device: String,
    /// SHA-256 of the notice that was accepted, in hexadecimal; none where the policy carried none.
    pub notice_sha256: Option<String>,
    /// Whether this took consent back, instead of beginning a session.
    pub withdrawn: bool,
    /// The notice's version, for people.
    pub version: Option<u32>,
    /// Entries of the first and the last session, and their times by the host's clock.
    pub first_entry: u64,
    pub first_wall_ms: u64,
    pub last_entry: u64,
    pub last_wall_ms: u64,
    pub sessions: u64,
}

/// Collects consents from entries in log order.
#[derive(Debug, Default)]
pub struct Consents(BTreeMap<(Id, Option<Digest>, bool), Consent>);

impl Consents {
    /// Takes in one entry.
    pub fn add(&mut self, index: u64, entry: &Entry) {
        let Ok(Event::SessionStart(start)) = entry.event() else { return };
        let Some(open) = handshake::open(&start) else { return };
        // Only what the policy of that session asked for was asked of anybody.
        let notice = handshake::hello(&start).and_then(|hello| notice_of(&hello.policy));
        let agreed = notice.as_ref().filter(|notice| open.consent == Some(notice.digest()));
        let withdrawn = open.withdrawal.is_some();
        let of = (open.device_id, agreed.map(Notice::digest), withdrawn);
        let consent = self.0.entry(of).or_insert_with(|| Consent {
            device: hex(&open.device_id),
            withdrawn,
            notice_sha256: agreed.map(|notice| hex(&notice.digest())),
            version: agreed.map(|notice| notice.version),
            first_entry: index,
            first_wall_ms: entry.wall_ms,
            last_entry: index,
            last_wall_ms: entry.wall_ms,
            sessions: 0,
        });
        (consent.last_entry, consent.last_wall_ms) = (index, entry.wall_ms);
        consent.sessions += 1;
    }

    /// By device, in the order of their first sessions. `device` is the beginning of an id; empty means all.
    pub fn into_list(self, device: &str) -> Vec<Consent> {
        let device = device.trim().to_ascii_lowercase();
        let mut list: Vec<Consent> =
            self.0.into_values().filter(|consent| consent.device.starts_with(&device)).collect();
        list.sort_by(|a, b| (&a.device, a.first_entry).cmp(&(&b.device, b.first_entry)));
        list
    }
}

/// The notice in a signed policy, whose signature is checked elsewhere.
fn notice_of(policy: &[u8]) -> Option<Notice> {
    let payload = cose::unverified_payload(policy).ok()?;
    sudare_protocol::cbor::read::<Policy>(payload).ok()?.notice
}
