//! `sudare connect` with a camera and face models, killed with SIGKILL while the host keeps an incident waiting: the
//! next one delivers what the first left on the disk.
//!
//! Needs the models and the photographs; says so and does nothing without them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use sudare_test_kit::programs;
use sudare_test_kit::scene::{Camera, Seat};
use sudare_test_kit::stage::{self, Client, Stage, USER};

use super::spool::{assert_once, await_files, left_in_spool};

/// A host and a device with an operator before its camera.
struct Setup {
    stage: Stage,
    camera: Camera,
    fifo: PathBuf,
    _dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Option<Self> {
        let photographs = photographs()?;
        let dir = tempfile::tempdir().unwrap();
        let mut stage = Stage::new(&dir.path().join("stage"), &programs(&stage::PROGRAMS).unwrap()).unwrap();
        stage.prepare(&Stage::enrolment_pictures(&photographs)).unwrap();
        stage.serve().unwrap();
        let fifo = stage.dir.join("camera.fifo");
        let camera = Camera::start(Seat::load(&photographs).unwrap(), &fifo).unwrap();
        Some(Setup { stage, camera, fifo, _dir: dir })
    }

    fn connect(&self) -> Client {
        let source = format!("mjpeg:{}", self.fifo.display());
        let arguments = [self.stage.listen.as_str(), "--user", USER, "--source", &source];
        let mut command = self.stage.client_command("device");
        Client::start(&mut command, &arguments, &self.stage.dir.join("client.log")).unwrap()
    }

    fn home(&self) -> PathBuf {
        self.stage.dir.join("device")
    }

    /// The receipts that the employee sees.
    fn receipts(&self) -> Value {
        json(self.stage.client_command("device").args(["receipts", "--json"]))
    }

    fn audit(&self, command: &str, more: &[&str]) -> Value {
        let mut program = self.stage.audit_command();
        program.arg(command).arg(self.stage.evidence()).arg("--key").arg(&self.stage.log_vkey);
        json(program.args(more).arg("--json"))
    }
}

fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command:?}: {said}"))
}

fn photographs() -> Option<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    if folder.is_none() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "photographs"), "the photographs are missing");
        println!(
            "SKIPPED: no client was killed, since nobody can be shown to it. `cargo xtask test` fetches the photographs."
        );
    }
    folder
}

#[test]
fn an_incident_of_a_killed_client_arrives_once_with_the_next_one() {
    let Some(setup) = Setup::new() else { return };
    let mut client = setup.connect();
    let shows = |kind: &'static str| move |e: &Value| e["event"] == "screen" && e["kind"] == kind;
    client.wait("the desktop", shows("desktop")).unwrap();
    setup.camera.walk_in(Duration::from_millis(300));
    let covered = |e: &Value| e["event"] == "status" && e["reason"] == "onlooker";
    client.wait("the cover", covered).unwrap();
    // The picture after the decision comes a second later; from here on the host acknowledges nothing.
    setup.stage.signal(Signal::STOP).unwrap();
    await_files("sealed", &setup.home(), 1, 0);
    client.kill().unwrap();
    let listed = setup.receipts();
    assert_eq!((&listed["receipts"], &listed["waiting"]["incidents"]), (&Value::Array(vec![]), &1.into()));
    setup.stage.signal(Signal::CONT).unwrap();

    setup.camera.show(sudare_test_kit::scene::ALONE);
    let mut client = setup.connect();
    client.wait("the receipt", |e| e["event"] == "receipt").unwrap();
    await_files("delivered", &setup.home(), 0, 1);
    client.wait("the desktop", shows("desktop")).unwrap();
    client.kill().unwrap();
    assert_eq!(left_in_spool(&setup.home()), [""; 0]);
    end(setup);
}

/// The employee's receipt, the auditor's list and the store tell the same.
fn end(mut setup: Setup) {
    let listed = setup.receipts();
    let receipt = &listed["receipts"][0];
    assert_eq!(
        (&listed["waiting"]["incidents"], &receipt["reason"]),
        (&0.into(), &"onlooker".into()),
        "{listed}"
    );
    setup.stage.end().unwrap();
    let note = setup.stage.dir.join("receipt");
    std::fs::write(&note, receipt["checkpoint"].as_str().unwrap()).unwrap();
    let report = setup.audit("verify", &["--receipt", &note.display().to_string()]);
    assert_eq!(report["findings"], Value::Array(vec![]), "{report}");
    let verifier = std::fs::read_to_string(&setup.stage.log_vkey).unwrap().trim().parse().unwrap();
    let incident = receipt["incident"].as_str().unwrap();
    assert_once(&setup.stage.evidence(), &verifier, incident);
    let list = setup.audit("list", &[]);
    assert!(list["incidents"].as_array().unwrap().iter().any(|i| i["id"] == incident), "{list}");
}
