//! A client end and a host end that know each other, made from fixed keys, without any socket.

use std::collections::BTreeMap;

use sudare_protocol::enrol::{
    EnrollerRecord, FINGERPRINT_BYTES, Invitation, PairingCode, SECRET_BYTES, fingerprint,
};
use sudare_protocol::frame::Deframer;
use sudare_protocol::groups::Membership;
use sudare_protocol::host::{self, Device, Devices, NotAdmitted};
use sudare_protocol::limits::{OPERATORS_MAX, VECTOR_DIM};
use sudare_protocol::message::{Attest, Id};
use sudare_protocol::reason::{Reason, State};
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, HostRecord, Policy, RecordError, Signed};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::withdrawal::Withdrawal;
use sudare_protocol::{SigningKey, client, keyfile};

pub const WALL_MS: u64 = 1_800_000_000_000;
/// Three days later, in whole minutes.
pub const CODE_UNTIL_MS: u64 = WALL_MS + 3 * 24 * 60 * 60 * 1_000;
pub const DEVICE_ID: Id = [0xd1; 16];
pub const USER: &str = "alice";
pub const CERTIFICATE: [u8; 32] = [0xce; 32];
pub const TLS_EXPORTER: [u8; 32] = [0xee; 32];

/// Fixed keys of a small organisation.
pub fn organisation_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}
pub fn host_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}
pub fn device_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub fn enroller_key() -> SigningKey {
    SigningKey::from_bytes(&[6; 32])
}

/// What the fixed device was given to type.
pub fn code() -> PairingCode {
    PairingCode {
        address: "vdi-1.example".into(),
        not_after_ms: CODE_UNTIL_MS,
        organisation: fingerprint(&organisation_key().verifying_key()),
        certificate: [0xce; FINGERPRINT_BYTES],
        secret: [0x5c; SECRET_BYTES].into(),
    }
}

pub fn enroller() -> EnrollerRecord {
    EnrollerRecord {
        name: "help desk".into(),
        key: enroller_key().verifying_key().to_bytes(),
        users: vec![USER.into(), "@staff".into()],
        devices_max: 500,
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    }
}

pub fn invitation() -> Invitation {
    Invitation {
        key: code().key().verifying_key().to_bytes(),
        user: USER.into(),
        host_id: "vdi-1".into(),
        number: 7,
        not_before_ms: WALL_MS,
        not_after_ms: CODE_UNTIL_MS,
        device_until_ms: u64::MAX,
        needs_approval: false,
    }
}

pub fn policy() -> Policy {
    Policy {
        organisation: "Example".into(),
        serial: 1,
        not_before_ms: 0,
        not_after_ms: u64::MAX,
        auditors: vec![
            "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj".into(),
            "age1c8re9r9h06vwasdze5f0u6zlpuzzdqyhkvr0gyrdm8e9ra0eqg0snlkxgd".into(),
        ],
        evidence: EvidenceDuty::Required,
        timings: BTreeMap::new(),
        rules: None,
        eyes: None,
        notice: None,
        groups: None,
    }
}

/// What the fixed device signs to take consent back.
pub fn withdrawal() -> Vec<u8> {
    let withdrawal = Withdrawal { device_key: device_key().verifying_key().to_bytes(), at_ms: WALL_MS };
    Signed::sign(&device_key(), &withdrawal).unwrap_or_default()
}

pub fn template() -> OperatorTemplate {
    let mut vector = vec![0.0; VECTOR_DIM];
    vector[0] = 1.0;
    OperatorTemplate {
        operator_id: [7; 16],
        model_sha256: [8; 32],
        rotation_id: [9; 16],
        vectors: vec![vector],
        regions: Vec::new(),
        self_cosine: None,
    }
}

/// A registry with the one fixed device.
#[derive(Debug, Clone, Default)]
pub struct OneDevice {
    pub revoked: bool,
    pub missing: bool,
    pub withdrawn: bool,
    /// What the host's name service says of every group; there is none if nothing is said.
    pub membership: Option<Membership>,
}

impl Devices for OneDevice {
    fn find(&self, device_id: &Id) -> Result<Option<Device>, RecordError> {
        let record = DeviceRecord {
            device_id: DEVICE_ID,
            device_key: device_key().verifying_key().to_bytes(),
            user: USER.into(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        let known = *device_id == DEVICE_ID && !self.missing;
        Ok(known.then(|| Device {
            record,
            record_sha256: [0xdd; 32],
            revoked: self.revoked,
            withdrawn: self.withdrawn,
            templates: vec![template()],
        }))
    }

    fn withdraw(&self, _: &Id, _: &Signed<Withdrawal>) -> Result<bool, NotAdmitted> {
        Ok(true)
    }

    fn membership(&self, _: &str, _: &str) -> Membership {
        self.membership.unwrap_or(Membership::NoSuchGroup)
    }
}

/// Of a host that is one for ever, and names no log.
pub fn host_record(host_id: &str, host_key: [u8; 32]) -> HostRecord {
    HostRecord { host_id: host_id.into(), host_key, not_before_ms: 0, not_after_ms: u64::MAX, log: None }
}

pub fn host_setup() -> Result<host::Setup, RecordError> {
    let record = host_record("vdi-1", host_key().verifying_key().to_bytes());
    let policy = Signed::sign(&organisation_key(), &policy())?;
    Ok(host::Setup {
        host_key: host_key(),
        host_record: Signed::sign(&organisation_key(), &record)?,
        policy: Signed::verify(&organisation_key().verifying_key(), &policy, WALL_MS)?,
        session_id: [0x5e; 16],
        boot_id: [0xb0; 16],
        tls_cert_sha256: CERTIFICATE,
        tls_exporter: Some(TLS_EXPORTER),
        organisation: organisation_key().verifying_key(),
        enrol_secret: [0x12; 32].into(),
        user: Some(USER.into()),
        wall_ms: WALL_MS,
    })
}

pub fn client_setup() -> client::Setup {
    client::Setup {
        organisation: Some(organisation_key().verifying_key()),
        pairing: None,
        withdrawal: None,
        consents: vec![],
        device_key: device_key(),
        device_id: DEVICE_ID,
        boot_id: [0xb1; 16],
        software: "test".into(),
        models: vec![],
        tls_cert_sha256: Some(CERTIFICATE),
        tls_exporter: Some(TLS_EXPORTER),
        wall_ms: WALL_MS,
    }
}

/// The fixed device before anybody knows it.
pub fn pairing_setup() -> client::Setup {
    let pairing = Some(client::Pairing { code: code(), template: Some(template()) });
    let device_id = keyfile::device_id(&device_key().verifying_key());
    client::Setup { organisation: None, pairing, device_id, ..client_setup() }
}

pub fn host_fresh() -> host::Fresh {
    host::Fresh { nonce: [0x10; 16], template_secrets: [[0x11; 32]; OPERATORS_MAX] }
}

pub fn client_fresh() -> client::Fresh {
    client::Fresh { nonce: [0x20; 32], template_secret: [0x21; 32], enrol_secret: [0x22; 32] }
}

/// The frames in `bytes`; what the tests feed is always whole.
pub fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::default();
    deframer.push(bytes);
    std::iter::from_fn(|| deframer.next_frame().ok().flatten()).map(|frame| frame.to_vec()).collect()
}

/// Both ends after a good handshake at host time `now_ms`.
pub fn live(now_ms: u64) -> Result<(client::Live, host::Live), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let (host, hello) = host::AwaitOpen::new(host_setup().map_err(|e| text(&e))?, [0x30; 32], now_ms)
        .map_err(|e| text(&e))?;
    let one = |bytes: &[u8]| frames(bytes).into_iter().next().ok_or("no frame".to_owned());
    let (client, open) = client::AwaitHello::new(client_setup(), client_fresh())
        .handle(&one(&hello)?)
        .map_err(|e| text(&e.refusal))?;
    let (host, ready, _) = host
        .handle(&one(&open)?, &OneDevice::default(), &host_fresh(), now_ms)
        .map_err(|e| text(&e.refusal))?;
    let (client, _) = client.handle(&one(&ready)?).map_err(|e| text(&e.refusal))?;
    Ok((client, host))
}

/// An attestation of a view that has been clear for a minute. Its nonce is filled in by the client's end.
pub fn clear(boot_ms: u64) -> Attest {
    Attest {
        nonce: [0; 16],
        state: State::Clear,
        cover: false,
        reason: Reason::None,
        operator_confirmed_age_ms: 0,
        not_alone_ms: 0,
        undecided_ms: 0,
        clear_ms: 60_000,
        frame_age_ms: 30,
        boot_ms,
        dwell_ms: None,
        distance_band: None,
        facing: None,
        phone: None,
        assurance: None,
        recognised: None,
        asked: None,
        suspect: None,
    }
}
