//! Shipping from a recorder's store to a folder, with everything that can go wrong.

use std::fs;
use std::path::{Path, PathBuf};

use sudare_audit::walk::Walk;
use sudare_evidence::log::{Draft, LogKeys, LogStore, Settings};
use sudare_evidence::shipped::shipped_size;
use sudare_evidence::status::ship::Status;
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{BlobId, Note, Tombstone, Uncover};
use sudare_protocol::evidence::{Event, Id, Label, Media};
use sudare_protocol::hex::hex;
use sudare_protocol::seal::Sealed;
use sudare_protocol::tlog::VerifierKey;

use crate::error::ShipError;
use crate::follow::{Ended, Options, Stopper, follow};

const ORIGIN: &str = "sudare.example/log/ship";

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn recorder(&self, name: &str) -> LogStore {
        let log = SigningKey::from_bytes(&[7; 32]);
        let host_key = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        let keys = LogKeys { origin: ORIGIN.to_owned(), log, host_key };
        let settings = Settings { dir: self.path(name), keys, host_record: Vec::new(), boot_id: [1; 16] };
        LogStore::open(settings).unwrap()
    }

    fn options(&self) -> Options {
        Options {
            store: self.path("store"),
            key: key(),
            state: self.path("ship"),
            to: format!("file://{}", self.path("remote").display()),
            headers: None,
            allow_unlocked: false,
            once: true,
            notaries: super::Notaries::default(),
        }
    }

    async fn ship(&self) -> Result<Status, ShipError> {
        let Ended { status, result } = follow(&self.options(), &Stopper::default()).await;
        result.map(|()| status)
    }

    /// Findings that an auditor would report about the copy.
    fn findings(&self) -> Vec<String> {
        let store = sudare_evidence::reader::Store::open(&self.path("remote")).unwrap();
        // With the pictures, which a walk alone does not check.
        let report = Walk::new(&store, &key(), &[]).verify().unwrap();
        report.findings.iter().map(|finding| format!("{finding:?}")).collect()
    }
}

fn key() -> VerifierKey {
    VerifierKey::new(ORIGIN, SigningKey::from_bytes(&[7; 32]).verifying_key()).unwrap()
}

fn uncover(boot_ms: u64) -> Draft {
    Draft::of(Event::Uncover(Uncover { boot_ms }))
}

/// A sealed picture that nobody opens here.
fn sealed(n: u8) -> Sealed {
    let recipients = [
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    ];
    let recipients = sudare_protocol::seal::Recipients::parse(&recipients).unwrap();
    sudare_protocol::seal::seal(&[n; 1000], &[n; 32], &recipients).unwrap()
}

fn picture(recorder: &mut LogStore, n: u8) -> Id {
    let id = [n; 16];
    let blob = recorder.put_blob(id, Label::CameraAt, Media::Jpeg, &sealed(n)).unwrap();
    recorder.append(Draft { blobs: vec![blob], ..uncover(u64::from(n)) }).unwrap();
    id
}

fn tombstone(ids: &[Id]) -> Draft {
    let blobs = ids.iter().copied().map(BlobId).collect();
    Draft::of(Event::Tombstone(Tombstone { blobs, cause: 0, approvals_sha256: None }))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[tokio::test]
async fn the_copy_of_a_growing_log_is_always_complete() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    for (step, entries) in [1u64, 3, 252, 1, 700, 0].into_iter().enumerate() {
        for n in 0..entries {
            recorder.append(uncover(n)).unwrap();
        }
        picture(&mut recorder, u8::try_from(step).unwrap());
        recorder.checkpoint().unwrap();
        let status = bench.ship().await.unwrap();
        assert_eq!((status.shipped, status.local, status.error), (recorder.size(), recorder.size(), None));
        assert_eq!(shipped_size(&bench.path("ship")).unwrap(), recorder.size());
        assert_eq!(bench.findings(), [""; 0]);
    }
    let exists = |name: &str| bench.path("remote/tile").join(name).exists();
    assert!(exists("entries/002") && exists("entries/003.p") && exists("0/003.p"));
    assert!(["entries/000.p", "0/000.p", "0/001.p"].iter().all(|replaced| !exists(replaced)));
    assert_eq!(files(&bench.path("remote/blobs")).len(), 6);
}

#[tokio::test]
async fn erased_pictures_leave_the_destination_even_after_they_were_shipped() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    let ids: Vec<Id> = (0..3).map(|n| picture(&mut recorder, n)).collect();
    recorder.checkpoint().unwrap();
    bench.ship().await.unwrap();
    let header = |id: &Id| bench.path("remote/headers").join(hex(id));
    assert!(ids.iter().all(|id| header(id).exists()));
    recorder.append(tombstone(&ids[..2])).unwrap();
    recorder.checkpoint().unwrap();
    for id in &ids[..2] {
        fs::remove_file(bench.path("store/headers").join(hex(id))).unwrap();
        fs::remove_file(bench.path("store/blobs").join(hex(id))).unwrap();
    }
    bench.ship().await.unwrap();
    assert_eq!(ids.iter().map(|id| header(id).exists()).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(files(&bench.path("remote/blobs")).len(), 1);
    assert_eq!(bench.findings(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_contradicts_the_copy_is_refused_and_nothing_is_replaced() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    (0..300).for_each(|n| assert!(recorder.append(uncover(n)).is_ok()));
    recorder.checkpoint().unwrap();
    bench.ship().await.unwrap();
    drop(recorder);
    let there = fs::read(bench.path("remote/checkpoint")).unwrap();
    fs::rename(bench.path("store"), bench.path("good")).unwrap();

    // Rolled back to an earlier state.
    let mut young = bench.recorder("store");
    young.checkpoint().unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::RemoteAhead { remote: 301, .. })));
    // Rewritten with the real key: as long, and longer.
    (0..300).for_each(|n| assert!(young.append(uncover(n + 5)).is_ok()));
    young.checkpoint().unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::Forked { size: 301 })));
    young.append(uncover(1)).unwrap();
    young.checkpoint().unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::Forked { size: 301 })));
    drop(young);
    assert_eq!(fs::read(bench.path("remote/checkpoint")).unwrap(), there);

    // The right store again, and a checkpoint that was removed at the destination.
    fs::remove_dir_all(bench.path("store")).unwrap();
    fs::rename(bench.path("good"), bench.path("store")).unwrap();
    bench.ship().await.unwrap();
    fs::remove_file(bench.path("remote/checkpoint")).unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::RemoteWentBack { remote: 0, shipped: 301 })));
    let status = Status::read(&bench.path("ship")).unwrap().unwrap();
    assert_eq!(status.error.as_deref(), Some("remote-went-back"));
    assert!(status.failing_since_ms.is_some());
}

#[tokio::test]
async fn an_edited_entry_is_noticed_before_anything_leaves() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    (0..5).for_each(|n| assert!(recorder.append(uncover(n)).is_ok()));
    recorder.checkpoint().unwrap();
    let bundle = bench.path("store/tile/entries/000.p/6");
    let mut bytes = fs::read(&bundle).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&bundle, bytes).unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::LocalRoot { size: 6 })));
    assert!(files(&bench.path("remote")).is_empty());
}

#[tokio::test]
async fn a_foreign_file_at_the_destination_is_never_overwritten() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    let id = picture(&mut recorder, 9);
    recorder.checkpoint().unwrap();
    fs::create_dir_all(bench.path("remote/blobs")).unwrap();
    let foreign = bench.path("remote/blobs").join(hex(&id));
    fs::write(&foreign, b"somebody else's").unwrap();
    assert!(matches!(bench.ship().await, Err(ShipError::Differs { .. })));
    assert_eq!(fs::read(&foreign).unwrap(), b"somebody else's");
    assert!(!bench.path("remote/checkpoint").exists());
    assert_eq!(shipped_size(&bench.path("ship")).unwrap(), 0);
}

#[tokio::test]
async fn pictures_lost_before_shipping_are_counted_and_hold_nothing_up() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    let (gone, grown) = (picture(&mut recorder, 3), picture(&mut recorder, 4));
    recorder.append(Draft::of(Event::Note(Note { code: 1, value: 2 }))).unwrap();
    recorder.checkpoint().unwrap();
    fs::remove_file(bench.path("store/headers").join(hex(&gone))).unwrap();
    fs::write(bench.path("store/headers").join(hex(&grown)), [0; 9 * 1024]).unwrap();
    let status = bench.ship().await.unwrap();
    assert_eq!((status.absent_blobs, status.shipped), (2, 4));
    assert!(files(&bench.path("remote/headers")).is_empty());
}

#[tokio::test]
async fn headers_can_go_to_a_place_of_their_own() {
    let bench = Bench::new();
    let mut recorder = bench.recorder("store");
    let id = picture(&mut recorder, 3);
    recorder.checkpoint().unwrap();
    let headers = Some(format!("file://{}", bench.path("deletable").display()));
    let options = Options { headers, ..bench.options() };
    follow(&options, &Stopper::default()).await.result.unwrap();
    assert!(bench.path("deletable/headers").join(hex(&id)).exists());
    assert!(!bench.path("remote/headers").exists());
    assert!(matches!(bench.ship().await, Err(ShipError::Moved { .. })));
    // Auditors put the two together, as the finding says.
    let findings = bench.findings();
    assert!(findings.len() == 1 && findings[0].contains("blob-header-missing"), "{findings:?}");
    fs::rename(bench.path("deletable/headers"), bench.path("remote/headers")).unwrap();
    assert_eq!(bench.findings(), [""; 0]);
}
