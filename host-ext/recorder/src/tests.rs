//! A recorder with its socket, and guards that report to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use sudare_audit::live_log::{AuditWriter, LiveLogError};
use sudare_base::clock;
use sudare_evidence::log::{Draft, LogKeys, Settings};
use sudare_evidence::reader::Store;
use sudare_evidence::report::socket::{Connection, Listener};
use sudare_evidence::report::wire::{self, Answer, NewEntry, Request, VERSION, Why};
use sudare_evidence::report::{EvidenceSink, NewBlob, NewEntries, Remote};
use sudare_evidence::store::{OsDisk, StoreError};
use sudare_protocol::client::chunk_digests;
use sudare_protocol::evidence::event::{
    BlobId, ClientMessage, Erasure, Event, IncidentComplete, IncidentOpen, Note, Tombstone,
};
use sudare_protocol::evidence::{BlobRef, Entry, Id, Label, Media};
use sudare_protocol::hex::hex;
use sudare_protocol::limits::DEVICE_DAY_MAX_BYTES;
use sudare_protocol::message::{self, Manifest, Moment, Piece, kind};
use sudare_protocol::reason::Reason;
use sudare_protocol::seal::{Identity, Recipients, seal};
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::{SigningKey, cose};
use tempfile::TempDir;

use crate::blob_intake::{BlobIntake, QUOTA_FILE};
use crate::committer::Committer;
use crate::guard_connection::GuardConnection;
use crate::ledger::Ledger;
use crate::local::Local;
use crate::metrics::Metrics;
use crate::quota::Quota;
use crate::role::Role;
use crate::server::{Options, RunningRecorder, start};

/// Whatever takes longer has hung, on any machine.
const PATIENCE: Duration = Duration::from_secs(300);
const ORIGIN: &str = "sudare/test";

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn record(&self) -> RunningRecorder {
        self.record_for(rustix::process::geteuid().as_raw(), Arc::default())
    }

    /// `broken`: the store cannot be opened while it is set.
    fn record_for(&self, uid: u32, broken: Arc<AtomicBool>) -> RunningRecorder {
        let store = self.store();
        let open = move || match broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Full { path: "store".into() }),
            false => Ledger::open(settings(&store), None, clock::monotonic_ms()),
        };
        start(Options {
            socket: self.socket(),
            allowed_uids: vec![uid],
            open: Box::new(open),
            metrics: Metrics::default(),
        })
        .unwrap()
    }

    fn guard(&self, source: u8) -> Remote {
        Remote::connect(&self.socket(), [source; 16]).unwrap()
    }

    /// Sources and serials of the log's entries, after the whole store was verified.
    #[track_caller]
    fn verified(&self) -> Vec<(Option<Id>, Option<u64>)> {
        verified(&self.store()).iter().map(|entry| (entry.source, entry.serial)).collect()
    }
}

fn settings(store: &Path) -> Settings {
    Settings {
        dir: store.to_owned(),
        keys: LogKeys { origin: ORIGIN.into(), log: key(4), host_key: key(3).verifying_key().to_bytes() },
        host_record: vec![],
        boot_id: [0xb0; 16],
    }
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

#[track_caller]
fn verified(store: &Path) -> Vec<Entry> {
    let verifier = VerifierKey::new(ORIGIN, key(4).verifying_key()).unwrap();
    let report = sudare_audit::verify_store(store, &verifier, &[]).unwrap();
    assert!(report.ok, "{report:?}");
    entries(store)
}

fn entries(store: &Path) -> Vec<Entry> {
    let verifier = VerifierKey::new(ORIGIN, key(4).verifying_key()).unwrap();
    let opened = Store::open(store).unwrap();
    let mut entries = Vec::new();
    sudare_audit::walk::Walk::new(&opened, &verifier, &[])
        .run(|_, entry, _| {
            entries.push(entry.clone());
            Ok(())
        })
        .unwrap();
    entries
}

fn note(code: u16) -> NewEntry {
    new_entry(None, vec![], &Event::Note(Note { code, value: 0 }))
}

fn new_entry(incident_id: Option<Id>, blobs: Vec<BlobRef>, event: &Event) -> NewEntry {
    let (kind, body) = event.encode();
    NewEntry { session_id: None, incident_id, reason: None, blobs, kind, body }
}

fn notes(source: u8, serial: u64, count: usize) -> NewEntries {
    NewEntries { source: [source; 16], serial, entries: vec![note(1); count], receipt: false, once: None }
}

fn completion(source: u8, serial: u64, incident: u8) -> NewEntries {
    let done = Event::IncidentComplete(IncidentComplete { missing: 0 });
    let opened = Event::IncidentOpen(IncidentOpen { boot_ms: 1 });
    let entries = [opened, done].map(|event| new_entry(Some([incident; 16]), vec![], &event)).to_vec();
    NewEntries { source: [source; 16], serial, entries, receipt: true, once: Some([incident; 16]) }
}

/// As a guard reports a client's pictures.
fn pictures_of(source: u8, serial: u64, incident: u8) -> NewEntries {
    let said = Event::ClientMessage(ClientMessage { message: manifest_message(incident) });
    let mut new = completion(source, serial, incident);
    new.entries[0] = new_entry(Some([incident; 16]), vec![], &said);
    new
}

/// What a client says of its pictures under its own id of the incident; the recorder does not verify it.
pub(crate) fn manifest_message(incident: u8) -> Vec<u8> {
    let piece = Piece {
        blob_id: [2; 16],
        moment: Moment::At,
        size: 1,
        sha256: [2; 32],
        commitment: [2; 32],
        chunks: chunk_digests(&[0]),
        boot_ms: 0,
        media: 0,
        header_size: None,
        pixelated: None,
    };
    let manifest = Manifest {
        incident_id: [incident; 16],
        reason: Reason::Stranger,
        pieces: vec![piece],
        policy_digest: [0; 32],
        decided_boot_ms: 0,
        wall_ms: 0,
        cosine_milli: None,
        basis: None,
    };
    let payload = message::encode(kind::MANIFEST, 1, &manifest);
    cose::sign1(&SigningKey::from_bytes(&[3; 32]), b"", &payload)
}

fn picture(id: u8, device: u8) -> NewBlob {
    let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
    let sealed = seal(&vec![id; 300_000], &[id; 32], &Recipients::parse(&auditors).unwrap()).unwrap();
    let blob =
        sudare_evidence::store::blobs::describe([id; 16], Label::ScreenshotAtCover, Media::Png, &sealed);
    NewBlob { blob, device: Some([device; 16]), bytes: sealed.ciphertext }
}

#[test]
fn entries_and_pictures_arrive_and_the_receipt_verifies() {
    let place = Place::new();
    let recorder = place.record();
    let mut guard = place.guard(1);
    let picture = picture(7, 1);
    guard.put_blob(&picture).unwrap();
    guard.put_blob(&picture).unwrap();
    let mut new = completion(1, 1, 9);
    new.entries[1].blobs = vec![picture.blob.clone()];
    let recorded = guard.record(&new).unwrap();
    // Entry 0 begins the log.
    assert_eq!((recorded.leaf_index, recorded.last_serial), (2, 2));
    let receipt = recorded.receipt.unwrap();
    let verifier: VerifierKey = recorder.log_vkey.parse().unwrap();
    let checkpoint =
        sudare_protocol::tlog::SignedCheckpoint::open(receipt.note.as_bytes(), &verifier).unwrap();
    assert_eq!((checkpoint.size(), receipt.size), (3, 3));
    assert_eq!(guard.state().unwrap().size, 3);
    drop((guard, recorder));
    assert_eq!(place.verified().len(), 3);
}

#[test]
fn a_report_is_recorded_once() {
    let place = Place::new();
    let recorder = place.record();
    let first = place.guard(1).record(&notes(1, 1, 3)).unwrap();
    // The answer was lost, and with it the connection; then the recorder, too.
    assert_eq!(place.guard(1).record(&notes(1, 1, 3)).unwrap(), first);
    drop(recorder);
    let recorder = place.record();
    let mut guard = place.guard(1);
    assert_eq!(guard.last_serial(&[1; 16]), 3);
    assert_eq!(guard.record(&notes(1, 1, 3)).unwrap(), first);
    guard.record(&notes(1, 4, 1)).unwrap();
    // A gap in the numbers is a fault, not a report.
    assert!(matches!(guard.record(&notes(1, 6, 1)), Err(StoreError::Recorder(_))));
    drop((guard, recorder));
    let serials: Vec<u64> = place.verified().into_iter().filter_map(|(_, serial)| serial).collect();
    assert_eq!(serials, [1, 2, 3, 4]);
}

#[test]
fn an_incident_is_completed_once_whoever_reports_it() {
    let place = Place::new();
    let recorder = place.record();
    let first = place.guard(1).record(&pictures_of(1, 1, 9)).unwrap();
    let mut other = place.guard(2);
    let again = other.record(&pictures_of(2, 1, 9)).unwrap();
    assert_eq!((again.leaf_index, again.last_serial), (first.leaf_index, 0));
    assert!(again.receipt.is_some());
    // Its numbers continue as if it had reported nothing.
    assert_eq!(other.record(&notes(2, 1, 1)).unwrap().last_serial, 1);
    drop((other, recorder));
    // As after a power cut, which takes files that were not synced.
    std::fs::remove_dir_all(place.store().join("completed")).unwrap();
    let recorder = place.record();
    let late = place.guard(3).record(&pictures_of(3, 1, 9)).unwrap();
    assert_eq!(late.leaf_index, first.leaf_index);
    drop(recorder);
    let of_it = entries(&place.store()).iter().filter(|entry| entry.incident_id.is_some()).count();
    assert_eq!(of_it, 2, "its manifest and its end, once");
}

#[test]
fn pictures_are_kept_although_the_incident_was_closed_without_them() {
    let place = Place::new();
    let recorder = place.record();
    // The client was killed before it could send them, and then the recorder was.
    let mut closed = completion(1, 1, 9);
    (closed.receipt, closed.once) = (false, None);
    let closed = place.guard(1).record(&closed).unwrap();
    drop(recorder);
    let recorder = place.record();
    let kept = place.guard(2).record(&pictures_of(2, 1, 9)).unwrap();
    assert!(kept.leaf_index > closed.leaf_index, "recorded, not taken for the one that is there");
    drop(recorder);
}

#[test]
fn many_guards_share_a_sync() {
    const GUARDS: u8 = 8;
    const REPORTS: u64 = 50;
    let place = Place::new();
    let recorder = place.record();
    let barrier = Arc::new(Barrier::new(GUARDS.into()));
    let threads: Vec<_> = (1..=GUARDS)
        .map(|n| {
            let (mut guard, barrier) = (place.guard(n), barrier.clone());
            std::thread::spawn(move || {
                barrier.wait();
                for serial in 1..=REPORTS {
                    guard.record(&notes(n, serial, 1)).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(recorder);
    let found = place.verified();
    for n in 1..=GUARDS {
        let serials: Vec<u64> = found
            .iter()
            .filter(|(source, _)| *source == Some([n; 16]))
            .filter_map(|(_, serial)| *serial)
            .collect();
        assert_eq!(serials, (1..=REPORTS).collect::<Vec<_>>(), "guard {n}");
    }
}

#[test]
fn only_the_guards_user_may_report_and_only_well_formed_packets() {
    let place = Place::new();
    // Not even this process, unless it is root, which always may.
    let somebody = 12_345;
    let recorder = place.record_for(somebody, Arc::default());
    let admitted = Remote::connect(&place.socket(), [1; 16]);
    assert_eq!(admitted.is_ok(), rustix::process::geteuid().is_root());
    drop((admitted, recorder));

    let _recorder = place.record();
    let say = |requests: &[Request]| {
        let connection = Connection::open(&place.socket()).unwrap();
        connection.set_timeout(PATIENCE).unwrap();
        requests.iter().for_each(|request| connection.send(&wire::encode(request).unwrap()).unwrap());
        let (mut buffer, mut last) = (Vec::new(), None);
        while let Ok(Some(packet)) = connection.receive(&mut buffer) {
            last = Some(wire::decode_answer(packet).unwrap());
        }
        last
    };
    let hello = Request::Hello { version: VERSION, source: [1; 16] };
    let blob = |size| Request::Blob { device: None, blob: BlobRef { size, ..picture(1, 1).blob } };
    let nonsense = [
        vec![Request::Hello { version: VERSION + 1, source: [1; 16] }],
        vec![blob(10)],
        vec![hello.clone(), hello.clone()],
        vec![hello.clone(), Request::Chunk { bytes: vec![1] }],
        vec![hello.clone(), blob(u64::MAX)],
        vec![hello.clone(), blob(10), blob(10)],
        vec![hello, blob(10), Request::Chunk { bytes: vec![1; 11] }],
    ];
    for requests in nonsense {
        let last = say(&requests);
        assert!(matches!(last, Some(Answer::Refused { why: Why::Packet, .. })), "{requests:?}: {last:?}");
    }
}

fn tombstone() -> Event {
    Event::Tombstone(Tombstone { blobs: vec![BlobId([7; 16])], cause: 0, approvals_sha256: None })
}

#[test]
fn a_guard_cannot_report_that_evidence_was_erased_and_its_other_reports_are_accepted() {
    let place = Place::new();
    let store = place.store();
    let open = move || Ledger::open(settings(&store), None, clock::monotonic_ms());
    let mut committer = Committer::new(Box::new(open), Metrics::default()).unwrap();
    let (requests, queue) = sync_channel(4);
    let listener = Listener::bind(&place.socket()).unwrap();
    let intake = BlobIntake::open(&place.store());
    let served = std::thread::spawn(move || {
        GuardConnection::new(listener.accept().unwrap(), requests, intake, Role::Guard, Metrics::default())
            .serve();
    });
    let committed = std::thread::spawn(move || {
        while let Ok(request) = queue.recv() {
            committer.commit(request, &queue);
        }
        committer.finish();
    });
    let mut guard = place.guard(1);
    let mut erased = notes(1, 1, 1);
    erased.entries.push(new_entry(None, vec![], &tombstone()));
    let refused = guard.record(&erased).unwrap_err();
    assert!(matches!(refused, StoreError::Refused(_)) && refused.is_contents_fault());
    assert!(refused.to_string().contains("the recorder's own user only"), "{refused}");
    // Nothing of it was recorded, and its numbers continue as if it had reported nothing.
    assert_eq!(guard.record(&notes(1, 1, 2)).unwrap().last_serial, 2);
    drop(guard);
    served.join().unwrap();
    committed.join().unwrap();
    assert_eq!(place.verified()[1..], [(Some([1; 16]), Some(1)), (Some([1; 16]), Some(2))]);
}

#[test]
fn an_administrators_report_is_recorded_once_also_if_the_recorder_restarts_meanwhile() {
    let place = Place::new();
    let mut recorder = Some(place.record());
    let verifier = VerifierKey::new(ORIGIN, key(4).verifying_key()).unwrap();
    let mut writer = AuditWriter::connect(&place.socket(), &verifier).unwrap();
    assert_eq!(writer.record(vec![Draft::of(tombstone())]).unwrap(), 1);
    drop(recorder.take());
    std::thread::scope(|scope| {
        let told = scope.spawn(|| writer.record(vec![Draft::of(tombstone()); 3]));
        std::thread::sleep(Duration::from_millis(700));
        recorder = Some(place.record());
        told.join().unwrap().unwrap();
    });
    let foreign = VerifierKey::new(ORIGIN, key(5).verifying_key()).unwrap();
    assert!(matches!(AuditWriter::connect(&place.socket(), &foreign), Err(LiveLogError::OtherLog { .. })));
    drop((writer, recorder));
    let serials: Vec<u64> = place.verified().into_iter().filter_map(|(_, serial)| serial).collect();
    assert_eq!(serials, [1, 2, 3, 4]);
}

#[test]
fn a_picture_that_is_not_what_was_announced_is_refused_and_quotas_hold() {
    let place = Place::new();
    let _recorder = place.record();
    let mut guard = place.guard(1);
    let mut wrong = picture(1, 1);
    wrong.bytes[5000] ^= 1;
    assert!(matches!(guard.put_blob(&wrong), Err(StoreError::Refused(_))));
    let mut huge = picture(2, 1);
    huge.device = None;
    guard.put_blob(&huge).unwrap();
    // The quota file says that the quota of device 1 is used up.
    drop(guard);
    drop(_recorder);
    let day = clock::wall_ms() / 86_400_000;
    let device = hex(&[1; 16]);
    std::fs::write(place.store().join("quota"), format!("{day}\n{device} {DEVICE_DAY_MAX_BYTES}\n")).unwrap();
    let _recorder = place.record();
    let mut guard = place.guard(1);
    assert!(matches!(guard.put_blob(&picture(1, 1)), Err(StoreError::Quota)));
    guard.put_blob(&picture(3, 2)).unwrap();
    guard.record(&notes(1, 1, 1)).unwrap();
}

#[test]
fn a_failing_store_is_reported_and_recovers_by_itself() {
    let place = Place::new();
    let broken = Arc::new(AtomicBool::new(false));
    let uid = rustix::process::geteuid().as_raw();
    let _recorder = place.record_for(uid, broken.clone());
    let mut guard = place.guard(1);
    guard.record(&notes(1, 1, 1)).unwrap();
    // The folder vanishes under the running recorder, and comes back with its content.
    let away = place.dir.path().join("away");
    broken.store(true, Ordering::Relaxed);
    std::fs::rename(place.store(), &away).unwrap();
    let mut new = notes(1, 2, 1);
    new.receipt = true;
    assert!(matches!(guard.record(&new), Err(StoreError::Recorder(_))));
    std::thread::sleep(Duration::from_millis(600));
    let told = guard.state().unwrap_err().to_string();
    assert!(told.contains("full"), "{told}");
    // Whatever the dead log left under its old name belongs to nobody.
    std::fs::remove_dir_all(place.store()).ok();
    std::fs::rename(&away, place.store()).unwrap();
    broken.store(false, Ordering::Relaxed);
    let since = Instant::now();
    while guard.record(&new).is_err() {
        assert!(since.elapsed() < PATIENCE, "it does not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(guard);
    drop(_recorder);
    let serials: Vec<u64> = place.verified().into_iter().filter_map(|(_, serial)| serial).collect();
    assert_eq!(serials, [1, 2]);
}

#[test]
fn the_recorder_within_the_process_keeps_the_same_promises() {
    let place = Place::new();
    let mut local = Local::open(settings(&place.store()), None).unwrap();
    let first = local.record(&completion(1, 1, 9)).unwrap();
    assert_eq!(local.record(&completion(1, 1, 9)).unwrap(), first);
    assert_eq!(local.record(&completion(2, 1, 9)).unwrap().leaf_index, first.leaf_index);
    local.put_blob(&picture(1, 1)).unwrap();
    assert_eq!(local.state().unwrap().size, 3);
    drop(local);
    assert_eq!(place.verified().len(), 3);
}

#[test]
fn a_picture_that_was_erased_does_not_come_back_when_its_client_sends_it_again() {
    let place = Place::new();
    let mut local = Local::open(settings(&place.store()), None).unwrap();
    let sent = picture(1, 1);
    local.put_blob(&sent).unwrap();
    let cause = Erasure::Retention.number();
    let tombstone = Tombstone { blobs: vec![BlobId(sent.blob.blob_id)], cause, approvals_sha256: None };
    let entries = vec![new_entry(Some([9; 16]), vec![], &Event::Tombstone(tombstone))];
    local.record(&NewEntries { entries, ..notes(1, 1, 1) }).unwrap();
    let erased = sudare_audit::erase::remove(&OsDisk, &place.store(), &[sent.blob.blob_id]).unwrap();
    assert_eq!(erased, 2);
    // It is acknowledged all the same, or the client would resend it for ever; also after a restart.
    local.put_blob(&sent).unwrap();
    drop(local);
    Local::open(settings(&place.store()), None).unwrap().put_blob(&sent).unwrap();
    let left = |folder: &str| std::fs::read_dir(place.store().join(folder)).unwrap().count();
    assert_eq!((left("headers"), left("blobs")), (0, 0));
}

#[test]
fn entries_become_verifiable_although_guards_ask_all_the_time() {
    let place = Place::new();
    let _recorder = place.record();
    let mut guard = place.guard(1);
    let stop = AtomicBool::new(false);
    let covered = std::thread::scope(|scope| {
        for source in 2..5 {
            let (mut other, stop) = (place.guard(source), &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    other.state().unwrap();
                    std::thread::sleep(Duration::from_millis(30));
                }
            });
        }
        let before = Store::open(&place.store()).unwrap().checkpoint().unwrap();
        guard.record(&notes(1, 1, 1)).unwrap();
        let begun = Instant::now();
        let mut covered = false;
        while !covered && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            covered = Store::open(&place.store()).unwrap().checkpoint().unwrap() != before;
        }
        stop.store(true, Ordering::Relaxed);
        covered
    });
    assert!(covered, "no checkpoint in minutes");
}

#[test]
fn the_end_of_the_logs_thread_is_reported() {
    let place = Place::new();
    let (store, opened) = (place.store(), AtomicBool::new(false));
    let open = move || {
        assert!(!opened.swap(true, Ordering::Relaxed), "a fault of the program");
        Ledger::open(settings(&store), None, clock::monotonic_ms())
    };
    let uid = rustix::process::geteuid().as_raw();
    let options = Options {
        socket: place.socket(),
        allowed_uids: vec![uid],
        open: Box::new(open),
        metrics: Metrics::default(),
    };
    let mut recorder = start(options).unwrap();
    let ended = recorder.take_ended().unwrap();
    let mut guard = place.guard(1);
    std::fs::remove_dir_all(place.store()).unwrap();
    guard.record(&NewEntries { receipt: true, ..notes(1, 1, 1) }).unwrap_err();
    assert_eq!(ended.recv_timeout(PATIENCE), Ok("log"));
}

#[test]
fn the_state_says_how_far_and_how_late_the_copy_is() {
    let place = Place::new();
    let ship = place.dir.path().join("ship");
    std::fs::create_dir(&ship).unwrap();
    let mut local = Local::open(settings(&place.store()), Some(ship.clone())).unwrap();
    local.record(&notes(1, 1, 1)).unwrap();
    assert_eq!(local.state().unwrap().shipped, Some(0), "there is none yet");
    std::thread::sleep(Duration::from_millis(50));
    let state = local.state().unwrap();
    assert!(state.behind_ms.is_some_and(|behind_ms| behind_ms >= 50), "{state:?}");
    std::fs::write(ship.join("shipped"), state.size.to_string()).unwrap();
    let state = local.state().unwrap();
    assert_eq!((state.shipped, state.behind_ms), (Some(state.size), Some(0)));
    // The store was put back: the copy is ahead, of another past, and has nothing of what follows.
    std::fs::write(ship.join("shipped"), (state.size + 1).to_string()).unwrap();
    let state = local.state().unwrap();
    assert_eq!((state.shipped, state.behind_ms), (None, None));
}

#[test]
fn a_guard_learns_which_device_has_used_up_its_quota() {
    let place = Place::new();
    let mut quota = Quota::default();
    quota.take(&[7; 16], DEVICE_DAY_MAX_BYTES, clock::wall_ms()).unwrap();
    std::fs::create_dir(place.store()).unwrap();
    std::fs::write(place.store().join(QUOTA_FILE), quota.to_text()).unwrap();
    let _recorder = place.record();
    let mut guard = place.guard(1);
    assert!(!guard.has_room(&[7; 16]).unwrap());
    assert!(guard.has_room(&[8; 16]).unwrap());
}
