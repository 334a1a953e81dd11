//! State that both ends share after the handshake: the transcript and the two sequences.

use ed25519_dalek::{SigningKey, VerifyingKey};
use minicbor::Encode;
use sha2::{Digest as _, Sha256};

use crate::cose;
use crate::error::{Code, Refusal};
use crate::frame::frame;
use crate::message::{self, Id, encode, split};

/// `external_aad` of HELLO and OPEN, which come before there is a transcript.
pub const HELLO_CONTEXT: &[u8] = b"sudare/v1 hello";
pub const OPEN_CONTEXT: &[u8] = b"sudare/v1 open";
/// The first sequence number after the handshake (HELLO and OPEN carry 0).
const FIRST_SEQUENCE: u64 = 1;

/// SHA-256 over both signed handshake messages: the `external_aad` of everything later, so
/// that no message of one session means anything in another.
pub fn transcript(hello: &[u8], open: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"sudare/v1 transcript");
    for message in [hello, open] {
        hash.update((message.len() as u64).to_be_bytes());
        hash.update(message);
    }
    hash.finalize().into()
}

/// Makes an incident's id: eight fresh bytes, then the first eight of the session's id. An id from an earlier
/// session is therefore invalid in this one, and no incident can begin twice.
pub fn incident_id(session_id: &Id, fresh: Id) -> Id {
    let [f0, f1, f2, f3, f4, f5, f6, f7, ..] = fresh;
    let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = *session_id;
    [f0, f1, f2, f3, f4, f5, f6, f7, s0, s1, s2, s3, s4, s5, s6, s7]
}

/// Whether an incident's id was made in this session.
pub fn is_named_in(session_id: &Id, incident: Id) -> bool {
    incident_id(session_id, incident) == incident
}

/// The signed channel of one session: our key, the peer's key, and where both sequences are.
pub(crate) struct Sealer {
    ours: SigningKey,
    peer: VerifyingKey,
    transcript: [u8; 32],
    next_out: u64,
    next_in: u64,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sealer(out {}, in {})", self.next_out, self.next_in)
    }
}

impl Sealer {
    pub(crate) fn new(ours: SigningKey, peer: VerifyingKey, transcript: [u8; 32]) -> Self {
        Sealer { ours, peer, transcript, next_out: FIRST_SEQUENCE, next_in: FIRST_SEQUENCE }
    }

    pub(crate) fn transcript(&self) -> &[u8; 32] {
        &self.transcript
    }

    /// Signs and frames the next message of our direction.
    pub(crate) fn seal(&mut self, kind: u8, body: &impl Encode<()>) -> Result<Vec<u8>, Refusal> {
        let payload = encode(kind, self.next_out, body);
        self.next_out += 1;
        Ok(frame(&cose::sign1(&self.ours, &self.transcript, &payload))?)
    }

    /// Checks signature and order of the peer's next message; returns its type and body.
    pub(crate) fn open<'m>(&mut self, message: &'m [u8]) -> Result<(u8, &'m [u8]), Refusal> {
        let payload = cose::verify1(&self.peer, &self.transcript, message)?;
        let (kind, sequence, body) = split(payload)?;
        if sequence != self.next_in {
            return Err(Refusal::new(
                Code::Sequence,
                crate::error::Fault::Peer,
                format!("expected {}, got {sequence}", self.next_in),
            ));
        }
        self.next_in += 1;
        Ok((kind, body))
    }

    /// The ERROR message that tells the peer why we end.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) -> Option<Vec<u8>> {
        self.seal(message::kind::ERROR, &error_body(refusal)).ok()
    }
}

pub(crate) fn error_body(refusal: &Refusal) -> message::ErrorBody {
    message::ErrorBody {
        code: refusal.code.number(),
        fault: refusal.fault_number(),
        text: refusal.code.text().to_owned(),
    }
}

/// What an ERROR of the peer means to us.
pub(crate) fn peer_error(body: &message::ErrorBody) -> Refusal {
    let text = Code::from_number(body.code).map_or("an unknown error", Code::text);
    let fault = match body.fault {
        // The peer's "peer" is us.
        1 => crate::error::Fault::Us,
        2 => crate::error::Fault::Surroundings,
        3 => crate::error::Fault::Organisation,
        _ => crate::error::Fault::Peer,
    };
    Refusal::new(Code::PeerEnded, fault, format!("code {}: {text}", body.code))
}
