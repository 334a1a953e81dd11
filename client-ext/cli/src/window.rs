//! `sudare` without a command: starts the employee's window, which is a program of its own so that nothing here links
//! what draws it.

use std::io;
use std::path::PathBuf;
use std::process::Command;

/// In the folder of this program.
const PROGRAM: &str = "sudare-window";

/// The window cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWindow {
    #[error(
        "the window is not installed: there is no {0}. Install the package sudare-client as a whole, or see `sudare --help` for the commands"
    )]
    NotThere(PathBuf),
    #[error("the window {0} cannot be started: {1}. Install the package sudare-client again")]
    NotStarted(PathBuf, io::Error),
    #[error("the folder of this program is not known: {0}. Start sudare-window itself")]
    NoFolder(io::Error),
}

pub(crate) fn open() -> anyhow::Result<()> {
    let own = std::env::current_exe().map_err(NoWindow::NoFolder)?;
    let program = own.with_file_name(PROGRAM).with_extension(std::env::consts::EXE_EXTENSION);
    if !program.exists() {
        return Err(NoWindow::NotThere(program).into());
    }
    become_it(program).map_err(Into::into)
}

/// This program is the window from here on.
#[cfg(unix)]
fn become_it(program: PathBuf) -> Result<(), NoWindow> {
    use std::os::unix::process::CommandExt as _;
    // Returns only if it failed.
    let error = Command::new(&program).exec();
    Err(NoWindow::NotStarted(program, error))
}

#[cfg(not(unix))]
fn become_it(program: PathBuf) -> Result<(), NoWindow> {
    match Command::new(&program).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(NoWindow::NotStarted(program, io::Error::other(status.to_string()))),
        Err(error) => Err(NoWindow::NotStarted(program, error)),
    }
}
