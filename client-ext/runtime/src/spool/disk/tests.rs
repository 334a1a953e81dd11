//! Crashes between any two steps, two processes at once, damaged files, and a model of all of it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::tests::{evidence, host};
use super::*;

/// What the system does with a killed process: its lock is freed, its folder stays.
fn kill(mut disk: Disk) {
    drop(disk.own.take());
}

fn ack(id: u8) -> Ack {
    Ack { incident_id: [id; 16], leaf_index: 3, checkpoint: "note\n".into(), entry: None, proof: None }
}

fn ids(found: &[Evidence]) -> Vec<u8> {
    found.iter().map(|e| e.manifest.incident_id[0]).collect()
}

fn adopt(disk: &mut Disk, name: &str) -> Vec<u8> {
    ids(&disk.adopt(&host(name)).unwrap())
}

fn receipts(home: &Path) -> usize {
    Receipts::at(home).list().unwrap().receipts.len()
}

#[test]
fn killed_after_any_step_of_storing_it_is_there_once_or_was_never_promised() {
    for done in 0..=4 {
        let home = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(home.path());
        let steps = disk.store_steps(&host("a"), &evidence(1, 500)).unwrap();
        durable::run(&steps[..done]).unwrap();
        kill(disk);
        let mut next = Disk::new(home.path());
        let found = next.adopt(&host("a")).unwrap();
        assert_eq!(ids(&found), if done >= 3 { vec![1] } else { vec![] }, "after {done} steps");
        if let [found] = found.as_slice() {
            assert_eq!(
                (&found.manifest, &found.pieces),
                (&evidence(1, 500).manifest, &evidence(1, 500).pieces)
            );
        }
        assert_eq!(adopt(&mut next, "a"), [0; 0], "once");
        assert_eq!(waiting(&next.root).set_aside, 0);
    }
}

#[test]
fn a_torn_write_is_no_incident() {
    let home = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(home.path());
    let steps = disk.store_steps(&host("a"), &evidence(1, 500)).unwrap();
    let Step::Write(path, bytes) = &steps[0] else { panic!("{steps:?}") };
    fs::write(path, &bytes[..300]).unwrap();
    kill(disk);
    assert_eq!(adopt(&mut Disk::new(home.path()), "a"), [0; 0]);
    assert_eq!(waiting(&home.path().join("spool")), Waiting::default());
}

#[test]
fn killed_after_any_step_of_an_acknowledgement_it_is_sent_again_or_has_its_receipt() {
    for done in 0..=6 {
        let home = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(home.path());
        disk.store(&host("a"), &evidence(1, 500)).unwrap();
        let steps = disk.delivered_steps(&ack(1), 9).unwrap();
        assert_eq!(steps.len(), 6);
        durable::run(&steps[..done]).unwrap();
        kill(disk);
        let mut next = Disk::new(home.path());
        let again = adopt(&mut next, "a");
        assert_eq!(again.len() + receipts(home.path()), 1, "after {done} steps");
        if !again.is_empty() {
            next.delivered(&ack(1), 10).unwrap();
        }
        assert_eq!((receipts(home.path()), waiting(&next.root)), (1, Waiting::default()));
    }
}

#[test]
fn a_living_process_keeps_its_own_and_a_dead_one_is_inherited_by_host() {
    let home = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (Disk::new(home.path()), Disk::new(home.path()));
    for (name, id) in [("a", 2), ("a", 1), ("b", 3)] {
        first.store(&host(name), &evidence(id, 50)).unwrap();
    }
    assert_eq!(adopt(&mut second, "a"), [0; 0], "the other one lives");
    assert_eq!(waiting(&second.root).incidents, 3);
    assert_eq!(waiting(&second.root).oldest_ms, Some(1));
    kill(first);
    assert_eq!(adopt(&mut second, "a"), [1, 2], "in the order of time");
    second.delivered(&ack(1), 9).unwrap();
    let mut third = Disk::new(home.path());
    assert_eq!(adopt(&mut third, "a"), [0; 0]);
    assert_eq!(adopt(&mut third, "b"), [3]);
    kill(second);
    assert_eq!(adopt(&mut third, "a"), [2]);
    assert_eq!(receipts(home.path()), 1);
}

#[test]
fn one_that_dies_while_it_takes_over_loses_and_doubles_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Disk::new(home.path());
    let mut paths = Vec::new();
    for id in [1, 2] {
        first.store(&host("a"), &evidence(id, 50)).unwrap();
        paths.push(first.held[&[id; 16]].path.clone().unwrap());
    }
    kill(first);
    let mut second = Disk::new(home.path());
    let to = second.own_folder().unwrap().join(paths[0].file_name().unwrap());
    durable::run(&durable::relocate(&paths[0], &to)[..1]).unwrap();
    kill(second);
    assert_eq!(adopt(&mut Disk::new(home.path()), "a"), [1, 2]);
}

#[test]
fn torn_and_foreign_files_are_set_aside_and_the_rest_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Disk::new(home.path());
    for id in [1, 2, 3] {
        first.store(&host("a"), &evidence(id, 50)).unwrap();
    }
    let path = |id: u8| first.held[&[id; 16]].path.clone().unwrap();
    fs::write(path(1), b"somebody else's").unwrap();
    fs::copy(path(3), path(2)).unwrap();
    fs::write(path(3).with_file_name("note.txt"), b"hello").unwrap();
    kill(first);
    let mut next = Disk::new(home.path());
    assert_eq!(adopt(&mut next, "a"), [3]);
    assert_eq!(waiting(&next.root).set_aside, 2);
    assert_eq!(adopt(&mut next, "a"), [0; 0]);
}

#[test]
fn a_full_spool_and_a_disk_that_cannot_be_written_say_so_and_the_receipt_still_comes() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Disk::new(home.path());
    first.store(&host("a"), &evidence(1, 50)).unwrap();
    let path = first.held[&[1; 16]].path.clone().unwrap();
    File::options().write(true).open(path).unwrap().set_len(SPOOL_MAX_BYTES as u64).unwrap();
    let mut second = Disk::new(home.path());
    let full = second.store(&host("b"), &evidence(2, 50)).unwrap_err();
    assert!(matches!(full, DiskError::Full));
    second.delivered(&ack(2), 9).unwrap();
    assert_eq!(receipts(home.path()), 1);

    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("spool"), b"in the way").unwrap();
    let mut disk = Disk::new(home.path());
    let refused = disk.store(&host("a"), &evidence(1, 50)).unwrap_err().to_string();
    assert!(refused.contains("memory only"), "{refused}");
    disk.delivered(&ack(1), 9).unwrap();
    disk.delivered(&ack(1), 9).unwrap();
    assert_eq!(receipts(home.path()), 1, "and not twice");
}

#[test]
fn folders_and_files_are_private_and_an_empty_folder_goes() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(home.path());
    disk.store(&host("a"), &evidence(1, 50)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = disk.held[&[1; 16]].path.clone().unwrap();
    assert_eq!((mode(&disk.root), mode(path.parent().unwrap()), mode(&path)), (0o700, 0o700, 0o600));
    disk.delivered(&ack(1), 9).unwrap();
    let root = disk.root.clone();
    drop(disk);
    assert_eq!(names(&root), [LOCK]);
}

/// What may happen to a process.
#[derive(Debug, Clone)]
enum Act {
    /// Stores the next incident, and dies after so many steps if that is fewer than all.
    Store(usize),
    /// Has the n-th waiting incident acknowledged, likewise.
    Ack(usize, usize),
    /// Dies, and the next one asks for what was left.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0_usize..8).prop_map(Act::Store),
        2 => (0_usize..4, 0_usize..10).prop_map(|(n, steps)| Act::Ack(n, steps)),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..20)
}

/// A device over several lives of its process.
struct Device {
    home: tempfile::TempDir,
    disk: Disk,
    /// Stored to the end: may not be lost.
    promised: BTreeSet<u8>,
    /// What the living process knows to be waiting.
    queue: Vec<u8>,
    acked: BTreeSet<u8>,
}

impl Device {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk::new(home.path());
        Device { home, disk, promised: BTreeSet::new(), queue: Vec::new(), acked: BTreeSet::new() }
    }

    fn restart(&mut self) {
        kill(std::mem::replace(&mut self.disk, Disk::new(self.home.path())));
        self.queue = adopt(&mut self.disk, "a");
        let different: BTreeSet<u8> = self.queue.iter().copied().collect();
        assert_eq!(different.len(), self.queue.len(), "nothing twice");
        let receipts = Receipts::at(self.home.path());
        for id in &self.promised {
            let (waits, kept) = (different.contains(id), receipts.has(&[*id; 16]));
            assert!(waits != kept, "incident {id} waits {waits}, has a receipt {kept}");
            assert!(self.acked.contains(id) || waits, "{id} was lost");
        }
    }

    fn store(&mut self, id: u8, steps: usize) {
        let to_do = self.disk.store_steps(&host("a"), &evidence(id, 20)).unwrap();
        if steps >= to_do.len() {
            self.disk.store(&host("a"), &evidence(id, 20)).unwrap();
            self.promised.insert(id);
            self.queue.push(id);
        } else {
            durable::run(&to_do[..steps]).unwrap();
            self.restart();
            // Not promised, and yet it may have been kept.
            self.promised.extend(self.queue.contains(&id).then_some(id));
        }
    }

    fn ack(&mut self, n: usize, steps: usize) {
        let Some(id) = self.queue.get(n).copied() else { return };
        self.acked.insert(id);
        let to_do = self.disk.delivered_steps(&ack(id), 9).unwrap();
        if steps >= to_do.len() {
            self.disk.delivered(&ack(id), 9).unwrap();
            self.queue.remove(n);
        } else {
            durable::run(&to_do[..steps]).unwrap();
            self.restart();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_nothing_promised_is_lost_or_doubled(acts in acts()) {
        let mut device = Device::new();
        for (id, act) in (1..).zip(&acts) {
            match act {
                Act::Store(steps) => device.store(id, *steps),
                Act::Ack(n, steps) => device.ack(*n, *steps),
                Act::Restart => device.restart(),
            }
        }
        device.restart();
    }
}
