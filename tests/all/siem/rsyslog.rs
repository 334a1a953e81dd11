//! Debian's rsyslog as the receiver, over TCP and over TLS with certificates on both sides.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sudare_test_kit::needs::find;
use sudare_test_kit::wait_until;

use super::log::{Log, ORIGIN};
use super::program::{forward, forward_once, forwarded, uid};
use super::skip_or_fail;

/// What rsyslog understood of the header, and the message.
const TEMPLATE: &str = "%timegenerated:::date-year%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%procid%|%msgid%|\
                        %syslogfacility%|%syslogseverity%|%structured-data%|%msg%\\n";

struct Rsyslog {
    child: Child,
    port: u16,
}

impl Rsyslog {
    /// Listens on `port`, or one of its own for 0; `settings` are those of the module for TCP.
    fn start(program: &Path, folder: &Path, port: u16, global: &str, settings: &str) -> Self {
        Self::start_with(program, folder, port, [global, settings, ""])
    }

    /// The settings of all, of the module, and of the port.
    fn start_with(program: &Path, folder: &Path, port: u16, [global, settings, input]: [&str; 3]) -> Self {
        let shown = folder.display();
        let config = format!(
            "global(workDirectory=\"{shown}\" {global})\n\
             module(load=\"imtcp\" {settings})\n\
             input(type=\"imtcp\" port=\"{port}\" listenPortFileName=\"{shown}/port\" {input})\n\
             template(name=\"line\" type=\"string\" string=\"{TEMPLATE}\")\n\
             action(type=\"omfile\" file=\"{shown}/received\" template=\"line\" flushOnTXEnd=\"on\")\n"
        );
        let (path, pid) = (folder.join("rsyslog.conf"), folder.join("pid"));
        fs::write(&path, config).unwrap();
        fs::remove_file(folder.join("port")).ok();
        let log = fs::File::create(folder.join("rsyslog.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-n", "-f"]).arg(&path).arg("-i").arg(&pid).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut rsyslog = Self { child, port };
        wait_until("rsyslog to listen", || {
            let written = fs::read_to_string(folder.join("port")).unwrap_or_default();
            rsyslog.port = written.trim().parse().unwrap_or(port);
            let listens = rsyslog.port != 0 && TcpStream::connect(("127.0.0.1", rsyslog.port)).is_ok();
            Ok(if listens { Ok(()) } else { Err(said(folder)) })
        })
        .unwrap();
        rsyslog
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join("rsyslog.log")).unwrap_or_default()
}

/// Events that were written, once there are so many.
fn received(folder: &Path, count: usize) -> Vec<String> {
    wait_until(&format!("{count} events in rsyslog's file"), || {
        let text = fs::read_to_string(folder.join("received")).unwrap_or_default();
        let lines: Vec<String> =
            text.lines().filter(|line| line.contains(ORIGIN)).map(str::to_owned).collect();
        Ok(if lines.len() >= count { Ok(lines) } else { Err(format!("{} events", lines.len())) })
    })
    .unwrap()
}

fn program(module: &str) -> Option<std::path::PathBuf> {
    let there =
        ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib64/rsyslog"];
    let has_module = there.iter().any(|folder| Path::new(folder).join(module).exists());
    find("rsyslogd").filter(|_| has_module)
}

#[test]
fn rsyslog_reads_every_event_over_tcp_also_after_it_was_away() {
    let Some(program) = program("imtcp.so") else {
        return skip_or_fail("rsyslogd", "a real syslog receiver: apt-get install rsyslog");
    };
    let mut log = Log::new();
    let mut expected = log.one_of_each();
    let rsyslog = Rsyslog::start(&program, log.folder(), 0, "", "");
    let to = format!("tcp://127.0.0.1:{}", rsyslog.port);
    forwarded(&log, &to, "cef", &[]);
    let lines = received(log.folder(), expected.len());
    let fields: Vec<&str> = lines[0].splitn(10, '|').collect();
    assert_eq!(
        fields[1..9],
        ["2026-11-22T10:00:00.124Z", "vdi-0042", "sudare", "-", "incident-open", "13", "3", "-"]
    );
    assert!(fields[9].trim_start().starts_with("CEF:0|Sudare|sudare-host|"), "{}", fields[9]);

    let port = rsyslog.port;
    drop(rsyslog);
    expected.extend(log.incidents(200));
    assert!(!forward_once(&log, &to, "cef", &[]).status.success());
    let rsyslog = Rsyslog::start(&program, log.folder(), port, "", "");
    forwarded(&log, &to, "cef", &[]);
    let lines = received(log.folder(), expected.len());
    assert_eq!(lines.iter().map(|line| uid(line)).collect::<Vec<_>>(), expected, "{}", said(log.folder()));
    drop(rsyslog);
}

#[test]
fn a_receiver_that_only_reads_lines_gets_a_line_for_each_event() {
    let Some(program) = program("imtcp.so") else {
        return skip_or_fail("rsyslogd", "a real syslog receiver: apt-get install rsyslog");
    };
    let mut log = Log::new();
    let expected = log.incidents(64);
    // As receivers are that know nothing else.
    let rsyslog =
        Rsyslog::start_with(&program, log.folder(), 0, ["", "", "SupportOctetCountedFraming=\"off\""]);
    let to = format!("tcp://127.0.0.1:{}", rsyslog.port);
    forwarded(&log, &to, "cef", &["--framing", "newline"]);
    let lines = received(log.folder(), expected.len());
    assert_eq!(lines.iter().map(|line| uid(line)).collect::<Vec<_>>(), expected, "{}", said(log.folder()));
    let refused = forward_once(&log, "file:/tmp/none", "cef", &["--framing", "newline"]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--framing is for")
    );
}

fn openssl(folder: &Path, arguments: &str) {
    let words: Vec<&str> = arguments.split(' ').collect();
    let run = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

/// An authority, and certificates for server and client.
fn certificates(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {KEY} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"));
    openssl(folder, &format!("req -x509 {KEY} -keyout other.key -out other.pem -subj /CN=other -days 2"));
    for name in ["localhost", "client"] {
        openssl(folder, &format!("req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        fs::write(folder.join("ext"), format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n"))
            .unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile ext"
            ),
        );
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(folder.join("identity.pem"), read("client.pem") + &read("client.key")).unwrap();
}

#[test]
fn rsyslog_reads_every_event_over_tls_and_both_sides_are_checked() {
    let drivers = [("gtls", "lmnsd_gtls.so"), ("ossl", "lmnsd_ossl.so")];
    let drivers: Vec<_> =
        drivers.into_iter().filter_map(|(name, module)| Some((name, program(module)?))).collect();
    if drivers.is_empty() || find("openssl").is_none() {
        let why = "syslog over TLS: apt-get install rsyslog-gnutls rsyslog-openssl openssl";
        return skip_or_fail("rsyslogd", why);
    }
    for (driver, program) in drivers {
        let mut log = Log::new();
        certificates(log.folder());
        let expected = log.one_of_each();
        let file = |name: &str| log.path(name).display().to_string();
        let global = format!(
            "defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
            file("ca.pem"),
            file("localhost.pem"),
            file("localhost.key")
        );
        let settings = format!(
            "StreamDriver.Name=\"{driver}\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/certvalid\""
        );
        let rsyslog = Rsyslog::start(&program, log.folder(), 0, &global, &settings);
        let to = format!("tls://localhost:{}", rsyslog.port);
        let (ca, other, identity) = (file("ca.pem"), file("other.pem"), file("identity.pem"));
        let refused = forward_once(&log, &to, "ocsf", &["--ca", &other, "--identity", &identity]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("UnknownIssuer"), "{refused:?}");
        // A receiver that asks for a certificate and gets none must not look as if it had accepted.
        let refused = forward_once(&log, &to, "ocsf", &["--ca", &ca]);
        assert!(!refused.status.success(), "{driver}: {refused:?}");
        assert_eq!(received(log.folder(), 0), Vec::<String>::new());

        forwarded(&log, &to, "ocsf", &["--ca", &ca, "--identity", &identity]);
        let lines = received(log.folder(), expected.len());
        let came: Vec<_> = lines.iter().map(|line| uid(line)).collect();
        assert_eq!(came, expected, "{driver}: {}", said(log.folder()));
        println!("rsyslog with {driver}: {} events", came.len());
    }
}

#[test]
fn a_renewed_authority_counts_after_a_reload_and_a_broken_one_does_not() {
    let driver = program("lmnsd_ossl.so").filter(|_| find("openssl").is_some());
    let Some(program) = driver else {
        return skip_or_fail("rsyslogd", "syslog over TLS: apt-get install rsyslog-openssl openssl");
    };
    let mut log = Log::new();
    certificates(log.folder());
    let file = |name: &str| log.path(name).display().to_string();
    let [ca, cert, key] = ["ca.pem", "localhost.pem", "localhost.key"].map(file);
    let global = format!(
        "defaultNetstreamDriverCAFile=\"{ca}\" defaultNetstreamDriverCertFile=\"{cert}\" \
         defaultNetstreamDriverKeyFile=\"{key}\""
    );
    let settings = "StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\"";
    let rsyslog = Rsyslog::start(&program, log.folder(), 0, &global, settings);
    let (given, pem) = (log.path("given.pem"), |name: &str| fs::read_to_string(log.path(name)).unwrap());
    let (wrong, right) = (pem("other.pem"), pem("ca.pem"));
    // As a renewal does: another file in its place.
    let put = |text: &str| {
        fs::write(given.with_extension("new"), text).unwrap();
        fs::rename(given.with_extension("new"), &given).unwrap();
    };
    put(&wrong);
    let to = format!("tls://localhost:{}", rsyslog.port);
    let said = fs::File::create(log.path("forward.log")).unwrap();
    let mut command = forward(&log, &to, "ocsf");
    let mut running = Dying(command.arg("--ca").arg(&given).stderr(said).spawn().unwrap());
    let path = log.path("forward.log");
    let heard = move |what: &str| {
        wait_until(what, || {
            let said = fs::read_to_string(&path).unwrap();
            Ok(if said.contains(what) { Ok(()) } else { Err(said) })
        })
        .unwrap();
    };
    let mut expected = log.incidents(3);
    heard("UnknownIssuer");
    put(&right);
    running.reload();
    received(log.folder(), expected.len());
    put("-----BEGIN CERTIFICATE-----\nhalf a");
    running.reload();
    heard("not read anew, what was read before stays in use");
    expected.extend(log.incidents(3));
    let lines = received(log.folder(), expected.len());
    assert_eq!(lines.iter().map(|line| uid(line)).collect::<Vec<_>>(), expected);
    assert!(running.0.try_wait().unwrap().is_none());
}

/// Ends with its test.
struct Dying(Child);

impl Dying {
    /// `systemctl reload`.
    fn reload(&self) {
        kill_process(Pid::from_child(&self.0), Signal::HUP).unwrap();
    }
}

impl Drop for Dying {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
