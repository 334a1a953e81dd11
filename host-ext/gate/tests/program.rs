//! The program that accepts, with connections of its own: what a reload and a renewed certificate change, and for whom.

#![allow(clippy::disallowed_methods, reason = "the test starts the program")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest as _, Sha256};
use sudare_protocol::keyfile;
use sudare_protocol::records::{Policy, Signed};
use sudare_records::keys;
use sudare_test_kit::rdp::{self, HostKey};
use sudare_test_kit::{pair, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{client, server};

/// Two public recipients from age's own documents.
const AUDITORS: [&str; 2] = [
    "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
];

/// The program, its files, and the host behind it.
struct Gate {
    dir: tempfile::TempDir,
    process: Child,
    address: SocketAddr,
    host: TcpListener,
    host_key: HostKey,
}

/// Both ends of a connection through it.
struct Line {
    client: client::TlsStream<TcpStream>,
    _host: server::TlsStream<TcpStream>,
}

impl Gate {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        records(&state);
        write_certificate(dir.path(), &HostKey::make().unwrap());
        let (host, host_key) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), HostKey::make().unwrap());
        let pin: String =
            Sha256::digest(host_key.certificate()).iter().map(|byte| format!("{byte:02x}")).collect();
        let target = format!("tcp:{}#{pin}", host.local_addr().unwrap());
        let path = |name: &str| dir.path().join(name).display().to_string();
        let lines = [
            format!("state_dir = {:?}", path("state")),
            format!("recorder_socket = {:?}", path("no-recorder")),
            format!("tls_certificate = {:?}", path("cert.pem")),
            format!("tls_key = {:?}", path("key.pem")),
            format!("gate_target = {target:?}"),
        ];
        fs::write(dir.path().join("host.toml"), lines.join("\n") + "\n").unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sudare-gate"))
            .arg("--config")
            .arg(dir.path().join("host.toml"))
            .args(["--listen", "127.0.0.1:0"])
            .env("RUST_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().trim_end_matches('.').strip_prefix("Listening on ").unwrap().parse().unwrap();
        Self { dir, process, address, host, host_key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A whole connection.
    async fn connect(&self) -> Line {
        let accepted = async {
            let (tcp, _) = self.host.accept().await.unwrap();
            rdp::accept(tcp, &self.host_key).await.unwrap_or_else(|e| panic!("{e:#}: {}", self.said()))
        };
        let connected = async {
            let tcp = TcpStream::connect(self.address).await.unwrap();
            rdp::connect(tcp).await.unwrap_or_else(|e| panic!("{e:#}: {}", self.said()))
        };
        let (_host, (client, _)) = tokio::join!(accepted, connected);
        Line { client, _host }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// SIGHUP to the program that accepts and to those of all its connections.
    fn reload(&self, expected: &str) {
        let before = self.said().len();
        for pid in self.children().into_iter().chain([self.process.id()]) {
            hang_up(pid);
        }
        wait_until("the answer to a reload", || {
            let said = self.said();
            Ok(if said[before..].contains(expected) { Ok(()) } else { Err(said) })
        })
        .unwrap();
    }

    fn children(&self) -> Vec<u32> {
        let pid = self.process.id();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        for pid in self.children() {
            Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status().ok();
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn hang_up(pid: u32) {
    assert!(Command::new("kill").args(["-HUP", &pid.to_string()]).status().unwrap().success());
}

impl Line {
    fn pin(&self) -> Vec<u8> {
        let shown = self.client.get_ref().1.peer_certificates().unwrap().first().unwrap();
        Sha256::digest(shown.as_ref()).to_vec()
    }

    /// Whether the gate still serves it: what the cover repeats comes through. A closed one has an end to read.
    async fn is_open(&mut self) -> bool {
        let mut some = [0; 4096];
        loop {
            let read = self.client.read(&mut some);
            match tokio::time::timeout(std::time::Duration::from_millis(300), read).await {
                Ok(Ok(0) | Err(_)) => return false,
                Ok(Ok(_)) => {}
                Err(_) => return self.client.flush().await.is_ok(),
            }
        }
    }
}

/// Keys and signed records, as a host has them.
fn records(state: &Path) {
    keys::init(state).unwrap();
    let organisation = pair::organisation_key();
    let host_key = keys::read_secret(&state.join("host.key"), "").unwrap().verifying_key().to_bytes();
    let record = pair::host_record("vdi-1", host_key);
    fs::write(state.join("organisation.pub"), keyfile::public_line(&organisation.verifying_key())).unwrap();
    fs::write(state.join("host.record"), Signed::sign(&organisation, &record).unwrap()).unwrap();
    let policy = Policy { auditors: AUDITORS.map(str::to_owned).into(), ..pair::policy() };
    fs::write(state.join("policy.record"), Signed::sign(&organisation, &policy).unwrap()).unwrap();
}

/// As a renewal does: new files in the places of the old ones.
fn write_certificate(dir: &Path, key: &HostKey) {
    for (name, text) in [("cert.pem", &key.certificate_pem), ("key.pem", &key.key_pem)] {
        let new = dir.join("new");
        let mut file = fs::File::create(&new).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        fs::rename(new, dir.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_renewed_certificate_counts_from_the_next_connection_and_ends_none() {
    let gate = Gate::start().await;
    let mut older = gate.connect().await;
    let renewed = HostKey::make().unwrap();
    write_certificate(gate.dir.path(), &renewed);
    let mut newer = gate.connect().await;
    assert_ne!(older.pin(), newer.pin());
    assert_eq!(newer.pin(), Sha256::digest(renewed.certificate()).to_vec());
    assert!(older.is_open().await && newer.is_open().await);
}

#[tokio::test]
async fn a_reload_ends_nothing_and_says_what_the_next_connection_will_meet() {
    let mut gate = Gate::start().await;
    let mut line = gate.connect().await;
    gate.reload("the next connections begin with what the files say now");
    assert!(line.is_open().await, "{}", gate.said());
    let whole = fs::read(gate.path("cert.pem")).unwrap();
    fs::write(gate.path("cert.pem"), "half of a").unwrap();
    gate.reload("the next connections will fail, and others go on");
    assert!(line.is_open().await && gate.process.try_wait().unwrap().is_none(), "{}", gate.said());
    fs::write(gate.path("cert.pem"), whole).unwrap();
    let settings = fs::read_to_string(gate.path("host.toml")).unwrap();
    fs::write(gate.path("host.toml"), settings + "max_sessions = 1\n").unwrap();
    gate.reload("the next connections begin with what the files say now");
    let mut one_too_many = TcpStream::connect(gate.address).await.unwrap();
    assert_eq!(one_too_many.read(&mut [0]).await.unwrap_or(0), 0, "max_sessions counts at once");
    assert!(line.is_open().await);
}
