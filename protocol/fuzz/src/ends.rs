//! Both ends of a channel, with keys that everybody knows, as they are after a good HELLO and OPEN; and the items of an
//! input: a row of `u16 length ‖ item`.
//!
//! A target signs what the fuzzer chose, so that decoding goes on behind the signature. What no fuzzer finds by chance
//! (a nonce, a hash) is put in where the sequence number that the input names has bit 6 clear, as those of all vectors
//! have; with that bit set the body is sent as it is.

use std::sync::OnceLock;

use sudare_protocol::client::{AwaitHello, AwaitReady, Fresh, Setup};
use sudare_protocol::host::{self, AwaitOpen, Device, Devices};
use sudare_protocol::limits::OPERATORS_MAX;
use sudare_protocol::message::{Id, split};
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, HostRecord, Policy, RecordError, Signed};
use sudare_protocol::session::transcript;
use sudare_protocol::{SigningKey, cose, template};

pub const NOW_MS: u64 = 1_000;
/// The first nonce of the host.
pub const NONCE: Id = [8; 16];
pub const ORGANISATION: u8 = 1;
pub const HOST: u8 = 2;
pub const DEVICE: u8 = 3;
const TEMPLATE_SECRET: [u8; 32] = [7; 32];
const DEVICE_ID: Id = [0xd1; 16];
const AS_IT_IS: u64 = 1 << 6;

pub struct Ends {
    pub host: host::Live,
    /// Before READY.
    pub client: AwaitReady,
    /// As the host made it, without operators.
    pub ready: Vec<u8>,
    pub transcript: [u8; 32],
}

/// What an input says in one of its messages.
pub struct Said<'d> {
    pub kind: u8,
    pub body: &'d [u8],
    /// Whether what no fuzzer finds by chance is to be put in.
    pub fit: bool,
}

/// The items of an input.
pub fn items(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (item, next) = after.split_at(length);
        rest = next;
        Some(item)
    })
}

/// The message in an item, whoever signed it: vectors are of other keys and sessions.
pub fn said(item: &[u8]) -> Option<Said<'_>> {
    let (kind, sequence, body) = split(cose::unverified_payload(item).unwrap_or(item)).ok()?;
    Some(Said { kind, body, fit: sequence & AS_IT_IS == 0 })
}

/// A body with its envelope, as the peer must number it, signed for this session.
pub fn signed(signer: u8, transcript: &[u8; 32], kind: u8, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x83];
    let head = minicbor::encode(kind, &mut payload).and_then(|()| minicbor::encode(sequence, &mut payload));
    head.expect("a Vec");
    payload.extend_from_slice(body);
    cose::sign1(&key(signer), transcript, &payload)
}

pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Seals a template to the client of [`ends`].
pub fn sealed(plain: &[u8], transcript: &[u8; 32]) -> Vec<u8> {
    template::seal(plain, transcript, &template::public_key(&TEMPLATE_SECRET), [9; 32])
        .expect("any bytes can be sealed")
}

/// A host and a client that know each other; `log` is the line of the log that the organisation signed, one in all runs.
pub fn ends(log: Option<String>) -> Ends {
    static RECORDS: OnceLock<(Vec<u8>, Signed<Policy>)> = OnceLock::new();
    // Signing is most of what a run would take, and these are the same in each.
    let (host_record, policy) = RECORDS.get_or_init(|| records(log)).clone();
    let organisation = key(ORGANISATION);
    let setup = host::Setup {
        host_key: key(HOST),
        host_record,
        policy,
        session_id: [1; 16],
        boot_id: [2; 16],
        tls_cert_sha256: [3; 32],
        tls_exporter: None,
        organisation: organisation.verifying_key(),
        enrol_secret: [7; 32].into(),
        user: None,
        wall_ms: 0,
    };
    let client = Setup {
        withdrawal: None,
        organisation: Some(organisation.verifying_key()),
        pairing: None,
        consents: vec![],
        device_key: key(DEVICE),
        device_id: DEVICE_ID,
        boot_id: [4; 16],
        software: String::new(),
        models: vec![],
        tls_cert_sha256: None,
        tls_exporter: None,
        wall_ms: 0,
    };
    let (host, hello) = AwaitOpen::new(setup, [5; 32], NOW_MS).expect("HELLO");
    let fresh = Fresh { nonce: [6; 32], template_secret: TEMPLATE_SECRET, enrol_secret: [8; 32] };
    let (client, open) = AwaitHello::new(client, fresh).handle(&hello[4..]).expect("OPEN");
    let fresh = host::Fresh { nonce: NONCE, template_secrets: [[9; 32]; OPERATORS_MAX] };
    let transcript = transcript(&hello[4..], &open[4..]);
    let (host, ready, _) = host.handle(&open[4..], &OneDevice, &fresh, NOW_MS).expect("READY");
    Ends { host, client, ready, transcript }
}

/// What the organisation signed: the host's record, and the policy.
fn records(log: Option<String>) -> (Vec<u8>, Signed<Policy>) {
    let host_key = key(HOST).verifying_key().to_bytes();
    let record = HostRecord { host_id: "h".into(), host_key, not_before_ms: 0, not_after_ms: u64::MAX, log };
    let policy = Policy {
        organisation: "o".into(),
        serial: 1,
        not_before_ms: 0,
        not_after_ms: u64::MAX,
        auditors: vec!["a".into(), "b".into()],
        evidence: EvidenceDuty::Required,
        timings: Default::default(),
        rules: None,
        eyes: None,
        notice: None,
        groups: None,
    };
    let organisation = key(ORGANISATION);
    let policy = Signed::sign(&organisation, &policy).expect("a policy");
    let policy = Signed::verify(&organisation.verifying_key(), &policy, 0).expect("its own");
    (Signed::sign(&organisation, &record).expect("a record"), policy)
}

struct OneDevice;

impl Devices for OneDevice {
    fn find(&self, _: &Id) -> Result<Option<Device>, RecordError> {
        let device_key = key(DEVICE).verifying_key().to_bytes();
        let record = DeviceRecord {
            device_id: DEVICE_ID,
            device_key,
            user: "u".into(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        Ok(Some(Device {
            record,
            record_sha256: [0; 32],
            revoked: false,
            withdrawn: false,
            templates: vec![],
        }))
    }
}
