//! `systemctl reload`, which is a SIGHUP: nothing ends, and what cannot change while it runs is said.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_test_kit::{program, wait_until};

use super::{Place, repository};

/// A service, and what it says.
struct Service<'a> {
    child: Child,
    place: &'a Place,
}

impl<'a> Service<'a> {
    fn start(name: &str, place: &'a Place, begun: &str) -> Self {
        let log = fs::File::create(place.path("log")).unwrap();
        let mut command = Command::new(program(name).unwrap());
        command.arg("--config").arg(place.path("host.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        let service = Self { child: command.stderr(log).spawn().unwrap(), place };
        service.wait_said(0, begun);
        service
    }

    fn said(&self) -> String {
        fs::read_to_string(self.place.path("log")).unwrap()
    }

    fn wait_said(&self, after: usize, what: &str) {
        wait_until(what, || {
            let said = self.said();
            Ok(if said[after..].contains(what) { Ok(()) } else { Err(said) })
        })
        .unwrap();
    }

    fn reload(&mut self, expected: &str) {
        let before = self.said().len();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        self.wait_said(before, expected);
        assert!(self.child.try_wait().unwrap().is_none(), "{}", self.said());
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Adds a line to the settings.
fn add(place: &Place, line: &str) {
    let settings = fs::read_to_string(place.path("host.toml")).unwrap();
    fs::write(place.path("host.toml"), format!("{settings}{line}\n")).unwrap();
}

#[test]
fn a_recorder_goes_on_recording_and_says_what_counts_from_its_next_start() {
    let place = Place::new();
    let mut recorder = Service::start("sudare-recorder", &place, "recording; auditors need this line");
    let mut gate = Remote::connect(&place.socket(), [9; 16]).unwrap();
    gate.state().unwrap();
    recorder.reload("the settings were read anew");
    assert!(!recorder.said().contains("cannot change while this service runs"), "{}", recorder.said());
    add(&place, "log_origin = \"sudare/another\"");
    recorder.reload("setting=\"log_origin\"");
    add(&place, "log_origin = ");
    recorder.reload("not read anew, what was read before stays in use");
    gate.state().unwrap();
}

#[test]
fn the_service_that_tells_owners_goes_on_too() {
    let place = Place::new();
    add(&place, &format!("owner_socket = {:?}", place.path("run/owner").display().to_string()));
    let mut owner = Service::start("sudare-owner", &place, "answering gates");
    let settings = fs::read_to_string(place.path("host.toml")).unwrap();
    fs::write(place.path("host.toml"), settings.replace("\"nobody\"", "\"no-such-user\"")).unwrap();
    owner.reload("there is no user \"no-such-user\"");
    fs::write(place.path("host.toml"), settings.replace("run/owner", "run/elsewhere")).unwrap();
    owner.reload("setting=\"owner_socket\"");
}

#[test]
fn every_unit_that_runs_on_can_be_reloaded() {
    let folder = repository().join("deploy/linux/host");
    let mut counted = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let unit = path
            .extension()
            .is_some_and(|kind| kind == "service")
            .then(|| fs::read_to_string(&path).unwrap());
        if let Some(unit) = unit.filter(|unit| !unit.contains("Type=oneshot")) {
            assert!(unit.contains("\nExecReload=/bin/kill -HUP $MAINPID\n"), "{}", path.display());
            counted += 1;
        }
    }
    assert!(counted >= 5, "{counted} units");
}
