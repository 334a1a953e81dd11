//! Starting other programs, with errors that say what was started and what to do.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::report;

/// The longest piece of a line that is handled at once; longer lines come in pieces.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How much of a failed program's own words is repeated in the error.
const WORDS_LINES_MAX: usize = 60;

/// A program that is about to be started.
pub(crate) struct Job {
    command: Command,
}

impl Job {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program) }
    }

    /// The cargo that started us, so that one toolchain builds everything.
    pub(crate) fn cargo(root: &Path) -> Self {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(program).dir(root).unaware_of_us()
    }

    /// Without the variables that describe this program. Build scripts (ring's is one) are run again when these
    /// change, and all that depends on them is compiled again: a cargo that we start, or that a program of ours
    /// starts, must see what a person's cargo sees.
    pub(crate) fn unaware_of_us(mut self) -> Self {
        for (key, _) in std::env::vars_os().filter(|(key, _)| is_about_us(&key.to_string_lossy())) {
            self.command.env_remove(key);
        }
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs the program; what it prints goes to the terminal.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.command.status().map_err(|error| self.not_started(&error))?;
        if !status.success() {
            bail!("`{self}` failed ({status}). See its output above");
        }
        Ok(())
    }

    /// Runs the program and returns what it wrote to stdout; its stderr is shown on failure.
    pub(crate) fn stdout(mut self) -> Result<String> {
        let output = self.finish()?;
        if !output.status.success() {
            bail!("`{self}` failed ({}):\n{}", output.status, last_lines(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the program and returns what it wrote to stderr, of which the end is shown on failure.
    pub(crate) fn stderr(mut self) -> Result<String> {
        let output = self.finish()?;
        if !output.status.success() {
            bail!("`{self}` failed ({}):\n{}", output.status, last_lines(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs the program and returns its stdout whatever its exit code is.
    pub(crate) fn stdout_of_any_exit(mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.finish()?.stdout).into_owned())
    }

    /// Whether the program starts and ends well, silently.
    pub(crate) fn succeeds(mut self) -> bool {
        self.finish().is_ok_and(|output| output.status.success())
    }

    /// Runs the program and hands each line of its stdout to `line`, which also went to the
    /// terminal. The error comes after the last line.
    pub(crate) fn each_line(mut self, mut line: impl FnMut(&str)) -> Result<()> {
        let mut child =
            self.command.stdout(Stdio::piped()).spawn().map_err(|error| self.not_started(&error))?;
        let stdout = child.stdout.take().context("the program's output is not readable")?;
        let mut reader = BufReader::new(stdout);
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut piece);
            if read.context("the program's output is not readable")? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&piece);
            report::pass(&text);
            line(&text);
        }
        let status = child.wait().context("the program's end is unknown")?;
        if !status.success() {
            bail!("`{self}` failed ({status}). See its output above");
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Output> {
        self.command.stdin(Stdio::null()).output().map_err(|error| self.not_started(&error))
    }

    fn not_started(&self, error: &std::io::Error) -> anyhow::Error {
        let program = Path::new(self.command.get_program()).display();
        if error.kind() == ErrorKind::NotFound {
            anyhow!("cannot start {program}: it is not installed. Install it, or check PATH")
        } else {
            anyhow!("cannot start {program}: {error}. Check its permissions")
        }
    }
}

/// The command as a person would type it, without the folder of the program.
impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let program = Path::new(self.command.get_program());
        write!(f, "{}", Path::new(program.file_name().unwrap_or(program.as_os_str())).display())?;
        self.command.get_args().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// Whether `cargo run` set this variable to describe xtask.
fn is_about_us(key: &str) -> bool {
    let about_package = key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_");
    about_package
        || matches!(key, "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

/// Where a program lies on PATH, if it is installed.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(WORDS_LINES_MAX)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_advice() {
        let error = Job::new("sudare-no-such-program").run().expect_err("it does not exist");
        assert_eq!(
            error.to_string(),
            "cannot start sudare-no-such-program: it is not installed. Install it, or check PATH"
        );
    }

    #[test]
    fn the_cargo_that_is_started_does_not_hear_of_xtask() {
        // `cargo test` describes the package to its tests as `cargo run` does.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let job = Job::cargo(Path::new("/"));
        let removed: Vec<_> = job.command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert!(removed.iter().any(|(key, _)| *key == "CARGO_MANIFEST_DIR"), "{removed:?}");
        assert!(!is_about_us("CARGO_HOME") && !is_about_us("CARGO_TARGET_DIR") && !is_about_us("CARGO"));
    }

    #[test]
    fn a_failing_program_is_repeated_with_its_words() {
        let job = Job::new("sh").args(["-c", "echo no space left >&2; exit 3"]);
        let error = job.stdout().expect_err("exit code 3").to_string();
        assert!(error.contains("exit status: 3") && error.contains("no space left"), "{error}");
    }

    #[test]
    fn lines_arrive_whole_and_the_failure_comes_after_them() {
        let mut lines = Vec::new();
        let job = Job::new("sh").args(["-c", "printf 'one\\ntwo'; exit 1"]);
        job.each_line(|line| lines.push(line.trim_end().to_owned())).expect_err("exit code 1");
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn only_the_end_of_long_words_is_repeated() {
        let words = (0..100).map(|n| format!("{n}\n")).collect::<String>();
        assert!(last_lines(words.as_bytes()).starts_with("40\n"));
        assert_eq!(last_lines(b"one"), "one");
    }
}
