//! Evidence is erased and looked at while its recorder runs, in real processes: the log says so first, and a
//! guard that reports meanwhile notices nothing.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use sudare_audit::Walk;
use sudare_audit::export::Bundle;
use sudare_audit::open::views::viewer_id;
use sudare_evidence::reader::Store;
use sudare_evidence::report::wire::NewEntry;
use sudare_evidence::report::{EvidenceSink as _, NewEntries, Remote};
use sudare_protocol::evidence::event::{BlobId, Erasure, Note, Tombstone};
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::hex::hex;
use sudare_protocol::keyfile;
use sudare_test_kit::{Pace, pair, program, wait_until};

use super::case::{self, Case, HOUR_MS, Incident, ORIGIN, key};

const GUARD: Id = [0x6a; 16];
/// Nobody, who is the guards' user here, and a user of the recorder's own.
const GUARDS_UID: u32 = 65_534;
const RECORDER_UID: u32 = 60_124;

/// A store whose recorder runs as a process of its own.
struct Live {
    case: Case,
    recorder: Child,
}

impl Live {
    fn of(case: Case) -> Self {
        Self::of_user(case, None)
    }

    /// The recorder takes over the store that the case was made in.
    fn of_user(case: Case, uid: Option<u32>) -> Self {
        let dir = case.path("recorder");
        std::fs::create_dir(&dir).unwrap();
        std::fs::rename(case.store(), dir.join("evidence")).unwrap();
        std::os::unix::fs::symlink(dir.join("evidence"), case.store()).unwrap();
        std::fs::create_dir(case.path("run")).unwrap();
        let organisation = pair::organisation_key();
        for (name, bytes) in [
            ("recorder/log.key", keyfile::secret_line(&key(4)).as_bytes()),
            ("recorder/organisation.pub", keyfile::public_line(&organisation.verifying_key()).as_bytes()),
            ("recorder/host.record", &*case::host_record()),
            ("host.toml", settings(&case).as_bytes()),
        ] {
            case.write(name, bytes);
        }
        std::fs::set_permissions(case.path("recorder/log.key"), PermissionsExt::from_mode(0o600)).unwrap();
        if let Some(uid) = uid {
            open_to_all(case.dir.path());
            give(&dir, uid);
            give(&case.path("run"), uid);
        }
        let mut command = as_user(uid, &reachable(&case, &program("sudare-recorder").unwrap()));
        command.arg("--config").arg(case.path("host.toml")).stdin(Stdio::null());
        let recorder = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let live = Live { case, recorder };
        until("the recorder", || Remote::connect(&live.socket(), [1; 16]).is_ok());
        live
    }

    fn socket(&self) -> PathBuf {
        self.case.path("run/socket")
    }

    /// `sudare-audit` on the live store, over the recorder's socket.
    #[track_caller]
    fn tend(&self, args: &[&str]) -> (i32, Value) {
        let socket = self.socket();
        let keys = ["--key", "log.vkey", "--org-key", "organisation.pub"];
        self.case.audited(&[args, &keys, &["--recorder", socket.to_str().unwrap()]].concat())
    }

    #[track_caller]
    fn approved(&self, incident: &Incident) -> [String; 2] {
        [21, 22].map(|n| {
            let (key, out) = (format!("approver-{n}.key"), format!("{n}.approval"));
            let args = ["approve", &incident.hex(), "--log", "log.vkey", "--key", &key, "--reason-code", "2"];
            let (code, said) = self.case.audited(&[&args[..], &["--out", &out]].concat());
            assert_eq!(code, 0, "{said}");
            out
        })
    }

    #[track_caller]
    fn assert_intact(&self) {
        let args = ["verify", "store", "--key", "log.vkey", "--org-key", "organisation.pub"];
        let (code, report) = self.case.audited(&args);
        assert_eq!(code, 0, "{report}");
    }

    fn entries(&self) -> Vec<Entry> {
        let line = std::fs::read_to_string(self.case.path("log.vkey")).unwrap();
        let store = Store::open(&self.case.store()).unwrap();
        let mut entries = Vec::new();
        let walk = Walk::new(&store, &line.parse().unwrap(), &[]);
        walk.run(|_, entry, _| {
            entries.push(entry.clone());
            Ok(())
        })
        .unwrap();
        entries
    }

    /// What the log says of kept evidence.
    fn tended(&self) -> Vec<&'static str> {
        let is_kept = |event: &Event| matches!(event.encode().0, 40..=59);
        self.entries().iter().map(|entry| entry.event().unwrap()).filter(is_kept).map(|e| e.name()).collect()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.recorder.kill().unwrap();
        self.recorder.wait().unwrap();
    }
}

fn settings(case: &Case) -> String {
    let path = |name: &str| case.path(name).display().to_string();
    format!(
        "state_dir = \"{}\"\nrecorder_dir = \"{}\"\nrecorder_socket = \"{}\"\nlog_origin = \"{ORIGIN}\"\n\
         run_as = \"nobody\"\n",
        path("host"),
        path("recorder"),
        path("run/socket")
    )
}

/// A guard that reports without end.
struct Guard {
    stop: Arc<AtomicBool>,
    reported: Arc<AtomicU64>,
    longest: JoinHandle<Duration>,
}

impl Guard {
    fn start(socket: &Path) -> Self {
        let (stop, reported) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, count) = (stop.clone(), reported.clone());
        let mut remote = Remote::connect(socket, GUARD).unwrap();
        let longest = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let since = Instant::now();
                remote.state().unwrap();
                remote.record(&note(GUARD, count.load(Ordering::Relaxed) + 1)).unwrap();
                longest = longest.max(since.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
            longest
        });
        Guard { stop, reported, longest }
    }

    /// It goes on.
    fn reports_more(&self) {
        let before = self.reported.load(Ordering::Relaxed);
        until("more reports", || self.reported.load(Ordering::Relaxed) > before + 10);
    }

    /// How many reports were taken, and the longest wait.
    fn end(self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.longest.join().unwrap();
        (self.reported.load(Ordering::Relaxed), longest)
    }
}

fn note(source: Id, serial: u64) -> NewEntries {
    said(source, serial, None, &Event::Note(Note { code: 1, value: 0 }))
}

fn said(source: Id, serial: u64, incident_id: Option<Id>, event: &Event) -> NewEntries {
    let (kind, body) = event.encode();
    let entry = NewEntry { session_id: None, incident_id, reason: None, blobs: vec![], kind, body };
    NewEntries { source, serial, entries: vec![entry], receipt: true, once: None }
}

fn as_user(uid: Option<u32>, program: &Path) -> Command {
    let Some(uid) = uid else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    let uid = uid.to_string();
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]).arg(program);
    command
}

/// Another user may not reach the folder in which cargo built a program.
fn reachable(case: &Case, built: &Path) -> PathBuf {
    let here = case.path(built.file_name().unwrap().to_str().unwrap());
    if !here.exists() {
        std::fs::hard_link(built, &here).or_else(|_| std::fs::copy(built, &here).map(drop)).unwrap();
    }
    here
}

fn open_to_all(dir: &Path) {
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A folder and all in it.
fn give(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|file| give(&file.unwrap().path(), uid));
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, || Ok(holds())).unwrap();
}

/// Incidents of three weeks, four days and an hour ago.
fn kept() -> (Case, [Incident; 3]) {
    let mut case = Case::new(false);
    let session = case.session(1, 22 * 24 * HOUR_MS);
    let ages = [(0xa1, 21 * 24 * HOUR_MS), (0xa2, 4 * 24 * HOUR_MS), (0xa3, HOUR_MS)];
    let incidents = ages.map(|(n, ago_ms)| case.incident(session, n, ago_ms));
    (case.close(), incidents)
}

fn stored(case: &Case, incident: &Incident) -> Vec<bool> {
    incident.blobs.iter().map(|blob| case.is_stored(&blob.blob_id) == (true, true)).collect()
}

#[test]
fn evidence_is_erased_and_looked_at_while_a_guard_reports_without_a_gap() {
    let (case, [old, middle, recent]) = kept();
    let live = Live::of(case);
    let pace = Pace::start();
    let guard = Guard::start(&live.socket());
    guard.reports_more();
    let [a, b] = live.approved(&recent);
    let (code, json) = live.tend(&["erase", "store", "--incident", "a3", "--approval", &a, "--approval", &b]);
    assert_eq!((code, json["erased"]["pictures"].as_u64()), (0, Some(6)), "{json}");
    assert_eq!(stored(&live.case, &recent), [false; 6]);
    guard.reports_more();
    let (code, json) = live.tend(&["retention", "store", "--apply"]);
    assert_eq!((code, json["erased"]["pictures"].as_u64()), (0, Some(6 + 2)), "{json}");
    assert_eq!(stored(&live.case, &old), [false; 6]);
    assert_eq!(stored(&live.case, &middle), [true, true, false, true, false, true]);
    live.assert_intact();
    assert_eq!(live.tended(), ["approval", "approval", "tombstone", "tombstone", "tombstone"]);
    let (_, told) = live.case.audited(&["show", "store", "a3", "--key", "log.vkey"]);
    let states = told["story"]["pictures"].as_array().unwrap();
    assert!(states.iter().all(|one| one["state"] == "erased" && one["tombstone"].is_u64()), "{told}");
    guard.reports_more();
    let (reports, longest) = guard.end();
    println!("a guard made {reports} reports meanwhile; the longest took {longest:?}");
    // A guard covers after two seconds without an answer.
    let allowed = pace.allow(Duration::from_secs(2));
    assert!(reports > 30 && longest < allowed, "{reports} reports, {longest:?}, allowed are {allowed:?}");
    let serials = live.entries().into_iter().filter(|entry| entry.source == Some(GUARD));
    let serials: Vec<u64> = serials.filter_map(|entry| entry.serial).collect();
    assert_eq!(serials, (1..=reports).collect::<Vec<_>>());
    live.assert_intact();
}

#[test]
fn each_view_is_in_the_log_before_the_picture_is_on_the_disk() {
    let (case, _) = kept();
    let live = Live::of(case);
    let socket = live.socket();
    let open = |out: &str, more: &[&str]| {
        let args = ["open", "store", "a3", "--key", "log.vkey", "--identity", "auditor.age"];
        let why = ["--purpose", "case 12", "--purpose-code", "7", "--recorder", socket.to_str().unwrap()];
        live.case.audited(&[&args[..], &why, more, &["--out", out]].concat())
    };
    let (code, json) = open("seen", &[]);
    assert_eq!((code, json["opened"].as_array().unwrap().len()), (0, 4), "{json}");
    let views: Vec<Value> = std::fs::read_to_string(live.case.path("seen/views.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let entries = live.entries();
    for view in &views {
        let entry = &entries[usize::try_from(view["entry"].as_u64().unwrap()).unwrap()];
        let Event::View(said) = entry.event().unwrap() else { panic!("{entry:?}") };
        assert_eq!((said.purpose, entry.incident_id), (7, Some([0xa3; 16])));
        assert_eq!(said.viewer, viewer_id(&live.case.auditor.recipient()));
        assert_eq!(hex(&said.blob_id), view["blob"].as_str().unwrap());
        // The log outlives the case, so it holds no words.
        assert!(!entry.body.windows(4).any(|bytes| bytes == b"case"));
    }
    assert_eq!((views.len(), live.tended().len()), (4, 4));
    let (_, told) = live.case.audited(&["show", "store", "a3", "--key", "log.vkey"]);
    assert!(told.to_string().contains("was opened with key"), "{told}");
    // What is handed on says nothing of who looked at it.
    let (code, json) =
        live.case.audited(&["export", "store", "a3", "--key", "log.vkey", "--out", "incident.zip"]);
    assert_eq!(code, 0, "{json}");
    let zip = Bundle::read(&live.case.path("incident.zip")).unwrap();
    let is_in_it = |view: &Value| zip.get(&format!("entries/{}.cose", view["entry"])).is_some();
    assert!(zip.names().any(|name| name.starts_with("entries/")) && !views.iter().any(is_in_it));
    // Pictures in it were seen, too, by whoever made it.
    let args = ["export", "store", "a3", "--key", "log.vkey", "--identity", "auditor.age", "--purpose", "p"];
    let to = ["--recorder", socket.to_str().unwrap(), "--out", "opened.zip"];
    let (code, json) = live.case.audited(&[&args[..], &to].concat());
    assert_eq!((code, live.tended().len()), (0, 8), "{json}");
    live.assert_intact();
    // Without its recorder nothing is opened.
    std::fs::rename(live.case.path("run/socket"), live.case.path("run/away")).unwrap();
    let (code, said) = open("unseen", &["--full"]);
    assert!(code == 2 && said.to_string().contains("cannot be reached"), "{said}");
    assert!(!live.case.path("unseen").exists());
}

#[test]
fn a_run_that_ended_after_its_tombstone_is_finished_by_the_next() {
    let (case, [old, ..]) = kept();
    let live = Live::of(case);
    let blobs = old.blobs.iter().map(|blob| BlobId(blob.blob_id)).collect();
    let cause = Erasure::Retention.number();
    let tombstone = Event::Tombstone(Tombstone { blobs, cause, approvals_sha256: None });
    let mut dead = Remote::connect(&live.socket(), [0xdd; 16]).unwrap();
    dead.record(&said([0xdd; 16], 1, Some(old.id), &tombstone)).unwrap();
    let (code, json) = live.case.audited(&["show", "store", "a1", "--key", "log.vkey"]);
    assert_eq!((code, &json["story"]["pictures"][0]["state"]), (1, &Value::from("erasing")), "{json}");
    let (code, json) = live.tend(&["retention", "store", "--apply"]);
    // The two full pictures of four days ago are due besides.
    assert_eq!(
        (code, &json["erased"]["pictures"], &json["erased"]["files"]),
        (0, &2.into(), &16.into()),
        "{json}"
    );
    assert_eq!(stored(&live.case, &old), [false; 6]);
    assert_eq!(live.tended(), ["tombstone", "tombstone"]);
    live.assert_intact();
}

#[test]
fn pictures_that_no_entry_lists_go_after_three_days_and_no_others() {
    let (case, incidents) = kept();
    let live = Live::of(case);
    let put = |id: u8, days: u64| {
        ["headers", "blobs"].map(|folder| {
            let name = format!("{folder}/{}", hex(&[id; 16]));
            let file = std::fs::File::create(live.case.store().join(&name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)).unwrap();
            name
        })
    };
    let (old, new) = (put(0xee, 4), put(0xef, 2));
    // Files that the log vouches for are as old.
    for blob in incidents.iter().flat_map(|incident| &incident.blobs) {
        let file = live.case.store().join("headers").join(hex(&blob.blob_id));
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(40 * 24 * 60 * 60)).unwrap();
    }
    let is_there = |names: &[String; 2]| names.each_ref().map(|name| live.case.store().join(name).exists());
    let (code, plan) = live.tend(&["retention", "store"]);
    assert_eq!((code, &plan["unlisted"]), (0, &serde_json::json!(old)), "{plan}");
    assert_eq!(is_there(&old), [true; 2], "a dry run");
    let (code, done) = live.tend(&["retention", "store", "--apply"]);
    assert_eq!((code, done["erased"]["files"].as_u64()), (0, Some(2 * 8 + 2)), "{done}");
    assert_eq!((is_there(&old), is_there(&new)), ([false; 2], [true; 2]));
    assert_eq!(stored(&live.case, &incidents[2]), [true; 6]);
    live.assert_intact();
}

#[test]
fn nothing_goes_from_a_copy_whose_recorder_has_another_folder() {
    let (copy, [old, ..]) = kept();
    let live = Live::of(kept().0);
    let socket = live.socket();
    let retention = ["retention", "store", "--key", "log.vkey", "--org-key", "organisation.pub", "--apply"];
    let (code, said) = copy.audited(&[&retention[..], &["--recorder", socket.to_str().unwrap()]].concat());
    assert!(code == 2 && said.to_string().contains("it is a copy"), "{said}");
    assert_eq!((stored(&copy, &old), live.tended().len()), (vec![true; 6], 0));
    let (code, said) = copy.audited(&retention);
    assert!(code == 2 && said.to_string().contains("--recorder"), "one of both is needed: {said}");
    let both = ["--recorder", "run/socket", "--log-key", "log.key"];
    let (code, said) = copy.audited(&[&retention[..], &both].concat());
    assert!(code == 2 && said.to_string().contains("cannot be used with"), "and not both: {said}");
}

#[test]
fn the_guards_user_tends_nothing_and_the_recorders_own_user_may() {
    if !rustix::process::geteuid().is_root() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "root"), "root is required");
        println!("SKIPPED: only root can act as two users.");
        return;
    }
    let (case, [old, ..]) = kept();
    let live = Live::of_user(case, Some(RECORDER_UID));
    let audit = reachable(&live.case, &case::program());
    let run = |uid: u32, args: &[&str]| -> Output {
        let mut command = as_user(Some(uid), &audit);
        command.args(args).args(["--key", "log.vkey", "--recorder"]).arg(live.socket());
        command.args(["--lang", "en"]).current_dir(live.case.dir.path()).output().unwrap()
    };
    // A copy for the guards' user, who cannot read the store.
    let copied = Command::new("cp").args(["-rL", "store", "copy"]).current_dir(live.case.dir.path()).status();
    assert!(copied.unwrap().success());
    give(&live.case.path("copy"), GUARDS_UID);
    std::fs::create_dir(live.case.path("out")).unwrap();
    give(&live.case.path("out"), GUARDS_UID);
    let identity = live.case.path("auditor.age");
    std::fs::set_permissions(&identity, PermissionsExt::from_mode(0o644)).unwrap();
    let open = ["open", "copy", "a3", "--identity", "auditor.age", "--purpose", "p", "--out", "out/pictures"];
    let refused = run(GUARDS_UID, &open);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("the recorder's own user only"), "{said}");
    assert!(said.contains("could not be recorded") && live.tended().is_empty(), "{said}");
    let left = std::fs::read_dir(live.case.path("out/pictures")).unwrap().count();
    assert_eq!(left, 0, "neither a picture nor a record of one");
    let retention = ["retention", "store", "--org-key", "organisation.pub", "--apply"];
    let done = run(RECORDER_UID, &retention);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(stored(&live.case, &old), [false; 6]);
    live.assert_intact();
}
