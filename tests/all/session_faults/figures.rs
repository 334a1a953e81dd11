//! The recorder's figures, read as a monitoring system does while a real session is covered and shown: they count what
//! happened, name nobody, and whoever misuses their socket stops no evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_guard::transport::{CoverKey, LinkEvent};
use sudare_protocol::evidence::event::LivenessResult;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::hex::hex;
use sudare_protocol::keyfile;
use sudare_protocol::reason::Reason;
use sudare_protocol::records::Signed;
use sudare_recorder::metrics::METRICS;
use sudare_records::keys;
use sudare_test_kit::{PATIENCE, pair, program, wait_until};

use super::seat::{Host, Seat, Shown, USER};

/// A recorder as a process of its own, in a folder that vanishes with the test.
struct Recorder {
    child: Child,
    dir: tempfile::TempDir,
}

impl Recorder {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["run", "host"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        keys::init_recorder(&path("recorder")).unwrap();
        let organisation = pair::organisation_key();
        let record = pair::host_record("vdi-1", pair::host_key().verifying_key().to_bytes());
        let write = |name: &str, bytes: &[u8]| std::fs::write(path("recorder").join(name), bytes).unwrap();
        write("organisation.pub", keyfile::public_line(&organisation.verifying_key()).as_bytes());
        write("host.record", &Signed::sign(&organisation, &record).unwrap());
        write("policy.record", &Signed::sign(&organisation, &pair::policy()).unwrap());
        let settings = format!(
            "state_dir = \"{0}/host\"\nrecorder_dir = \"{0}/recorder\"\nrecorder_socket = \"{0}/run/socket\"\n\
             metrics = \"unix:{0}/run/metrics\"\nrun_as = \"nobody\"\n",
            dir.path().display()
        );
        std::fs::write(path("host.toml"), settings).unwrap();
        let mut command = Command::new(program("sudare-recorder").unwrap());
        command.arg("--config").arg(path("host.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let recorder = Recorder { child, dir };
        wait_until("the recorder", || Ok(Remote::connect(&recorder.path("run/socket"), [0; 16]).is_ok()))
            .unwrap();
        recorder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that is answered to this request; what is answered before it was read as a whole counts, too.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path("run/metrics")).unwrap();
        drop(stream.write_all(request));
        let mut said = Vec::new();
        drop(stream.read_to_end(&mut said));
        String::from_utf8(said).unwrap()
    }

    /// The page, once the recorder answers.
    fn page(&self) -> String {
        let answer = wait_until("an answer", || {
            let said = self.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            Ok(said.starts_with("HTTP/1.1 200 OK\r\n").then_some(said))
        });
        let answer = answer.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
        body.to_owned()
    }

    fn figures(&self) -> BTreeMap<String, f64> {
        let page = self.page();
        assert!(page.ends_with("\n# EOF\n"), "{page}");
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap())
            .map(|(name, value)| (name.into(), value.parse().unwrap()))
            .collect()
    }

    /// Until the figures are these. The session's evidence goes its own way into the log.
    #[track_caller]
    fn until(&self, wanted: &[(&str, f64)]) {
        let seen = wait_until("the figures", || {
            let figures = self.figures();
            let of = |name: &str| figures.get(name).copied();
            let others: Vec<String> = wanted
                .iter()
                .filter(|(name, value)| of(name) != Some(*value))
                .map(|(name, value)| format!("{name} is {:?} and not {value}", of(name)))
                .collect();
            Ok(if others.is_empty() { Ok(()) } else { Err(others.join("; ")) })
        });
        seen.unwrap();
    }

    fn host_program(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("sudare-host").unwrap());
        command.args(arguments).arg("--config").arg(self.path("host.toml")).output().unwrap()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // It may have ended by itself; waiting tells.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

/// Covered by a stranger, by silence and by a stranger again; once called wrong.
#[test]
fn figures_count_what_happened_in_a_session_and_name_nobody() {
    let recorder = Recorder::start();
    recorder.until(&[("sudare_gates_connected", 0.0), ("sudare_sessions_started_total", 0.0)]);
    let host = Host::reporting_to(recorder.path("run/socket"));
    let mut seat = Seat::visible(&host);
    recorder.until(&[
        ("sudare_gates_connected", 1.0),
        ("sudare_sessions{shown=\"visible\"}", 1.0),
        ("sudare_sessions_started_total", 1.0),
        ("sudare_covers_total{reason=\"stranger\"}", 0.0),
    ]);

    let incident_id = seat.client.as_ref().unwrap().incident_id([7; 16]);
    seat.lock(Reason::Stranger, incident_id);
    assert_eq!(seat.shown, Shown::Covered(Reason::Stranger));
    seat.press(CoverKey::WrongBlock);
    recorder.until(&[
        ("sudare_sessions{shown=\"covered\"}", 1.0),
        ("sudare_sessions_covered{reason=\"stranger\"}", 1.0),
        ("sudare_covers_total{reason=\"stranger\"}", 1.0),
        ("sudare_incidents_total{reason=\"stranger\"}", 1.0),
        ("sudare_wrong_block_reports_total{reason=\"stranger\"}", 1.0),
    ]);
    seat.unlock();
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    seat.silent_until("the cover", |seat| seat.shown == Shown::Covered(Reason::LinkLost));
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    recorder.until(&[
        ("sudare_lease_losses_total", 1.0),
        ("sudare_covers_total{reason=\"link-lost\"}", 1.0),
        ("sudare_cover_latency_seconds_count", 2.0),
        ("sudare_cover_latency_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("sudare_covers_unconfirmed_total", 0.0),
        ("sudare_evidence_waiting_seconds", 0.0),
        ("sudare_store_failing", 0.0),
    ]);
    let covers: f64 = recorder
        .figures()
        .iter()
        .filter(|(name, _)| name.starts_with("sudare_covers_total"))
        .map(|(_, n)| n)
        .sum();
    assert!((covers - 2.0).abs() < 0.1, "{covers} covers were counted, and the seat saw 2");

    let status = recorder.host_program(&["status", "--json"]);
    assert_eq!(status.status.code(), Some(1), "a host without keys needs a person");
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["sessions"]["visible"], &status["covers"]["stranger"]), (&1.0.into(), &1.0.into()));
    assert_eq!(&status["lease_losses"], &Value::from(1.0));

    nobody_is_named(&recorder.page(), &host);
    seat.link(LinkEvent::Disconnected);
    recorder.until(&[
        ("sudare_sessions{shown=\"visible\"}", 0.0),
        ("sudare_sessions{shown=\"covered\"}", 0.0),
        ("sudare_sessions_ended_total", 1.0),
    ]);
}

/// What is on the page is from our own tables, so nothing of a person can be.
fn nobody_is_named(page: &str, host: &Host) {
    let device = hex(&host.device_id);
    for name in [USER, "vdi-1", device.as_str(), "sudare/"] {
        assert!(!page.contains(name), "{name} is among the figures:\n{page}");
    }
    let mut known: BTreeSet<&str> =
        ["visible", "covered", "host-record", "policy", "certificate", "unknown", "away"].into();
    known.extend(Reason::ALL.iter().map(|reason| reason.as_str()));
    known.extend(NoteCode::ALL.iter().map(|code| code.as_str()));
    known.extend(LivenessResult::ALL.iter().map(|result| result.as_str()));
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        seen.insert(name.to_owned());
        let Some((label, value)) = line.split_once('{').and_then(|(_, rest)| rest.split_once("=\"")) else {
            continue;
        };
        let value = value.split('"').next().unwrap();
        let is_ours = ["le", "version"].contains(&label) || known.contains(value);
        assert!(is_ours, "{line} has a label that is not from a table of ours");
    }
    // Where there is no copy and no certificate, their figures are absent.
    let all = METRICS.iter().filter(|metric| !metric.name.contains("unshipped"));
    let all: BTreeSet<String> = all.flat_map(|metric| metric.series()).collect();
    assert_eq!(seen, all);
}

#[test]
fn whoever_misuses_the_socket_of_the_figures_stops_no_evidence() {
    let recorder = Recorder::start();
    let host = Host::reporting_to(recorder.path("run/socket"));
    let mut seat = Seat::visible(&host);
    let before = Remote::connect(&recorder.path("run/socket"), [3; 16]).unwrap().state().unwrap().size;
    recorder.ask(&[0xff; 60_000]);
    let mut hostile: Vec<UnixStream> = (0..40)
        .map(|n| {
            let mut stream = UnixStream::connect(recorder.path("run/metrics")).unwrap();
            stream.set_nonblocking(true).unwrap();
            // Nothing or a drop, which takes all places; then a flood. Whoever was hung up on already may not write.
            drop(match n {
                20.. => stream.write(&[0xff; 60_000]),
                n if n % 2 == 0 => Ok(0),
                _ => stream.write(b"GET /metr"),
            });
            stream
        })
        .collect();
    seat.lock(Reason::Phone, seat.client.as_ref().unwrap().incident_id([8; 16]));
    assert_eq!(seat.shown, Shown::Covered(Reason::Phone));
    seat.unlock();
    // The policy requires evidence: it returns only if the recorder keeps it.
    seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
    // The lock, the cover and its incident, while the hostile ones are still there.
    let entries =
        || Remote::connect(&recorder.path("run/socket"), [3; 16]).and_then(|mut remote| remote.state());
    wait_until("the entries", || Ok(entries()?.size >= before + 3)).unwrap();
    // Who asks for the page with the hostile ones still there gets it.
    recorder.until(&[("sudare_covers_total{reason=\"phone\"}", 1.0)]);
    for stream in &mut hostile {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut said = Vec::new();
        let ended = stream.read_to_end(&mut said);
        let is_open = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_open, "nobody hung up on it");
        assert!(!String::from_utf8_lossy(&said).contains("sudare_"), "it asked for nothing");
    }
    for (request, answer) in [
        ("POST /metrics HTTP/1.1", "405"),
        ("GET /metrics/../etc/passwd HTTP/1.1", "404"),
        ("GET / HTTP/1.1", "404"),
    ] {
        let said = recorder.ask(format!("{request}\r\n\r\n").as_bytes());
        assert!(said.starts_with(&format!("HTTP/1.1 {answer} ")), "{request}: {said}");
    }
}
