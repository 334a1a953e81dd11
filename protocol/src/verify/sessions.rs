//! Handshakes and client messages: each message is checked under its session's transcript.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::findings::{FindingKind, Findings};
use super::leaf::Depth;
use crate::cose::{self, CoseError};
use crate::evidence::event::SessionStart;
use crate::evidence::{Entry, Event, Id};
use crate::message::{self, Hello, Lock, Manifest, Open, kind};
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
    /// Of the messages in the log. They need not come in order: a manifest is logged when its
    /// pictures are there, after messages that were sent later.
    sequences: BTreeSet<u64>,
}

/// What a client said about an incident.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Lock(Lock),
    Manifest(Manifest),
}

impl Sessions {
    /// Checks one entry; gives what the client said about an incident in it, with a right signature.
    pub(super) fn check(
        &mut self,
        index: u64,
        entry: &Entry,
        event: &Event,
        host_key: Option<&VerifyingKey>,
        depth: Depth,
        findings: &mut Findings,
    ) -> Option<Said> {
        match event {
            Event::SessionStart(start) => {
                match begin(entry, start, host_key, depth) {
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
                match session.check(&body.message, depth) {
                    Ok(said) => said,
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
    depth: Depth,
) -> Result<(Id, Session), String> {
    let host_key = host_key.ok_or("the host key is not known")?;
    let hello = payload(host_key, HELLO_CONTEXT, &start.hello, depth).map_err(|e| format!("HELLO: {e}"))?;
    let device = VerifyingKey::from_bytes(&start.device_key).map_err(|_| "the device key is no key")?;
    let open = payload(&device, OPEN_CONTEXT, &start.open, depth).map_err(|e| format!("OPEN: {e}"))?;
    let hello: Hello = read(hello, kind::HELLO).ok_or("HELLO cannot be read")?;
    let open: Open = read(open, kind::OPEN).ok_or("OPEN cannot be read")?;
    if open.session_id != hello.session_id || entry.session_id != Some(hello.session_id) {
        return Err("HELLO, OPEN and the entry are of different sessions".to_owned());
    }
    // Each names its own boot: they are two machines.
    if open.policy_digest != <[u8; 32]>::from(Sha256::digest(&hello.policy)) {
        return Err("OPEN confirms another policy than HELLO has".to_owned());
    }
    let transcript = transcript(&start.hello, &start.open);
    Ok((hello.session_id, Session { device, transcript, sequences: BTreeSet::new() }))
}

fn payload<'m>(
    key: &VerifyingKey,
    context: &[u8],
    message: &'m [u8],
    depth: Depth,
) -> Result<&'m [u8], CoseError> {
    match depth {
        Depth::Signatures => cose::verify1(key, context, message),
        Depth::Hashes => cose::unverified_payload(message),
    }
}

fn read<'b, T: minicbor::Decode<'b, ()> + message::Bounded>(payload: &'b [u8], expected: u8) -> Option<T> {
    let (kind, _, body) = message::split(payload).ok()?;
    if kind == expected { message::body(body).ok() } else { None }
}

impl Session {
    fn check(&mut self, signed: &[u8], depth: Depth) -> Result<Option<Said>, (FindingKind, String)> {
        let payload = payload(&self.device, &self.transcript, signed, depth)
            .map_err(|e| (FindingKind::MessageSignature, e.to_string()))?;
        let (kind, sequence, _) = message::split(payload)
            .map_err(|_| (FindingKind::MessageSignature, "it is signed but no message".to_owned()))?;
        if !self.sequences.insert(sequence) {
            return Err((FindingKind::MessageRepeated, format!("number {sequence} of its session")));
        }
        Ok(match kind {
            kind::MANIFEST => {
                let unreadable = || (FindingKind::MessageSignature, "its manifest cannot be read".to_owned());
                Some(Said::Manifest(read(payload, kind).ok_or_else(unreadable)?))
            }
            kind::LOCK => read(payload, kind).map(Said::Lock),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{ClientMessage, SessionEnd};
    use crate::message::{CertificateCheck, Unlock};
    use crate::tlog::note::SigningKey;
    use crate::verify::testing;

    const SESSION: Id = [6; 16];

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn hello() -> Hello {
        Hello {
            versions: vec![1],
            host_nonce: [1; 32],
            session_id: SESSION,
            boot_id: [2; 16],
            host_record: vec![],
            policy: b"policy".to_vec(),
            tls_cert_sha256: [0; 32],
            tls_exporter: None,
            organisation: None,
            enrol_key: None,
            wall_ms: 0,
            credits: 1,
        }
    }

    fn open() -> Open {
        Open {
            version: 1,
            client_nonce: [3; 32],
            device_id: [4; 16],
            session_id: SESSION,
            boot_id: [2; 16],
            policy_digest: Sha256::digest(b"policy").into(),
            template_key: [5; 32],
            certificate: CertificateCheck::Same,
            software: "test".into(),
            models: vec![],
            wall_ms: 0,
            key_assurance: None,
            measures: None,
            enrolment: None,
            consent: None,
            withdrawal: None,
        }
    }

    fn start(hello: &Hello, open: &Open) -> SessionStart {
        let sign = |key: &SigningKey, context: &[u8], payload: Vec<u8>| cose::sign1(key, context, &payload);
        SessionStart {
            hello: sign(&key(2), HELLO_CONTEXT, message::encode(kind::HELLO, 0, hello)),
            open: sign(&key(3), OPEN_CONTEXT, message::encode(kind::OPEN, 0, open)),
            device_key: key(3).verifying_key().to_bytes(),
            device_record_sha256: [0; 32],
            subject_id: None,
        }
    }

    /// Names of the findings about these events of one session.
    fn check(events: Vec<Event>) -> Vec<&'static str> {
        let (mut sessions, mut findings) = (Sessions::default(), Findings::default());
        for (event, seq) in events.into_iter().zip(0..) {
            let entry = Entry { seq, session_id: Some(SESSION), ..testing::entry(&event) };
            let host = key(2).verifying_key();
            sessions.check(seq, &entry, &event, Some(&host), Depth::Signatures, &mut findings);
        }
        findings.list().iter().map(|finding| finding.kind.as_str()).collect()
    }

    fn message(device: u8, start: &SessionStart, sequence: u64) -> Event {
        let payload = message::encode(kind::UNLOCK, sequence, &Unlock { boot_ms: 1 });
        let message = cose::sign1(&key(device), &transcript(&start.hello, &start.open), &payload);
        Event::ClientMessage(ClientMessage { message })
    }

    #[test]
    fn messages_of_a_sound_session_are_accepted_in_any_order_but_once() {
        let start = start(&hello(), &open());
        let begin = Event::SessionStart(start.clone());
        let (first, second) = (message(3, &start, 1), message(3, &start, 2));
        assert!(check(vec![begin.clone(), second, first.clone()]).is_empty());
        assert_eq!(check(vec![begin, first.clone(), first]), ["message-repeated"]);
    }

    #[test]
    fn messages_of_another_device_session_or_none_are_refused() {
        let ours = start(&hello(), &open());
        let begin = Event::SessionStart(ours.clone());
        assert_eq!(check(vec![begin.clone(), message(4, &ours, 1)]), ["message-signature"]);
        let other = start(&Hello { host_nonce: [9; 32], ..hello() }, &open());
        assert_eq!(check(vec![begin.clone(), message(3, &other, 1)]), ["message-signature"]);
        assert_eq!(check(vec![message(3, &ours, 1)]), ["session-unknown"]);
        let end = Event::SessionEnd(SessionEnd { boot_ms: 1 });
        assert_eq!(check(vec![begin, end, message(3, &ours, 1)]), ["session-unknown"]);
    }

    #[test]
    fn a_handshake_that_does_not_fit_together_is_refused() {
        let refused = |start: SessionStart| check(vec![Event::SessionStart(start)]) == ["session-handshake"];
        assert!(!refused(start(&hello(), &open())));
        assert!(refused(start(&Hello { session_id: [7; 16], ..hello() }, &open())));
        assert!(refused(start(&Hello { policy: b"other".to_vec(), ..hello() }, &open())));
        let elsewhere = Open { boot_id: [8; 16], ..open() };
        assert!(!refused(start(&hello(), &elsewhere)), "two machines boot on their own");
        assert!(refused(SessionStart {
            device_key: key(4).verifying_key().to_bytes(),
            ..start(&hello(), &open())
        }));
        let mut foreign = start(&hello(), &open());
        foreign.hello = cose::sign1(&key(9), HELLO_CONTEXT, &message::encode(kind::HELLO, 0, &hello()));
        assert!(refused(foreign));
    }
}
