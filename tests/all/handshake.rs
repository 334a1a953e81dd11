//! What each end refuses in the handshake and in a live session, without any socket: the code,
//! whose fault it is, that the message says what to do, and that the other end learns of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod ends;
mod evidence;
mod groups;
mod live;
mod withdrawal;

use sudare_protocol::client::AwaitHello;
use sudare_protocol::error::{Code, Fault};
use sudare_protocol::host::{self, AwaitOpen};
use sudare_protocol::limits::{HANDSHAKE_MAX_MS, MODELS_MAX, OPEN_MAX_BYTES, TEXT_MAX_BYTES};
use sudare_protocol::message::{self, CertificateCheck, Hello, Open, kind};
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, RecordError, Signed};
use sudare_protocol::session::{HELLO_CONTEXT, OPEN_CONTEXT};
use sudare_protocol::{SigningKey, cose};
use sudare_test_kit::pair;

use ends::{Padded, assert_refused, one_frame};

/// Host time of these handshakes.
const NOW_MS: u64 = 50_000;

fn stranger_key() -> SigningKey {
    SigningKey::from_bytes(&[0x66; 32])
}

fn offer() -> (AwaitOpen, Vec<u8>) {
    let (host, hello) = AwaitOpen::new(pair::host_setup().unwrap(), [0x30; 32], NOW_MS).unwrap();
    (host, one_frame(&hello))
}

/// A good HELLO with something changed, signed as a real host would.
fn changed_hello(change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let (_, hello) = offer();
    let (_, _, body) = message::split(cose::unverified_payload(&hello).unwrap()).unwrap();
    let mut hello: Hello = message::body(body).unwrap();
    change(&mut hello);
    cose::sign1(&pair::host_key(), HELLO_CONTEXT, &message::encode(kind::HELLO, 0, &hello))
}

/// The client refuses this HELLO; the host learns the code.
#[track_caller]
fn client_refuses(hello: &[u8], code: Code, fault: Fault) {
    let refused = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(hello).unwrap_err();
    assert_refused(&refused.refusal, code, fault);
    let reply = one_frame(&refused.reply.expect("the host must be told"));
    let (host, _) = offer();
    let told = host.handle(&reply, &pair::OneDevice::default(), &pair::host_fresh(), NOW_MS).unwrap_err();
    assert_eq!(told.refusal.code, Code::PeerEnded);
    assert!(told.refusal.to_string().contains(code.text()), "{}", told.refusal);
}

fn signed_host_record(by: &SigningKey, not_before_ms: u64, not_after_ms: u64) -> Vec<u8> {
    let host_key = pair::host_key().verifying_key().to_bytes();
    let record = HostRecord { host_id: "vdi-1".into(), host_key, not_before_ms, not_after_ms, log: None };
    Signed::sign(by, &record).unwrap()
}

#[test]
fn a_host_that_the_organisation_did_not_sign_is_refused() {
    let foreign = signed_host_record(&stranger_key(), 0, u64::MAX);
    client_refuses(&changed_hello(|h| h.host_record = foreign), Code::HostUnknown, Fault::Peer);
    client_refuses(&changed_hello(|h| h.host_record.clear()), Code::HostUnknown, Fault::Peer);
    // A policy is signed by the same key; it must not pass for a host record.
    client_refuses(&changed_hello(|h| h.host_record = h.policy.clone()), Code::HostUnknown, Fault::Peer);
}

#[test]
fn a_host_record_is_good_only_in_its_time() {
    let organisation = pair::organisation_key();
    let ended = signed_host_record(&organisation, 0, pair::WALL_MS - 1);
    let later = signed_host_record(&organisation, pair::WALL_MS + 1, u64::MAX);
    for record in [ended, later] {
        client_refuses(&changed_hello(|h| h.host_record = record), Code::HostUnknown, Fault::Peer);
    }
    let just_now = signed_host_record(&organisation, pair::WALL_MS, pair::WALL_MS);
    let hello = changed_hello(|h| h.host_record = just_now);
    assert!(AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).is_ok());
}

#[test]
fn a_host_without_the_recorded_key_is_refused() {
    // It shows the right record, which is public, and signs with its own key.
    let (_, hello) = offer();
    let payload = cose::unverified_payload(&hello).unwrap();
    client_refuses(&cose::sign1(&stranger_key(), HELLO_CONTEXT, payload), Code::Signature, Fault::Peer);
    client_refuses(&cose::sign1(&pair::host_key(), OPEN_CONTEXT, payload), Code::Signature, Fault::Peer);
}

#[test]
fn every_changed_byte_of_hello_is_refused() {
    let (_, hello) = offer();
    for at in 0..hello.len() {
        let mut bad = hello.clone();
        bad[at] ^= 1;
        let refused = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&bad);
        assert!(refused.is_err(), "byte {at}");
    }
    client_refuses(&hello[..hello.len() - 1], Code::Malformed, Fault::Peer);
    client_refuses(&[], Code::Malformed, Fault::Peer);
}

#[test]
fn a_policy_that_cannot_be_trusted_or_used_is_refused() {
    let refused = |policy: Vec<u8>| {
        let hello = changed_hello(|h| h.policy = policy);
        client_refuses(&hello, Code::PolicyRefused, Fault::Organisation);
    };
    let organisation = pair::organisation_key();
    refused(Signed::sign(&stranger_key(), &pair::policy()).unwrap());
    refused(minicbor::to_vec(pair::policy()).unwrap());
    refused(Vec::new());
    refused(Signed::sign(&organisation, &Policy { not_after_ms: 1, ..pair::policy() }).unwrap());
    // `sign` refuses what nobody could use, so a careless organisation is played by hand.
    let careless = |policy: Policy| {
        assert!(Signed::sign(&organisation, &policy).is_err());
        refused(cose::sign1(&organisation, b"sudare/v1 policy", &minicbor::to_vec(policy).unwrap()));
    };
    let timings = |name: &str, value| [(name.to_owned(), value)].into();
    careless(Policy { timings: timings("absence_ms", 3_600_000), ..pair::policy() });
    careless(Policy { timings: timings("no_such_timing", 1), ..pair::policy() });
    careless(Policy { auditors: pair::policy().auditors[..1].to_vec(), ..pair::policy() });
}

#[test]
fn a_connection_with_another_certificate_than_the_signed_one_is_refused() {
    let hello = changed_hello(|h| h.tls_cert_sha256 = [0x0f; 32]);
    client_refuses(&hello, Code::CertificateMismatch, Fault::Surroundings);
    // A client that cannot see the certificate says so, and the host records it.
    let setup = sudare_protocol::client::Setup { tls_cert_sha256: None, ..pair::client_setup() };
    let (host, hello) = offer();
    let (_, open) = AwaitHello::new(setup, pair::client_fresh()).handle(&hello).unwrap();
    let answer = host.handle(&one_frame(&open), &pair::OneDevice::default(), &pair::host_fresh(), NOW_MS);
    assert_eq!(answer.unwrap().2.certificate, CertificateCheck::NotPossible);
}

#[test]
fn a_connection_in_another_tls_session_than_the_host_ends_is_refused() {
    let hello = changed_hello(|h| h.tls_exporter = Some([0x0f; 32]));
    client_refuses(&hello, Code::CertificateMismatch, Fault::Surroundings);
    let (_, hello) = offer();
    // Neither a plugin, which cannot see it, nor a host that does not end TLS itself is refused for it.
    let blind = sudare_protocol::client::Setup { tls_exporter: None, ..pair::client_setup() };
    AwaitHello::new(blind, pair::client_fresh()).handle(&hello).unwrap();
    let older = changed_hello(|h| h.tls_exporter = None);
    AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&older).unwrap();
}

#[test]
fn no_version_in_common_ends_the_handshake_on_both_sides() {
    client_refuses(&changed_hello(|h| h.versions = vec![2, 3]), Code::Version, Fault::Peer);
    client_refuses(&changed_hello(|h| h.versions = vec![]), Code::Malformed, Fault::Peer);
    host_refuses(&changed_open(|o| o.version = 2), Code::Version, Fault::Peer);
}

#[test]
fn what_is_not_hello_or_open_is_refused_in_their_place() {
    let ready = message::Ready { templates: vec![], nonce: [1; 16], user: None, group: None };
    let payload = message::encode(kind::READY, 0, &ready);
    let early = cose::sign1(&pair::host_key(), HELLO_CONTEXT, &payload);
    client_refuses(&early, Code::Unexpected, Fault::Peer);
    let bye = message::Bye { reason: sudare_protocol::reason::Reason::ClientGone };
    let payload = message::encode(kind::BYE, 0, &bye);
    let early = cose::sign1(&pair::device_key(), OPEN_CONTEXT, &payload);
    host_refuses(&early, Code::Unexpected, Fault::Peer);
}

/// A good OPEN with something changed, signed as the real device would.
fn changed_open(change: impl FnOnce(&mut Open)) -> Vec<u8> {
    let (_, hello) = offer();
    let (_, open) = AwaitHello::new(pair::client_setup(), pair::client_fresh()).handle(&hello).unwrap();
    let open = one_frame(&open);
    let (_, _, body) = message::split(cose::unverified_payload(&open).unwrap()).unwrap();
    let mut open: Open = message::body(body).unwrap();
    change(&mut open);
    cose::sign1(&pair::device_key(), OPEN_CONTEXT, &message::encode(kind::OPEN, 0, &open))
}

#[track_caller]
fn host_refuses(open: &[u8], code: Code, fault: Fault) {
    let (host, _) = offer();
    let refused = host.handle(open, &pair::OneDevice::default(), &pair::host_fresh(), NOW_MS).unwrap_err();
    assert_refused(&refused.refusal, code, fault);
    assert!(refused.reply.is_some(), "the client must be told");
}

#[test]
fn an_open_for_another_session_or_policy_is_refused() {
    host_refuses(&changed_open(|o| o.session_id = [0; 16]), Code::WrongSession, Fault::Peer);
    host_refuses(&changed_open(|o| o.policy_digest = [0; 32]), Code::WrongSession, Fault::Peer);
}

#[test]
fn an_open_that_the_device_did_not_sign_is_refused() {
    let open = changed_open(|_| {});
    let payload = cose::unverified_payload(&open).unwrap();
    host_refuses(&cose::sign1(&stranger_key(), OPEN_CONTEXT, payload), Code::Signature, Fault::Peer);
    host_refuses(&cose::sign1(&pair::device_key(), HELLO_CONTEXT, payload), Code::Signature, Fault::Peer);
    host_refuses(&open[..open.len() / 2], Code::Malformed, Fault::Peer);
    host_refuses(&changed_open(|o| o.software = "x".repeat(513)), Code::Malformed, Fault::Peer);
}

#[test]
fn an_open_that_is_longer_than_any_good_one_is_refused() {
    let longest = changed_open(|o| {
        o.software = "x".repeat(TEXT_MAX_BYTES);
        o.models = vec![vec![7; 32].into(); MODELS_MAX];
    });
    assert!(longest.len() <= OPEN_MAX_BYTES / 2, "{} bytes leave room for later versions", longest.len());
    let (host, _) = offer();
    assert!(host.handle(&longest, &pair::OneDevice::default(), &pair::host_fresh(), NOW_MS).is_ok());
    // With HELLO before it, it would be no entry of the log.
    let (_, _, body) = message::split(cose::unverified_payload(&longest).unwrap()).unwrap();
    let padded = Padded(message::body::<Open>(body).unwrap(), OPEN_MAX_BYTES);
    let payload = message::encode(kind::OPEN, 0, &padded);
    host_refuses(&cose::sign1(&pair::device_key(), OPEN_CONTEXT, &payload), Code::TooLarge, Fault::Peer);
}

/// The client's OPEN is good and the host refuses it all the same: the client must learn why.
#[track_caller]
fn host_turns_away(setup: host::Setup, devices: &dyn host::Devices, now_ms: u64, code: Code, fault: Fault) {
    let (host, hello) = AwaitOpen::new(setup, [0x30; 32], NOW_MS).unwrap();
    let waiting = AwaitHello::new(pair::client_setup(), pair::client_fresh());
    let (client, open) = waiting.handle(&one_frame(&hello)).unwrap();
    let refused = host.handle(&one_frame(&open), devices, &pair::host_fresh(), now_ms).unwrap_err();
    assert_refused(&refused.refusal, code, fault);
    let told = client.handle(&one_frame(&refused.reply.unwrap())).unwrap_err();
    assert_eq!(told.refusal.code, Code::PeerEnded);
    // What was the host's "peer" is now "us".
    let seen_here = if fault == Fault::Peer { Fault::Us } else { fault };
    assert_eq!(told.refusal.fault, seen_here);
    assert!(told.refusal.to_string().contains(code.text()), "{}", told.refusal);
}

#[test]
fn a_device_that_may_not_speak_is_turned_away_and_told_why() {
    let setup = || pair::host_setup().unwrap();
    let missing = pair::OneDevice { missing: true, ..pair::OneDevice::default() };
    host_turns_away(setup(), &missing, NOW_MS, Code::DeviceUnknown, Fault::Organisation);
    let revoked = pair::OneDevice { revoked: true, ..pair::OneDevice::default() };
    host_turns_away(setup(), &revoked, NOW_MS, Code::DeviceRevoked, Fault::Organisation);
    let known = pair::OneDevice::default();
    let bob = host::Setup { user: Some("bob".into()), ..setup() };
    host_turns_away(bob, &known, NOW_MS, Code::WrongUser, Fault::Peer);
    host_turns_away(setup(), &Broken, NOW_MS, Code::DeviceUnknown, Fault::Organisation);
    for (not_before_ms, not_after_ms) in [(pair::WALL_MS + 1, u64::MAX), (0, pair::WALL_MS - 1)] {
        let ended = OutOfTime { not_before_ms, not_after_ms };
        host_turns_away(setup(), &ended, NOW_MS, Code::DeviceUnknown, Fault::Organisation);
    }
}

#[test]
fn an_open_that_comes_too_late_is_turned_away() {
    let (setup, known) = (pair::host_setup().unwrap(), pair::OneDevice::default());
    let late_ms = NOW_MS + HANDSHAKE_MAX_MS + 1;
    host_turns_away(setup, &known, late_ms, Code::Timeout, Fault::Surroundings);
    let (host, _) = offer();
    assert!(host.is_late(late_ms) && !host.is_late(late_ms - 1));
}

/// A registry whose record cannot be read.
struct Broken;

impl host::Devices for Broken {
    fn find(&self, _: &message::Id) -> Result<Option<host::Device>, RecordError> {
        Err(RecordError::Malformed { kind: "device record" })
    }
}

/// A registry whose one record is not valid now.
struct OutOfTime {
    not_before_ms: u64,
    not_after_ms: u64,
}

impl host::Devices for OutOfTime {
    fn find(&self, device_id: &message::Id) -> Result<Option<host::Device>, RecordError> {
        let (not_before_ms, not_after_ms) = (self.not_before_ms, self.not_after_ms);
        Ok(pair::OneDevice::default().find(device_id)?.map(|device| host::Device {
            record: DeviceRecord { not_before_ms, not_after_ms, ..device.record.clone() },
            ..device
        }))
    }
}
