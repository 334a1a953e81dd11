//! Breaks the writer at every single step, opens the log again and checks what is left:
//! nothing acknowledged is lost, nothing appears twice, and no checkpoint is contradicted.

use std::path::Path;

use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::Note;
use sudare_protocol::evidence::{Entry, Event, Stamp};
use sudare_protocol::tlog::merkle::{Hash, Tree, leaf_hash};
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES};
use sudare_protocol::tlog::{SignedCheckpoint, TilePath};

use super::draft::{Draft, LogKeys};
use super::log_store::opening;
use super::wal::BATCH_MAX_ENTRIES;
use super::writer::LogWriter;
use crate::store::simulated::SimulatedDisk;
use crate::store::{Disk as _, StoreError};

const DIR: &str = "/var/store";

fn keys() -> LogKeys {
    LogKeys {
        origin: "sudare.example/log/test".into(),
        log: SigningKey::from_bytes(&[1; 32]),
        host_key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
    }
}

fn open(disk: &SimulatedDisk) -> Result<LogWriter<SimulatedDisk>, StoreError> {
    LogWriter::open(disk.clone(), Path::new(DIR), keys(), [3; 16]).map(|(writer, _)| writer)
}

fn append(writer: &mut LogWriter<SimulatedDisk>, value: u64) -> Result<u64, StoreError> {
    let stamp = Stamp { wall_ms: value, boot_ms: value, boot_id: [0; 16] };
    writer.append(Draft::of(Event::Note(Note { code: 0, value })), stamp)
}

/// What the callers of the writer were promised.
#[derive(Clone, Debug, Default)]
struct Promised {
    entries: u64,
    checkpoints: Vec<SignedCheckpoint>,
}

/// Appends up to `until`, with a checkpoint at every third entry; stops at the first error.
fn work(disk: &SimulatedDisk, until: u64, promised: &mut Promised) -> Result<(), StoreError> {
    let mut writer = open(disk)?;
    while writer.size() < until {
        let value = writer.size();
        assert_eq!(append(&mut writer, value)?, value);
        promised.entries = writer.size();
        if writer.size() % 3 == 0 {
            promised.checkpoints.push(writer.checkpoint()?);
        }
    }
    promised.checkpoints.push(writer.checkpoint()?);
    Ok(())
}

/// Reads the log as an auditor would, from the entries, and compares it with the promises.
fn check(disk: &SimulatedDisk, promised: &Promised, context: &str) {
    let read = |path: &Path| disk.read(path, MAX_BUNDLE_BYTES);
    let note = read(&Path::new(DIR).join("checkpoint")).unwrap();
    let signed = SignedCheckpoint::open(&note, &keys().verifier().unwrap()).unwrap();
    assert!(signed.size() >= promised.entries, "{context}: acknowledged entries are lost");
    let mut tree = Tree::new();
    let mut roots: Vec<Hash> = vec![tree.root()];
    for bundle in tiles::bundles(signed.size()) {
        let bytes = read(&Path::new(DIR).join(bundle.to_string())).unwrap();
        for leaf in tiles::entries(&bytes) {
            let leaf = leaf.unwrap();
            let entry = Entry::open_unverified(leaf).unwrap();
            let value = match entry.event().unwrap() {
                Event::Note(note) => note.value,
                _ => tree.size(),
            };
            assert_eq!((entry.seq, value), (tree.size(), tree.size()), "{context}");
            for tile in tree.push(leaf_hash(leaf)) {
                let path = TilePath {
                    content: tiles::TileContent::Hashes(tile.level),
                    index: tile.index,
                    width: tile.hashes.len(),
                };
                assert_eq!(read(&Path::new(DIR).join(path.to_string())).unwrap(), tile.hashes.concat());
            }
            roots.push(tree.root());
        }
    }
    assert_eq!(tree.root(), signed.root(), "{context}");
    for checkpoint in &promised.checkpoints {
        let size = usize::try_from(checkpoint.size()).unwrap();
        assert_eq!(roots[size], checkpoint.root(), "{context}: a receipt is contradicted");
    }
}

/// A log of 250 entries, so that the work that follows fills a tile and a level.
fn prepared() -> (SimulatedDisk, Promised) {
    let disk = SimulatedDisk::new();
    let mut promised = Promised::default();
    work(&disk, 250, &mut promised).unwrap();
    (disk, promised)
}

fn crash_everywhere(start: &SimulatedDisk, known: &Promised, until: u64, seeds: u64) {
    let whole = start.fork();
    work(&whole, until, &mut known.clone()).unwrap();
    for step in start.steps() + 1..=whole.steps() {
        for seed in 0..seeds {
            let disk = start.fork();
            let mut promised = known.clone();
            disk.crash_at_step(step);
            work(&disk, until, &mut promised).unwrap_err();
            // A kill leaves in the kernel's memory what a later power cut takes away.
            if seed % 2 == 0 {
                disk.kill();
            } else {
                disk.power_cut(seed.wrapping_mul(step) ^ 0x9E37_79B9_7F4A_7C15);
            }
            // The second run may be cut off as well, while it recovers.
            if seed > 1 {
                disk.crash_at_step(disk.steps() + 1 + (step + seed) % 11);
                drop(work(&disk, until, &mut promised));
                disk.power_cut(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ step);
            }
            let context = format!("step {step}, seed {seed}");
            work(&disk, until, &mut promised).unwrap_or_else(|error| panic!("{context}: {error}"));
            check(&disk, &promised, &context);
        }
    }
}

#[test]
fn a_crash_at_any_step_of_a_new_log_loses_nothing() {
    crash_everywhere(&SimulatedDisk::new(), &Promised::default(), 4, 120);
}

#[test]
fn a_crash_at_any_step_around_a_full_tile_loses_nothing() {
    let (disk, known) = prepared();
    crash_everywhere(&disk, &known, 260, 5);
}

#[test]
fn a_crash_at_any_step_while_the_write_ahead_file_starts_anew_loses_nothing() {
    let (disk, known) = prepared_large();
    crash_everywhere(&disk, &known, 66, 3);
    let wal_bytes = || disk.read(&Path::new(DIR).join("wal"), usize::MAX).unwrap().len();
    let before = wal_bytes();
    work(&disk, 66, &mut Promised::default()).unwrap();
    assert!(before > 4 * 1024 * 1024 && wal_bytes() < 4096);
}

#[test]
fn a_single_failing_call_at_any_step_loses_nothing() {
    for ((start, known), until) in [(prepared(), 258), (prepared_large(), 66)] {
        let whole = start.fork();
        work(&whole, until, &mut known.clone()).unwrap();
        for step in start.steps() + 1..=whole.steps() {
            let disk = start.fork();
            let mut promised = known.clone();
            disk.fail_at_step(step);
            work_on(&disk, until, &mut promised);
            disk.power_cut(step);
            drop(open(&disk).unwrap());
            check(&disk, &promised, &format!("failure at step {step}"));
        }
    }
}

/// As [`work`], but goes on after errors as the recorder's thread does: it tries again, and
/// opens the log again only when the writer asks for it.
fn work_on(disk: &SimulatedDisk, until: u64, promised: &mut Promised) {
    let mut writer = None;
    for _attempt in 0..100 {
        let Some(open) = writer.take().or_else(|| open(disk).ok()) else { continue };
        let mut open: LogWriter<SimulatedDisk> = open;
        let value = open.size();
        let result = if value < until { append(&mut open, value) } else { open.checkpoint().map(|_| value) };
        if result.is_ok() {
            promised.entries = open.size();
            promised.checkpoints.extend(open.checkpoint());
        }
        if result.is_ok() && value >= until {
            return;
        }
        writer = (!matches!(result, Err(StoreError::Poisoned))).then_some(open);
    }
    panic!("the work was not done");
}

/// A log whose write-ahead file starts anew at the next checkpoint.
fn prepared_large() -> (SimulatedDisk, Promised) {
    let disk = SimulatedDisk::new();
    let mut writer = open(&disk).unwrap();
    let stamp = Stamp { wall_ms: 0, boot_ms: 0, boot_id: [0; 16] };
    while writer.size() < 65 {
        let large = Event::Unknown { kind: 4000, body: vec![0; 65_000] };
        writer.append(Draft::of(large), stamp).unwrap();
    }
    (disk, Promised { entries: 65, checkpoints: vec![] })
}

#[test]
fn a_full_disk_is_named_acknowledges_nothing_and_recording_goes_on_when_there_is_space() {
    let (disk, known) = prepared();
    let mut writer = open(&disk).unwrap();
    for left in [0, 1, 40, 100] {
        disk.set_space_left(Some(left));
        assert!(matches!(append(&mut writer, 999), Err(StoreError::Full { .. })), "{left} bytes left");
        assert_eq!(writer.size(), 250);
    }
    disk.set_space_left(None);
    assert_eq!(append(&mut writer, 250).unwrap(), 250);
    disk.set_space_left(Some(10));
    assert!(matches!(writer.checkpoint(), Err(StoreError::Full { .. })));
    disk.set_space_left(None);
    let last = writer.checkpoint().unwrap();
    let mut promised = known;
    promised.entries = 251;
    promised.checkpoints.push(last);
    drop(writer);
    check(&disk, &promised, "after a full disk");
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_the_log_is_opened_again() {
    let (disk, known) = prepared();
    let mut writer = open(&disk).unwrap();
    disk.fail_next_sync();
    assert!(matches!(append(&mut writer, 250), Err(StoreError::Io { .. })));
    assert!(matches!(append(&mut writer, 250), Err(StoreError::Poisoned)));
    assert!(matches!(writer.checkpoint(), Err(StoreError::Poisoned)));
    drop(writer);
    let mut promised = known;
    work(&disk, 252, &mut promised).unwrap();
    check(&disk, &promised, "after a failed sync");
}

#[test]
fn a_second_recorder_and_a_foreign_log_key_are_refused() {
    let (disk, _) = prepared();
    let writer = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(StoreError::Locked { .. })));
    drop(writer);
    let with = |disk: &SimulatedDisk, log| {
        let keys = LogKeys { log: SigningKey::from_bytes(&[log; 32]), ..keys() };
        LogWriter::open(disk.clone(), Path::new(DIR), keys, [3; 16]).map(|_| ())
    };
    assert!(matches!(with(&disk, 9), Err(StoreError::Checkpoint(_))));
    // Nor before the first checkpoint.
    let disk = SimulatedDisk::new();
    append(&mut open(&disk).unwrap(), 0).unwrap();
    assert!(matches!(with(&disk, 9), Err(StoreError::LastEntry(_))));
    with(&disk, 1).unwrap();
}

#[test]
fn each_entry_of_a_batch_keeps_its_time_and_a_batch_has_an_end() {
    let disk = SimulatedDisk::new();
    let mut writer = open(&disk).unwrap();
    let draft = |value| Draft::of(Event::Note(Note { code: 0, value }));
    let stamp = |ms| Stamp { wall_ms: ms, boot_ms: ms, boot_id: [0; 16] };
    let before = disk.steps();
    writer.append_all(vec![(draft(0), stamp(10)), (draft(1), stamp(20))]).unwrap();
    assert_eq!(disk.steps() - before, 2, "one write and one sync");
    let many = vec![(draft(2), stamp(30)); BATCH_MAX_ENTRIES + 1];
    assert!(matches!(writer.append_all(many), Err(StoreError::Batch(_))));
    assert_eq!(writer.append(draft(2), stamp(30)).unwrap(), 2);
    writer.checkpoint().unwrap();
    let bundle = disk.read(&Path::new(DIR).join("tile/entries/000.p/3"), MAX_BUNDLE_BYTES).unwrap();
    let times = tiles::entries(&bundle).map(|leaf| Entry::open_unverified(leaf.unwrap()).unwrap().wall_ms);
    assert_eq!(times.collect::<Vec<_>>(), [10, 20, 30]);
}

#[test]
fn another_host_key_is_written_into_the_log_once() {
    let disk = SimulatedDisk::new();
    let stamp = Stamp { wall_ms: 0, boot_ms: 0, boot_id: [0; 16] };
    let start = |host_key| {
        let keys = LogKeys { host_key, ..keys() };
        let (mut writer, opened) = LogWriter::open(disk.clone(), Path::new(DIR), keys, [3; 16]).unwrap();
        let events = opening(&writer, &opened, vec![]);
        let names: Vec<_> = events.iter().map(Event::name).collect();
        writer.append_all(events.into_iter().map(|event| (Draft::of(event), stamp)).collect()).unwrap();
        names
    };
    assert_eq!(start([7; 32]), ["log-start"]);
    assert_eq!(start([7; 32]), ["recorder-start"]);
    assert_eq!(start([8; 32]), ["recorder-start", "host-key-change"]);
    assert_eq!(start([8; 32]), ["recorder-start"]);
    // Too far back to be looked at: it is named again.
    let mut writer = open(&disk).unwrap();
    let notes = vec![(Draft::of(Event::Note(Note { code: 0, value: 0 })), stamp); BATCH_MAX_ENTRIES];
    for _ in 0..5 {
        writer.append_all(notes.clone()).unwrap();
    }
    drop(writer);
    assert_eq!(start([8; 32]), ["recorder-start", "host-key-change"]);
}

#[test]
fn a_store_whose_files_contradict_each_other_is_refused() {
    let refused = |change: &dyn Fn(&SimulatedDisk)| {
        let (disk, _) = prepared();
        change(&disk);
        matches!(open(&disk), Err(StoreError::Damaged(_)))
    };
    let path = |name: &str| Path::new(DIR).join(name);
    assert!(refused(&|disk| disk.remove(&path("wal")).unwrap()));
    assert!(refused(&|disk| disk.write_at(&mut disk.open(&path("wal")).unwrap(), 100, b"x").unwrap()));
    let bundle = "tile/entries/000.p/250";
    assert!(refused(&|disk| disk.write_at(&mut disk.open(&path(bundle)).unwrap(), 100, b"x").unwrap()));
    assert!(refused(&|disk| {
        let older = disk.read(&path("tile/entries/000.p/249"), MAX_BUNDLE_BYTES).unwrap();
        let mut file = disk.create(&path(bundle)).unwrap();
        disk.write_at(&mut file, 0, &older).unwrap();
    }));
}
