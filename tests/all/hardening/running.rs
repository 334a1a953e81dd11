//! `sudare-recorder` as systemd starts it: ready, alive, stopped, told to end; and what doctor says about it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_test_kit::{PATIENCE, Pace, program, wait_until};

use super::{Place, skip_or_fail};

/// What the test gives as WATCHDOG_USEC.
const WATCHDOG: Duration = Duration::from_millis(1_200);

struct Service {
    child: Child,
    systemd: UnixDatagram,
}

impl Service {
    fn start(place: &Place) -> Self {
        let notify = place.path("notify");
        let systemd = UnixDatagram::bind(&notify).unwrap();
        let mut command = of_place("sudare-recorder", place);
        command.env("NOTIFY_SOCKET", notify).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Service { child, systemd }
    }

    fn hear(&self, within: Duration) -> Option<String> {
        self.systemd.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 64];
        let length = self.systemd.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; waiting tells.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

/// The program, with the settings of this place.
fn of_place(name: &str, place: &Place) -> Command {
    let mut command = Command::new(program(name).unwrap());
    command.arg("--config").arg(place.path("host.toml")).stdin(Stdio::null());
    command
}

fn doctor(place: &Place) -> Value {
    let Output { stdout, stderr, .. } =
        of_place("sudare-host", place).args(["doctor", "--json"]).output().unwrap();
    serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&stderr)))
}

/// Whether the part is well, and what is said about it.
fn part(report: &Value, name: &str) -> (bool, String) {
    let rows = report["findings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["part"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
    (row["ok"].as_bool().unwrap(), row["text"].as_str().unwrap().to_owned())
}

#[test]
fn systemd_hears_that_the_recorder_is_ready_and_alive_and_when_it_is_not() {
    let place = Place::new();
    let pace = Pace::start();
    let mut service = Service::start(&place);
    assert_eq!(service.hear(PATIENCE).as_deref(), Some("READY=1"));
    for _ in 0..3 {
        assert_eq!(service.hear(pace.allow(WATCHDOG)).as_deref(), Some("WATCHDOG=1"));
    }
    service.signal(Signal::STOP);
    while service.hear(Duration::from_millis(300)).is_some() {}
    assert_eq!(service.hear(WATCHDOG), None, "stopped, it must not say that it is alive");
    service.signal(Signal::CONT);
    assert_eq!(service.hear(PATIENCE).as_deref(), Some("WATCHDOG=1"));
    service.signal(Signal::TERM);
    let status = wait_until("the recorder to end", || Ok(service.child.try_wait()?)).unwrap();
    assert!(status.success());
}

#[test]
fn a_running_recorder_has_given_up_rights_and_doctor_sees_what_is_left_to_mend() {
    let place = Place::new();
    let before = doctor(&place);
    let (ok, text) = part(&before, "recorder");
    assert!(!ok && text.contains("systemctl enable --now sudare-recorder"), "{text}");
    assert!(part(&before, "recorder's key and records").0);
    let service = Service::start(&place);
    assert_eq!(service.hear(PATIENCE).as_deref(), Some("READY=1"));
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", service.child.id())).unwrap();
    assert!(proc("status").contains("NoNewPrivs:\t1"));
    let core = proc("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    assert_eq!(Remote::connect(&place.socket(), [9; 16]).unwrap().state().unwrap().shipped, None);

    let report = doctor(&place);
    assert!(part(&report, "recorder's log").1.contains("entries"), "{report}");
    let (ok, text) = part(&report, "recorder's process");
    assert!(!ok && text.contains("by hand"), "the test is no unit: {text}");
    if rustix::process::geteuid().is_root() {
        let (ok, text) = part(&report, "recorder");
        assert!(!ok && text.contains("runs as root"), "{text}");
    }
    for name in ["recorder's folder", "recorder's evidence", "clock"] {
        assert!(part(&report, name).0, "{report}");
    }
    std::fs::set_permissions(place.path("recorder"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(place.path("recorder/evidence"), PermissionsExt::from_mode(0o770)).unwrap();
    let future = std::time::SystemTime::now() + Duration::from_secs(3_600);
    let checkpoint = std::fs::File::open(place.path("recorder/evidence/checkpoint")).unwrap();
    checkpoint.set_modified(future).unwrap();
    let report = doctor(&place);
    for name in ["recorder's folder", "recorder's evidence", "clock"] {
        let (ok, text) = part(&report, name);
        assert!(!ok && (text.contains("Run `") || text.contains("Set it")), "{name}: {text}");
    }
}

/// The shipper is another user than the recorder, and reads by the group of the folder only.
#[test]
fn a_shipper_of_another_user_reads_the_store_through_its_group_and_not_without() {
    const GROUP: u32 = 60_123;
    if !rustix::process::geteuid().is_root() {
        return skip_or_fail("root", "only root can act as two users");
    }
    let place = Place::new();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    open(place.dir.path(), 0o755);
    let store = place.path("recorder/evidence");
    std::fs::create_dir(&store).unwrap();
    for folder in [&place.path("recorder"), &store] {
        chown(folder, None, Some(GROUP)).unwrap();
        open(folder, 0o750);
    }
    // As tmpfiles.conf makes it.
    open(&store, 0o2750);
    let service = Service::start(&place);
    assert_eq!(service.hear(PATIENCE).as_deref(), Some("READY=1"));
    let key = of_place("sudare-recorder", &place).arg("--print-key").output().unwrap();
    std::fs::write(place.path("log.vkey"), key.stdout).unwrap();
    open(&place.path("log.vkey"), 0o644);
    let (built, reachable) = (program("sudare-ship").unwrap(), place.path("sudare-ship"));
    // Another user may not reach the folder in which cargo built it.
    std::fs::hard_link(&built, &reachable).or_else(|_| std::fs::copy(&built, &reachable).map(drop)).unwrap();
    let ship = |groups: &[&str], to: &str| {
        let dir = place.path(to);
        std::fs::create_dir(&dir).unwrap();
        chown(&dir, Some(65_534), Some(65_534)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534"]).args(groups).arg(&reachable);
        command.arg("--store").arg(&store).arg("--key").arg(place.path("log.vkey"));
        command
            .arg("--state")
            .arg(dir.join("state"))
            .arg("--to")
            .arg(format!("file://{}", dir.join("copy").display()));
        command.args(["--once"]).output().unwrap()
    };
    let with = ship(&["--groups", &GROUP.to_string()], "with");
    assert!(with.status.success(), "{}", String::from_utf8_lossy(&with.stderr));
    assert!(place.path("with/copy/checkpoint").exists());
    let without = ship(&["--clear-groups"], "without");
    assert!(!without.status.success() && !place.path("without/copy/checkpoint").exists());
    // The key stays the recorder's.
    let mut cat = Command::new("setpriv");
    cat.args(["--reuid", "65534", "--regid", "65534", "--groups", &GROUP.to_string(), "cat"]);
    assert!(!cat.arg(place.path("recorder/log.key")).output().unwrap().status.success());
}
