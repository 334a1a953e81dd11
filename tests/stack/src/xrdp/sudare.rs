//! Sudare on the stage, set up with the commands that people use: host, device, plugin.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sudare_test_kit::scene::{Camera, Seat};
use sudare_test_kit::stage::{self, Proof, Stage};
use sudare_test_kit::wait_until;

use super::client::{ClientOptions, Program};
use super::logged::Logged;
use super::namespace::{PROGRAMS, library_folder};
use super::place::Place;
use super::process::{self, Running};
use super::servers::RDP_PORT;
use super::session::processes;
use super::users::{GUARD, OWNER, RECORDER, User};

/// Keys, records and evidence. Only its own user may enter the host's part.
const FOLDER: &str = "/run/sudare-stack/sudare";
/// What cargo makes of the plugin, and what FreeRDP looks for.
const BUILT: &str = "libsudare_client.so";
const INSTALLED: &str = "freerdp2/libsudare-client.so";

/// The host's side with a running gate, and what the device needs.
#[derive(Debug)]
pub struct Sudare {
    pub stage: Stage,
    gate: Option<Running>,
    owner: Option<Running>,
    recorder: Option<Running>,
    logs: PathBuf,
}

impl Sudare {
    /// Makes keys and records, enrols the operator, installs the plugin, opens the gate.
    pub fn start(logs: &Path, policy: &str) -> anyhow::Result<Self> {
        let mut sudare = Self::prepare(logs, policy)?;
        // It may read xrdp's key.
        process::output(Command::new("usermod").args(["--append", "--groups", "ssl-cert", GUARD]))?;
        sudare.tell_owners()?;
        sudare.open_gate()?;
        Ok(sudare)
    }

    fn prepare(logs: &Path, policy: &str) -> anyhow::Result<Self> {
        let stage = Stage::new(Path::new(FOLDER), Path::new(PROGRAMS))?;
        let enrolled_from = Stage::enrolment_pictures(&photographs()?);
        stage.prepare_with(&enrolled_from, policy)?;
        let state = stage.dir.join("host");
        process::output(Command::new("chown").args(["-R", &format!("{GUARD}:")]).arg(&state))?;
        let (recorder, run) = (stage.dir.join("recorder"), stage.dir.join("run-recorder"));
        let settings = format!(
            "state_dir = \"{}\"\nrecorder_dir = \"{}\"\nrecorder_socket = \"{}\"\n",
            state.display(),
            recorder.display(),
            run.join("socket").display()
        );
        std::fs::write(stage.dir.join("host.toml"), settings)?;
        let logs = logs.to_owned();
        let mut sudare = Sudare { stage, gate: None, owner: None, recorder: None, logs };
        process::output(sudare.host_program().arg("init").arg("--recorder"))?;
        for record in ["organisation.pub", "host.record"] {
            std::fs::copy(state.join(record), recorder.join(record))?;
        }
        std::fs::create_dir(&run)?;
        let owner = format!("{RECORDER}:");
        process::output(Command::new("chown").args(["-R", &owner]).arg(&recorder).arg(&run))?;
        sudare.record()?;
        Ok(sudare)
    }

    /// Starts the recorder as its unit does, also after [`Self::kill_recorder`].
    pub fn record(&mut self) -> anyhow::Result<()> {
        let log = self.logs.join("recorder.log");
        let said_before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let user = User::find(RECORDER)?;
        let mut command = user.command(&Path::new(PROGRAMS).join("sudare-recorder").display().to_string());
        command.arg("--config").arg(self.stage.dir.join("host.toml")).env("RUST_LOG", "info");
        let mut running = Running::start(&mut command, &log)?;
        wait_until("the recorder", || {
            let said = std::fs::read_to_string(&log)?;
            anyhow::ensure!(!running.has_ended()?, "the recorder ended: {said}");
            Ok(said.get(said_before..).is_some_and(|said| said.contains("recording")).then_some(()))
        })?;
        self.recorder = Some(running);
        Ok(())
    }

    /// SIGKILL; guards notice that nobody keeps their evidence.
    pub fn kill_recorder(&mut self) -> anyhow::Result<()> {
        self.recorder.take().context("the recorder does not run")?.kill()
    }

    pub fn recorder_pid(&self) -> anyhow::Result<rustix::process::Pid> {
        Ok(self.recorder.as_ref().context("the recorder does not run")?.pid())
    }

    /// The socket that guards report to, and the folder of the evidence.
    pub fn recorder_paths(&self) -> [PathBuf; 2] {
        [self.stage.dir.join("run-recorder/socket"), self.stage.dir.join("recorder")]
    }

    /// Starts the gate at the port at which clients look for xrdp, also after [`Self::kill_gate`].
    pub fn open_gate(&mut self) -> anyhow::Result<()> {
        let log = self.gate_log();
        let said_before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let user = User::find(GUARD)?;
        let mut command = user.command(&Path::new(PROGRAMS).join("sudare-gate").display().to_string());
        command.arg("--config").arg(self.stage.dir.join("host.toml"));
        command.args(["--listen", &format!("127.0.0.1:{RDP_PORT}")]);
        // It says when it covers and uncovers.
        command.env("RUST_LOG", "info,sudare_gate::session=debug");
        let mut running = Running::start(&mut command, &log)?;
        wait_until("the gate", || {
            let said = std::fs::read_to_string(&log)?;
            anyhow::ensure!(!running.has_ended()?, "the gate ended: {said}");
            Ok(said.get(said_before..).is_some_and(|said| said.contains("Listening")).then_some(()))
        })?;
        self.gate = Some(running);
        Ok(())
    }

    /// Starts the service that tells whose desktop it is, as its unit does: with one right.
    pub fn tell_owners(&mut self) -> anyhow::Result<()> {
        // The group of the folder becomes that of the socket.
        let folder = ["-d", "-o", OWNER, "-g", GUARD, "-m", "2750", "/run/sudare-owner"];
        process::output(Command::new("install").args(folder))?;
        let log = self.logs.join("owner.log");
        let said_before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let one = "-all,+sys_ptrace";
        let mut command = Command::new("setpriv");
        command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups", "--no-new-privs"]);
        command.args(["--inh-caps", one, "--ambient-caps", one, "--bounding-set", one, "--"]);
        command.arg(Path::new(PROGRAMS).join("sudare-owner"));
        command.arg("--config").arg(self.stage.dir.join("host.toml")).env("RUST_LOG", "info");
        let mut running = Running::start(&mut command, &log)?;
        wait_until("the service that tells owners", || {
            let said = std::fs::read_to_string(&log)?;
            anyhow::ensure!(!running.has_ended()?, "it ended: {said}");
            Ok(said.get(said_before..).is_some_and(|said| said.contains("answering")).then_some(()))
        })?;
        self.owner = Some(running);
        Ok(())
    }

    /// SIGKILL to it; what the gate cannot know it covers.
    pub fn kill_owners(&mut self) -> anyhow::Result<()> {
        self.owner.take().context("nobody tells owners")?.kill()
    }

    /// What the log says, once everybody has ended: the reasons of covers, and notes with their values.
    pub fn logged(&mut self) -> anyhow::Result<Logged> {
        self.end_recording()?;
        Logged::read(&self.stage.evidence())
    }

    /// Adds a line to the host's settings.
    pub fn set(&self, line: &str) -> anyhow::Result<()> {
        let file = self.stage.dir.join("host.toml");
        let settings = std::fs::read_to_string(&file)?;
        Ok(std::fs::write(&file, format!("{settings}{line}\n"))?)
    }

    /// Leads the next connections to another host.
    pub fn aim(&self, target: &str) -> anyhow::Result<()> {
        let file = self.stage.dir.join("host.toml");
        let settings = std::fs::read_to_string(&file)?;
        let others = settings.lines().filter(|line| !line.starts_with("gate_target"));
        let lines = others.map(|line| format!("{line}\n")).collect::<String>();
        Ok(std::fs::write(&file, format!("{lines}gate_target = {target:?}\n"))?)
    }

    pub fn gate_log(&self) -> PathBuf {
        self.logs.join("gate.log")
    }

    /// SIGKILL to the process that accepts; what it has accepted goes on.
    pub fn kill_gate(&mut self) -> anyhow::Result<()> {
        self.gate.take().context("the gate does not run")?.kill()
    }

    /// What a VDI admin runs.
    pub fn host_program(&self) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join("sudare-host"));
        command.arg("--config").arg(self.stage.dir.join("host.toml"));
        command
    }

    /// Verifies the evidence of a session that ended, and opens the incident in which somebody
    /// looked, as auditors do: from a copy, with the log's public line that the host told once.
    pub fn prove(&mut self) -> anyhow::Result<Proof> {
        self.end_recording()?;
        stage::prove(&self.stage)
    }

    fn end_recording(&mut self) -> anyhow::Result<()> {
        self.gate.take().map_or(Ok(()), Running::end)?;
        let guard = User::find(GUARD)?;
        wait_until("the guard to write its last evidence", || {
            let running = processes()?.into_iter().any(|process| process.uid == guard.uid);
            Ok(!running)
        })?;
        let line = process::output(
            Command::new(Path::new(PROGRAMS).join("sudare-recorder"))
                .arg("--print-key")
                .arg("--config")
                .arg(self.stage.dir.join("host.toml")),
        )?;
        std::fs::write(&self.stage.log_vkey, line)?;
        // In good order, so that its last checkpoint covers everything.
        self.recorder.take().context("the recorder does not run")?.end()?;
        let store = self.stage.dir.join("recorder/evidence");
        process::output(Command::new("cp").arg("-r").arg(store).arg(self.stage.evidence()))?;
        Ok(())
    }

    /// Puts the plugin where xfreerdp looks, writes the device's settings, and gives the options
    /// of a client that plays this scene.
    pub fn device(&self) -> anyhow::Result<ClientOptions> {
        let (built, installed) = (Path::new(PROGRAMS).join(BUILT), library_folder().join(INSTALLED));
        anyhow::ensure!(built.exists(), "{BUILT} is not built. Type cargo build --workspace --lib");
        std::fs::create_dir_all(installed.parent().context("no folder for plugins")?)?;
        if !installed.exists() {
            std::os::unix::fs::symlink(built, installed)?;
        }
        let path = |name: &str| self.stage.dir.join(name);
        let settings = path("client.toml");
        let text = format!(
            "home = \"{}\"\ncamera = \"mjpeg:{}\"\nlog_level = \"info\"\n",
            path("device").display(),
            self.fifo().display()
        );
        std::fs::write(&settings, text)?;
        Ok(ClientOptions {
            arguments: vec![format!("/dvc:sudare,config:{}", settings.display())],
            environment: cache()?,
            ..ClientOptions::default()
        })
    }

    /// The same for a client of Debian 13, whose plugin is installed as the guide says.
    pub fn newer_device(&self) -> anyhow::Result<ClientOptions> {
        Place::Debian13.install_plugin(BUILT)?;
        Ok(ClientOptions { program: Program::Xfreerdp3, ..self.device()? })
    }

    /// Starts to play the scene; nobody but the operator is in view.
    pub fn film(&self) -> anyhow::Result<Camera> {
        Camera::start(Seat::load(&photographs()?)?, &self.fifo())
    }

    fn fifo(&self) -> PathBuf {
        self.stage.dir.join("camera.fifo")
    }
}

/// The client has a home folder of its own, but the models are in that of whoever runs the tests.
fn cache() -> anyhow::Result<Vec<(String, String)>> {
    let folder = sudare_models::Store::default_dir()?;
    let folder = folder.to_str().context("the models' folder has a name that is no text")?;
    Ok(vec![("SUDARE_CACHE".to_owned(), folder.to_owned())])
}

pub(super) fn photographs() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES")
        .context("SUDARE_TEST_PICTURES is not set. `cargo xtask test` sets it")?;
    Ok(folder.into())
}
