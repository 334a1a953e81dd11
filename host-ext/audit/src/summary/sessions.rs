//! The sessions of an incident: their verified handshakes, and the client messages signed within them.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::event::SessionStart;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::message::{Hello, Manifest, Open, kind};
use sudare_protocol::records::{HostRecord, Policy, Record};
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT, transcript};
use sudare_protocol::{VerifyingKey, cbor, cose};

use crate::handshake::read;

/// What the signed messages say.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    host_key: Option<VerifyingKey>,
    by_id: BTreeMap<Id, Session>,
    /// The last manifest of the incident.
    pub(crate) manifest: Option<Manifest>,
    /// Number of client messages whose signature is right.
    pub(crate) messages: usize,
}

/// One handshake.
#[derive(Debug)]
pub(crate) struct Session {
    device: VerifyingKey,
    transcript: [u8; 32],
    pub(crate) hello: Hello,
    pub(crate) open: Open,
    /// Random id of the user.
    pub(crate) subject_id: Option<Id>,
}

impl Sessions {
    /// Verifies the next entry, in log order.
    pub(crate) fn add(&mut self, entry: &Entry, event: &Event, log_key: &VerifyingKey) -> Result<(), String> {
        match event {
            Event::LogStart(start) if start.log_key != log_key.to_bytes() => {
                Err("the first entry starts a log with another key".to_owned())
            }
            Event::LogStart(start) => self.set_host_key(&start.host_key),
            Event::HostKeyChange(change) => self.set_host_key(&change.host_key),
            Event::SessionStart(start) => {
                let session = self.begin(entry, start)?;
                self.by_id.insert(session.hello.session_id, session);
                Ok(())
            }
            Event::ClientMessage(body) => {
                let session = entry.session_id.and_then(|id| self.by_id.get(&id));
                let session = session.ok_or("a client message without its handshake")?;
                let payload = cose::verify1(&session.device, &session.transcript, &body.message);
                let payload = payload.map_err(|error| format!("the client's message: {error}"))?;
                self.messages += 1;
                if let Some(manifest) = read::<Manifest>(payload, kind::MANIFEST)
                    && Some(manifest.incident_id) == entry.incident_id
                {
                    self.manifest = Some(manifest);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A verified session.
    pub(crate) fn get(&self, id: Option<Id>) -> Option<&Session> {
        id.and_then(|id| self.by_id.get(&id))
    }

    /// Number of handshakes.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn set_host_key(&mut self, bytes: &[u8; 32]) -> Result<(), String> {
        let key =
            VerifyingKey::from_bytes(bytes).map_err(|_| "its host key is not a valid key".to_owned())?;
        self.host_key = Some(key);
        Ok(())
    }

    fn begin(&self, entry: &Entry, start: &SessionStart) -> Result<Session, String> {
        let host_key = self.host_key.as_ref().ok_or("the host key is unknown: entry 0 is missing")?;
        let device =
            VerifyingKey::from_bytes(&start.device_key).map_err(|_| "its device key is not a valid key")?;
        let hello =
            cose::verify1(host_key, HELLO_CONTEXT, &start.hello).map_err(|e| format!("HELLO: {e}"))?;
        let open = cose::verify1(&device, OPEN_CONTEXT, &start.open).map_err(|e| format!("OPEN: {e}"))?;
        let hello: Hello = read(hello, kind::HELLO).ok_or("HELLO cannot be read")?;
        let open: Open = read(open, kind::OPEN).ok_or("OPEN cannot be read")?;
        let same_session = open.session_id == hello.session_id && entry.session_id == Some(hello.session_id);
        if !same_session || open.policy_digest != <[u8; 32]>::from(Sha256::digest(&hello.policy)) {
            return Err("the two halves of the handshake do not belong together".to_owned());
        }
        let transcript = transcript(&start.hello, &start.open);
        Ok(Session { device, transcript, hello, open, subject_id: start.subject_id })
    }
}

impl Session {
    /// Organisation and serial number of the policy. The organisation's signature is not verified here: the device
    /// verified it, and so can anybody who has the organisation's public key.
    pub(crate) fn policy(&self) -> Option<(String, u64)> {
        record::<Policy>(&self.hello.policy).map(|policy| (policy.organisation, policy.serial))
    }

    /// Name of the host.
    pub(crate) fn host_id(&self) -> Option<String> {
        record::<HostRecord>(&self.hello.host_record).map(|record| record.host_id)
    }
}

fn record<R: Record>(signed: &[u8]) -> Option<R> {
    cbor::read(cose::unverified_payload(signed).ok()?).ok()
}
