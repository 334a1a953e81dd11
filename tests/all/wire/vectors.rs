//! The vector files say what our code writes, and our code reads what they say.

use std::fs;

use minicbor::{Decode, Encode};
use serde_json::Value;
use sudare_protocol::enrol::{EnrollerRecord, Enrolment, Invitation, PairingCode, Revocation};
use sudare_protocol::evidence::{ENTRY_CONTEXT, Entry, Event};
use sudare_protocol::frame::{Chunk, Deframer};
use sudare_protocol::message::{self, Bounded, KINDS, kind};
use sudare_protocol::records::{DeviceRecord, HostRecord, Policy, Record, Signed};
use sudare_protocol::session::transcript;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};
use sudare_protocol::{SigningKey, VerifyingKey, cose, keyfile, light, template};
use sudare_test_kit::pair;

use super::{cases, folder, hex, unhex};

#[test]
fn our_code_writes_the_vectors_byte_for_byte() {
    let write = std::env::var_os("SUDARE_WRITE_VECTORS").is_some();
    for (name, made) in cases::files() {
        let path = folder().join(name);
        if write {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        let stored = read(name);
        let (made, stored) = (made.as_array().unwrap(), stored.as_array().unwrap());
        for (made, stored) in made.iter().zip(stored) {
            assert_eq!(made, stored, "{name}: {}", made["name"]);
        }
        assert_eq!(made.len(), stored.len(), "{name}");
    }
}

#[test]
fn every_message_type_has_a_vector() {
    let vectors = read("messages.json");
    let types: Vec<u64> =
        vectors.as_array().unwrap().iter().map(|v| v["item"][0].as_u64().unwrap()).collect();
    for (name, number, sender) in KINDS {
        assert!(types.contains(&u64::from(*number)), "{name} has no vector");
        let by = |v: &&Value| v["item"][0] == *number;
        let signer = vectors.as_array().unwrap().iter().find(by).unwrap()["signer"].clone();
        assert!(*sender == "both" || (*sender == "host") == (signer == "host"), "{name} by {signer}");
    }
}

#[test]
fn messages_are_read_and_written_again_the_same() {
    for vector in read("messages.json").as_array().unwrap() {
        let payload = verified(vector);
        let (number, sequence, body) = message::split(&payload).unwrap();
        let again = match number {
            kind::HELLO => again::<message::Hello>(number, sequence, body),
            kind::READY => again::<message::Ready>(number, sequence, body),
            kind::CHALLENGE => again::<message::Challenge>(number, sequence, body),
            kind::STATUS => again::<message::Status>(number, sequence, body),
            kind::ACK => again::<message::Ack>(number, sequence, body),
            kind::WITHDRAWN => again::<message::Withdrawn>(number, sequence, body),
            kind::CREDIT => again::<message::Credit>(number, sequence, body),
            kind::OPEN => again::<message::Open>(number, sequence, body),
            kind::ATTEST => again::<message::Attest>(number, sequence, body),
            kind::SUSPECT => again::<message::Suspect>(number, sequence, body),
            kind::LOCK => again::<message::Lock>(number, sequence, body),
            kind::UNLOCK => again::<message::Unlock>(number, sequence, body),
            kind::MANIFEST => again::<message::Manifest>(number, sequence, body),
            kind::BYE => again::<message::Bye>(number, sequence, body),
            kind::ENROL => again::<message::Enrol>(number, sequence, body),
            kind::LIGHT => again::<light::Light>(number, sequence, body),
            kind::LIT => again::<light::Lit>(number, sequence, body),
            kind::ERROR => again::<message::ErrorBody>(number, sequence, body),
            other => panic!("a vector of the unknown type {other:#x}"),
        };
        assert_eq!(hex(again), hex(payload), "{}", vector["name"]);
    }
}

/// What was written before the manifest told what was decided on, and OPEN how its key is kept.
#[test]
fn messages_of_earlier_programs_are_still_read() {
    let vectors = read("earlier/messages.json");
    assert!(vectors.as_array().unwrap().len() > 10);
    for vector in vectors.as_array().unwrap() {
        let payload = verified(vector);
        let (number, sequence, body) = message::split(&payload).unwrap();
        let again = match number {
            kind::OPEN => again::<message::Open>(number, sequence, body),
            kind::MANIFEST => again::<message::Manifest>(number, sequence, body),
            _ => continue,
        };
        assert_eq!(hex(again), hex(payload), "{}", vector["name"]);
    }
}

fn again<T>(number: u8, sequence: u64, body: &[u8]) -> Vec<u8>
where
    T: for<'b> Decode<'b, ()> + Encode<()> + Bounded,
{
    message::encode(number, sequence, &message::body::<T>(body).unwrap())
}

#[test]
fn records_are_read_and_written_again_the_same() {
    let mut read_count = 0;
    for vector in read("records.json").as_array().unwrap() {
        let bytes = field(vector, "cose");
        let context = field(vector, "external_aad");
        let key = match vector["signer"].as_str().unwrap() {
            "organisation" => pair::organisation_key(),
            "enroller" => pair::enroller_key(),
            _ => pair::code().key(),
        };
        read_count += usize::from(same_record::<HostRecord>(&key, &context, &bytes));
        read_count += usize::from(same_record::<DeviceRecord>(&key, &context, &bytes));
        read_count += usize::from(same_record::<Policy>(&key, &context, &bytes));
        read_count += usize::from(same_record::<EnrollerRecord>(&key, &context, &bytes));
        read_count += usize::from(same_record::<Invitation>(&key, &context, &bytes));
        read_count += usize::from(same_record::<Enrolment>(&key, &context, &bytes));
        read_count += usize::from(same_record::<Revocation>(&key, &context, &bytes));
    }
    assert_eq!(read_count, 11, "each is read as exactly one kind");
}

fn same_record<R: Record>(key: &SigningKey, context: &[u8], bytes: &[u8]) -> bool {
    let read = Signed::<R>::verify_any_time(&key.verifying_key(), bytes);
    assert_eq!(read.is_ok(), context == R::CONTEXT, "{}", R::KIND);
    let Ok(read) = read else { return false };
    assert_eq!(Signed::sign(key, read.record()).unwrap(), bytes);
    true
}

#[test]
fn a_pairing_code_is_read_as_its_vector_says() {
    for vector in read("codes.json").as_array().unwrap() {
        let code = PairingCode::parse(vector["text"].as_str().unwrap()).unwrap();
        assert_eq!(code, pair::code());
        assert_eq!(hex(*code.secret), vector["secret"]);
        assert_eq!(hex(code.key().verifying_key().to_bytes()), vector["public"]);
    }
}

#[test]
fn log_entries_and_checkpoints_are_read() {
    for vector in read("entries.json").as_array().unwrap() {
        let leaf = field(vector, "cose");
        let entry = Entry::open(&leaf, &cases::log_key().verifying_key()).unwrap();
        assert!(!matches!(entry.event().unwrap(), Event::Unknown { .. }));
        assert_eq!(entry.sign(&cases::log_key()).unwrap(), leaf);
        assert_eq!(field(vector, "external_aad"), ENTRY_CONTEXT);
    }
    let vector = &read("checkpoint.json")[0];
    let key: VerifierKey = vector["vkey"].as_str().unwrap().parse().unwrap();
    let note = vector["note"].as_str().unwrap();
    let checkpoint = SignedCheckpoint::open(note.as_bytes(), &key).unwrap();
    assert_eq!(checkpoint.size(), vector["size"].as_u64().unwrap());
    assert_eq!(hex(checkpoint.root()), vector["root"].as_str().unwrap());
}

#[test]
fn keys_transcript_template_and_frames_are_read() {
    for vector in read("keys.json").as_array().unwrap() {
        let secret = keyfile::parse_secret(vector["secret_line"].as_str().unwrap()).unwrap();
        let public = keyfile::parse_public(vector["public_line"].as_str().unwrap()).unwrap();
        assert_eq!(secret.to_bytes().to_vec(), field(vector, "secret"));
        assert_eq!(secret.verifying_key(), public);
        assert_eq!(keyfile::device_id(&public).to_vec(), field(vector, "device_id"));
    }
    let shaken = &read("transcript.json")[0];
    let made = transcript(&field(shaken, "hello"), &field(shaken, "open"));
    assert_eq!(made.to_vec(), field(shaken, "transcript"));

    let vector = &read("template.json")[0];
    let fixed = |name: &str| -> [u8; 32] { field(vector, name).try_into().unwrap() };
    let opened =
        template::unseal(&field(vector, "sealed"), &fixed("transcript"), &fixed("client_secret")).unwrap();
    assert_eq!(opened.to_bytes().unwrap().to_vec(), field(vector, "plain"));
    assert!(template::unseal(&field(vector, "sealed"), &[0; 32], &fixed("client_secret")).is_err());

    for vector in read("frames.json").as_array().unwrap() {
        let mut deframer = Deframer::default();
        deframer.push(&field(vector, "frame"));
        let body = deframer.next_frame().unwrap().unwrap();
        assert_eq!(body, field(vector, "body"));
        if vector["name"] == "evidence chunk" {
            assert_eq!(Chunk::from_bytes(&body).unwrap().to_bytes(), body);
        }
    }
}

/// The payload of a vector, after our own check of its signature.
fn verified(vector: &Value) -> Vec<u8> {
    let bytes = field(vector, "cose");
    let key = public_key(vector["signer"].as_str().unwrap());
    cose::verify1(&key, &field(vector, "external_aad"), &bytes).unwrap().to_vec()
}

pub(super) fn public_key(name: &str) -> VerifyingKey {
    let keys = read("keys.json");
    let key = keys.as_array().unwrap().iter().find(|k| k["name"] == name).expect("a known key");
    VerifyingKey::from_bytes(&field(key, "public").try_into().unwrap()).unwrap()
}

#[track_caller]
fn field(vector: &Value, name: &str) -> Vec<u8> {
    unhex(vector[name].as_str().expect(name))
}

#[track_caller]
fn read(name: &str) -> Value {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}
