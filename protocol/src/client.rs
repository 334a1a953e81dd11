//! The client's end of the channel as a pure state machine, one type per state.
//!
//! ```text
//!  AwaitHello ──HELLO──► AwaitReady ──READY──► Live ⟲ attest, suspect, lock, unlock, evidence
//!       └────────── Refusal ──────┴──────────────┘   (the caller covers and ends)
//! ```
//! `Live` can only be made from READY verified under a transcript that contains the host's
//! signed HELLO, whose key is in a record signed by the organisation.

mod trust;

use std::collections::{BTreeMap, VecDeque};

use ed25519_dalek::{SigningKey, VerifyingKey};
use minicbor::bytes::ByteVec;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::cose;
use crate::enrol::{Enrolment, PairingCode};
use crate::error::{Code, Fault, Refusal, Refused};
use crate::frame::{Chunk, frame};
use crate::groups::InForce;
use crate::light::{self, Light, Lit};
use crate::limits::SPOOL_MAX_BYTES;
use crate::message::{
    self, Ack, Attest, CertificateCheck, Digest, Enrol, Hello, Id, KeyKept, Manifest, Open, Status, kind,
};
use crate::notice::Notice;
use crate::receipt::{self, ReceiptError};
use crate::records::{HostRecord, Policy, RecordError, Signed};
use crate::session::{self, OPEN_CONTEXT, Sealer, error_body, peer_error, transcript};
use crate::template::{self, OperatorTemplate};
use crate::timings::Timings;
use crate::tlog::VerifierKey;
use crate::withdrawal::Receipt;

pub use trust::{Look, Trust, look};
use trust::{check_hello, code_for, policy};

/// What the client knows before it connects.
pub struct Setup {
    /// Pinned at set-up, or by an earlier pairing.
    pub organisation: Option<VerifyingKey>,
    /// What was typed, until a host has taken it.
    pub pairing: Option<Pairing>,
    /// Consent was taken back on this device: nothing but this is said.
    pub withdrawal: Option<Vec<u8>>,
    /// Digests of the notices that were accepted on this device.
    pub consents: Vec<Digest>,
    pub device_key: SigningKey,
    pub device_id: Id,
    pub boot_id: Id,
    pub software: String,
    pub models: Vec<Digest>,
    /// SHA-256 of the certificate that the RDP connection showed, where the RDP client tells.
    pub tls_cert_sha256: Option<Digest>,
    /// Of the TLS session in which the pixels come, where the RDP client tells.
    pub tls_exporter: Option<Digest>,
    /// Current Unix time, for the validity of records.
    pub wall_ms: u64,
}

impl core::fmt::Debug for Setup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Setup({})", self.software)
    }
}

/// What lets this device in at a host that does not know it yet.
#[derive(Clone)]
pub struct Pairing {
    pub code: PairingCode,
    /// `None` where the policy compares nobody.
    pub template: Option<OperatorTemplate>,
}

impl core::fmt::Debug for Pairing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pairing")
    }
}

/// Randomness for one handshake; each field used once.
pub struct Fresh {
    pub nonce: [u8; 32],
    pub template_secret: [u8; 32],
    pub enrol_secret: [u8; 32],
}

impl core::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fresh")
    }
}

/// Waiting for the host's first message.
#[derive(Debug)]
pub struct AwaitHello {
    setup: Setup,
    fresh: Fresh,
}

/// HELLO was accepted and OPEN was sent.
#[derive(Debug)]
pub struct AwaitReady {
    sealer: Sealer,
    policy: Signed<Policy>,
    host: HostRecord,
    session_id: Id,
    certificate: CertificateCheck,
    credits: u32,
    template_secret: Zeroizing<[u8; 32]>,
    organisation: VerifyingKey,
    pairs: bool,
    withdrawal: Option<Vec<u8>>,
}

impl AwaitHello {
    pub fn new(setup: Setup, fresh: Fresh) -> Self {
        AwaitHello { setup, fresh }
    }

    /// The notice in HELLO's policy, if nobody has accepted it on this device yet.
    pub fn notice(&self, hello: &[u8]) -> Option<Notice> {
        let notice = look(&self.setup.trust(), hello).ok()?.notice?;
        (!self.setup.consents.contains(&notice.digest())).then_some(notice)
    }

    /// Takes HELLO; gives the next state and the framed OPEN, with ENROL behind it where this device pairs.
    pub fn handle(self, hello: &[u8]) -> Result<(AwaitReady, Vec<u8>), Refused> {
        let device_key = self.setup.device_key.clone();
        self.answer(hello).map_err(|refusal| {
            // There is no transcript yet; the reply is signed in OPEN's context and place.
            let payload = message::encode(kind::ERROR, 0, &error_body(&refusal));
            let reply = frame(&cose::sign1(&device_key, OPEN_CONTEXT, &payload)).ok();
            Refused { refusal, reply }
        })
    }

    fn answer(self, hello: &[u8]) -> Result<(AwaitReady, Vec<u8>), Refusal> {
        let AwaitHello { setup, fresh } = self;
        let (organisation, greeting, host, host_key) = check_hello(&setup.trust(), hello)?;
        let policy = policy(&organisation, &greeting, setup.wall_ms)?;
        let certificate = match setup.tls_cert_sha256 {
            None => CertificateCheck::NotPossible,
            Some(seen) if seen == greeting.tls_cert_sha256 => CertificateCheck::Same,
            Some(_) => return Err(Refusal::new(Code::CertificateMismatch, Fault::Surroundings, "")),
        };
        // Somebody who has the host's certificate and its key, and ends TLS on both sides, has two sessions.
        if let (Some(seen), Some(told)) = (setup.tls_exporter, greeting.tls_exporter)
            && seen != told
        {
            let detail = "the TLS session of the pixels is not the one that the host ends";
            return Err(Refusal::new(Code::CertificateMismatch, Fault::Surroundings, detail));
        }
        let consent = policy.record().notice.as_ref().map(Notice::digest);
        let withdraws = setup.withdrawal.is_some();
        let consent = consent.filter(|_| !withdraws);
        if consent.is_some_and(|notice| !setup.consents.contains(&notice)) {
            return Err(Refusal::new(Code::ConsentMissing, Fault::Us, ""));
        }
        let pairs = code_for(&setup.trust(), &greeting)?.is_some();
        // A code that has ended lets nobody in any more. Whoever waited for approval meanwhile is known by now.
        let is_usable = |pairing: &Pairing| pairs && !withdraws && !pairing.code.is_expired(setup.wall_ms);
        let pairing = setup.pairing.clone().filter(is_usable);
        let enrolment = pairing.as_ref().map(|pairing| enrolment(&setup, pairing)).transpose()?;
        let open = Open {
            version: message::VERSION,
            client_nonce: fresh.nonce,
            device_id: setup.device_id,
            session_id: greeting.session_id,
            boot_id: setup.boot_id,
            policy_digest: policy.digest(),
            template_key: template::public_key(&fresh.template_secret),
            certificate,
            software: setup.software.clone(),
            models: setup.models.iter().map(|m| m.to_vec().into()).collect(),
            wall_ms: setup.wall_ms,
            key_assurance: Some(KeyKept::File.number()),
            measures: Some(light::MEASURES_LIGHT | light::MEASURES_TURN),
            enrolment,
            consent,
            withdrawal: setup.withdrawal.clone(),
        };
        let signed = cose::sign1(&setup.device_key, OPEN_CONTEXT, &message::encode(kind::OPEN, 0, &open));
        let mut sealer = Sealer::new(setup.device_key, host_key, transcript(hello, &signed));
        let mut messages = frame(&signed)?;
        if let Some(pairing) = &pairing {
            messages.extend(enrol(&mut sealer, &greeting, pairing, fresh.enrol_secret)?);
        }
        let next = AwaitReady {
            sealer,
            policy,
            host,
            session_id: greeting.session_id,
            certificate,
            credits: greeting.credits.min(crate::limits::CREDITS),
            template_secret: Zeroizing::new(fresh.template_secret),
            organisation,
            pairs,
            withdrawal: setup.withdrawal,
        };
        Ok((next, messages))
    }
}

/// Uses the code's key, once, for this device.
fn enrolment(setup: &Setup, pairing: &Pairing) -> Result<Vec<u8>, Refusal> {
    let enrolment = Enrolment { device_key: setup.device_key.verifying_key().to_bytes() };
    Signed::sign(&pairing.code.key(), &enrolment)
        .map_err(|e| Refusal::new(Code::InvitationRefused, Fault::Us, e.to_string()))
}

/// The framed ENROL: the template, sealed to the host's key of this connection.
fn enrol(
    sealer: &mut Sealer,
    hello: &Hello,
    pairing: &Pairing,
    secret: [u8; 32],
) -> Result<Vec<u8>, Refusal> {
    let host = hello.enrol_key.ok_or_else(|| Refusal::peer(Code::Version))?;
    let unusable = |e: template::TemplateError| Refusal::new(Code::Template, Fault::Us, e.to_string());
    let sealed = |template: &OperatorTemplate| {
        let plain = template.to_bytes()?;
        template::seal(&plain, sealer.transcript(), &host, secret)
    };
    let template = pairing.template.as_ref().map(sealed).transpose().map_err(unusable)?;
    sealer.seal(kind::ENROL, &Enrol { template: template.unwrap_or_default() })
}

impl AwaitReady {
    /// Whether consent is taken back: `withdrawn` takes the answer, `handle` does not.
    pub fn is_withdrawing(&self) -> bool {
        self.withdrawal.is_some()
    }

    /// Takes WITHDRAWN; gives the host's receipt, which anybody with the host's key can read.
    pub fn withdrawn(mut self, answer: &[u8]) -> Result<Signed<Receipt>, Refused> {
        self.receipt(answer).map_err(|refusal| Refused { reply: self.sealer.refuse(&refusal), refusal })
    }

    fn receipt(&mut self, answer: &[u8]) -> Result<Signed<Receipt>, Refusal> {
        let (got, body) = self.sealer.open(answer)?;
        match got {
            kind::WITHDRAWN => {}
            kind::ERROR => return Err(peer_error(&message::body(body)?)),
            _ => return Err(Refusal::peer(Code::Unexpected)),
        }
        let told: message::Withdrawn = message::body(body)?;
        let unproven = |e: RecordError| Refusal::new(Code::Signature, Fault::Peer, e.to_string());
        let key = self.host.key().map_err(unproven)?;
        let receipt = Signed::<Receipt>::verify_any_time(&key, &told.receipt).map_err(unproven)?;
        let ours: Option<Digest> = self.withdrawal.as_ref().map(|bytes| Sha256::digest(bytes).into());
        let said = receipt.record();
        if ours != Some(said.withdrawal) || said.host_id != self.host.host_id {
            return Err(Refusal::new(Code::Signature, Fault::Peer, "the receipt is for something else"));
        }
        Ok(receipt)
    }

    /// Takes READY; gives the live session and the operators of this seat.
    pub fn handle(mut self, ready: &[u8]) -> Result<(Live, Vec<OperatorTemplate>), Refused> {
        match self.check(ready) {
            Ok((ready, in_force, operators)) => Ok((Live::new(self, ready, in_force), operators)),
            Err(refusal) => Err(Refused { reply: self.sealer.refuse(&refusal), refusal }),
        }
    }

    fn check(&mut self, ready: &[u8]) -> Result<(message::Ready, InForce, Vec<OperatorTemplate>), Refusal> {
        let (got, body) = self.sealer.open(ready)?;
        match got {
            kind::READY => {}
            kind::ERROR => return Err(peer_error(&message::body(body)?)),
            _ => return Err(Refusal::peer(Code::Unexpected)),
        }
        let ready: message::Ready = message::body(body)?;
        let in_force = self
            .policy
            .record()
            .in_force(ready.group.as_deref())
            .map_err(|e| Refusal::new(Code::PolicyRefused, Fault::Organisation, e.to_string()))?;
        let transcript = *self.sealer.transcript();
        let operators = ready
            .templates
            .iter()
            .map(|sealed| template::unseal(sealed, &transcript, &self.template_secret))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Refusal::new(Code::Template, Fault::Organisation, e.to_string()))?;
        Ok((ready, in_force, operators))
    }
}

/// What the host told a live client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostNews {
    /// The nonce that the next attestation echoes was renewed.
    Challenged,
    Status(Status),
    /// This incident is in durable storage: the log proves it, if the host's record names the log.
    Acknowledged(Ack),
    /// An acknowledgement that does not count: the evidence must be kept.
    Unproven(ReceiptError),
    /// Evidence may flow again.
    Credited,
    /// The host's cover is about to check that somebody alive is there: measure.
    Light(Light),
}

/// Evidence of one incident, ready to be sent.
#[derive(Clone)]
pub struct Evidence {
    pub manifest: Manifest,
    /// Ciphertexts, one per piece of the manifest.
    pub pieces: Vec<Vec<u8>>,
}

impl core::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Evidence({} pieces, {} bytes)", self.pieces.len(), self.bytes())
    }
}

impl Evidence {
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Whether the pictures are the ones that the manifest announces.
    fn fits(&self) -> bool {
        self.manifest.pieces.len() == self.pieces.len()
            && self.manifest.pieces.iter().zip(&self.pieces).all(|(p, bytes)| p.size == bytes.len() as u64)
    }
}

/// A session in which the host may show the desktop, as long as attestations allow it.
#[derive(Debug)]
pub struct Live {
    sealer: Sealer,
    organisation: VerifyingKey,
    pairs: bool,
    user: Option<String>,
    policy: Signed<Policy>,
    in_force: InForce,
    host: HostRecord,
    session_id: Id,
    certificate: CertificateCheck,
    nonce: Id,
    credits: u32,
    /// Evidence frames waiting for credit; bounded by the spool that fills it.
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// The log's key, if the organisation signed one.
    log: Option<VerifierKey>,
    /// Manifest of the incident that is being sent.
    sending: Option<Manifest>,
    /// Manifests of incidents that were sent whole and are not acknowledged yet.
    sent: BTreeMap<Id, Manifest>,
}

#[derive(Debug)]
enum Waiting {
    Manifest(Box<Manifest>),
    Chunk(Chunk),
}

impl Live {
    fn new(from: AwaitReady, ready: message::Ready, in_force: InForce) -> Self {
        Live {
            // A record whose log key cannot be read was refused with HELLO.
            log: from.host.log().unwrap_or_default(),
            sending: None,
            sent: BTreeMap::new(),
            sealer: from.sealer,
            organisation: from.organisation,
            pairs: from.pairs,
            policy: from.policy,
            in_force,
            host: from.host,
            session_id: from.session_id,
            certificate: from.certificate,
            nonce: ready.nonce,
            user: ready.user,
            credits: from.credits,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Whose record the host has: for a device that pins it now.
    pub fn organisation(&self) -> VerifyingKey {
        self.organisation
    }
    /// Whether the host let this device in just now, by what was typed.
    pub fn pairs(&self) -> bool {
        self.pairs
    }
    /// For whom the host has enrolled this device.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
    pub fn policy(&self) -> &Signed<Policy> {
        &self.policy
    }
    pub fn timings(&self) -> Timings {
        self.in_force.timings
    }
    /// What the policy sets for whoever sits here.
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }
    pub fn host_id(&self) -> &str {
        &self.host.host_id
    }
    pub fn session_id(&self) -> Id {
        self.session_id
    }
    pub fn certificate(&self) -> CertificateCheck {
        self.certificate
    }

    /// Names an incident of this session; `fresh` is random.
    pub fn incident_id(&self, fresh: Id) -> Id {
        session::incident_id(&self.session_id, fresh)
    }

    /// Processes one frame from the host.
    pub fn handle(&mut self, message: &[u8]) -> Result<Option<HostNews>, Refusal> {
        let (got, body) = self.sealer.open(message)?;
        Ok(Some(match got {
            kind::CHALLENGE => {
                self.nonce = message::body::<message::Challenge>(body)?.nonce;
                HostNews::Challenged
            }
            kind::STATUS => HostNews::Status(message::body(body)?),
            kind::ACK => self.acknowledged(message::body(body)?),
            kind::CREDIT => {
                let more = message::body::<message::Credit>(body)?.frames;
                self.credits = self.credits.saturating_add(more).min(crate::limits::CREDITS);
                HostNews::Credited
            }
            kind::LIGHT => HostNews::Light(message::body(body)?),
            kind::ERROR => return Err(peer_error(&message::body(body)?)),
            unknown if unknown >= message::TYPE_OPTIONAL => return Ok(None),
            _ => return Err(Refusal::peer(Code::Unexpected)),
        }))
    }

    /// An acknowledgement counts for what was sent whole in this session, and if the log proves it.
    fn acknowledged(&mut self, ack: Ack) -> HostNews {
        let Some(manifest) = self.sent.get(&ack.incident_id) else {
            return HostNews::Unproven(ReceiptError::NotSent);
        };
        match receipt::check(&ack, manifest, self.log.as_ref()) {
            Ok(()) => {
                self.sent.remove(&ack.incident_id);
                HostNews::Acknowledged(ack)
            }
            Err(error) => HostNews::Unproven(error),
        }
    }

    /// Signs an attestation; its nonce is filled in here.
    pub fn attest(&mut self, seen: Attest) -> Result<Vec<u8>, Refusal> {
        let attest = Attest { nonce: self.nonce, ..seen };
        self.sealer.seal(kind::ATTEST, &attest)
    }

    pub fn suspect(&mut self, suspect: message::Suspect) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::SUSPECT, &suspect)
    }

    pub fn lock(&mut self, lock: message::Lock) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::LOCK, &lock)
    }

    pub fn unlock(&mut self, unlock: message::Unlock) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::UNLOCK, &unlock)
    }

    /// What was measured since a LIGHT.
    pub fn lit(&mut self, lit: &Lit) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::LIT, lit)
    }

    pub fn bye(&mut self, bye: message::Bye) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::BYE, &bye)
    }

    /// Tells the host why this end refuses to go on.
    pub fn refuse(&mut self, refusal: &Refusal) -> Option<Vec<u8>> {
        self.sealer.refuse(refusal)
    }

    /// Queues one incident. `evidence_frames` gives what credit allows. The caller keeps the
    /// evidence until it is acknowledged.
    pub fn queue(&mut self, evidence: &Evidence) -> Result<(), Refusal> {
        if !evidence.fits() || self.waiting_bytes + evidence.bytes() > SPOOL_MAX_BYTES {
            return Err(Refusal::new(
                Code::EvidenceMismatch,
                Fault::Us,
                "evidence does not fit its manifest or the queue",
            ));
        }
        self.waiting.push_back(Waiting::Manifest(Box::new(evidence.manifest.clone())));
        for (piece, bytes) in (0u8..).zip(&evidence.pieces) {
            for (index, data) in (0u16..).zip(bytes.chunks(crate::limits::CHUNK_BYTES)) {
                let incident_id = evidence.manifest.incident_id;
                self.waiting.push_back(Waiting::Chunk(Chunk {
                    incident_id,
                    piece,
                    index,
                    data: data.to_vec(),
                }));
            }
        }
        self.waiting_bytes += evidence.bytes();
        Ok(())
    }

    /// The next evidence frame, if the host's credit allows one.
    pub fn next_evidence_frame(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if self.credits == 0 {
            return Ok(None);
        }
        let Some(next) = self.waiting.pop_front() else { return Ok(None) };
        self.credits -= 1;
        match next {
            Waiting::Manifest(manifest) => {
                let sealed = self.sealer.seal(kind::MANIFEST, &*manifest)?;
                self.sending = Some(*manifest);
                Ok(Some(sealed))
            }
            Waiting::Chunk(chunk) => {
                self.waiting_bytes -= chunk.data.len();
                if !matches!(self.waiting.front(), Some(Waiting::Chunk(_))) {
                    self.sent.extend(self.sending.take().map(|manifest| (manifest.incident_id, manifest)));
                }
                Ok(Some(frame(&chunk.to_bytes())?))
            }
        }
    }
}

/// The hashes of one piece's chunks, for its manifest.
pub fn chunk_digests(ciphertext: &[u8]) -> Vec<ByteVec> {
    ciphertext.chunks(crate::limits::CHUNK_BYTES).map(|c| Sha256::digest(c).to_vec().into()).collect()
}
