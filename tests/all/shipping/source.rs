//! A recorder's store in a folder of its own, with pictures in it.

use std::fs;
use std::path::{Path, PathBuf};

use sudare_evidence::log::{Draft, LogKeys, LogStore, Settings};
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{BlobId, Tombstone, Uncover};
use sudare_protocol::evidence::{Event, Label, Media};
use sudare_protocol::hex::unhex;
use sudare_protocol::seal::{self, Recipients};
use sudare_protocol::tlog::VerifierKey;

const ORIGIN: &str = "sudare.example/log/ship";
/// Two public recipients from age's own documents; nobody opens these pictures.
const RECIPIENTS: [&str; 2] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
];

pub(super) struct Source {
    dir: tempfile::TempDir,
}

impl Source {
    pub(super) fn new() -> Self {
        let source = Self { dir: tempfile::tempdir().unwrap() };
        let verifier = VerifierKey::new(ORIGIN, key().verifying_key()).unwrap();
        fs::write(source.path("log.vkey"), format!("{verifier}\n")).unwrap();
        source
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Opens the store, which the recorder itself records.
    pub(super) fn recorder(&self) -> LogStore {
        let host_key = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        let keys = LogKeys { origin: ORIGIN.to_owned(), log: key(), host_key };
        let dir = self.path("store");
        LogStore::open(Settings { dir, keys, host_record: Vec::new(), boot_id: [1; 16] }).unwrap()
    }

    /// Writes the tombstone of a picture, then deletes it.
    pub(super) fn erase(&self, name: &str) {
        let blobs = vec![BlobId(unhex(name).unwrap())];
        let mut recorder = self.recorder();
        let tombstone = Tombstone { blobs, cause: 0, approvals_sha256: None };
        recorder.append(Draft::of(Event::Tombstone(tombstone))).unwrap();
        recorder.checkpoint().unwrap();
        for half in ["headers", "blobs"] {
            fs::remove_file(self.path("store").join(half).join(name)).unwrap();
        }
    }
}

/// So many entries, some of which name a picture, under a checkpoint.
pub(super) fn grow(recorder: &mut LogStore, entries: u64, pictures: u64) {
    let recipients = Recipients::parse(&RECIPIENTS).unwrap();
    for n in 0..entries {
        let mut draft = Draft::of(Event::Uncover(Uncover { boot_ms: n }));
        if n < pictures {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&recorder.size().to_be_bytes());
            let sealed = seal::seal(&vec![7; 20_000], &[n.to_be_bytes()[7]; 32], &recipients).unwrap();
            draft.blobs.push(recorder.put_blob(id, Label::CameraAt, Media::Jpeg, &sealed).unwrap());
        }
        recorder.append(draft).unwrap();
    }
    recorder.checkpoint().unwrap();
}

/// Names in a folder, in order.
pub(super) fn files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    // What a killed upload had begun carries a mark that is in no name of ours.
    let mut names: Vec<String> = names.filter(|name| !name.contains('#')).collect();
    names.sort();
    names
}

pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}
