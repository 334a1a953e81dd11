//! A host for tests: the other end of a channel, with fixed keys and without any socket.

use std::collections::BTreeMap;

use sudare_protocol::SigningKey;
use sudare_protocol::eyes::EyesRules;
use sudare_protocol::frame::Deframer;
use sudare_protocol::host::{AwaitOpen, ClientNews, Device, Devices, Fresh, Live, Setup};
use sudare_protocol::limits::{OPERATORS_MAX, VECTOR_DIM};
use sudare_protocol::message::{Id, Shown, Status};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, HostRecord, Policy, RecordError, Signed};
use sudare_protocol::seal::Identity;
use sudare_protocol::template::OperatorTemplate;

pub(crate) const NOW_MS: u64 = 1_000_000;
pub(crate) const WALL_MS: u64 = 1_800_000_000_000;

pub(crate) fn organisation_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn device_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

/// One channel, seen from the host.
pub(crate) struct Host {
    waiting: Option<AwaitOpen>,
    pub(crate) live: Option<Live>,
    deframer: Deframer,
    /// What was said so far by the client.
    pub(crate) news: Vec<ClientNews>,
}

impl Host {
    /// The host `host_id` of the organisation; gives its HELLO.
    pub(crate) fn new(host_id: &str, nonce: u8) -> (Self, Vec<u8>) {
        Self::signed_by(&organisation_key(), host_id, nonce)
    }

    /// A host whose record somebody else signed.
    pub(crate) fn signed_by(signer: &SigningKey, host_id: &str, nonce: u8) -> (Self, Vec<u8>) {
        Self::with_eyes(signer, host_id, nonce, None)
    }

    /// A host whose policy says this about the eyes.
    pub(crate) fn with_eyes(
        signer: &SigningKey,
        host_id: &str,
        nonce: u8,
        eyes: Option<EyesRules>,
    ) -> (Self, Vec<u8>) {
        let host_key = SigningKey::from_bytes(&[2; 32]);
        let record = HostRecord {
            host_id: host_id.into(),
            host_key: host_key.verifying_key().to_bytes(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
            log: None,
        };
        let setup = Setup {
            host_key,
            host_record: Signed::sign(signer, &record).unwrap(),
            policy: policy(signer, eyes),
            session_id: [0x5e; 16],
            boot_id: [0xb0; 16],
            tls_cert_sha256: [0xce; 32],
            tls_exporter: None,
            organisation: signer.verifying_key(),
            enrol_secret: [0x12; 32].into(),
            user: None,
            wall_ms: WALL_MS,
        };
        let (waiting, hello) = AwaitOpen::new(setup, [nonce; 32], NOW_MS).unwrap();
        let host =
            Host { waiting: Some(waiting), live: None, deframer: Deframer::default(), news: Vec::new() };
        (host, hello)
    }

    /// Takes bytes of the client; gives the answer, if there is one.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.deframer.push(bytes);
        let mut answer = None;
        while let Some(frame) = self.deframer.next_frame().unwrap() {
            if let Some(live) = &mut self.live {
                self.news.extend(live.handle(&frame, NOW_MS).unwrap());
            } else {
                let fresh = Fresh { nonce: [0x10; 16], template_secrets: [[0x11; 32]; OPERATORS_MAX] };
                let waiting = self.waiting.take().expect("one handshake");
                let (live, ready, _) = waiting.handle(&frame, &AnyDevice, &fresh, NOW_MS).unwrap();
                (self.live, answer) = (Some(live), Some(ready));
            }
        }
        answer
    }

    /// What the host tells a live client.
    pub(crate) fn status(&mut self, reason: Reason) -> Vec<u8> {
        let status = Status { shown: Shown::Covered, reason, boot_ms: NOW_MS, incident_id: None };
        self.live.as_mut().expect("a live session").status(status).unwrap()
    }
}

fn policy(signer: &SigningKey, eyes: Option<EyesRules>) -> Signed<Policy> {
    let policy = Policy {
        organisation: "Example".into(),
        serial: 1,
        not_before_ms: 0,
        not_after_ms: u64::MAX,
        auditors: vec![Identity::generate().recipient(), Identity::generate().recipient()],
        evidence: EvidenceDuty::Required,
        timings: BTreeMap::new(),
        rules: None,
        eyes,
        notice: None,
        groups: None,
    };
    let signed = Signed::sign(signer, &policy).unwrap();
    Signed::verify(&signer.verifying_key(), &signed, WALL_MS).unwrap()
}

struct AnyDevice;

impl Devices for AnyDevice {
    fn find(&self, device_id: &Id) -> Result<Option<Device>, RecordError> {
        let record = DeviceRecord {
            device_id: *device_id,
            device_key: device_key().verifying_key().to_bytes(),
            user: "alice".into(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        let mut vector = vec![0.0; VECTOR_DIM];
        vector[0] = 1.0;
        let template = OperatorTemplate {
            operator_id: [7; 16],
            model_sha256: [8; 32],
            rotation_id: [9; 16],
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        };
        Ok(Some(Device {
            record,
            record_sha256: [0xdd; 32],
            revoked: false,
            withdrawn: false,
            templates: vec![template],
        }))
    }
}
