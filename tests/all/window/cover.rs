//! `sudare cover` with a real host: covered at once, no incident, and back by the usual way.

use std::path::PathBuf;
use std::process::{Command, Output};

use sudare_test_kit::scene::{ALONE, Camera, Seat};
use sudare_test_kit::stage::{PROGRAMS, Stage, USER};
use sudare_test_kit::{programs, wait_until};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// As the same user would type it: with the same runtime folder.
fn cover(mut command: Command, runtime: &std::path::Path, arguments: &[&str]) -> Output {
    command.arg("cover").args(arguments).env("XDG_RUNTIME_DIR", runtime).output().unwrap()
}

#[test]
fn a_cover_that_is_asked_for_comes_at_once_is_no_incident_and_ends_when_the_operator_says_so() {
    let Some(photographs) = crate::camera::ready() else { return };
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    let mut stage = Stage::new(&dir.path().join("stage"), &programs(&PROGRAMS).unwrap()).unwrap();
    let nobody = cover(stage.client_command("device"), &runtime, &[]);
    assert!(
        !nobody.status.success() && said(&nobody).contains("no connection with Sudare"),
        "{}",
        said(&nobody)
    );
    stage.prepare(&Stage::enrolment_pictures(&photographs)).unwrap();
    stage.serve().unwrap();
    let fifo: PathBuf = dir.path().join("camera.fifo");
    let camera = Camera::start(Seat::load(&photographs).unwrap(), &fifo).unwrap();
    camera.show(ALONE);
    let mut command = stage.client_command("device");
    command.env("XDG_RUNTIME_DIR", &runtime);
    let source = format!("mjpeg:{}", fifo.display());
    let arguments = [stage.listen.as_str(), "--user", USER, "--source", &source];
    let log = dir.path().join("client.log");
    let mut client = sudare_test_kit::stage::Client::start(&mut command, &arguments, &log).unwrap();
    let visible = |event: &serde_json::Value| event["event"] == "status" && event["shown"] == "visible";
    client.wait("the desktop", visible).unwrap();
    let asked = cover(stage.client_command("device"), &runtime, &[]);
    assert!(
        asked.status.success() && said(&asked).contains("vdi-demo: 画面を隠しました"),
        "{}",
        said(&asked)
    );
    let covered = client.wait("the cover", |event| event["event"] == "status").unwrap();
    assert_eq!((&covered["shown"], &covered["reason"]), (&"covered".into(), &"operator-asked".into()));
    let ended = cover(stage.client_command("device"), &runtime, &["--end"]);
    assert!(ended.status.success(), "{}", said(&ended));
    client.wait("the desktop again", visible).unwrap();
    // A host keeps nothing of it but the cover.
    stage.end().unwrap();
    let sockets = || std::fs::read_dir(runtime.join("sudare")).map_or(0, |files| files.count());
    wait_until("the end of the client", || {
        client.catch_up();
        Ok(client.has_ended())
    })
    .unwrap();
    assert_eq!(sockets(), 0, "its socket goes with it");
    let listed = stage.audit_command().arg("list").arg(stage.evidence()).output().unwrap();
    assert!(!said(&listed).contains("operator-asked"), "no incident: {}", said(&listed));
}
