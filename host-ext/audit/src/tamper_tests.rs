//! The tamper matrix: a genuine store, one change each, and the finding that must name it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::reader::{COSIGNED, Store};
use sudare_evidence::store::blobs::describe;
use sudare_evidence::store::{BlobStore, OsDisk};
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{
    BlobId, Erasure, IncidentComplete, IncidentOpen, LogStart, Note, PicturesStored, Tombstone,
};
use sudare_protocol::evidence::{BlobRef, Event, Label, Media, Stamp};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Reason;
use sudare_protocol::seal::{self, Identity, Recipients, seal};
use sudare_protocol::tlog::cosignature::attach;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{Cosigner, SignedCheckpoint, VerifierKey, tiles};
use sudare_protocol::verify::Depth;
use tempfile::TempDir;

use super::incidents::{Incidents, find};
use super::open::{self, Custody, Request, Shown};
use super::{AuditError, Walk, verify_store};

pub(super) const INCIDENT: [u8; 16] = [0xab; 16];
pub(super) const BLOB: [u8; 16] = [0xcd; 16];

pub(super) fn keys() -> LogKeys {
    LogKeys {
        origin: "sudare.example/log/test".into(),
        log: SigningKey::from_bytes(&[1; 32]),
        host_key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
    }
}

pub(super) fn verifier() -> VerifierKey {
    keys().verifier().unwrap()
}

pub(super) fn stamp(ms: u64) -> Stamp {
    Stamp { wall_ms: ms, boot_ms: ms, boot_id: [0; 16] }
}

pub(super) struct Example {
    folder: TempDir,
    auditor: Identity,
}

impl Example {
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(super) fn blob_file(&self, folder: &str) -> PathBuf {
        self.path().join(folder).join(hex(&BLOB))
    }

    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.file(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn writer(&self) -> LogWriter<OsDisk> {
        LogWriter::open(OsDisk, self.path(), keys(), [3; 16]).unwrap().0
    }

    pub(super) fn findings(&self, receipts: &[Vec<u8>]) -> BTreeSet<&'static str> {
        let report = verify_store(self.path(), &verifier(), receipts).unwrap();
        assert_eq!(report.ok, report.findings.is_empty());
        report.findings.iter().map(|finding| finding.kind).collect()
    }
}

/// A store of one incident with one picture, then notes up to 300 entries.
pub(super) fn example() -> Example {
    example_with(300, 0)
}

pub(super) fn example_with(entries: u64, first_note: u64) -> Example {
    example_of(entries, first_note, None)
}

/// `more`: so many bytes beyond its age header are in the first file of the picture.
fn example_of(entries: u64, first_note: u64, more: Option<usize>) -> Example {
    let example = Example { folder: TempDir::new().unwrap(), auditor: Identity::generate() };
    let mut writer = example.writer();
    let start =
        LogStart { host_key: writer.host_key(), log_key: writer.log_key().to_bytes(), host_record: vec![] };
    let append = |writer: &mut LogWriter<OsDisk>, draft| {
        let ms = writer.size();
        writer.append(draft, stamp(ms)).unwrap();
    };
    append(&mut writer, Draft::of(Event::LogStart(start)));
    let incident =
        |event| Draft { incident_id: Some(INCIDENT), reason: Some(Reason::Stranger), ..Draft::of(event) };
    append(&mut writer, incident(Event::IncidentOpen(IncidentOpen { boot_ms: 1 })));
    let other = Identity::generate();
    let recipients = Recipients::parse(&[example.auditor.recipient(), other.recipient()]).unwrap();
    let sealed = seal(b"a picture of a stranger", &[9; 32], &recipients).unwrap();
    let store = BlobStore::new(example.path());
    let header = seal::split_header(&sealed.ciphertext).unwrap().0.len();
    let header_size = more.map(|more| u32::try_from(header + more).unwrap());
    let blob = BlobRef { header_size, ..describe(BLOB, Label::ScreenshotAtCover, Media::Jpeg, &sealed) };
    store.put(writer.durable(), &blob, &sealed.ciphertext).unwrap();
    let blobs = vec![blob];
    append(&mut writer, Draft { blobs: blobs.clone(), ..incident(Event::PicturesStored(PicturesStored {})) });
    append(
        &mut writer,
        Draft { blobs, ..incident(Event::IncidentComplete(IncidentComplete { missing: 0 })) },
    );
    while writer.size() < entries {
        let value = writer.size() + first_note;
        append(&mut writer, Draft::of(Event::Note(Note { code: 1, value })));
    }
    writer.checkpoint().unwrap();
    drop(writer);
    example
}

#[test]
fn a_true_store_is_intact() {
    let example = example();
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    assert!(report.ok && report.integrity, "{:?}", report.findings);
    assert_eq!((report.entries, report.incidents, report.checkpoints), (300, 1, 1));
}

#[test]
fn an_edited_byte_is_named_with_its_entry() {
    for bundle in ["tile/entries/000", "tile/entries/001.p/44"] {
        let example = example();
        example.edit(bundle, |bytes| bytes[200] ^= 1);
        let found = example.findings(&[]);
        assert!(found.contains("root-differs") && found.contains("tile-differs"), "{found:?}");
        assert!(found.contains("entry-signature") || found.contains("entry-damaged"), "{found:?}");
    }
}

#[test]
fn an_edited_entry_with_its_leaf_hash_patched_is_refused() {
    let example = example();
    let mut patched = [0; 32];
    example.edit("tile/entries/000", |bytes| {
        let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        bytes[100] ^= 1;
        patched = leaf_hash(&bytes[2..2 + length]);
    });
    example.edit("tile/0/000", |bytes| bytes[..32].copy_from_slice(&patched));
    assert!(example.findings(&[]).contains("root-differs"));
}

#[test]
fn deleted_and_truncated_bundles_are_named() {
    let example_1 = example();
    fs::remove_file(example_1.file("tile/entries/000")).unwrap();
    assert!(example_1.findings(&[]).contains("bundle-missing"));
    let example_2 = example();
    example_2.edit("tile/entries/000", |bytes| bytes.truncate(bytes.len() - 1));
    assert!(example_2.findings(&[]).contains("bundle-damaged"));
    let example_3 = example();
    example_3.edit("tile/entries/000", |bytes| tiles::push_entry(bytes, b"one more").unwrap());
    assert!(example_3.findings(&[]).contains("bundle-damaged"));
}

#[test]
fn swapped_entries_are_out_of_order() {
    let example = example();
    example.edit("tile/entries/000", |bytes| {
        let mut leaves: Vec<Vec<u8>> = tiles::entries(bytes).map(|leaf| leaf.unwrap().to_vec()).collect();
        leaves.swap(7, 8);
        bytes.clear();
        leaves.iter().for_each(|leaf| tiles::push_entry(bytes, leaf).unwrap());
    });
    let found = example.findings(&[]);
    assert!(found.contains("entry-order") && found.contains("root-differs"), "{found:?}");
}

#[test]
fn a_changed_size_and_a_wrong_key_are_refused() {
    let example = example();
    let other =
        VerifierKey::new(verifier().name(), SigningKey::from_bytes(&[8; 32]).verifying_key()).unwrap();
    let report = verify_store(example.path(), &other, &[]).unwrap();
    assert_eq!(report.findings[0].kind, "checkpoint-refused");
    example.edit("checkpoint", |bytes| {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("\n300\n", "\n299\n").into_bytes();
    });
    assert_eq!(example.findings(&[]), BTreeSet::from(["checkpoint-refused"]));
    fs::remove_file(example.file("checkpoint")).unwrap();
    assert_eq!(example.findings(&[]), BTreeSet::from(["checkpoint-missing"]));
}

#[test]
fn a_rollback_shows_by_what_it_left_behind_and_by_a_receipt() {
    let example = example_with(280, 0);
    let older = fs::read(example.file("checkpoint")).unwrap();
    let mut writer = example.writer();
    for ms in 280..300 {
        writer.append(Draft::of(Event::Note(Note { code: 1, value: ms })), stamp(ms)).unwrap();
    }
    let receipt = writer.checkpoint().unwrap().note().as_bytes().to_vec();
    drop(writer);
    assert!(example.findings(&[receipt.clone(), older.clone()]).is_empty());
    fs::write(example.file("checkpoint"), &older).unwrap();
    assert_eq!(example.findings(&[]), BTreeSet::from(["beyond-checkpoint"]));
    fs::remove_file(example.file("tile/entries/001.p/44")).unwrap();
    assert_eq!(example.findings(&[]), BTreeSet::new());
    assert_eq!(example.findings(&[receipt]), BTreeSet::from(["rolled-back"]));
}

#[test]
fn a_fork_signed_by_the_right_keys_contradicts_a_receipt() {
    let truth = example();
    let receipt = fs::read(truth.file("checkpoint")).unwrap();
    // The same size and keys, another history; and one that is longer.
    assert!(example_with(300, 5).findings(std::slice::from_ref(&receipt)).contains("forked"));
    assert!(example_with(310, 5).findings(&[receipt]).contains("forked"));
}

#[test]
fn a_fork_signed_by_another_key_and_a_foreign_receipt_are_refused() {
    let example = example();
    let foreign = LogKeys { log: SigningKey::from_bytes(&[8; 32]), ..keys() };
    let folder = TempDir::new().unwrap();
    let mut writer = LogWriter::open(OsDisk, folder.path(), foreign, [3; 16]).unwrap().0;
    writer.append(Draft::of(Event::Note(Note { code: 1, value: 0 })), stamp(0)).unwrap();
    let note = writer.checkpoint().unwrap();
    assert_eq!(example.findings(&[note.note().as_bytes().to_vec()]), BTreeSet::from(["receipt-refused"]));
    let report = verify_store(folder.path(), &verifier(), &[]).unwrap();
    assert_eq!(report.findings[0].kind, "checkpoint-refused");
}

#[test]
fn edited_and_missing_pictures_are_named() {
    for folder in ["blobs", "headers"] {
        let example = example();
        let path = example.blob_file(folder);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(example.findings(&[]), BTreeSet::from(["blob-differs"]));
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(example.findings(&[]), BTreeSet::from(["blob-differs"]));
        fs::remove_file(&path).unwrap();
        let missing = if folder == "blobs" { "blob-missing" } else { "blob-header-missing" };
        assert_eq!(example.findings(&[]), BTreeSet::from([missing]));
    }
}

#[test]
fn edited_and_missing_tiles_are_named_although_they_are_not_trusted() {
    let example = example();
    example.edit("tile/0/000", |bytes| bytes[40] ^= 1);
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    assert_eq!((report.findings[0].kind, report.findings[0].entry), ("tile-differs", Some(1)));
    fs::remove_file(example.file("tile/0/000")).unwrap();
    assert_eq!(example.findings(&[]), BTreeSet::from(["tile-missing"]));
}

#[test]
fn truncated_tiles_are_named() {
    for file in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let example = example();
        example.edit(file, |bytes| bytes.truncate(bytes.len() - 1));
        assert_eq!(example.findings(&[]), BTreeSet::from(["tile-differs"]), "{file}");
    }
}

/// Findings with these folders' half of the picture gone, after a tombstone of this incident, and how
/// many pictures count as erased.
fn gone(tombstone_of: Option<[u8; 16]>, folders: &[&str]) -> (Vec<&'static str>, u64) {
    let example = example();
    if let Some(incident_id) = tombstone_of {
        let (blobs, cause) = (vec![BlobId(BLOB)], Erasure::Retention.number());
        let tombstone = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
        let mut writer = example.writer();
        let draft = Draft { incident_id: Some(incident_id), ..Draft::of(tombstone) };
        writer.append(draft, stamp(300)).unwrap();
        writer.checkpoint().unwrap();
    }
    folders.iter().for_each(|folder| fs::remove_file(example.blob_file(folder)).unwrap());
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    (report.findings.iter().map(|finding| finding.kind).collect(), report.erased)
}

#[test]
fn an_erased_picture_may_be_gone_but_its_header_must() {
    assert_eq!(gone(Some(INCIDENT), &["headers", "blobs"]), (vec![], 1));
    assert_eq!(gone(Some(INCIDENT), &["headers"]), (vec![], 1));
    assert_eq!(gone(Some(INCIDENT), &[]), (vec!["erasure-unfinished"], 0));
    assert_eq!(gone(None, &["headers", "blobs"]), (vec!["blob-header-missing"], 0));
}

#[test]
fn a_tombstone_of_another_incident_explains_nothing() {
    assert_eq!(gone(Some([1; 16]), &["headers", "blobs"]), (vec!["blob-header-missing"], 0));
}

#[test]
fn what_was_erased_may_be_listed_once_more() {
    let example = example();
    let mut writer = example.writer();
    let (blobs, cause) = (vec![BlobId(BLOB)], Erasure::Retention.number());
    let tombstone = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
    let mut incidents = Incidents::default();
    let store = Store::open(example.path()).unwrap();
    Walk::new(&store, &verifier(), &[])
        .run(|index, entry, _| {
            incidents.add(index, entry);
            Ok(())
        })
        .unwrap();
    let listed = incidents.into_list().remove(0).own;
    writer.append(Draft { incident_id: Some(INCIDENT), ..Draft::of(tombstone) }, stamp(300)).unwrap();
    let again = Event::IncidentComplete(IncidentComplete { missing: 0 });
    let again = Draft { incident_id: Some(INCIDENT), blobs: listed, ..Draft::of(again) };
    writer.append(again, stamp(301)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    for folder in ["headers", "blobs"] {
        fs::remove_file(example.blob_file(folder)).unwrap();
    }
    assert_eq!(example.findings(&[]), BTreeSet::new());
}

#[test]
fn where_a_picture_is_divided_is_checked() {
    let example = example_of(300, 0, Some(9));
    assert!(example.findings(&[]).is_empty());
    // The same bytes, divided elsewhere: deleting the first part would erase something else.
    let read = |folder: &str| fs::read(example.blob_file(folder)).unwrap();
    let whole = [read("headers"), read("blobs")].concat();
    fs::write(example.blob_file("headers"), &whole[..50]).unwrap();
    fs::write(example.blob_file("blobs"), &whole[50..]).unwrap();
    assert_eq!(example.findings(&[]), BTreeSet::from(["blob-differs"]));
}

#[test]
fn hashes_alone_are_an_audit_of_the_log() {
    let example = example();
    let store = Store::open(example.path()).unwrap();
    let hashes = || Walk::new(&store, &verifier(), &[]).with_depth(Depth::Hashes).verify().unwrap();
    let report = hashes();
    assert!(report.ok && !report.signatures && report.entries == 300);
    example.edit("tile/entries/000", |bytes| bytes[200] ^= 1);
    assert!(!hashes().integrity);
}

#[test]
fn progress_ends_with_all_entries() {
    let example = example();
    let store = Store::open(example.path()).unwrap();
    let mut told = Vec::new();
    let mut tell = |done, all| told.push((done, all));
    Walk::new(&store, &verifier(), &[]).with_progress(&mut tell).verify().unwrap();
    assert_eq!(told, [(256, 300), (300, 300)]);
}

/// Findings with the cosignature of this witness demanded, and what it vouches for.
fn witnessed(example: &Example, witness: &Cosigner) -> (Vec<&'static str>, Vec<(u64, u64)>) {
    let store = Store::open(example.path()).unwrap();
    let walk = Walk::new(&store, &verifier(), &[]).with_witnesses(vec![witness.public()]);
    let report = walk.verify().unwrap();
    let kinds = report.findings.iter().map(|finding| finding.kind).collect();
    (kinds, report.cosignatures.iter().map(|by| (by.entries, by.time_s)).collect())
}

#[test]
fn a_witness_is_demanded_and_its_word_compared() {
    let example = example_with(280, 0);
    let witness = |key| Cosigner::new("witness.example", SigningKey::from_bytes(&[key; 32])).unwrap();
    assert_eq!(witnessed(&example, &witness(6)), (vec!["cosignature-missing"], vec![]));
    let older = SignedCheckpoint::open(&fs::read(example.file("checkpoint")).unwrap(), &verifier()).unwrap();
    let cosigned = attach(older.note(), &witness(6).cosign(&older, 77).unwrap());
    fs::write(example.file(COSIGNED), &cosigned).unwrap();
    assert_eq!(witnessed(&example, &witness(6)), (vec![], vec![(280, 77)]));
    assert_eq!(witnessed(&example, &witness(7)), (vec!["cosignature-missing"], vec![]));
    let mut writer = example.writer();
    writer.append(Draft::of(Event::Note(Note { code: 1, value: 0 })), stamp(280)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    assert_eq!(witnessed(&example, &witness(6)), (vec![], vec![(280, 77)]), "the log went on since");
    // Another history, with what the witness signed of the true one.
    let fork = example_with(290, 5);
    fs::write(fork.file(COSIGNED), &cosigned).unwrap();
    assert_eq!(witnessed(&fork, &witness(6)), (vec!["forked"], vec![(280, 77)]));
    // A cosignature of one time with the time of another in front.
    let line = |time_s| witness(6).cosign(&older, time_s).unwrap();
    let (early, late) = (line(77), line(1 << 40));
    let start = early.rfind(' ').unwrap() + 1;
    let mixed = format!("{}{}", &late[..start + 16], &early[start + 16..]);
    fs::write(example.file(COSIGNED), attach(older.note(), &mixed)).unwrap();
    let refused = (vec!["cosignature-refused", "cosignature-missing"], vec![]);
    assert_eq!(witnessed(&example, &witness(6)), refused);
}

#[test]
fn an_incident_left_open_is_remarked() {
    let example = example();
    let mut writer = example.writer();
    let open =
        Draft { incident_id: Some([1; 16]), ..Draft::of(Event::IncidentOpen(IncidentOpen { boot_ms: 1 })) };
    writer.append(open, stamp(300)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    let report = verify_store(example.path(), &verifier(), &[]).unwrap();
    assert!(!report.ok && report.integrity);
    assert_eq!((report.findings[0].kind, report.findings[0].entry), ("incident-incomplete", Some(300)));
}

#[test]
fn list_and_open_give_the_picture_to_the_auditors_identity_only() {
    let example = example();
    let store = Store::open(example.path()).unwrap();
    let mut incidents = Incidents::default();
    let walk = Walk::new(&store, &verifier(), &[]);
    walk.run(|index, entry, _| {
        incidents.add(index, entry);
        Ok(())
    })
    .unwrap();
    let incidents = incidents.into_list();
    let [incident] = find(&incidents, "ABAB")[..] else { panic!("one incident") };
    assert_eq!((incident.reason.as_str(), incident.complete, incident.pictures.len()), ("stranger", true, 1));
    assert!(find(&incidents, "ff").is_empty() && find(&incidents, "").is_empty());
    let out = TempDir::new().unwrap();
    let show = |identity: &Identity| -> Result<Vec<Shown>, AuditError> {
        let request = Request { identity, custody: Custody::default(), full: true };
        open::open(&store, incident, &request, out.path(), |_, _| Ok(()))
    };
    let refused = show(&Identity::generate()).unwrap();
    assert!(refused[0].problem.as_ref().unwrap().contains("not sealed to this identity"));
    let shown = show(&example.auditor).unwrap();
    assert_eq!(fs::read(shown[0].file.as_ref().unwrap()).unwrap(), b"a picture of a stranger");
    assert!(shown[0].file.as_ref().unwrap().ends_with("1-screenshot-at-cover.jpg"));
    // What is there already is never overwritten.
    assert!(show(&example.auditor).is_err());
}

#[test]
fn the_store_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let example = example();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in ["checkpoint", "wal", "tile/entries/000", "tile/0/001.p/44"] {
        assert_eq!(mode(example.file(file)), 0o600, "{file}");
    }
    assert_eq!(mode(example.blob_file("headers")), 0o600);
    for folder in ["tile", "tile/entries", "tile/0/001.p", "headers", "blobs"] {
        assert_eq!(mode(example.file(folder)), 0o700, "{folder}");
    }
    assert!(SignedCheckpoint::open(&fs::read(example.file("checkpoint")).unwrap(), &verifier()).is_ok());
}
