//! The guards' program, opened once. An update may replace the file while the supervisor runs. Guards are started from
//! the open descriptor, so supervisor and guards are of one build until the supervisor itself restarts.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Why guards cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It does not exist, or cannot be read.
    #[error(
        "{path} cannot be opened: {source}. Install sudare-guard beside sudare-supervisor, from the same build"
    )]
    Open { path: PathBuf, source: io::Error },
    /// The kernel does not tell where this program is.
    #[error("the supervisor cannot find its own program: {0}. Mount /proc")]
    OwnPath(io::Error),
}

/// The opened program; guards can be started as long as this exists.
#[derive(Debug)]
pub struct GuardProgram(File);

impl GuardProgram {
    /// The one that was installed beside this program.
    pub fn beside_supervisor() -> Result<Self, ProgramError> {
        let own = std::env::current_exe().map_err(ProgramError::OwnPath)?;
        Self::open(&own.with_file_name("sudare-guard"))
    }

    pub fn open(path: &Path) -> Result<Self, ProgramError> {
        File::open(path).map(Self).map_err(|source| ProgramError::Open { path: path.to_owned(), source })
    }

    /// The path from which a child of this process can execute it, whatever file the program's own path leads to by
    /// then. `self` in it is the child, which has a copy of the descriptor until it executes the program.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_opened_program_is_started_after_another_one_took_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sudare-guard");
        std::fs::copy("/bin/echo", &path).unwrap();
        let program = GuardProgram::open(&path).unwrap();
        let newer = dir.path().join("newer");
        std::fs::copy("/bin/false", &newer).unwrap();
        std::fs::rename(&newer, &path).unwrap();
        let said = Command::new(program.path()).arg("the same build").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "the same build\n");
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let error = GuardProgram::open("/nonexistent/sudare-guard".as_ref()).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/sudare-guard") && error.contains("same build"), "{error}");
    }
}
