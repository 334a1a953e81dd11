//! One changed byte in any file of a store is found, or the file is listed as no evidence. No file makes an audit wait.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_evidence::log::{Draft, LogKeys};
use sudare_evidence::reader::{COSIGNED, Store};
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::{BlobId, Erasure, Note, Tombstone};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::cosignature::attach;
use sudare_protocol::tlog::{Checkpoint, Cosigner, SignedCheckpoint};
use sudare_protocol::verify::Depth;

use super::tamper_tests::{BLOB, Example, INCIDENT, example_with, keys, stamp, verifier};
use super::{Report, Walk, verify_store};

fn witness() -> Cosigner {
    Cosigner::new("witness.example", SigningKey::from_bytes(&[6; 32])).unwrap()
}

/// A store with everything that one can hold: superseded tiles below and above the last full one, a witness's line,
/// the recorder's own files, leftovers, and what nobody knows.
fn full_store() -> Example {
    let example = example_with(9, 0);
    for size in [40, 255, 300, 310] {
        let mut writer = example.writer();
        // What a crash leaves: superseded tiles beside the full one.
        let left: Vec<(PathBuf, Vec<u8>)> = files(example.path())
            .into_iter()
            .filter(|path| path.to_str().unwrap().contains("000.p/"))
            .map(|path| (path.clone(), fs::read(example.path().join(path)).unwrap()))
            .collect();
        while writer.size() < size {
            let value = writer.size();
            writer.append(Draft::of(Event::Note(Note { code: 1, value })), stamp(value)).unwrap();
        }
        writer.checkpoint().unwrap();
        drop(writer);
        for (path, bytes) in left {
            let path = example.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let note = fs::read(example.file("checkpoint")).unwrap();
    let checkpoint = SignedCheckpoint::open(&note, &verifier()).unwrap();
    let cosigned = attach(checkpoint.note(), &witness().cosign(&checkpoint, 77).unwrap());
    fs::write(example.file(COSIGNED), cosigned).unwrap();
    for (name, bytes) in [
        (format!("completed/{}", hex(&INCIDENT)), "3"),
        ("quota".to_owned(), "20000\n"),
        ("wal.torn".to_owned(), "torn"),
        (format!("erased/{}", hex(&[9; 16])), ""),
        (format!("headers/{}", hex(&[9; 16])), "listed by no entry"),
        (format!("blobs/{}", hex(&BLOB).to_uppercase()), "another name"),
        ("checkpoint.tmp".to_owned(), "half"),
        ("tile/0/000.p/9.tmp".to_owned(), "half"),
        ("tile/entries/000.p/+9".to_owned(), "no name of a tile"),
        ("tile/7/000".to_owned(), "no level of this log"),
        ("timestamps/310.note".to_owned(), "a note"),
        ("notes of an auditor/.hidden/a file".to_owned(), "unknown"),
    ] {
        let path = example.file(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    example
}

/// All files below a folder, relative to it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![PathBuf::new()], Vec::new());
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(dir.join(&folder)).unwrap().flatten() {
            let path = folder.join(file.file_name());
            if file.file_type().unwrap().is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

fn verify(example: &Example, depth: Depth) -> Report {
    let store = Store::open(example.path()).unwrap();
    let walk = Walk::new(&store, &verifier(), &[]).with_witnesses(vec![witness().public()]);
    walk.with_depth(depth).verify().unwrap()
}

/// Files in which a change passes: neither found nor listed.
fn passing_in_silence(example: &Example, depth: Depth) -> BTreeSet<String> {
    let before = verify(example, depth);
    assert!(before.ok, "{:?}", before.findings);
    let all = files(example.path());
    assert!(all.len() > 30, "{all:?}");
    let mut silent = BTreeSet::new();
    for name in all {
        let path = example.path().join(&name);
        let whole = fs::read(&path).unwrap();
        let mut changed = vec![[whole.as_slice(), &[0]].concat()];
        for at in [whole.len() / 2, whole.len().saturating_sub(1)] {
            let mut bytes = whole.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
                changed.push(bytes);
            }
        }
        for bytes in changed.into_iter().filter(|bytes| *bytes != whole) {
            fs::write(&path, bytes).unwrap();
            let report = verify(example, depth);
            let name = name.to_str().unwrap();
            if report.ok && !report.not_evidence.iter().any(|listed| listed == name) {
                silent.insert(name.to_owned());
            }
        }
        fs::write(&path, whole).unwrap();
    }
    silent
}

#[test]
fn a_changed_byte_is_found_or_its_file_is_listed_as_no_evidence() {
    let example = full_store();
    assert_eq!(passing_in_silence(&example, Depth::Signatures), BTreeSet::new());
    assert_eq!(passing_in_silence(&example, Depth::Hashes), BTreeSet::new());
}

#[test]
fn what_an_audit_vouches_for_is_not_listed() {
    let example = full_store();
    let report = verify(&example, Depth::Signatures);
    let listed: BTreeSet<&str> = report.not_evidence.iter().map(String::as_str).collect();
    let header = format!("headers/{}", hex(&BLOB));
    let superseded = ["tile/entries/000.p/40", "tile/0/000.p/255", "tile/entries/001.p/44"];
    for covered in
        ["checkpoint", COSIGNED, "tile/entries/000", "tile/1/000.p/1", &header].into_iter().chain(superseded)
    {
        assert!(example.file(covered).exists() && !listed.contains(covered), "{covered}: {listed:?}");
    }
    for listed_one in ["wal", "quota", "lock", "tile/7/000", "notes of an auditor/.hidden/a file"] {
        assert!(listed.contains(listed_one), "{listed_one}");
    }
    // Without the witness's key its line is not checked.
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    assert!(report.ok && report.not_evidence.iter().any(|path| path == COSIGNED));
}

#[test]
fn the_mark_of_an_erased_picture_is_vouched_for_by_its_tombstone() {
    let example = example_with(9, 0);
    let mut writer = example.writer();
    let (blobs, cause) = (vec![BlobId(BLOB)], Erasure::Retention.number());
    let tombstone = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
    writer.append(Draft { incident_id: Some(INCIDENT), ..Draft::of(tombstone) }, stamp(9)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    fs::remove_file(example.blob_file("headers")).unwrap();
    fs::create_dir(example.file("erased")).unwrap();
    fs::write(example.blob_file("erased"), "").unwrap();
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    let name = hex(&BLOB);
    // The body is a leftover: without its header it is nothing.
    assert!(report.ok && report.not_evidence.contains(&format!("blobs/{name}")), "{:?}", report.not_evidence);
    assert!(!report.not_evidence.contains(&format!("erased/{name}")), "{:?}", report.not_evidence);
}

#[test]
fn a_pipe_a_socket_a_device_or_a_link_in_place_of_any_file_ends_no_audit() {
    let example = full_store();
    for name in files(example.path()) {
        let path = example.path().join(&name);
        let whole = fs::read(&path).unwrap();
        let name = name.to_str().unwrap();
        let judge = |what: &str| {
            let report = verify(&example, Depth::Signatures);
            assert!(report.not_evidence.iter().any(|listed| listed == name), "{what} {name}");
            let is_evidence = ["checkpoint", COSIGNED].contains(&name) || name.ends_with(&hex(&BLOB));
            assert!(!is_evidence || !report.integrity, "{what} {name}");
            fs::remove_file(&path).unwrap();
        };
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        judge("pipe");
        symlink("/dev/zero", &path).unwrap();
        judge("link to a device");
        let listener = UnixListener::bind(&path).unwrap();
        judge("socket");
        drop(listener);
        fs::write(&path, whole).unwrap();
    }
    assert!(verify(&example, Depth::Signatures).ok);
}

#[test]
fn a_checkpoint_of_entries_that_never_were_ends_with_a_sentence() {
    let example = example_with(9, 0);
    let LogKeys { origin, log, .. } = keys();
    for size in [1 << 50, u64::MAX] {
        let claim = Checkpoint { origin: origin.clone(), size, root: [7; 32] }.sign(&log).unwrap();
        fs::write(example.file("checkpoint"), claim.note()).unwrap();
        for depth in [Depth::Signatures, Depth::Hashes] {
            let report = verify(&example, depth);
            let missing: Vec<_> =
                report.findings.iter().filter(|finding| finding.kind == "bundle-missing").collect();
            let sentence = format!("The checkpoint claims {size} entries");
            assert!(missing.len() == 1 && missing[0].detail.contains(&sentence), "{missing:?}");
            assert!(report.entries < 1 << 21, "entries that nobody saw are not counted: {}", report.entries);
        }
    }
}
