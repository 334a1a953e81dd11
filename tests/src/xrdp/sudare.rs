//! Sudare on the stage, set up with the commands that people use: host, device, plugin.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::client::ClientOptions;
use super::namespace::{PROGRAMS, library_folder};
use super::process::{self, Running};
use super::session::processes;
use super::users::{GUARD, User};
use crate::demo::{self, Proof, Stage};
use crate::scene::{Camera, Seat};

/// Keys, records and evidence. Only its own user may enter the host's part.
const FOLDER: &str = "/run/sudare-stack/sudare";
/// What cargo makes of the plugin, and what FreeRDP looks for.
const BUILT: &str = "libsudare_client.so";
const INSTALLED: &str = "freerdp2/libsudare-client.so";
const PATIENCE: Duration = Duration::from_secs(10);

/// The host's side with a running supervisor, and what the device needs.
#[derive(Debug)]
pub struct Sudare {
    pub stage: Stage,
    supervisor: Option<Running>,
    logs: PathBuf,
    starts: u32,
}

impl Sudare {
    /// Makes keys and records, enrols the operator, installs the plugin, starts the supervisor.
    pub fn start(logs: &Path, policy: &str) -> anyhow::Result<Self> {
        let stage = Stage::new(Path::new(FOLDER), Path::new(PROGRAMS))?;
        let enrolled_from = Stage::enrolment_pictures(&photographs()?);
        stage.prepare_with(&enrolled_from, policy)?;
        let state = stage.dir.join("host");
        process::output(Command::new("chown").args(["-R", &format!("{GUARD}:")]).arg(&state))?;
        std::fs::write(stage.dir.join("host.toml"), format!("state_dir = \"{}\"\n", state.display()))?;
        let mut sudare = Sudare { stage, supervisor: None, logs: logs.to_owned(), starts: 0 };
        sudare.supervise()?;
        Ok(sudare)
    }

    /// Starts the supervisor as its unit does, also after [`Self::kill_supervisor`].
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        self.starts += 1;
        let log = self.logs.join(format!("supervisor-{}.log", self.starts));
        let mut command = Command::new(Path::new(PROGRAMS).join("sudare-host"));
        command.args(["supervise", "--config"]).arg(self.stage.dir.join("host.toml"));
        command.env("RUST_LOG", "info");
        let mut running = Running::start(&mut command, &log)?;
        process::wait_for("the supervisor to watch for displays", PATIENCE, || {
            let said = std::fs::read_to_string(&log)?;
            anyhow::ensure!(!running.has_ended()?, "the supervisor ended: {said}");
            Ok(said.contains("watching").then_some(()))
        })?;
        self.supervisor = Some(running);
        Ok(())
    }

    /// SIGKILL; its guards notice that they are alone.
    pub fn kill_supervisor(&mut self) -> anyhow::Result<()> {
        self.supervisor.take().context("the supervisor does not run")?.kill()
    }

    /// Verifies the evidence of a display that ended, and opens the incident in which somebody
    /// looked, as auditors do: from a copy, with the log's public line that the guard told once.
    pub fn prove(&self, display: u32) -> anyhow::Result<Proof> {
        let guard = User::find(GUARD)?;
        process::wait_for("the guard to write its last evidence", PATIENCE, || {
            let running = processes()?.into_iter().any(|process| process.uid == guard.uid);
            Ok((!running).then_some(()))
        })?;
        let said = std::fs::read_to_string(self.logs.join(format!("supervisor-{}.log", self.starts)))?;
        let said = without_colours(&said);
        let told = said.rsplit_once("log_vkey=").context("the guard told no log_vkey")?.1;
        let line = told.split_whitespace().next().context("the log_vkey is empty")?;
        std::fs::write(&self.stage.log_vkey, format!("{line}\n"))?;
        let store = self.stage.dir.join("host/evidence").join(format!("display-{display}"));
        process::output(Command::new("cp").arg("-r").arg(store).arg(self.stage.evidence()))?;
        demo::prove(&self.stage)
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
        })
    }

    /// Starts to play the scene; nobody but the operator is in view.
    pub fn film(&self) -> anyhow::Result<Camera> {
        Camera::start(Seat::load(&photographs()?)?, &self.fifo())
    }

    fn fifo(&self) -> PathBuf {
        self.stage.dir.join("camera.fifo")
    }
}

/// Leaves out what only a terminal understands: from an escape to the next `m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').map_or(part, |(_, after)| after));
    std::iter::once(first).chain(rest).collect()
}

/// The client has a home folder of its own, but the models are in that of whoever runs the tests.
fn cache() -> anyhow::Result<Vec<(String, String)>> {
    let folder = sudare_models::Store::default_dir()?;
    let folder = folder.to_str().context("the models' folder has a name that is no text")?;
    Ok(vec![("SUDARE_CACHE".to_owned(), folder.to_owned())])
}

fn photographs() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES")
        .context("SUDARE_TEST_PICTURES is not set. `cargo xtask test` sets it")?;
    Ok(folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_a_log_are_left_out() {
        assert_eq!(without_colours("a \u{1b}[3mlog_vkey\u{1b}[0m\u{1b}[2m=\u{1b}[0mx y"), "a log_vkey=x y");
    }
}
