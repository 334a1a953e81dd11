//! The witness as a process of its own: logs that grow, go back, are rewritten or fall silent; killed
//! in the middle; beside an independent witness and an independent verifier; and time tokens that
//! openssl made and openssl checks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod peers;
mod processes;
mod timestamps;
mod tokens;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::OsDisk;
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::Note;
use sudare_protocol::evidence::{Event, Stamp};
use sudare_protocol::tlog::SignedCheckpoint;

const ORIGIN: &str = "sudare.example/log/witnessed";

/// A folder with a witness's key and memory, and the log's public line.
pub(crate) struct Place {
    root: tempfile::TempDir,
    witness: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        let made = witness(&[
            "keygen",
            "--name",
            "witness.example/audit",
            "--key",
            &path("witness.key"),
            "--state",
            &path("state"),
        ]);
        assert!(made.status.success(), "{}", said(&made));
        let witness = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        fs::write(root.path().join("witness.vkey"), &witness).unwrap();
        let log = keys().verifier().unwrap();
        fs::write(root.path().join("log.vkey"), format!("{log}\n")).unwrap();
        Self { root, witness }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Starts the witness on a port of its own.
    pub(crate) fn serve(&self, silence: &str) -> Serving {
        let files = [self.text("state"), self.text("witness.key"), self.text("log.vkey")];
        let [state, key, log] = &files;
        let mut process = Command::new(sudare_test_kit::program("sudare-witness").unwrap())
            .args(["serve", "--listen", "127.0.0.1:0", "--state", state, "--key", key, "--log", log])
            .args(["--silence", silence])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line:?}");
        Serving { process, url }
    }

    /// `sudare-notary cosign`.
    pub(crate) fn submit(&self, store: &Path, url: &str) -> Output {
        let [log, witness, out] = ["log.vkey", "witness.vkey", "out.cosigned"].map(|name| self.text(name));
        let dir = store.display().to_string();
        notary(&["cosign", &dir, "--log", &log, "--url", url, "--witness", &witness, "--out", &out])
    }

    /// `sudare-witness check`.
    fn pull(&self, store: &Path) -> Output {
        let names = ["log.vkey", "witness.key", "state", "pulled.cosigned"];
        let [log, key, state, out] = names.map(|name| self.text(name));
        let dir = store.display().to_string();
        witness(&["check", &dir, "--log", &log, "--key", &key, "--state", &state, "--out", &out])
    }

    /// `sudare-witness status --json`, and its exit code.
    fn status(&self, silence: &str) -> (serde_json::Value, Option<i32>) {
        let run = witness(&["status", "--state", &self.text("state"), "--silence", silence, "--json"]);
        (serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", said(&run))), run.status.code())
    }

    /// Kinds of the alarms on record.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("state/alarms.jsonl")).unwrap_or_default();
        let kind = |line: &str| {
            let alarm: serde_json::Value = serde_json::from_str(line).unwrap();
            alarm["kind"].as_str().unwrap().to_owned()
        };
        text.lines().map(kind).collect()
    }
}

/// A witness that listens; killed with SIGKILL when it is dropped.
pub(crate) struct Serving {
    process: Child,
    pub(crate) url: String,
}

impl Serving {
    /// `systemctl reload`.
    fn reload(&self) {
        kill_process(Pid::from_child(&self.process), Signal::HUP).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn keys() -> LogKeys {
    LogKeys { origin: ORIGIN.into(), log: SigningKey::from_bytes(&[21; 32]), host_key: [22; 32] }
}

/// A real log whose entries carry `flavour`, so that two of them differ from the first entry on.
fn log_at(dir: &Path) -> LogWriter<OsDisk> {
    LogWriter::open(OsDisk, dir, keys(), [1; 16]).unwrap().0
}

fn grow(log: &mut LogWriter<OsDisk>, size: u64, flavour: u64) -> SignedCheckpoint {
    while log.size() < size {
        let entries = (log.size()..size).take(256).map(|value| {
            let stamp = Stamp { wall_ms: 1_700_000_000_000 + value, boot_ms: value, boot_id: [3; 16] };
            let event = Event::Note(Note { code: 1, value: flavour });
            (Draft::of(event), stamp)
        });
        log.append_all(entries.collect()).unwrap();
    }
    log.checkpoint().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn witness(arguments: &[&str]) -> Output {
    run("sudare-witness", &["--lang", "en"], arguments)
}

fn audit(arguments: &[&str]) -> Output {
    run("sudare-audit", &["--lang", "en"], arguments)
}

fn notary(arguments: &[&str]) -> Output {
    run("sudare-notary", &[], arguments)
}

fn run(program: &str, flags: &[&str], arguments: &[&str]) -> Output {
    let program = sudare_test_kit::program(program).unwrap();
    Command::new(program).args(flags).args(arguments).output().unwrap()
}

fn said(run: &Output) -> String {
    format!(
        "{:?}: {}{}",
        run.status,
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    )
}

/// Whether the tool must be there (`cargo xtask test` says so) or the test may be skipped.
pub(crate) fn required(tool: &str) -> bool {
    std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default().split(',').any(|required| required == tool)
}
