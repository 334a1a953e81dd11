//! The messages, their numbers and fields. docs/protocol.md lists them as tables.
//!
//! A message is `[type, sequence, body]` in CBOR inside a COSE_Sign1. Bodies are maps with
//! integer keys: a reader skips keys it does not know, so fields may be added. A type below
//! 0x80 that a reader does not know ends the connection; from 0x80 on it is skipped.

mod claims;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Decoder, Encode};

use crate::cbor;
use crate::error::{Code, Refusal};
use crate::limits::{
    CHUNK_BYTES, ENROL_MAX_BYTES, ENROLMENT_MAX_BYTES, INCIDENT_MAX_BYTES, MODELS_MAX, PIECE_MAX_BYTES,
    PIECES_MAX, RECORD_MAX_BYTES, TEXT_MAX_BYTES, WITHDRAWAL_MAX_BYTES,
};
use crate::reason::{Reason, State};
use crate::text::is_plain;

pub use claims::{CameraKind, KeyKept};

/// The only version so far. HELLO lists what the host speaks, OPEN names the one chosen.
pub const VERSION: u16 = 1;
/// Types from here on may be skipped by a reader that does not know them.
pub const TYPE_OPTIONAL: u8 = 0x80;

pub type Id = [u8; 16];
pub type Digest = [u8; 32];

macro_rules! types {
    ($($name:ident = $n:literal $sender:literal;)*) => {
        /// Message types; `sender` is who may send each.
        pub mod kind { $(pub const $name: u8 = $n;)* }
        /// (name, number, sender), for documents and their test.
        pub const KINDS: &[(&str, u8, &str)] = &[$((stringify!($name), $n, $sender),)*];
    };
}
types! {
    HELLO = 0x01 "host";
    READY = 0x02 "host";
    CHALLENGE = 0x03 "host";
    STATUS = 0x04 "host";
    ACK = 0x05 "host";
    CREDIT = 0x06 "host";
    WITHDRAWN = 0x07 "host";
    OPEN = 0x11 "client";
    ATTEST = 0x12 "client";
    SUSPECT = 0x13 "client";
    LOCK = 0x14 "client";
    UNLOCK = 0x15 "client";
    MANIFEST = 0x16 "client";
    BYE = 0x17 "client";
    ENROL = 0x18 "client";
    ERROR = 0x21 "both";
    LIGHT = 0x81 "host";
    LIT = 0x91 "client";
}

/// Host's first message: who it is, by which policy, and a nonce.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    #[n(0)]
    pub versions: Vec<u16>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub host_nonce: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub session_id: Id,
    /// Changes when the host's CLOCK_BOOTTIME starts again.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub boot_id: Id,
    /// The signed `HostRecord`.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub host_record: Vec<u8>,
    /// The signed `Policy`.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub policy: Vec<u8>,
    /// SHA-256 of the DER certificate that the host's RDP server shows.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub tls_cert_sha256: Digest,
    #[n(7)]
    pub wall_ms: u64,
    #[n(8)]
    pub credits: u32,
    /// Of the TLS session in which the host sends its pixels, where the host itself ends it: 32 bytes that only the two
    /// ends of that session can know (RFC 5705, [`TLS_EXPORTER_LABEL`], no context).
    #[cbor(n(9), with = "minicbor::bytes")]
    pub tls_exporter: Option<Digest>,
    /// The organisation's key, for a device that is about to pin it. Whoever has pinned one believes that.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub organisation: Option<[u8; 32]>,
    /// X25519 public key of this connection, to which a template that enrols is sealed.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub enrol_key: Option<[u8; 32]>,
}

/// What HELLO's `tls_exporter` is derived under.
pub const TLS_EXPORTER_LABEL: &str = "EXPORTER-sudare";

/// Whether the client could compare the RDP connection's certificate with HELLO's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CertificateCheck {
    #[n(0)]
    NotPossible,
    #[n(1)]
    Same,
}

/// Client's answer: who it is, and that it saw the same HELLO and policy.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Open {
    #[n(0)]
    pub version: u16,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub client_nonce: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    pub device_id: Id,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub session_id: Id,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub boot_id: Id,
    #[cbor(n(5), with = "minicbor::bytes")]
    pub policy_digest: Digest,
    /// X25519 public key of this connection, to which templates are sealed.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub template_key: [u8; 32],
    #[n(7)]
    pub certificate: CertificateCheck,
    #[n(8)]
    pub software: String,
    /// SHA-256 of each model in use.
    #[n(9)]
    pub models: Vec<ByteVec>,
    #[n(10)]
    pub wall_ms: u64,
    /// How the device key is kept: a number of [`KeyKept`].
    #[n(11)]
    pub key_assurance: Option<u8>,
    /// Which checks of liveness it can measure: bits of `light`.
    #[n(12)]
    pub measures: Option<u8>,
    /// By which invitation the device wants to be let in: a signed `Enrolment`. ENROL follows.
    #[cbor(n(13), with = "minicbor::bytes")]
    pub enrolment: Option<Vec<u8>>,
    /// Digest of the notice that was accepted on this device, of those that the policy may carry.
    #[cbor(n(14), with = "minicbor::bytes")]
    pub consent: Option<Digest>,
    /// Takes consent back: a signed `Withdrawal`. WITHDRAWN follows, and no session.
    #[cbor(n(15), with = "minicbor::bytes")]
    pub withdrawal: Option<Vec<u8>>,
}

/// What the device brings when it is let in, once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrol {
    /// An operator's template, sealed to HELLO's `enrol_key`; empty where the policy compares nobody.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub template: Vec<u8>,
}

/// In the place of READY: the host has acted on a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdrawn {
    /// The signed `Receipt`.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
}

/// The handshake is complete: operators of this seat, sealed to the connection.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ready {
    #[n(0)]
    pub templates: Vec<ByteVec>,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub nonce: Id,
    /// For whom the device is enrolled.
    #[n(2)]
    pub user: Option<String>,
    /// Which group of the policy applies; absent: none does.
    #[n(3)]
    pub group: Option<String>,
}

/// A fresh nonce to echo.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenge {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: Id,
}

/// What the client sees, how old it is, and the host's latest nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attest {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: Id,
    #[n(1)]
    pub state: State,
    /// Whether the client's own decision is to cover.
    #[n(2)]
    pub cover: bool,
    #[n(3)]
    pub reason: Reason,
    /// Since the operator was last recognised; `u64::MAX` = never.
    #[n(4)]
    pub operator_confirmed_age_ms: u64,
    /// Exposure to faces that are not the operator (dwell weighted by facing and distance); 0 = alone.
    #[n(5)]
    pub not_alone_ms: u64,
    /// How much of the undecided budget is used up.
    #[n(6)]
    pub undecided_ms: u64,
    /// How long the view has been unbroken `clear`; 0 = it is not.
    #[n(7)]
    pub clear_ms: u64,
    /// Age of the newest camera picture.
    #[n(8)]
    pub frame_age_ms: u64,
    /// Client's CLOCK_BOOTTIME.
    #[n(9)]
    pub boot_ms: u64,
    /// Reserved, as the next two: written as absent, skipped by readers that do not know them.
    #[n(10)]
    pub dwell_ms: Option<u64>,
    #[n(11)]
    pub distance_band: Option<u8>,
    #[n(12)]
    pub facing: Option<u8>,
    /// Whether a phone is in view; absent: nobody looks for phones.
    #[n(13)]
    pub phone: Option<bool>,
    /// What looked whether the operator's face is a living one: 0 nothing, 1 passive cues. Whoever is denied is in
    /// state spoof.
    #[n(14)]
    pub assurance: Option<u8>,
    #[n(15)]
    pub suspect: Option<bool>,
    /// Whether the operator's face was compared; absent in older clients, which always do.
    #[n(16)]
    pub recognised: Option<bool>,
    /// Whether the operator asks for a cover at this moment, whatever else is seen.
    #[n(17)]
    pub asked: Option<bool>,
}

/// Someone else came into view (or left again): the host takes a screenshot into memory (or drops it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Suspect {
    #[n(0)]
    pub active: bool,
    #[n(1)]
    pub state: State,
    #[n(2)]
    pub boot_ms: u64,
}

/// Cover now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lock {
    #[n(0)]
    pub reason: Reason,
    /// Chosen by the client, so that pictures can be bound to it before the host answers.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub incident_id: Id,
    #[n(2)]
    pub boot_ms: u64,
}

/// The client's own lock has ended; the host decides whether to show the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Unlock {
    #[n(0)]
    pub boot_ms: u64,
}

/// What the host does with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Shown {
    /// The cover was confirmed: the black frame was written, or its pixels were read back.
    #[n(0)]
    Covered,
    #[n(1)]
    Visible,
}

/// Sent after each change has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Status {
    #[n(0)]
    pub shown: Shown,
    #[n(1)]
    pub reason: Reason,
    #[n(2)]
    pub boot_ms: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub incident_id: Option<Id>,
}

/// When a picture was taken, seen from the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Moment {
    #[n(0)]
    Before,
    #[n(1)]
    At,
    #[n(2)]
    After,
}

/// One sealed picture of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Piece {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub blob_id: Id,
    #[n(1)]
    pub moment: Moment,
    /// Bytes of ciphertext.
    #[n(2)]
    pub size: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sha256: Digest,
    /// SHA-256(picture || salt), see `seal`.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub commitment: Digest,
    /// SHA-256 of each chunk, `CHUNK_BYTES` each but the last.
    #[n(5)]
    pub chunks: Vec<ByteVec>,
    #[n(6)]
    pub boot_ms: u64,
    /// 0 = image/jpeg, 1 = image/png.
    #[n(7)]
    pub media: u8,
    /// Bytes of the first part, where it is not the age header itself but that header sealed to the custodian.
    #[n(8)]
    pub header_size: Option<u32>,
    /// Whether all faces but the operator's and the intruder's are pixelated; absent is false.
    #[n(9)]
    pub pixelated: Option<bool>,
}

/// Announces the pictures of one incident; sent before the first chunk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Manifest {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub incident_id: Id,
    #[n(1)]
    pub reason: Reason,
    #[n(2)]
    pub pieces: Vec<Piece>,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub policy_digest: Digest,
    #[n(4)]
    pub decided_boot_ms: u64,
    #[n(5)]
    pub wall_ms: u64,
    /// Cosine of the intruder with the nearest operator, in thousandths; absent without an intruder.
    #[n(6)]
    pub cosine_milli: Option<i32>,
    /// What the decision was made from.
    #[n(7)]
    pub basis: Option<Basis>,
}

/// What a decision was made from, and how far each part of it can be trusted (its assurance class). It is here
/// and not only in OPEN, because an incident may be sent in a later session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Basis {
    /// Cosines in thousandths: from `operator_min` on a face is the operator's, from `same_person_min` on it
    /// stays so, below `stranger_max` it is a stranger's.
    #[n(0)]
    pub operator_min_milli: i32,
    #[n(1)]
    pub same_person_min_milli: i32,
    #[n(2)]
    pub stranger_max_milli: i32,
    /// As in the attestation at that moment.
    #[n(3)]
    pub not_alone_ms: u64,
    #[n(4)]
    pub undecided_ms: u64,
    #[n(5)]
    pub operator_confirmed_age_ms: u64,
    /// The hold in force.
    #[n(6)]
    pub hold_ms: u64,
    /// SHA-256 of each model in use.
    #[n(7)]
    pub models: Vec<ByteVec>,
    /// The boot that `decided_boot_ms` and `boot_ms` of the pieces count from.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub boot_id: Id,
    /// A number of [`CameraKind`]; absent if it is not known.
    #[n(9)]
    pub camera: Option<u8>,
    /// A number of [`KeyKept`].
    #[n(10)]
    pub key_kept: Option<u8>,
    #[n(11)]
    pub certificate: CertificateCheck,
    /// As in the attestation at that moment; absent: nobody looked for phones.
    #[n(12)]
    pub phone: Option<bool>,
    #[n(13)]
    pub assurance: Option<u8>,
    /// As in the attestation: false where the policy asks for presence only.
    #[n(14)]
    pub recognised: Option<bool>,
}

/// The incident is in durable storage: the client may forget it, and keeps this receipt.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Ack {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub incident_id: Id,
    #[n(1)]
    pub leaf_index: u64,
    /// The signed note of a checkpoint that covers the leaf.
    #[n(2)]
    pub checkpoint: String,
    /// The leaf itself: the entry that completes the incident, as the log's key signed it.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub entry: Option<Vec<u8>>,
    /// Its inclusion proof under the checkpoint: 32 bytes each, from the leaf upwards.
    #[n(4)]
    pub proof: Option<Vec<ByteVec>>,
}

/// More evidence frames may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credit {
    #[n(0)]
    pub frames: u32,
}

/// The client ends the session properly (the host covers all the same).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bye {
    #[n(0)]
    pub reason: Reason,
}

/// Why the sender ends the connection, told to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ErrorBody {
    #[n(0)]
    pub code: u16,
    #[n(1)]
    pub fault: u8,
    #[n(2)]
    pub text: String,
}

/// Encodes `[type, sequence, body]`.
pub fn encode(kind: u8, sequence: u64, body: &impl Encode<()>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut e = minicbor::Encoder::new(&mut out);
    // Writing to a Vec cannot fail.
    let written = e
        .array(3)
        .and_then(|e| e.u8(kind))
        .and_then(|e| e.u64(sequence))
        .and_then(|e| e.encode(body))
        .is_ok();
    debug_assert!(written);
    out
}

/// Splits a verified payload into type, sequence and undecoded body.
pub fn split(payload: &[u8]) -> Result<(u8, u64, &[u8]), Refusal> {
    cbor::check(payload).map_err(|_| Refusal::peer(Code::Malformed))?;
    let mut d = Decoder::new(payload);
    let mut head = || -> Result<(u8, u64), minicbor::decode::Error> {
        if d.array()? != Some(3) {
            return Err(minicbor::decode::Error::message("envelope"));
        }
        Ok((d.u8()?, d.u64()?))
    };
    let (kind, sequence) = head().map_err(|_| Refusal::peer(Code::Malformed))?;
    Ok((kind, sequence, payload.get(d.position()..).unwrap_or_default()))
}

/// Decodes a body and checks its lengths and relations.
pub fn body<'b, T: Decode<'b, ()> + Bounded>(bytes: &'b [u8]) -> Result<T, Refusal> {
    let value: T = cbor::read(bytes).map_err(|_| Refusal::peer(Code::Malformed))?;
    if value.in_bounds() { Ok(value) } else { Err(Refusal::peer(Code::Malformed)) }
}

/// Limits that the type alone does not state.
pub trait Bounded {
    fn in_bounds(&self) -> bool {
        true
    }
}
impl Bounded for Challenge {}
impl Bounded for Attest {}
impl Bounded for Suspect {}
impl Bounded for Lock {}
impl Bounded for Unlock {}
impl Bounded for Status {}
impl Bounded for Credit {}
impl Bounded for Bye {}
impl Bounded for Hello {
    fn in_bounds(&self) -> bool {
        !self.versions.is_empty() && self.versions.len() <= 16
    }
}
impl Bounded for Open {
    fn in_bounds(&self) -> bool {
        self.software.len() <= TEXT_MAX_BYTES
            && is_plain(&self.software)
            && self.models.len() <= MODELS_MAX
            && self.models.iter().all(|m| m.len() == 32)
            && self.enrolment.as_ref().is_none_or(|enrolment| enrolment.len() <= ENROLMENT_MAX_BYTES)
            && self.withdrawal.as_ref().is_none_or(|taken| taken.len() <= WITHDRAWAL_MAX_BYTES)
    }
}
impl Bounded for Enrol {
    fn in_bounds(&self) -> bool {
        self.template.len() <= ENROL_MAX_BYTES
    }
}
impl Bounded for Withdrawn {
    fn in_bounds(&self) -> bool {
        self.receipt.len() <= RECORD_MAX_BYTES
    }
}
impl Bounded for Ready {
    fn in_bounds(&self) -> bool {
        let is_shown = |user: &String| user.len() <= TEXT_MAX_BYTES && is_plain(user);
        self.templates.len() <= crate::limits::OPERATORS_MAX
            && self.user.as_ref().is_none_or(is_shown)
            && self.group.as_ref().is_none_or(is_shown)
    }
}
impl Bounded for ErrorBody {
    fn in_bounds(&self) -> bool {
        self.text.len() <= TEXT_MAX_BYTES && is_plain(&self.text)
    }
}
impl Bounded for Manifest {
    fn in_bounds(&self) -> bool {
        let total: u64 = self.pieces.iter().fold(0, |sum, p| sum.saturating_add(p.size));
        !self.pieces.is_empty()
            && self.pieces.len() <= PIECES_MAX
            && total <= INCIDENT_MAX_BYTES as u64
            && self.pieces.iter().all(Piece::in_bounds)
            && self.basis.as_ref().is_none_or(Basis::in_bounds)
    }
}
impl Basis {
    fn in_bounds(&self) -> bool {
        self.models.len() <= MODELS_MAX && self.models.iter().all(|m| m.len() == 32)
    }
}
impl Piece {
    fn in_bounds(&self) -> bool {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        size > 0
            && size <= PIECE_MAX_BYTES
            && self.chunks.len() == size.div_ceil(CHUNK_BYTES)
            && self.chunks.iter().all(|c| c.len() == 32)
            && self.media <= 1
            && self.header_size.is_none_or(|header| header > 0 && u64::from(header) < self.size)
    }

    /// How many bytes chunk `index` must have.
    pub fn chunk_len(&self, index: usize) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        size.saturating_sub(index * CHUNK_BYTES).min(CHUNK_BYTES)
    }
}
