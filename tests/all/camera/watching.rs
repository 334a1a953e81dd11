//! `sudare` itself with the emulated camera: who sits there, and what is decided when the camera goes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::Value;
use sudare_test_kit::scene::{ALONE, AWAY, ENROL, Scene, Seat, jpeg};
use sudare_test_kit::wait::in_vain;
use sudare_test_kit::{PATIENCE, program};

use super::emulated::{SOURCE, with_shim};
use super::late_ms;

/// Pictures of the scene; afterwards the emulated camera changes them a little.
const PICTURES: u64 = 60;

/// `sudare watch` under way; it ends with the test.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Watch {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a change to this state, shown or covered.
    fn until(&mut self, state: &str, cover: bool) -> Value {
        let started = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line["state"] == state && line["cover"] == cover {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}", in_vain(&format!("{state}, cover {cover}"), &format!("{:#?}", self.seen)))
                }
                Err(RecvTimeoutError::Disconnected) => panic!("it ended: {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The folder of photographs, or `None` with a loud word where they or the models are not there.
pub(crate) fn ready() -> Option<PathBuf> {
    let photographs = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
    let required = |tool: &str| required.split(',').any(|name| name == tool);
    let models = sudare_models::Store::default_dir().and_then(sudare_models::Store::open);
    let models = models.and_then(|store| store.runtime_library());
    let missing = match (&models, &photographs) {
        (Err(error), _) => Some(("models", error.to_string())),
        (_, None) => Some(("photographs", "SUDARE_TEST_PICTURES names none".to_owned())),
        _ => None,
    };
    if let Some((what, why)) = missing {
        assert!(!(required("models") && required("photographs")), "{what} should be there: {why}");
        println!("SKIPPED: {what} is not there: {why}");
        return None;
    }
    photographs
}

fn sudare(home: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = with_shim(program("sudare").unwrap(), settings);
    command.env("SUDARE_HOME", home.join("device")).args(arguments);
    command
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

/// Enrols the operator; gives the operator file.
fn enrol(home: &Path, photographs: &Path) -> String {
    let operator = home.join("operator").to_str().unwrap().to_owned();
    let images = ENROL.map(|name| photographs.join(name).to_str().unwrap().to_owned());
    let output =
        run(sudare(home, &[], &["enroll", "--out", &operator, "--image", &images[0], "--image", &images[1]]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    operator
}

fn film_the_operator(folder: &Path, photographs: &Path) {
    std::fs::create_dir(folder).unwrap();
    let seat = Seat::load(photographs).unwrap();
    for number in 0..PICTURES {
        let picture = jpeg(&seat.frame(&ALONE, number)).unwrap();
        std::fs::write(folder.join(format!("{number:03}.jpg")), picture).unwrap();
    }
}

#[test]
fn the_operator_is_seen_and_an_unplugged_camera_covers_until_it_is_back() {
    let Some(photographs) = ready() else { return };
    let home = tempfile::tempdir().unwrap();
    let operator = enrol(home.path(), &photographs);
    let film = home.path().join("film");
    film_the_operator(&film, &photographs);
    let cable = home.path().join("cable-is-out");
    let settings = [
        ("SHIM_FORMATS", "MJPG:640x480@30"),
        ("SHIM_PICTURES", film.to_str().unwrap()),
        ("SHIM_OUTAGE", "unplug"),
        ("SHIM_OUTAGE_FILE", cable.to_str().unwrap()),
    ];
    let watch = ["watch", "--json", "--source", SOURCE, "--operator", &operator];
    let mut watch = Watch::start(sudare(home.path(), &settings, &watch));
    let clear = watch.until("clear", false);
    assert_eq!((&clear["faces"], &clear["reason"]), (&1.into(), &"none".into()));
    std::fs::write(&cable, "").unwrap();
    let pulled = Instant::now();
    let lost = watch.until("camera-lost", true);
    let lost_after_ms = pulled.elapsed().as_millis();
    assert_eq!(lost["reason"], "camera-lost");
    assert!(
        lost_after_ms <= 100 + u128::from(late_ms()),
        "covered {lost_after_ms} ms after the cable was out"
    );
    std::fs::remove_file(&cable).unwrap();
    let back = watch.until("clear", false);
    let ms = |line: &Value| line["t_ms"].as_u64().unwrap();
    // Shown when the operator was alone again for 2 s.
    let back_after_ms = ms(&back) - ms(&lost);
    assert!(back_after_ms >= 2_000, "shown again after {back_after_ms} ms");
    println!("clear at {} ms, covered {lost_after_ms} ms after, shown {back_after_ms} ms later", ms(&clear));
}

/// Where the policy compares no faces: nobody has to be enrolled.
#[test]
fn one_person_is_enough_where_nobody_is_compared_and_a_second_one_covers() {
    let Some(photographs) = ready() else { return };
    let home = tempfile::tempdir().unwrap();
    let film = home.path().join("film");
    std::fs::create_dir(&film).unwrap();
    let seat = Seat::load(&photographs).unwrap();
    let beside = Scene { stranger: 1.0, ..ALONE };
    // Ten pictures a second.
    for (number, scene) in (0..100)
        .map(|n| (n, ALONE))
        .chain((100..160).map(|n| (n, beside)))
        .chain((160..260).map(|n| (n, AWAY)))
    {
        let picture = jpeg(&seat.frame(&scene, number)).unwrap();
        std::fs::write(film.join(format!("{number:03}.jpg")), picture).unwrap();
    }
    let source = film.to_str().unwrap();
    let output =
        run(sudare(home.path(), &[], &["watch", "--json", "--source", source, "--recognition", "presence"]));
    let said = String::from_utf8_lossy(&output.stdout);
    let changes: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |state: &str, cover: bool| {
        let is_it = |line: &&Value| line["state"] == state && line["cover"] == cover;
        changes.iter().find(is_it).unwrap_or_else(|| panic!("{state}, {cover}: {said}"))["t_ms"]
            .as_u64()
            .unwrap()
    };
    let (opened, onlooker, away) = (at("clear", false), at("onlooker", true), at("absent", true));
    assert!((2_000..10_000).contains(&opened), "{said}");
    assert!((10_000..13_000).contains(&onlooker), "{said}");
    assert!(away > 16_000, "{said}");
    // And an operator is asked for where faces are compared.
    let output = run(sudare(home.path(), &[], &["watch", "--source", source]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no operator was given"));
}

#[test]
fn a_camera_in_use_is_said_on_the_command_line() {
    let Some(photographs) = ready() else { return };
    let home = tempfile::tempdir().unwrap();
    let operator = enrol(home.path(), &photographs);
    let arguments = ["watch", "--json", "--source", SOURCE, "--operator", &operator];
    let output = run(sudare(home.path(), &[("SHIM_OUTAGE", "busy")], &arguments));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("camera:77 is in use by another program. Close the programs"), "{said}");
}

#[test]
fn doctor_names_the_camera() {
    let Some(_) = ready() else { return };
    let home = tempfile::tempdir().unwrap();
    let output = run(sudare(home.path(), &[], &["doctor"]));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ok       camera: camera:77 (Emulated camera): a picture of 640x480"), "{said}");
    // Nothing in /sys says that it is plugged in.
    assert!(said.contains("it seems to be a program"), "{said}");
    for (outage, word) in
        [("busy", "in use by another program"), ("denied", "group `video`"), ("stall", "no picture")]
    {
        let output = run(sudare(home.path(), &[("SHIM_OUTAGE", outage)], &["doctor"]));
        let said = String::from_utf8_lossy(&output.stdout);
        let problem =
            said.lines().any(|line| line.starts_with("PROBLEM  camera: camera:77") && line.contains(word));
        assert!(problem && output.status.code() == Some(2), "{outage}: {said}");
    }
    let unplugged = run(sudare(home.path(), &[("SHIM_OUTAGE", "unplug")], &["doctor"]));
    let said = String::from_utf8_lossy(&unplugged.stdout);
    assert!(!said.contains("camera:77"), "{said}");
}
