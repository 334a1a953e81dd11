//! What stands in each vector file, made by our code from the fixed keys of `pair`.

use serde_json::{Value, json};
use sudare_protocol::enrol::{Enrolment, Revocation};
use sudare_protocol::evidence::event::{BlobId, Cover, Erasure, Tombstone};
use sudare_protocol::evidence::{BlobRef, ENTRY_CONTEXT, Entry, Event, Label, Media};
use sudare_protocol::eyes::{EyesRules, FirstCheck, Liveness, NotMeasurable, Recognition};
use sudare_protocol::frame::frame;
use sudare_protocol::groups::Group;
use sudare_protocol::notice::{Notice, Words};
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, HostRecord, Policy, Record, Signed};
use sudare_protocol::tlog::{Checkpoint, VerifierKey};
use sudare_protocol::{SigningKey, cose, keyfile, template};
use sudare_test_kit::pair;

use super::session::{self, Said, Session};
use super::{hex, notation};

/// (file name, content) of every vector file.
pub(super) fn files() -> Vec<(&'static str, Value)> {
    let session = session::play();
    vec![
        ("keys.json", keys()),
        ("messages.json", signed(&session.said)),
        ("records.json", signed(&records())),
        ("codes.json", codes()),
        ("entries.json", signed(&entries())),
        ("transcript.json", transcript(&session)),
        ("template.json", sealed_template(&session)),
        ("frames.json", frames(&session)),
        ("checkpoint.json", checkpoint()),
    ]
}

/// Everything that is a COSE_Sign1.
pub(super) fn all_signed() -> Vec<Said> {
    let mut all = session::play().said;
    all.extend(records());
    all.extend(entries());
    all
}

fn signed(said: &[Said]) -> Value {
    let one = |s: &Said| {
        let payload = cose::unverified_payload(&s.message).unwrap();
        json!({
            "name": s.name,
            "signer": s.signer,
            "external_aad": hex(&s.context),
            "item": notation::json(payload),
            "payload": hex(payload),
            "cose": hex(&s.message),
        })
    };
    said.iter().map(one).collect::<Vec<_>>().into()
}

fn keys() -> Value {
    let key = |name: &str, key: SigningKey| {
        let public = key.verifying_key();
        json!({
            "name": name,
            "secret": hex(key.to_bytes()),
            "public": hex(public.to_bytes()),
            "key_id": hex(cose::key_id(&public)),
            "device_id": hex(keyfile::device_id(&public)),
            "secret_line": *keyfile::secret_line(&key),
            "public_line": keyfile::public_line(&public),
        })
    };
    json!([
        key("organisation", pair::organisation_key()),
        key("host", pair::host_key()),
        key("device", pair::device_key()),
        key("log", log_key()),
        key("enroller", pair::enroller_key()),
        key("invitation", pair::code().key()),
    ])
}

pub(super) fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn record<R: Record>(name: &str, record: &R) -> Said {
    record_by(name, "organisation", pair::organisation_key(), record)
}

fn record_by<R: Record>(name: &str, signer: &'static str, key: SigningKey, record: &R) -> Said {
    let message = Signed::sign(&key, record).unwrap();
    Said { name: name.into(), signer, key, context: R::CONTEXT.to_vec(), message }
}

/// A code as people type it, and what is in it.
fn codes() -> Value {
    let code = pair::code();
    json!([{
        "name": "pairing code",
        "text": *code.to_text(),
        "address": code.address,
        "not_after_ms": code.not_after_ms,
        "organisation": hex(code.organisation),
        "certificate": hex(code.certificate),
        "secret": hex(*code.secret),
        "public": hex(code.key().verifying_key().to_bytes()),
    }])
}

fn records() -> Vec<Said> {
    let host_record = HostRecord {
        host_id: "vdi-1".into(),
        host_key: pair::host_key().verifying_key().to_bytes(),
        not_before_ms: pair::WALL_MS,
        not_after_ms: u64::MAX,
        log: None,
    };
    let device_key = pair::device_key().verifying_key();
    let device_record = DeviceRecord {
        device_id: keyfile::device_id(&device_key),
        device_key: device_key.to_bytes(),
        user: "花子".into(),
        not_before_ms: 0,
        not_after_ms: pair::WALL_MS,
    };
    let timings = [("absence_ms".to_owned(), 5_000), ("hold_ms".to_owned(), 300)].into();
    let eyes = EyesRules {
        liveness: Liveness::LightRequired,
        not_measurable: NotMeasurable::Turn,
        first_check: FirstCheck::Light,
        holds_minutes: 0,
        away_minutes: 5,
        recognition: Recognition::Strict,
    };
    let checked = Policy { eyes: Some(eyes), serial: 3, ..pair::policy() };
    let words = |english: &str| Words { japanese: "お知らせ".into(), english: english.into() };
    let notice = Notice {
        version: 1,
        owner: words("Example Ltd."),
        contact: words("privacy@example.test"),
        purpose: words("Only you see the desktop."),
        retention: words("14 days"),
        alternative: words("Work at the office"),
    };
    let told = Policy { notice: Some(notice), serial: 4, ..pair::policy() };
    let groups = vec![Group {
        name: "pilot".into(),
        members: vec!["@pilot".into(), "花子".into()],
        timings: [("hold_ms".to_owned(), 700)].into(),
        eyes: Some(EyesRules { recognition: Recognition::Presence, ..EyesRules::default() }),
        observed_until_ms: Some(1_000),
    }];
    let grouped = Policy { groups: Some(groups), serial: 5, ..pair::policy() };
    let enrolment = Enrolment { device_key: device_key.to_bytes() };
    let strict = Policy { timings, evidence: EvidenceDuty::BestEffort, serial: 2, ..pair::policy() };
    vec![
        record("host record", &host_record),
        record("device record", &device_record),
        record("policy with the default numbers", &pair::policy()),
        record("policy with numbers of its own", &strict),
        record("policy with a check by light and strict recognition", &checked),
        record("policy with a notice", &told),
        record("policy with a group", &grouped),
        record("enroller record", &pair::enroller()),
        record_by("invitation", "enroller", pair::enroller_key(), &pair::invitation()),
        record_by("enrolment", "invitation", pair::code().key(), &enrolment),
        record("revocation", &Revocation { key: pair::enroller().key, at_ms: pair::WALL_MS }),
    ]
}

fn entries() -> [Said; 2] {
    let cover = Cover { asked_boot_ms: 10, effective_boot_ms: 35, confirmed: true, cause_seq: Some(300) };
    let (kind, body) = Event::Cover(cover).encode();
    let blob = BlobRef {
        blob_id: [0xb1; 16],
        label: Label::ScreenshotAtCover.number(),
        media: Media::Png.number(),
        sha256: [0x5a; 32],
        size: 123_456,
        commitment: [0xcc; 32],
        header_size: None,
    };
    let entry = Entry {
        version: 1,
        seq: 301,
        wall_ms: pair::WALL_MS,
        boot_ms: 36,
        boot_id: [0xb0; 16],
        session_id: Some([0x5e; 16]),
        incident_id: Some([0x1d; 16]),
        kind,
        reason: Some(sudare_protocol::reason::Reason::Onlooker.number()),
        blobs: vec![blob],
        body,
        source: Some([0x50; 16]),
        serial: Some(12),
    };
    let erased = Event::Tombstone(Tombstone {
        blobs: vec![BlobId([0xb1; 16])],
        cause: Erasure::Approved.number(),
        approvals_sha256: Some([0xa9; 32]),
    });
    let (kind, body) = erased.encode();
    let tombstone =
        Entry { seq: 302, kind, body, blobs: vec![], source: None, serial: None, reason: None, ..entry };
    [("cover", entry), ("tombstone", tombstone)].map(|(name, entry)| {
        let (key, context) = (log_key(), ENTRY_CONTEXT.to_vec());
        let (name, message) = (format!("log entry: {name}"), entry.sign(&key).unwrap());
        Said { name, signer: "log", message, key, context }
    })
}

fn transcript(session: &Session) -> Value {
    json!([{
        "name": "transcript",
        "hello": hex(&session.hello),
        "open": hex(&session.open),
        "transcript": hex(session.transcript),
    }])
}

fn sealed_template(session: &Session) -> Value {
    let plain = pair::template().to_bytes().unwrap();
    let client_secret = pair::client_fresh().template_secret;
    let host_secret = pair::host_fresh().template_secrets[0];
    let client_public = template::public_key(&client_secret);
    let sealed = template::seal(&plain, &session.transcript, &client_public, host_secret).unwrap();
    json!([{
        "name": "operator template",
        "item": notation::json(&plain),
        "plain": hex(&*plain),
        "transcript": hex(session.transcript),
        "client_secret": hex(client_secret),
        "client_public": hex(client_public),
        "host_secret": hex(host_secret),
        "sealed": hex(sealed),
    }])
}

fn frames(session: &Session) -> Value {
    let chunk = session.chunk.to_bytes();
    let one = |name: &str, body: &[u8]| json!({ "name": name, "body": hex(body), "frame": hex(frame(body).unwrap()) });
    let mut chunk_case = one("evidence chunk", &chunk);
    chunk_case["item"] = notation::json(&chunk);
    json!([one("one byte", &[0xf6]), one("open", &session.open), chunk_case])
}

fn checkpoint() -> Value {
    let (key, origin) = (log_key(), "sudare/vdi-1".to_owned());
    let vkey = VerifierKey::new(&origin, key.verifying_key()).unwrap().to_string();
    let root = [0x12; 32];
    let signed = Checkpoint { origin: origin.clone(), size: 70_001, root }.sign(&key).unwrap();
    json!([{
        "name": "checkpoint",
        "secret": hex(key.to_bytes()),
        "origin": origin,
        "size": 70_001,
        "root": hex(root),
        "vkey": vkey,
        "note": signed.note(),
    }])
}
