//! Runs each reader on a store.

use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_protocol::tlog::VerifierKey;
use tempfile::TempDir;

use super::store::Case;

/// Where Debian's golang-golang-x-mod-dev puts its packages.
const GOPATH: &str = "/usr/share/gocode";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    GoEntries,
    GoTiles,
    Aics,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepts,
    Refuses,
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Accepts => "accepts",
            Self::Refuses => "refuses",
        }
    }

    /// `accepted`, or `refused: why`.
    fn read(said: &str) -> Self {
        match said.split([' ', ':']).next() {
            Some("accepted") => Self::Accepts,
            Some("refused") => Self::Refuses,
            _ => panic!("a peer says {said:?}"),
        }
    }
}

/// What we find, each name once.
pub(super) struct Ours {
    pub findings: Vec<&'static str>,
}

pub(super) fn ours(case: &Case) -> Ours {
    let key: VerifierKey = std::fs::read_to_string(case.key()).unwrap().parse().unwrap();
    let receipts: Vec<_> = std::fs::read(case.receipt()).into_iter().collect();
    let report = sudare_audit::verify_store(&case.store(), &key, &receipts).unwrap();
    let mut findings: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    findings.sort_unstable();
    findings.dedup();
    Ours { findings }
}

/// The readers that this machine has.
pub(super) struct Peers {
    go: Option<Go>,
    python: Option<PathBuf>,
}

struct Go {
    program: PathBuf,
    _folder: TempDir,
}

pub(super) fn available() -> Peers {
    let peers = Peers { go: build(), python: python() };
    for (tool, there) in [("go", peers.go.is_some()), ("python", peers.python.is_some())] {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(there || !required.split(',').any(|name| name == tool), "{tool} is required and missing");
    }
    peers
}

impl Peers {
    pub(super) fn all(&self) -> bool {
        self.go.is_some() && self.python.is_some()
    }

    pub(super) fn missing(&self) -> String {
        let go = self.go.is_none().then_some("the packages golang-go and golang-golang-x-mod-dev");
        let python = self.python.is_none().then_some("aics-tlog in SUDARE_TEST_PYTHON");
        go.into_iter().chain(python).collect::<Vec<_>>().join(", ")
    }

    /// `None` if the peer is not there.
    pub(super) fn verdict(&self, peer: Peer, case: &Case) -> Option<Verdict> {
        let said = match peer {
            Peer::GoEntries | Peer::GoTiles => run(&mut Command::new(&self.go.as_ref()?.program), case),
            Peer::Aics => run(Command::new(self.python.as_ref()?).arg(data("verify_log.py")), case),
        };
        let line = |start| said.lines().find_map(|line| line.strip_prefix(start));
        Some(Verdict::read(match peer {
            Peer::GoEntries => line("entries ").unwrap_or(&said),
            Peer::GoTiles => line("tiles ").unwrap_or(&said),
            Peer::Aics => &said,
        }))
    }
}

fn run(command: &mut Command, case: &Case) -> String {
    command.arg(case.store()).arg(case.key());
    if case.receipt().exists() {
        command.arg(case.receipt());
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Builds the Go program offline, from Debian's sources.
fn build() -> Option<Go> {
    if !Path::new(GOPATH).join("src/golang.org/x/mod/sumdb/tlog").is_dir() {
        return None;
    }
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("go-verify");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(data("go-verify/main.go"));
    go.env("GOPATH", GOPATH).env("GO111MODULE", "off").env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
    let output = go.env("GOCACHE", folder.path().join("cache")).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Go { program, _folder: folder })
}

/// The Python of the tests, if it has the package.
fn python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("SUDARE_TEST_PYTHON")?);
    let has = Command::new(&python).args(["-c", "import aics_tlog"]).output().ok()?;
    has.status.success().then_some(python)
}

fn data(name: &str) -> PathBuf {
    sudare_test_kit::checkout().join("tests/data").join(name)
}
