//! Independent implementations: Python's `aics-tlog` reads what our witness signed, and our log is
//! cosigned by Python's `aics-witness`.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use sudare_test_kit::wait_until;

use super::{ORIGIN, Place, grow, keys, log_at, required, said};

#[test]
fn an_independent_verifier_reads_our_cosignature() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let serving = place.serve("120");
    let mut log = log_at(&place.path("store"));
    grow(&mut log, 300, 0);
    let submitted = place.submit(&place.path("store"), &serving.url);
    assert!(submitted.status.success(), "{}", said(&submitted));
    let note = fs::read_to_string(place.path("out.cosigned")).unwrap();
    assert!(accepts(&python, &place, &note));
    // It must be able to refuse: a time one second later, in front of the same signature.
    let (head, line) = note.trim_end().rsplit_once(' ').unwrap();
    let at = 15;
    let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
    let forged = format!("{head} {}{other}{}\n", &line[..at], &line[at + 1..]);
    assert!(!accepts(&python, &place, &forged));
}

#[test]
fn an_independent_witness_cosigns_our_log_and_refuses_what_ours_refuses() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let peer = Peer::start(&python, &place);
    fs::write(place.path("witness.vkey"), &peer.vkey).unwrap();
    let mut log = log_at(&place.path("store"));
    for size in [1, 7, 300, 300, 1_000] {
        grow(&mut log, size, 0);
        let cosigned = place.submit(&place.path("store"), &peer.url);
        assert_eq!(cosigned.status.code(), Some(0), "{size}: {}", said(&cosigned));
    }
    let mut fork = log_at(&place.path("fork"));
    for (size, complaint) in [(900, "CUT BACK"), (1_000, "REWRITTEN"), (1_100, "REWRITTEN")] {
        grow(&mut fork, size, 1);
        let refused = place.submit(&place.path("fork"), &peer.url);
        assert_eq!(refused.status.code(), Some(1), "{size}: {}", said(&refused));
        assert!(said(&refused).contains(complaint), "{size}: {}", said(&refused));
    }
}

/// The interpreter with both packages, or `None` after saying so.
fn python() -> Option<OsString> {
    let python = std::env::var_os("SUDARE_TEST_PYTHON");
    let usable = python.filter(|python| {
        let imported = Command::new(python).args(["-c", "import aics_tlog, aics_witness"]).output();
        imported.is_ok_and(|run| run.status.success())
    });
    if usable.is_none() {
        assert!(!required("python"), "SUDARE_TEST_PYTHON lacks aics-tlog or aics-witness");
        println!("SKIPPED: no independent witness. `cargo xtask test` sets SUDARE_TEST_PYTHON.");
    }
    usable
}

fn accepts(python: &OsString, place: &Place, note: &str) -> bool {
    let path = place.path("judged.note");
    fs::write(&path, note).unwrap();
    let script = sudare_test_kit::checkout().join("tests/data/verify_cosignature.py");
    let log = keys().verifier().unwrap().to_string();
    let run = Command::new(python).arg(script).arg(path).args([&log, &place.witness]).output().unwrap();
    run.status.success()
}

struct Peer {
    process: Child,
    url: String,
    vkey: String,
}

impl Peer {
    fn start(python: &OsString, place: &Place) -> Self {
        let dir: PathBuf = place.path("peer");
        fs::create_dir(&dir).unwrap();
        let run = |arguments: &[&str]| {
            let run = Command::new(python)
                .args(["-m", "aics_witness"])
                .args(arguments)
                .current_dir(&dir)
                .output()
                .unwrap();
            assert!(run.status.success(), "{arguments:?}: {}", said(&run));
            String::from_utf8_lossy(&run.stdout).into_owned()
        };
        let printed = run(&["init", "--name", "peer.example/w1", "--listen", "127.0.0.1:0"]);
        let vkey =
            printed.split_whitespace().find(|word| word.starts_with("peer.example/w1+")).unwrap().to_owned();
        run(&["add-log", "--origin", ORIGIN, "--vkey", &keys().verifier().unwrap().to_string()]);
        let mut process = Command::new(python)
            .args(["-m", "aics_witness", "serve"])
            .current_dir(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| port_in(&line));
        // Whatever it says later is read, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://127.0.0.1:{}", port.expect("the peer says where it listens"));
        let address = url.trim_start_matches("http://").to_owned();
        wait_until("the peer to listen", || {
            Ok(std::net::TcpStream::connect(&address).map_err(|e| e.to_string()))
        })
        .unwrap();
        Self { process, url, vkey }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn port_in(line: &str) -> Option<u16> {
    let rest = line.split("127.0.0.1:").nth(1)?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok().filter(|port| *port != 0)
}
