//! The recorder's disk is full, cannot be written, or the recorder is gone: the guard knows within a second, and
//! what waited is recorded once, as soon as it can be.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use sudare_audit::{self, Walk};
use sudare_demo::faults::{self, Place, Running};
use sudare_evidence::reader::Store;
use sudare_evidence::report::Remote;
use sudare_guard::session::evidence::{Evidence, EvidenceThread, Job, OpenSink, What};
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::Note;
use sudare_protocol::message::Id;
use sudare_test_kit::{Pace, wait_until};

const SESSION: Id = [1; 16];
const SECOND: Duration = Duration::from_secs(1);

/// A recorder with its store on a disk of its own, and the thread of a guard.
struct Host {
    place: Place,
    recorder: Option<Running>,
    guard: Option<(EvidenceThread, Evidence)>,
    dir: tempfile::TempDir,
}

impl Host {
    fn start(evidence: &str, dir: tempfile::TempDir) -> Host {
        let place = Place::prepare(dir.path(), &dir.path().join(evidence)).unwrap();
        let mut host = Host { place, recorder: None, guard: None, dir };
        host.record();
        let socket = host.place.recorder_socket();
        faults::await_socket(&socket).unwrap();
        let open: OpenSink = Box::new(move |source| Ok(Box::new(Remote::connect(&socket, source)?)));
        host.guard = Some(EvidenceThread::start(open, [9; 16], Default::default()).unwrap());
        host
    }

    fn record(&mut self) {
        self.recorder = None;
        self.recorder = Some(faults::recorder(&self.place, &super::programs()).unwrap());
    }

    fn evidence(&self) -> &Evidence {
        &self.guard.as_ref().unwrap().1
    }

    fn note(&self, value: u64) {
        let what = What::Note(Note { code: 1, value });
        self.evidence().keep(Job { session_id: SESSION, incident_id: None, what });
    }

    /// How long it takes until the guard says so.
    #[track_caller]
    fn says_kept(&self, kept: bool) -> Duration {
        let begun = Instant::now();
        let what = format!("the guard to say that kept = {kept}");
        wait_until(&what, || Ok(self.evidence().health().is_kept(&SESSION) == kept)).unwrap();
        begun.elapsed()
    }

    /// Ends everybody properly, verifies the log, and gives the values of its notes.
    #[track_caller]
    fn notes(mut self) -> Vec<u64> {
        let (thread, evidence) = self.guard.take().unwrap();
        drop((evidence, thread));
        self.recorder.take().unwrap().end().unwrap();
        let (dir, verifier) = (self.place.evidence().unwrap(), self.place.verifier().unwrap());
        let report = sudare_audit::verify_store(&dir, &verifier, &[]).unwrap();
        assert!(report.ok, "{:?}", report.findings);
        let mut notes = Vec::new();
        Walk::new(&Store::open(&dir).unwrap(), &verifier, &[])
            .run(|_, entry, _| {
                if let Ok(Event::Note(note)) = entry.event() {
                    notes.push(note.value);
                }
                Ok(())
            })
            .unwrap();
        notes
    }
}

#[test]
fn a_guard_knows_within_a_second_that_the_recorder_is_gone_and_that_it_is_back() {
    let mut host = Host::start("evidence", tempfile::tempdir().unwrap());
    let pace = Pace::start();
    host.note(1);
    host.says_kept(true);
    for value in 2..5 {
        host.recorder = None;
        let noticed = host.says_kept(false);
        assert!(noticed < pace.allow(SECOND), "{noticed:?}");
        host.note(value);
        host.record();
        let noticed = host.says_kept(true);
        println!("kept again after {noticed:?}");
    }
    assert_eq!(host.notes(), [1, 2, 3, 4]);
}

#[test]
fn a_full_disk_is_told_and_what_waited_is_recorded_once_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else { return };
    let host = Host::start("disk/evidence", dir);
    host.note(1);
    host.says_kept(true);
    let (filler, pace) = (disk.0.join("filler"), Pace::start());
    fill(&filler);
    host.note(2);
    let noticed = host.says_kept(false);
    // A small entry may still fit where the write-ahead file has a block; then the checkpoint a second later fails.
    assert!(noticed < pace.allow(3 * SECOND), "{noticed:?}");
    host.note(3);
    thread::sleep(2 * SECOND);
    assert!(!host.evidence().health().is_kept(&SESSION), "there is still no space");
    fs::remove_file(&filler).unwrap();
    let noticed = host.says_kept(true);
    println!("kept again after {noticed:?}");
    assert_eq!(host.notes(), [1, 2, 3]);
    drop(disk);
}

#[test]
fn a_disk_that_turned_read_only_is_told_and_what_waited_is_recorded_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&dir.path().join("disk")) else { return };
    let mut host = Host::start("disk/evidence", dir);
    host.note(1);
    host.says_kept(true);
    // While a file is open for writing the kernel refuses.
    let pace = Pace::start();
    host.recorder = None;
    disk.remount("ro");
    host.record();
    let noticed = host.says_kept(false);
    assert!(noticed < pace.allow(SECOND), "{noticed:?}");
    host.note(2);
    thread::sleep(2 * SECOND);
    assert!(!host.evidence().health().is_kept(&SESSION), "it still cannot be written");
    let said = fs::read_to_string(host.dir.path().join("recorder.log")).unwrap();
    assert!(said.contains("read-only") || said.contains("Read-only"), "{said}");
    disk.remount("rw");
    host.record();
    host.says_kept(true);
    assert_eq!(host.notes(), [1, 2]);
    drop(disk);
}

impl Drop for Host {
    /// The thread ends once nobody can report any more, also when a test fails.
    fn drop(&mut self) {
        if let Some((thread, evidence)) = self.guard.take() {
            drop((evidence, thread));
        }
    }
}

/// A small file system of its own in memory; only root can make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs"]).arg(at);
        let done = mount.output().is_ok_and(|output| output.status.success());
        if !done {
            println!(
                "SKIPPED: a disk that fails was not tried. Only root may mount the small one that it needs."
            );
        }
        done.then(|| SmallDisk(at.to_owned()))
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status();
        assert!(status.unwrap().success(), "remount,{how}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the store may still be open when a test fails.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Writes until nothing more goes in.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [4096, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
