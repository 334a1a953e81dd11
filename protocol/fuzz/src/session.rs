//! What a client that holds the right key may do to a live host: messages of any type and body,
//! signed and numbered as they should be, and chunks, in any order. The input is a row of
//! `u16 length ‖ item`; an item is the payload of a message, or a chunk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sudare_protocol::client::{AwaitHello, Fresh, Setup};
use sudare_protocol::host::{self, AwaitOpen, Device, Devices};
use sudare_protocol::limits::{INCIDENT_MAX_BYTES, OPERATORS_MAX};
use sudare_protocol::message::{Id, split};
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, HostRecord, Policy, RecordError, Signed};
use sudare_protocol::session::transcript;
use sudare_protocol::{SigningKey, cose};

const NOW_MS: u64 = 1_000;
const DEVICE_ID: Id = [0xd1; 16];

fuzz_target!(|data: &[u8]| {
    let (mut host, transcript) = live();
    let (mut rest, mut sequence) = (data, 1);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (item, next) = after.split_at(length);
        rest = next;
        let taken = if let Ok((kind, _, body)) = split(item) {
            let mut payload = vec![0x83];
            minicbor::encode(kind, &mut payload).and_then(|()| minicbor::encode(sequence, &mut payload)).expect("a Vec");
            payload.extend_from_slice(body);
            sequence += 1;
            host.handle(&cose::sign1(&key(3), &transcript, &payload), NOW_MS)
        } else {
            host.handle(item, NOW_MS)
        };
        match taken {
            Ok(Some(host::ClientNews::Evidence(whole))) => {
                assert!(whole.pieces.iter().map(Vec::len).sum::<usize>() <= INCIDENT_MAX_BYTES);
            }
            Ok(_) => {}
            // The host ends the session at its first refusal, and can always say why.
            Err(refusal) => {
                assert!(refusal.to_string().contains(". "));
                assert!(host.refuse(&refusal).is_some());
                return;
            }
        }
        host.credit().expect("credit can be given");
        assert!(host.lease_until_ms() <= NOW_MS + host.timings().lease_ms);
    }
});

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

struct OneDevice;

impl Devices for OneDevice {
    fn find(&self, _: &Id) -> Result<Option<Device>, RecordError> {
        let device_key = key(3).verifying_key().to_bytes();
        let record = DeviceRecord {
            device_id: DEVICE_ID,
            device_key,
            user: "u".into(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        Ok(Some(Device { record, record_sha256: [0; 32], revoked: false, templates: vec![] }))
    }
}

/// A host after a good handshake.
fn live() -> (host::Live, [u8; 32]) {
    let host_key = key(2).verifying_key().to_bytes();
    let record = HostRecord { host_id: "h".into(), host_key, not_before_ms: 0, not_after_ms: u64::MAX, log: None };
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
    };
    let policy = Signed::sign(&key(1), &policy).expect("a policy");
    let setup = host::Setup {
        host_key: key(2),
        host_record: Signed::sign(&key(1), &record).expect("a record"),
        policy: Signed::verify(&key(1).verifying_key(), &policy, 0).expect("its own"),
        session_id: [1; 16],
        boot_id: [2; 16],
        tls_cert_sha256: [3; 32],
        tls_exporter: None,
        user: None,
        wall_ms: 0,
    };
    let client = Setup {
        organisation: key(1).verifying_key(),
        device_key: key(3),
        device_id: DEVICE_ID,
        boot_id: [4; 16],
        software: String::new(),
        models: vec![],
        tls_cert_sha256: None,
        tls_exporter: None,
        wall_ms: 0,
    };
    let (host, hello) = AwaitOpen::new(setup, [5; 32], NOW_MS).expect("HELLO");
    let fresh = Fresh { nonce: [6; 32], template_secret: [7; 32] };
    let (_, open) = AwaitHello::new(client, fresh).handle(&hello[4..]).expect("OPEN");
    let fresh = host::Fresh { nonce: [8; 16], template_secrets: [[9; 32]; OPERATORS_MAX] };
    let transcript = transcript(&hello[4..], &open[4..]);
    let (host, _, _) = host.handle(&open[4..], &OneDevice, &fresh, NOW_MS).expect("READY");
    (host, transcript)
}
