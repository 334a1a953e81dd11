//! A store of 600 entries with one picture, and what an auditor was given by another way.

use std::fs;
use std::path::{Path, PathBuf};

use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::blobs::{BlobPaths, describe};
use sudare_evidence::store::{BlobStore, OsDisk};
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{IncidentComplete, IncidentOpen, LogStart, Note};
use sudare_protocol::evidence::{Event, Id, Label, Media, Stamp};
use sudare_protocol::seal::{Identity, Recipients, seal};
use sudare_protocol::tlog::tiles;
use sudare_test_kit::pair;
use tempfile::TempDir;

pub(super) const ENTRIES: u64 = 600;
const INCIDENT: Id = [0xab; 16];
const BLOB: Id = [0xcd; 16];
const ORIGIN: &str = "sudare.example/log/peers";

pub(super) struct Case {
    folder: TempDir,
}

impl Case {
    /// A true store, its key, and no receipt.
    pub(super) fn new() -> Self {
        let case = Self { folder: TempDir::new().unwrap() };
        case.record(ENTRIES, 0);
        case.give_key(&log_key());
        case
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.store().join(name)
    }

    /// The key that the auditor was given.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("log.vkey")
    }

    /// A checkpoint that the auditor kept, if this case has one.
    pub(super) fn receipt(&self) -> PathBuf {
        self.folder.path().join("receipt")
    }

    pub(super) fn picture(&self) -> BlobPaths {
        BlobPaths::of(&self.store(), &BLOB)
    }

    pub(super) fn give_key(&self, key: &SigningKey) {
        fs::write(self.key(), keys(key).verifier().unwrap().to_string()).unwrap();
    }

    /// The auditor keeps the present checkpoint.
    pub(super) fn keep_receipt(&self) {
        fs::copy(self.file("checkpoint"), self.receipt()).unwrap();
    }

    /// Another history, signed by the same key.
    pub(super) fn rewrite(&self, entries: u64) {
        fs::remove_dir_all(self.store()).unwrap();
        self.record(entries, 7);
    }

    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.file(name)).unwrap();
        change(&mut bytes);
        fs::write(self.file(name), bytes).unwrap();
    }

    /// Goes on with the log until it has so many entries.
    pub(super) fn append(&self, entries: u64) {
        let mut writer = open(&self.store());
        fill(&mut writer, entries, 0);
    }

    fn record(&self, entries: u64, first_note: u64) {
        let mut writer = open(&self.store());
        let start = LogStart {
            host_key: writer.host_key(),
            log_key: writer.log_key().to_bytes(),
            host_record: vec![],
        };
        writer.append(Draft::of(Event::LogStart(start)), stamp(0)).unwrap();
        let auditors = Recipients::parse(&[(); 2].map(|()| Identity::generate().recipient())).unwrap();
        let sealed = seal(b"a screenshot", &[9; 32], &auditors).unwrap();
        let blob = describe(BLOB, Label::ScreenshotAtCover, Media::Png, &sealed);
        BlobStore::new(&self.store()).put(writer.durable(), &blob, &sealed.ciphertext).unwrap();
        let incident = |event| Draft { incident_id: Some(INCIDENT), ..Draft::of(event) };
        let opened = incident(Event::IncidentOpen(IncidentOpen { boot_ms: 1 }));
        writer.append(opened, stamp(1)).unwrap();
        let complete = incident(Event::IncidentComplete(IncidentComplete { missing: 0 }));
        writer.append(Draft { blobs: vec![blob], ..complete }, stamp(2)).unwrap();
        fill(&mut writer, entries, first_note);
    }
}

/// Replaces entry `at` of a bundle; returns the new bytes of that entry.
pub(super) fn edit_entry(bundle: &mut Vec<u8>, at: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut leaves = leaves(bundle);
    change(&mut leaves[at]);
    write(bundle, &leaves);
    leaves.swap_remove(at)
}

pub(super) fn leaves(bundle: &[u8]) -> Vec<Vec<u8>> {
    tiles::entries(bundle).map(|leaf| leaf.unwrap().to_vec()).collect()
}

pub(super) fn write(bundle: &mut Vec<u8>, leaves: &[Vec<u8>]) {
    bundle.clear();
    leaves.iter().for_each(|leaf| tiles::push_entry(bundle, leaf).unwrap());
}

pub(super) fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[4; 32])
}

fn keys(log: &SigningKey) -> LogKeys {
    let host_key = pair::host_key().verifying_key().to_bytes();
    LogKeys { origin: ORIGIN.into(), log: log.clone(), host_key }
}

fn open(dir: &Path) -> LogWriter<OsDisk> {
    LogWriter::open(OsDisk, dir, keys(&log_key()), [3; 16]).unwrap().0
}

fn fill(writer: &mut LogWriter<OsDisk>, entries: u64, first_note: u64) {
    let notes = writer.size()..entries;
    let draft = |at| (Draft::of(Event::Note(Note { code: 1, value: at + first_note })), stamp(at));
    writer.append_all(notes.map(draft).collect()).unwrap();
    writer.checkpoint().unwrap();
}

fn stamp(ms: u64) -> Stamp {
    Stamp { wall_ms: pair::WALL_MS + ms, boot_ms: ms, boot_id: [0xb0; 16] }
}
