//! Erasing on a disk that is cut off at every step: a picture is whole, or its tombstone is in the log.

use std::path::Path;

use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::blobs::{BlobPaths, describe};
use sudare_evidence::store::simulated::SimulatedDisk;
use sudare_evidence::store::{BlobStore, Disk, StoreError};
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::Erasure as Cause;
use sudare_protocol::evidence::{Event, Id, Label, Media, Stamp};
use sudare_protocol::seal::{Identity, Recipients, seal};
use sudare_protocol::tlog::{TileContent, TilePath, tiles};

use super::error::EraseError;
use super::{Erased, Erasure, in_order};

const DIR: &str = "/store";
const PICTURES: [Id; 2] = [[0xaa; 16], [0xbb; 16]];
const KEPT: Id = [0xcc; 16];

fn open(disk: &SimulatedDisk) -> Result<LogWriter<SimulatedDisk>, StoreError> {
    let log = SigningKey::from_bytes(&[1; 32]);
    let keys = LogKeys { origin: "log/test".into(), log, host_key: [2; 32] };
    let mut writer = LogWriter::open(disk.clone(), Path::new(DIR), keys, [3; 16])?.0;
    // As `LogStore::open` does: what was recovered is under a checkpoint before anything else happens.
    writer.checkpoint()?;
    Ok(writer)
}

/// A store of three pictures.
fn example() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut writer = open(&disk).unwrap();
    let recipients = [Identity::generate().recipient(), Identity::generate().recipient()];
    let sealed = seal(b"picture", &[9; 32], &Recipients::parse(&recipients).unwrap()).unwrap();
    for id in [PICTURES[0], PICTURES[1], KEPT] {
        let blob = describe(id, Label::CameraAt, Media::Jpeg, &sealed);
        BlobStore::new(Path::new(DIR)).put(writer.durable(), &blob, &sealed.ciphertext).unwrap();
    }
    drop(writer);
    disk
}

fn stamp() -> Stamp {
    Stamp { wall_ms: 1, boot_ms: 1, boot_id: [0; 16] }
}

fn erasure(pictures: &[Id]) -> Erasure {
    Erasure {
        incident_id: [1; 16],
        session_id: None,
        pictures: pictures.to_vec(),
        cause: Cause::Retention,
        approvals: vec![],
    }
}

/// What the command does: survey the log, erase what has no tombstone, finish what has one.
fn run(disk: &SimulatedDisk) -> Result<Erased, EraseError> {
    let mut writer = open(disk)?;
    let done = tombstones(disk);
    let due: Vec<Id> = PICTURES.iter().filter(|id| !done.contains(id)).copied().collect();
    in_order(disk, Path::new(DIR), &[erasure(&due)], &done, |drafts: Vec<Draft>| {
        writer.append_all(drafts.into_iter().map(|draft| (draft, stamp())).collect())?;
        writer.checkpoint()?;
        Ok(writer.size() - 1)
    })
}

/// Pictures named by tombstones under the checkpoint.
fn tombstones(disk: &SimulatedDisk) -> Vec<Id> {
    let note = disk.read(&Path::new(DIR).join("checkpoint"), 4096).unwrap();
    let size: usize = String::from_utf8(note).unwrap().lines().nth(1).unwrap().parse().unwrap();
    if size == 0 {
        return vec![];
    }
    let path = TilePath { content: TileContent::Entries, index: 0, width: size };
    let bundle = disk.read(&Path::new(DIR).join(path.to_string()), 100_000).unwrap();
    let mut named = Vec::new();
    for leaf in tiles::entries(&bundle) {
        let entry = sudare_protocol::evidence::Entry::open_unverified(leaf.unwrap()).unwrap();
        if let Event::Tombstone(tombstone) = entry.event().unwrap() {
            named.extend(tombstone.blobs.iter().map(|id| id.0));
        }
    }
    named
}

fn is_there(disk: &SimulatedDisk, id: &Id) -> (bool, bool) {
    let paths = BlobPaths::of(Path::new(DIR), id);
    (disk.read(&paths.header, 10_000).is_ok(), disk.read(&paths.body, 10_000).is_ok())
}

#[track_caller]
fn assert_recovers(disk: &SimulatedDisk, what: &str) {
    // Before anything is finished: whoever verifies now must find a reason for what is missing.
    drop(open(disk).unwrap());
    let named = tombstones(disk);
    for id in PICTURES {
        assert!(
            is_there(disk, &id) == (true, true) || named.contains(&id),
            "{what}: gone without a tombstone"
        );
    }
    run(disk).unwrap();
    let mut named = tombstones(disk);
    named.sort_unstable();
    assert_eq!(named, PICTURES, "{what}: each tombstone once");
    for id in PICTURES {
        assert_eq!(is_there(disk, &id), (false, false), "{what}");
    }
    assert_eq!(is_there(disk, &KEPT), (true, true), "{what}");
    // What is erased stays erased after another power cut.
    disk.power_cut(99);
    for id in PICTURES {
        assert_eq!(is_there(disk, &id), (false, false), "{what}: came back");
    }
}

#[test]
fn after_a_kill_or_a_power_cut_at_any_step_the_next_run_finishes() {
    let whole = example();
    let before = whole.steps();
    let erased = run(&whole).unwrap();
    assert_eq!((erased.pictures, erased.files), (2, 4));
    let steps = whole.steps() - before;
    assert!(steps > 8, "{steps}");
    for step in 1..=steps {
        let disk = example();
        disk.crash_at_step(disk.steps() + step);
        assert!(run(&disk).is_err(), "step {step}");
        disk.kill();
        assert_recovers(&disk, &format!("killed at step {step}"));
        for seed in 1..6 {
            let disk = example();
            disk.crash_at_step(disk.steps() + step);
            assert!(run(&disk).is_err(), "step {step}");
            disk.power_cut(seed);
            assert_recovers(&disk, &format!("power cut at step {step}, seed {seed}"));
        }
    }
}

#[test]
fn a_failed_call_is_reported_and_the_next_run_finishes() {
    let whole = example();
    let before = whole.steps();
    run(&whole).unwrap();
    for step in 1..=whole.steps() - before {
        let disk = example();
        disk.fail_at_step(disk.steps() + step);
        // Some failures are harmless, such as of deleting an old partial tile.
        drop(run(&disk));
        disk.kill();
        assert_recovers(&disk, &format!("call {step} failed"));
    }
}
