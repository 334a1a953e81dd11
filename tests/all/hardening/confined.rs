//! A child that plays the recorder, tries what a recorder that was taken over would try, and says what worked:
//! once confined and once not, so that the test shows what Landlock changes.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, test_kill_process};
use sudare_base::config::HostConfig;
use sudare_base::harden::{self, Enforced};
use sudare_evidence::report::wire::NewEntry;
use sudare_evidence::report::{EvidenceSink as _, NewEntries, Remote};
use sudare_protocol::evidence::Event;
use sudare_protocol::evidence::event::Uncover;
use sudare_recorder::confine::rules;
use sudare_recorder::{metrics, server, setup};

use super::{Place, skip_or_fail};

const SETTINGS: &str = "SUDARE_TEST_CONFINED_SETTINGS";
const PORT: &str = "SUDARE_TEST_CONFINED_PORT";
const CONFINE: &str = "SUDARE_TEST_CONFINED";
/// Before each line of the child; the test harness writes lines, too.
const MARK: &str = "tried ";

/// What the child tries, and whether a recorder may.
const TRIES: [(&str, bool); 9] = [
    ("record an entry", true),
    ("make a file in its store", true),
    ("show its figures", true),
    ("read /etc/passwd", false),
    ("read its own key again", false),
    ("write beside its store", false),
    ("run a program", false),
    ("connect to TCP", false),
    ("signal another process", false),
];

#[test]
fn a_recorder_that_was_taken_over_reaches_nothing_but_its_evidence() {
    if harden::offered() != Enforced::Fully {
        return skip_or_fail("landlock", "this kernel enforces Landlock not or in part");
    }
    let free = play(false);
    assert!(TRIES.iter().all(|(name, _)| free[*name]), "without Landlock all of it works: {free:?}");
    let confined = play(true);
    for (name, allowed) in TRIES {
        assert_eq!(confined[name], allowed, "{name}: {confined:?}");
    }
}

/// Not a test by itself: what [`play`] starts.
#[test]
fn the_child_of_the_test_above() {
    let Ok(settings) = std::env::var(SETTINGS) else { return };
    let config = HostConfig::load(Some(Path::new(&settings)), &[]).unwrap();
    harden::protect().unwrap();
    let (mut options, facts) = setup::recorder_options(&config).unwrap();
    options.allowed_uids.push(rustix::process::geteuid().as_raw());
    let evidence = config.recorder_evidence_dir();
    std::fs::create_dir(&evidence).unwrap();
    let figures = metrics::bind(&config.metrics()).unwrap().unwrap();
    let counted = options.metrics.clone();
    if std::env::var_os(CONFINE).is_some() {
        assert_eq!(
            harden::confine(&rules(&config, None, &facts.certificate_files())).unwrap(),
            Enforced::Fully
        );
    }
    let recorder = server::start(options).unwrap();
    metrics::serve(figures, counted, facts).unwrap();
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    let other = config.recorder_dir.join("other");
    let results = [
        record(&config.recorder_socket),
        std::fs::write(evidence.join("file"), "x"),
        read_figures(&config.recorder_socket.with_file_name("metrics")),
        std::fs::read("/etc/passwd").map(drop),
        std::fs::read(config.recorder_dir.join("log.key")).map(drop),
        std::fs::write(other, "x"),
        Command::new("/bin/true").status().map(drop),
        TcpStream::connect(("127.0.0.1", port)).map(drop),
        test_kill_process(rustix::process::getppid().unwrap_or(Pid::INIT)).map_err(Into::into),
    ];
    for ((name, _), result) in TRIES.into_iter().zip(results) {
        // Anything else would be a mistake of this test.
        let denied = result.as_ref().is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
        assert!(result.is_ok() || denied, "{name}: {result:?}");
        println!("{MARK}{name}={}", result.is_ok());
    }
    drop(recorder);
}

fn read_figures(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    assert!(said.contains("sudare_disk_free_bytes ") && said.ends_with("# EOF\n"), "{said}");
    Ok(())
}

fn record(socket: &Path) -> std::io::Result<()> {
    let (kind, body) = Event::Uncover(Uncover { boot_ms: 1 }).encode();
    let (session_id, incident_id, reason, blobs) = (None, None, None, Vec::new());
    let entry = NewEntry { session_id, incident_id, reason, blobs, kind, body };
    let entries = NewEntries { source: [7; 16], serial: 1, entries: vec![entry], receipt: true, once: None };
    let mut remote = Remote::connect(socket, [7; 16]).map_err(std::io::Error::other)?;
    let recorded = remote.record(&entries).map_err(std::io::Error::other)?;
    assert!(recorded.receipt.is_some(), "a checkpoint is over it");
    Ok(())
}

fn play(confined: bool) -> BTreeMap<String, bool> {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "hardening::confined::the_child_of_the_test_above", "--nocapture"]);
    child.env(SETTINGS, place.path("host.toml"));
    child.env(PORT, listener.local_addr().unwrap().port().to_string());
    if confined {
        child.env(CONFINE, "1");
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let tried = said.lines().filter_map(|line| line.split_once(MARK)?.1.rsplit_once('='));
    tried.map(|(name, worked)| (name.to_owned(), worked == "true")).collect()
}
