//! How each program of the host starts and ends.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, HostConfig};
use crate::output;

/// Of the host's package.
const INSTALLED: &str = "/etc/sudare/host.toml";

/// The flags of every program of the host. Flags override SUDARE_HOST_… variables, which override the file.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Settings file (TOML). Without this and --state-dir: /etc/sudare/host.toml, if it is there
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of keys, policy and registry
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

impl Settings {
    /// Reads file, variables and flags; `more` holds the settings for which a program has its own flags.
    pub fn load(&self, more: &[(&str, Option<String>)]) -> Result<HostConfig, ConfigError> {
        let state = self.state_dir.as_ref().map(|d| d.display().to_string());
        let flags: Vec<(&str, String)> = [("state_dir", state)]
            .into_iter()
            .chain(more.iter().cloned())
            .filter_map(|(name, value)| value.map(|v| (name, v)))
            .collect();
        HostConfig::load(self.file(), &flags)
    }

    /// The settings file that is read. Whoever names neither a file nor a folder means the host that is installed here.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file_or(Path::new(INSTALLED))
    }

    fn file_or<'a>(&'a self, installed: &'a Path) -> Option<&'a Path> {
        // Where nobody lets us look, reading it says so; defaults would be another host's settings.
        let may_be_there = || !matches!(installed.try_exists(), Ok(false));
        let is_meant = self.config.is_none() && self.state_dir.is_none() && may_be_there();
        self.config.as_deref().or(is_meant.then_some(installed))
    }
}

/// Runs a program: its log goes to standard error, and an error ends it with one line and exit code 1.
pub fn run(name: &str, body: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    start_log();
    match body() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(name, &error);
            ExitCode::FAILURE
        }
    }
}

/// `RUST_LOG` is the filter; the default is `info`.
fn start_log() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        // No colours in a log file.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// A program of the same installation, which lies in one folder.
#[must_use]
pub fn beside(name: &str) -> PathBuf {
    let here = std::env::current_exe().map(|this| this.with_file_name(name));
    here.unwrap_or_else(|_| Path::new("/usr/bin").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_host_is_meant_unless_another_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let installed = dir.path().join("host.toml");
        let neither = Settings { config: None, state_dir: None };
        assert_eq!(neither.file_or(&installed), None);
        std::fs::write(&installed, "").unwrap();
        assert_eq!(neither.file_or(&installed), Some(&*installed));
        let other = Settings { config: Some("/other.toml".into()), state_dir: None };
        assert_eq!(other.file_or(&installed), Some(Path::new("/other.toml")));
        let folder = Settings { config: None, state_dir: Some("/state".into()) };
        assert_eq!(folder.file_or(&installed), None);
        // Not a folder, so that nobody can tell.
        let below = installed.join("host.toml");
        assert_eq!(neither.file_or(&below), Some(&*below));
    }
}
