//! Handshakes and client messages: each message is checked under its session's transcript.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::findings::{FindingKind, Findings};
use crate::cose;
use crate::evidence::event::SessionStart;
use crate::evidence::{Entry, Event, Id};
use crate::message::{self, Hello, Manifest, Open, kind};
use crate::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use crate::tlog::note::VerifyingKey;

/// Sessions that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: BTreeMap<Id, Session>,
}

#[derive(Debug)]
struct Session {
    device: VerifyingKey,
    transcript: [u8; 32],
    last_sequence: u64,
}

impl Sessions {
    /// Checks one entry; gives the manifest if the entry carries one with a right signature.
    pub(super) fn check(
        &mut self,
        index: u64,
        entry: &Entry,
        event: &Event,
        host_key: Option<&VerifyingKey>,
        findings: &mut Findings,
    ) -> Option<Manifest> {
        match event {
            Event::SessionStart(start) => {
                match begin(entry, start, host_key) {
                    Ok((session_id, session)) => drop(self.open.insert(session_id, session)),
                    Err(detail) => findings.add(FindingKind::SessionHandshake, Some(index), detail),
                }
                None
            }
            Event::SessionEnd(_) => {
                entry.session_id.and_then(|session_id| self.open.remove(&session_id));
                None
            }
            Event::ClientMessage(body) => {
                let session = entry.session_id.and_then(|session_id| self.open.get_mut(&session_id));
                let Some(session) = session else {
                    findings.add(FindingKind::SessionUnknown, Some(index), "no session-start before it");
                    return None;
                };
                match session.check(&body.message) {
                    Ok(manifest) => manifest,
                    Err((kind, detail)) => {
                        findings.add(kind, Some(index), detail);
                        None
                    }
                }
            }
            _ => None,
        }
    }
}

/// Checks both handshake messages and what they must have in common.
fn begin(
    entry: &Entry,
    start: &SessionStart,
    host_key: Option<&VerifyingKey>,
) -> Result<(Id, Session), String> {
    let host_key = host_key.ok_or("the host key is not known")?;
    let hello = cose::verify1(host_key, HELLO_CONTEXT, &start.hello).map_err(|e| format!("HELLO: {e}"))?;
    let device = VerifyingKey::from_bytes(&start.device_key).map_err(|_| "the device key is no key")?;
    let open = cose::verify1(&device, OPEN_CONTEXT, &start.open).map_err(|e| format!("OPEN: {e}"))?;
    let hello: Hello = read(hello, kind::HELLO).ok_or("HELLO cannot be read")?;
    let open: Open = read(open, kind::OPEN).ok_or("OPEN cannot be read")?;
    if open.session_id != hello.session_id || entry.session_id != Some(hello.session_id) {
        return Err("HELLO, OPEN and the entry are of different sessions".to_owned());
    }
    if open.boot_id != hello.boot_id || open.policy_digest != <[u8; 32]>::from(Sha256::digest(&hello.policy))
    {
        return Err("OPEN confirms another boot or another policy than HELLO has".to_owned());
    }
    let transcript = transcript(&start.hello, &start.open);
    Ok((hello.session_id, Session { device, transcript, last_sequence: 0 }))
}

fn read<'b, T: minicbor::Decode<'b, ()> + message::Bounded>(payload: &'b [u8], expected: u8) -> Option<T> {
    let (kind, _, body) = message::split(payload).ok()?;
    if kind == expected { message::body(body).ok() } else { None }
}

impl Session {
    fn check(&mut self, signed: &[u8]) -> Result<Option<Manifest>, (FindingKind, String)> {
        let payload = cose::verify1(&self.device, &self.transcript, signed)
            .map_err(|e| (FindingKind::MessageSignature, e.to_string()))?;
        let (kind, sequence, _) = message::split(payload)
            .map_err(|_| (FindingKind::MessageSignature, "it is signed but no message".to_owned()))?;
        if sequence <= self.last_sequence {
            let detail = format!("number {sequence} after {}", self.last_sequence);
            return Err((FindingKind::MessageOrder, detail));
        }
        self.last_sequence = sequence;
        if kind != kind::MANIFEST {
            return Ok(None);
        }
        let manifest = read(payload, kind::MANIFEST);
        manifest.map(Some).ok_or((FindingKind::MessageSignature, "its manifest cannot be read".to_owned()))
    }
}
