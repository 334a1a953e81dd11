//! The host's end of the channel as a pure state machine, one type per state.
//!
//! ```text
//!  (HELLO sent) AwaitOpen ──OPEN──────────────────────► Live ⟲ challenges out; attestations, locks, evidence in
//!                   │ └──OPEN of a new device──► AwaitEnrol ─ENROL─┘
//!                   └── Refusal ──────┘   (the caller covers and ends)
//! ```
//! The lease lives here: an attestation that echoes a nonce lets desktop pixels flow until the
//! lease after that nonce was **issued**, on the host's own clock. What is done with it is the
//! guard's decision.

mod enrol;
mod withdraw;

use std::collections::VecDeque;

use ed25519_dalek::{SigningKey, VerifyingKey};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::cose::{self, KeyId};
use crate::enrol::{Admission, Invited};
use crate::error::{Code, Fault, Refusal, Refused};
use crate::frame::{Chunk, frame, is_signed};
use crate::groups::{InForce, Membership, Person};
use crate::intake::{Complete, Intake};
use crate::light::{Light, Lit};
use crate::limits::{
    CHALLENGES_KEPT, CHUNKS_PER_SECOND_MAX, CREDITS, HANDSHAKE_MAX_MS, LIT_MAX_BYTES, LOCK_MAX_BYTES,
    MANIFEST_MAX_BYTES, MESSAGE_MAX_BYTES, MESSAGES_PER_SECOND_MAX, OPEN_MAX_BYTES, OPERATORS_MAX,
};
use crate::message::{
    self, Ack, Attest, CertificateCheck, Challenge, Credit, Digest, Hello, Id, Lock, Open, Ready, Status,
    Suspect, kind,
};
use crate::records::{DeviceRecord, Policy, RecordError, Signed};
use crate::session::{HELLO_CONTEXT, OPEN_CONTEXT, Sealer, peer_error, transcript};
use crate::template::{self, OperatorTemplate};
use crate::timings::Timings;
use crate::withdrawal::Withdrawal;

/// Two of them, in any script, fit the limit of a text.
const NAME_SHOWN_MAX_CHARS: usize = 32;

/// What the host knows before a client opens the channel.
pub struct Setup {
    pub host_key: SigningKey,
    /// The signed `HostRecord`.
    pub host_record: Vec<u8>,
    pub policy: Signed<Policy>,
    pub session_id: Id,
    pub boot_id: Id,
    pub tls_cert_sha256: Digest,
    /// Of the TLS session of the pixels, where this host ends it.
    pub tls_exporter: Option<Digest>,
    /// For devices that pin it with a pairing code.
    pub organisation: VerifyingKey,
    /// Fresh, for the template of such a device.
    pub enrol_secret: Zeroizing<[u8; 32]>,
    /// The user logged on over RDP, if the transport knows.
    pub user: Option<String>,
    pub wall_ms: u64,
}

impl core::fmt::Debug for Setup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Setup")
    }
}

/// An enrolled device, as the registry has it.
#[derive(Debug, Clone)]
pub struct Device {
    pub record: DeviceRecord,
    /// Of the signed record: the log names it without the user's name.
    pub record_sha256: Digest,
    pub revoked: bool,
    /// Its consent was taken back, and nobody has agreed since.
    pub withdrawn: bool,
    pub templates: Vec<OperatorTemplate>,
}

/// The registry of enrolled devices. Its records are verified before they are given out.
pub trait Devices {
    fn find(&self, device_id: &Id) -> Result<Option<Device>, RecordError>;

    /// The invitation whose one-time key has this id. By itself nobody is invited.
    fn invitation(&self, key: &KeyId) -> Result<Option<Invited>, RecordError> {
        let _ = key;
        Ok(None)
    }

    /// Keeps a device that an invitation lets in, for good when this returns, and its operator's template. The same device
    /// may come again; another one may not.
    fn admit(
        &self,
        admission: &Admission,
        template: Option<&OperatorTemplate>,
    ) -> Result<Admitted, NotAdmitted> {
        let _ = (admission, template);
        Err(NotAdmitted::NotKept)
    }

    /// Erases the templates of a device whose consent is taken back, and remembers it; whether all of them are gone by now.
    fn withdraw(&self, device_id: &Id, withdrawal: &Signed<Withdrawal>) -> Result<bool, NotAdmitted> {
        let _ = (device_id, withdrawal);
        Err(NotAdmitted::NotKept)
    }

    /// Whether a user is in a group of the host. By itself there are no groups.
    fn membership(&self, user: &str, group: &str) -> Membership {
        let _ = (user, group);
        Membership::NoSuchGroup
    }

    /// Whether two names are those of one user. By themselves only equal ones are.
    fn is_same_user(&self, claimed: &str, enrolled: &str) -> bool {
        claimed == enrolled
    }
}

pub use enrol::{Admitted, AwaitEnrol, NotAdmitted};
pub use withdraw::TakenBack;

/// Randomness for one handshake; each field used once.
pub struct Fresh {
    pub nonce: Id,
    pub template_secrets: [[u8; 32]; OPERATORS_MAX],
}

impl core::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fresh")
    }
}

/// HELLO was sent.
#[derive(Debug)]
pub struct AwaitOpen {
    setup: Setup,
    hello: Vec<u8>,
    since_ms: u64,
}

/// What OPEN proved, for the log.
#[derive(Debug, Clone)]
pub struct Opened {
    pub device_id: Id,
    pub device_key: [u8; 32],
    pub device_record_sha256: Digest,
    /// For whom the device is enrolled.
    pub user: String,
    pub certificate: CertificateCheck,
    /// What the policy sets for this user.
    pub in_force: InForce,
    /// Which checks of liveness the client can measure.
    pub measures: u8,
    /// Both signed handshake messages: the log keeps them, so that every later signature can be checked.
    pub hello: Vec<u8>,
    pub open: Vec<u8>,
}

impl AwaitOpen {
    /// Makes the framed HELLO.
    pub fn new(setup: Setup, host_nonce: [u8; 32], now_ms: u64) -> Result<(Self, Vec<u8>), Refusal> {
        let hello = Hello {
            versions: vec![message::VERSION],
            host_nonce,
            session_id: setup.session_id,
            boot_id: setup.boot_id,
            host_record: setup.host_record.clone(),
            policy: setup.policy.bytes().to_vec(),
            tls_cert_sha256: setup.tls_cert_sha256,
            wall_ms: setup.wall_ms,
            credits: CREDITS,
            tls_exporter: setup.tls_exporter,
            organisation: Some(setup.organisation.to_bytes()),
            enrol_key: Some(template::public_key(&setup.enrol_secret)),
        };
        let hello = cose::sign1(&setup.host_key, HELLO_CONTEXT, &message::encode(kind::HELLO, 0, &hello));
        let framed = frame(&hello)?;
        Ok((AwaitOpen { setup, hello, since_ms: now_ms }, framed))
    }

    /// Whether the client has taken too long.
    pub fn is_late(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) > HANDSHAKE_MAX_MS
    }

    /// Takes OPEN; gives the live session, the framed READY and what was proved.
    ///
    /// A refusal carries the framed ERROR for the client, signed under the transcript of this
    /// HELLO and that OPEN in the place of READY.
    pub fn handle(
        self,
        open: &[u8],
        devices: &dyn Devices,
        fresh: &Fresh,
        now_ms: u64,
    ) -> Result<(Live, Vec<u8>, Opened), Refused> {
        let mut teller = self.teller(open);
        self.answer(open, devices, fresh, now_ms)
            .map_err(|refusal| Refused { reply: teller.refuse(&refusal), refusal })
    }

    /// Refuses OPEN whatever it says, and tells the client why.
    pub fn refuse(self, open: &[u8], refusal: Refusal) -> Refused {
        Refused { reply: self.teller(open).refuse(&refusal), refusal }
    }

    /// Signs an ERROR in the place of READY. Nothing more is read, so the peer's key does not matter here.
    fn teller(&self, open: &[u8]) -> Sealer {
        let key = self.setup.host_key.clone();
        let peer = key.verifying_key();
        Sealer::new(key, peer, transcript(&self.hello, open))
    }

    fn answer(
        self,
        open: &[u8],
        devices: &dyn Devices,
        fresh: &Fresh,
        now_ms: u64,
    ) -> Result<(Live, Vec<u8>, Opened), Refusal> {
        self.check_open(open, now_ms)?;
        let (claimed_kind, _, claimed_body) = message::split(cose::unverified_payload(open)?)?;
        if claimed_kind == kind::ERROR {
            // The client refused HELLO before there was a session; its text is only for people.
            return Err(peer_error(&message::body(claimed_body)?));
        }
        if claimed_kind != kind::OPEN {
            return Err(Refusal::peer(Code::Unexpected));
        }
        let claimed: Open = message::body(claimed_body)?;
        if claimed.withdrawal.is_some() {
            return Err(Refusal::peer(Code::Unexpected));
        }
        let device = self.device_of(&claimed, open, devices)?;
        self.check_session(&claimed)?;
        let in_force = self.in_force(&device.record, devices)?;
        let key = device
            .record
            .key()
            .map_err(|e| Refusal::new(Code::DeviceUnknown, Fault::Organisation, e.to_string()))?;
        let sealer = Sealer::new(self.setup.host_key.clone(), key, transcript(&self.hello, open));
        self.go_live(claimed, open, (device, in_force), sealer, fresh, now_ms)
    }

    /// Everything was proved.
    fn go_live(
        self,
        claimed: Open,
        open: &[u8],
        (device, in_force): (Device, InForce),
        sealer: Sealer,
        fresh: &Fresh,
        now_ms: u64,
    ) -> Result<(Live, Vec<u8>, Opened), Refusal> {
        // A template that nobody compares with anything has no reason to be there.
        let templates = if in_force.recognises() { device.templates.as_slice() } else { &[] };
        let opened = Opened {
            device_id: claimed.device_id,
            device_key: device.record.device_key,
            device_record_sha256: device.record_sha256,
            user: device.record.user.clone(),
            certificate: claimed.certificate,
            in_force: in_force.clone(),
            measures: claimed.measures.unwrap_or(0),
            hello: self.hello,
            open: open.to_vec(),
        };
        let mut live = Live::new(sealer, in_force, fresh.nonce, now_ms);
        let ready = live.ready(&device.record.user, templates, &claimed.template_key, fresh)?;
        Ok((live, ready, opened))
    }

    /// What the policy sets for the user of this device.
    fn in_force(&self, device: &DeviceRecord, devices: &dyn Devices) -> Result<InForce, Refusal> {
        let (user, policy) = (device.user.as_str(), self.setup.policy.record());
        let person = Person { user, device_id: &device.device_id };
        let group = policy
            .group_of(&person, &|name| devices.is_same_user(name, user), &|group| {
                devices.membership(user, group)
            })
            .map_err(|e| Refusal::new(Code::RulesUnclear, Fault::Us, e.to_string()))?;
        policy
            .in_force(group.map(|group| group.name.as_str()))
            .map_err(|e| Refusal::new(Code::PolicyRefused, Fault::Organisation, e.to_string()))
    }

    /// Whether it came in time, and may be kept in the log.
    fn check_open(&self, open: &[u8], now_ms: u64) -> Result<(), Refusal> {
        if self.is_late(now_ms) {
            return Err(Refusal::new(Code::Timeout, Fault::Surroundings, ""));
        }
        if open.len() > OPEN_MAX_BYTES { Err(Refusal::peer(Code::TooLarge)) } else { Ok(()) }
    }

    /// The enrolled device that signed OPEN.
    fn device_of(&self, claimed: &Open, open: &[u8], devices: &dyn Devices) -> Result<Device, Refusal> {
        let unknown = |e: RecordError| Refusal::new(Code::DeviceUnknown, Fault::Organisation, e.to_string());
        let device = devices
            .find(&claimed.device_id)
            .map_err(unknown)?
            .ok_or_else(|| Refusal::new(Code::DeviceUnknown, Fault::Organisation, ""))?;
        cose::verify1(&device.record.key().map_err(unknown)?, OPEN_CONTEXT, open)?;
        if device.revoked {
            return Err(Refusal::new(Code::DeviceRevoked, Fault::Organisation, ""));
        }
        if device.withdrawn {
            return Err(Refusal::new(Code::ConsentWithdrawn, Fault::Peer, ""));
        }
        let (now, record) = (self.setup.wall_ms, &device.record);
        if now < record.not_before_ms || now > record.not_after_ms {
            return Err(Refusal::new(
                Code::DeviceUnknown,
                Fault::Organisation,
                "its record is not valid now",
            ));
        }
        match &self.setup.user {
            Some(user) if !devices.is_same_user(user, &record.user) => Err(Refusal::new(
                Code::WrongUser,
                Fault::Peer,
                format!(
                    "the device is enrolled for {}, and the log-on is as {}",
                    shortened(&record.user),
                    shortened(user)
                ),
            )),
            _ => Ok(device),
        }
    }

    /// Whether OPEN answers this HELLO and nothing else.
    fn check_session(&self, claimed: &Open) -> Result<(), Refusal> {
        if claimed.version != message::VERSION {
            return Err(Refusal::peer(Code::Version));
        }
        let same_session: bool = claimed.session_id.ct_eq(&self.setup.session_id).into();
        if !same_session || claimed.policy_digest != self.setup.policy.digest() {
            return Err(Refusal::peer(Code::WrongSession));
        }
        // Nothing looks at anybody who was not told.
        match &self.setup.policy.record().notice {
            _ if claimed.withdrawal.is_some() => Ok(()),
            Some(notice) if claimed.consent != Some(notice.digest()) => {
                Err(Refusal::peer(Code::ConsentMissing))
            }
            _ => Ok(()),
        }
    }
}

/// An attestation that echoes a nonce of this host, and what the host knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attested {
    pub attest: Attest,
    /// When the nonce that it echoes was issued.
    pub nonce_issued_ms: u64,
    /// The end of the time in which desktop pixels may flow.
    pub lease_until_ms: u64,
}

/// What a live client told the host.
#[derive(Debug)]
pub enum ClientNews {
    Attested(Attested),
    Suspect(Suspect),
    Lock {
        lock: Lock,
        message: Vec<u8>,
    },
    Unlock {
        message: Vec<u8>,
    },
    /// What the client measured since a LIGHT.
    Lit(Lit),
    /// Pictures of an incident are announced.
    Announced {
        incident_id: Id,
    },
    /// All pictures of an incident are here and fit their manifest.
    Evidence(Box<Complete>),
    /// The client ends the session properly.
    Bye,
}

/// A session with an authenticated client.
#[derive(Debug)]
pub struct Live {
    sealer: Sealer,
    in_force: InForce,
    /// Issued nonces with the time of issue, newest last.
    challenges: VecDeque<(Id, u64)>,
    /// When the newest of those was issued that are forgotten by now, and the newest that came back.
    forgotten_ms: Option<u64>,
    echoed_ms: Option<u64>,
    lease_until_ms: u64,
    intake: Intake,
    second: u64,
    messages: u32,
    chunks: u32,
}

impl Live {
    fn new(sealer: Sealer, in_force: InForce, nonce: Id, now_ms: u64) -> Self {
        Live {
            sealer,
            in_force,
            challenges: VecDeque::from([(nonce, now_ms)]),
            forgotten_ms: None,
            echoed_ms: None,
            lease_until_ms: 0,
            intake: Intake::default(),
            second: 0,
            messages: 0,
            chunks: 0,
        }
    }

    fn ready(
        &mut self,
        user: &str,
        operators: &[OperatorTemplate],
        key: &[u8; 32],
        fresh: &Fresh,
    ) -> Result<Vec<u8>, Refusal> {
        let transcript = *self.sealer.transcript();
        let refused =
            |e: template::TemplateError| Refusal::new(Code::Template, Fault::Organisation, e.to_string());
        if operators.len() > OPERATORS_MAX {
            return Err(refused(template::TemplateError::TooMany));
        }
        let templates = operators
            .iter()
            .zip(&fresh.template_secrets)
            .map(|(t, secret)| template::seal(&t.to_bytes()?, &transcript, key, *secret).map(Into::into))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        let (user, group) = (Some(user.to_owned()), self.in_force.group.clone());
        self.sealer.seal(kind::READY, &Ready { templates, nonce: fresh.nonce, user, group })
    }

    pub fn timings(&self) -> Timings {
        self.in_force.timings
    }

    /// The end of the time in which desktop pixels may flow; 0 = never yet.
    pub fn lease_until_ms(&self) -> u64 {
        self.lease_until_ms
    }

    /// A new challenge when it is time for one. `nonce` is 16 fresh random bytes.
    pub fn challenge(&mut self, nonce: Id, now_ms: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let last = self.challenges.back().map_or(0, |(_, at)| *at);
        if now_ms.saturating_sub(last) < self.in_force.timings.attestation_interval_ms {
            return Ok(None);
        }
        self.challenges.push_back((nonce, now_ms));
        while self.challenges.len() > CHALLENGES_KEPT {
            self.forgotten_ms = self.challenges.pop_front().map(|(_, issued)| issued);
        }
        self.sealer.seal(kind::CHALLENGE, &Challenge { nonce }).map(Some)
    }

    pub fn status(&mut self, status: Status) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::STATUS, &status)
    }

    /// Asks the client to measure what the cover is about to show.
    pub fn light(&mut self, light: &Light) -> Result<Vec<u8>, Refusal> {
        self.sealer.seal(kind::LIGHT, light)
    }

    /// Tells the client that an incident is in durable storage. Call it only when it is.
    pub fn acknowledge(&mut self, ack: &Ack) -> Result<Vec<u8>, Refusal> {
        self.intake.forget(&ack.incident_id);
        self.sealer.seal(kind::ACK, ack)
    }

    pub fn refuse(&mut self, refusal: &Refusal) -> Option<Vec<u8>> {
        self.sealer.refuse(refusal)
    }

    /// Credit for evidence frames that were taken in since the last call.
    pub fn credit(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.intake.take_credit() {
            0 => Ok(None),
            frames => self.sealer.seal(kind::CREDIT, &Credit { frames }).map(Some),
        }
    }

    /// Processes one frame from the client: a signed message or an evidence chunk.
    pub fn handle(&mut self, frame: &[u8], now_ms: u64) -> Result<Option<ClientNews>, Refusal> {
        self.count(is_signed(frame), now_ms)?;
        if !is_signed(frame) {
            return Ok(self
                .intake
                .chunk(Chunk::from_bytes(frame)?)?
                .map(|c| ClientNews::Evidence(Box::new(c))));
        }
        let (got, body) = self.sealer.open(frame)?;
        if frame.len() > most_bytes(got) {
            return Err(Refusal::peer(Code::TooLarge));
        }
        let message = frame.to_vec();
        Ok(Some(match got {
            kind::ATTEST => return self.attested(message::body(body)?),
            kind::SUSPECT => ClientNews::Suspect(message::body(body)?),
            kind::LOCK => ClientNews::Lock { lock: message::body(body)?, message },
            kind::UNLOCK => {
                message::body::<message::Unlock>(body)?;
                ClientNews::Unlock { message }
            }
            kind::MANIFEST => {
                let incident_id = self.intake.announce(message::body(body)?, message)?;
                ClientNews::Announced { incident_id }
            }
            kind::LIT => ClientNews::Lit(message::body(body)?),
            kind::BYE => {
                message::body::<message::Bye>(body)?;
                ClientNews::Bye
            }
            kind::ERROR => return Err(peer_error(&message::body(body)?)),
            unknown if unknown >= message::TYPE_OPTIONAL => return Ok(None),
            _ => return Err(Refusal::peer(Code::Unexpected)),
        }))
    }

    /// `None` for one that echoes a nonce which this host may have forgotten: it proves nothing, and is no fault either. A
    /// PC that slept sends it first, before it has read what came meanwhile.
    fn attested(&mut self, attest: Attest) -> Result<Option<ClientNews>, Refusal> {
        let found = self.challenges.iter().find(|(nonce, _)| bool::from(nonce.ct_eq(&attest.nonce)));
        let Some(&(_, nonce_issued_ms)) = found else {
            // A client echoes the newest nonce that it has. After one of those that are known, none that is not follows.
            let is_behind = self
                .forgotten_ms
                .is_some_and(|forgotten| self.echoed_ms.is_none_or(|echoed| echoed <= forgotten));
            return if is_behind { Ok(None) } else { Err(Refusal::peer(Code::NonceUnknown)) };
        };
        // Who compares nobody may say so only where the policy asks for no more.
        if self.in_force.recognises() && attest.recognised == Some(false) {
            return Err(Refusal::new(Code::Unexpected, Fault::Peer, "the operator was not recognised"));
        }
        self.echoed_ms = self.echoed_ms.max(Some(nonce_issued_ms));
        self.lease_until_ms = self.lease_until_ms.max(nonce_issued_ms + self.in_force.timings.lease_ms);
        let lease_until_ms = self.lease_until_ms;
        Ok(Some(ClientNews::Attested(Attested { attest, nonce_issued_ms, lease_until_ms })))
    }

    /// Counts every frame, including refused ones: otherwise the refusals would be the flood.
    fn count(&mut self, signed: bool, now_ms: u64) -> Result<(), Refusal> {
        let second = now_ms / 1000;
        if second != self.second {
            (self.second, self.messages, self.chunks) = (second, 0, 0);
        }
        let (count, most) = match signed {
            true => (&mut self.messages, MESSAGES_PER_SECOND_MAX),
            false => (&mut self.chunks, CHUNKS_PER_SECOND_MAX),
        };
        *count += 1;
        if *count > most { Err(Refusal::peer(Code::Flood)) } else { Ok(()) }
    }
}

/// Of a name, what fits into a message beside another one.
fn shortened(name: &str) -> String {
    name.chars().take(NAME_SHOWN_MAX_CHARS).collect()
}

/// Messages that are logged verbatim have limits of their own.
fn most_bytes(kind: u8) -> usize {
    match kind {
        kind::LOCK | kind::UNLOCK => LOCK_MAX_BYTES,
        kind::MANIFEST => MANIFEST_MAX_BYTES,
        kind::LIT => LIT_MAX_BYTES,
        _ => MESSAGE_MAX_BYTES,
    }
}
