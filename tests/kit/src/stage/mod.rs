//! Sets up a whole installation with the commands people use: keys, records, enrolment, a running host.

mod client;
mod proof;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

pub use client::{Client, Event};
pub use proof::{Proof, prove, prove_camera, wait_durable};

use crate::scene;

pub const USER: &str = "alice";
/// The programs of ours that a stage starts.
pub const PROGRAMS: [&str; 5] =
    ["sudare", "sudare-host", "sudare-authority", "sudare-embedded", "sudare-audit"];
/// For a policy: what employees accept before anything looks.
pub const NOTICE: &str = r#"
[notice]
version = 1
owner = { ja = "れい株式会社", en = "Example Ltd." }
contact = { ja = "privacy@example.test", en = "privacy@example.test" }
purpose = { ja = "画面を操作者だけに見せるため", en = "Only the operator sees the desktop" }
retention = { ja = "14日間", en = "14 days" }
alternative = { ja = "出社", en = "Work at the office" }
"#;
const HOST_ID: &str = "vdi-demo";

/// Folders and programs of one demo.
#[derive(Debug)]
pub struct Stage {
    pub dir: PathBuf,
    bin: PathBuf,
    host: Option<Child>,
    pub listen: String,
    pub log_vkey: PathBuf,
}

impl Stage {
    /// A fresh folder; whatever an earlier demo left is removed.
    pub fn new(dir: &Path, bin: &Path) -> anyhow::Result<Self> {
        if dir.exists() {
            std::fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        std::fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let log_vkey = dir.join("log.vkey");
        Ok(Stage { dir, bin: bin.to_owned(), host: None, listen: String::new(), log_vkey })
    }

    pub fn evidence(&self) -> PathBuf {
        self.dir.join("evidence")
    }

    pub fn auditor(&self) -> PathBuf {
        self.dir.join("auditor.age")
    }

    /// Makes every key and record, and enrols the operator from photographs.
    pub fn prepare(&self, photographs: &[PathBuf]) -> anyhow::Result<()> {
        self.prepare_with(photographs, "")
    }

    /// The same with more lines in the policy.
    pub fn prepare_with(&self, photographs: &[PathBuf], more: &str) -> anyhow::Result<()> {
        self.prepare_host(more)?;
        self.enrol(photographs)
    }

    /// The organisation's keys, and a host with its records, which knows no device yet.
    pub fn prepare_host(&self, more: &str) -> anyhow::Result<()> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let (key, state) = (path("organisation.key"), path("host"));
        self.authority(&["new", "--out", &key])?;
        let auditor = self.authority(&["new-auditor", "--out", &path("auditor.age")])?;
        let second = self.authority(&["new-auditor", "--out", &path("auditor-2.age")])?;
        let policy = format!(
            "organisation = \"Demo\"\nserial = 1\nauditors = [\"{}\", \"{}\"]\n{more}",
            auditor.trim(),
            second.trim()
        );
        std::fs::write(path("policy.toml"), policy)?;
        self.host_tool(&["init", "--state-dir", &state])?;
        let host_line = self.host_tool(&["key", "--state-dir", &state])?;
        std::fs::copy(path("organisation.pub"), self.dir.join("host/organisation.pub"))?;
        self.sign(
            &["sign-host", "--host-id", HOST_ID, "--public-key", host_line.trim()],
            &path("host/host.record"),
        )?;
        self.sign(&["sign-policy", "--in", &path("policy.toml")], &path("host/policy.record"))?;
        Ok(())
    }

    /// Gives an admin of this host the right to invite these users, so many devices in all.
    pub fn make_enroller(&self, users: &[&str], devices: u32) -> anyhow::Result<()> {
        let path = |name: &str| self.dir.join("enroller").join(name).display().to_string();
        std::fs::create_dir_all(self.dir.join("enroller"))?;
        let key = path("enroller.key");
        if !Path::new(&key).exists() {
            self.authority(&["new-enroller", "--out", &key])?;
        }
        let line = std::fs::read_to_string(path("enroller.pub"))?;
        let devices = devices.to_string();
        let mut what =
            vec!["sign-enroller", "--name", "desk", "--devices", &devices, "--public-key", line.trim()];
        users.iter().for_each(|user| what.extend(["--user", user]));
        self.sign(&what, &path("enroller.record"))?;
        Ok(())
    }

    /// Has the admin make a code for the embedded host that runs.
    pub fn invite(&self, user: &str, more: &[&str]) -> anyhow::Result<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let (state, enroller) = (path("host"), path("enroller"));
        let (certificate, settings) = (path("host/rdp-tls.pem"), path("host.toml"));
        let text =
            format!("state_dir = {state:?}\ntls_certificate = {certificate:?}\ntls_key = {certificate:?}\n");
        std::fs::write(&settings, text)?;
        let what =
            ["invite", user, "--address", &self.listen, "--config", &settings, "--enroller", &enroller];
        let said = self.host_tool(&[&what, more].concat())?;
        Ok(said.lines().next().context("no code was printed")?.to_owned())
    }

    /// The operator's device, and who the operator is.
    fn enrol(&self, photographs: &[PathBuf]) -> anyhow::Result<()> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let state = path("host");
        let device_line = self.client_tool("device", &["device-key"])?;
        self.sign(
            &["sign-device", "--user", USER, "--public-key", device_line.trim()],
            &path("device.record"),
        )?;
        std::fs::copy(path("organisation.pub"), self.dir.join("device/organisation.pub"))?;
        let mut enrol = vec!["enroll".to_owned(), "--out".into(), path("operator.template")];
        for photograph in photographs {
            enrol.extend(["--image".to_owned(), photograph.display().to_string()]);
        }
        self.client_tool("device", &enrol.iter().map(String::as_str).collect::<Vec<_>>())?;
        let (record, template) = (path("device.record"), path("operator.template"));
        self.host_tool(&["device", "add", &record, "--operator", &template, "--state-dir", &state])?;
        Ok(())
    }

    /// The photographs that the operator is enrolled from.
    pub fn enrolment_pictures(photographs: &Path) -> Vec<PathBuf> {
        scene::ENROL.iter().map(|name| photographs.join(name)).collect()
    }

    /// Starts the embedded host on a free loopback port.
    pub fn serve(&mut self) -> anyhow::Result<()> {
        let mut child = Command::new(self.bin.join("sudare-embedded"))
            .args(["--json", "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(self.dir.join("host"))
            .env("SUDARE_HOST_EVIDENCE_DIR", self.evidence())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(self.dir.join("host.log"))?)
            .spawn()
            .context("sudare-embedded cannot be started. Build it with `cargo build --workspace --bins`")?;
        let stdout = child.stdout.take().context("no output of the host")?;
        self.host = Some(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line).with_context(|| {
            format!("the host did not start; see {}", self.dir.join("host.log").display())
        })?;
        self.listen = ready["listen"].as_str().context("no address")?.to_owned();
        std::fs::write(&self.log_vkey, format!("{}\n", ready["log_vkey"].as_str().context("no log key")?))?;
        Ok(())
    }

    /// Stops the host, or lets it go on.
    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        let host = self.host.as_ref().context("the host does not run")?;
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(host), signal)?)
    }

    /// Ends the host properly, so that everything is written.
    pub fn end(&mut self) -> anyhow::Result<()> {
        if let Some(mut host) = self.host.take() {
            let pid = rustix::process::Pid::from_child(&host);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            host.wait()?;
        }
        Ok(())
    }

    /// A client of the given device folder.
    pub fn client_command(&self, home: &str) -> Command {
        let mut command = Command::new(self.bin.join("sudare"));
        command.env("SUDARE_HOME", self.dir.join(home));
        command
    }

    pub fn audit_command(&self) -> Command {
        Command::new(self.bin.join("sudare-audit"))
    }

    /// Has the organisation's key sign something.
    pub fn sign(&self, what: &[&str], out: &str) -> anyhow::Result<String> {
        let key = self.dir.join("organisation.key").display().to_string();
        self.authority(&[what, &["--key", &key, "--out", out]].concat())
    }

    /// What the security team runs, away from any host.
    pub fn authority(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output_of(Command::new(self.bin.join("sudare-authority")).args(arguments))
    }

    /// What a VDI admin runs.
    pub fn host_tool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output_of(Command::new(self.bin.join("sudare-host")).args(arguments))
    }

    fn client_tool(&self, home: &str, arguments: &[&str]) -> anyhow::Result<String> {
        output_of(self.client_command(home).args(arguments))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut host) = self.host.take() {
            // Only reached when a step failed; the demo's own error is what matters.
            drop(host.kill());
            drop(host.wait());
        }
    }
}

/// Runs a program to its end and gives what it printed.
fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
