//! What every program does with its output: a reader that has gone, a full disk, closed standard error, and texts of
//! others that would command a terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

use sudare_test_kit::program;

/// Programs with a command line, and something that they print on standard output.
const PRINTING: [(&str, &[&str]); 21] = [
    ("sudare", &["--help"]),
    ("sudare", &["watch", "--help"]),
    ("sudare", &["--version"]),
    ("sudare-audit", &["--help"]),
    ("sudare-audit", &["help", "verify"]),
    ("sudare-audit", &["--version"]),
    ("sudare-authority", &["--help"]),
    ("sudare-embedded", &["--help"]),
    ("sudare-fleet", &["--help"]),
    ("sudare-forward", &["--help"]),
    ("sudare-gate", &["--help"]),
    ("sudare-host", &["--help"]),
    ("sudare-host", &["doctor", "--json"]),
    ("sudare-host", &["doctor"]),
    ("sudare-nla", &["--help"]),
    ("sudare-notary", &["--help"]),
    ("sudare-owner", &["--help"]),
    ("sudare-recorder", &["--help"]),
    ("sudare-ship", &["--help"]),
    ("sudare-ship", &["--version"]),
    ("sudare-witness", &["--help"]),
];

fn run(name: &str, args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(name).unwrap());
    command.args(args).env("HOME", home.path()).env("SUDARE_HOME", home.path());
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).output().unwrap()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_reader_that_has_gone_ends_a_program_quietly() {
    for (name, args) in PRINTING {
        let ended = run(name, args, closed(), Stdio::piped());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(
            (ended.status.code(), ended.status.signal()),
            (Some(141), None),
            "{name} {args:?}: {said}"
        );
        assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{name} {args:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_told_and_is_no_success() {
    for (name, args) in PRINTING {
        let ended = run(name, args, full(), Stdio::piped());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{name} {args:?}: {said}");
        assert!(said.contains("the output cannot be written") && said.contains("No space"), "{name}: {said}");
    }
}

#[test]
fn closed_standard_error_ends_no_program_with_a_panic() {
    let wrong: [(&str, &[&str]); 6] = [
        ("sudare", &["inspect", "/nowhere.jpg"]),
        ("sudare-audit", &["verify", "/nowhere", "--key", "/nowhere.vkey"]),
        ("sudare-authority", &["sign-host", "--nothing"]),
        ("sudare-host", &["key", "--state-dir", "/nowhere"]),
        ("sudare-notary", &["stamp", "/nowhere", "--log", "/n", "--url", "http://[::1]:1", "--out", "/n"]),
        ("sudare-witness", &["status", "--state", "/nowhere"]),
    ];
    for (name, args) in wrong {
        for stderr in [closed(), full()] {
            let ended = run(name, args, File::create("/dev/null").unwrap().into(), stderr);
            assert!(matches!(ended.status.code(), Some(1 | 2)), "{name} {args:?}: {:?}", ended.status);
        }
    }
}
