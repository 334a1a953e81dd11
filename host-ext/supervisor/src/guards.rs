//! Guards as processes: starts them under the system user, hands them the cookie, and reads their output.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::SyncSender;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sudare_base::accounts::GuardAccount;
use sudare_base::clock;
use sudare_base::heartbeat::greeting;

use crate::inbox::{Inbox, Output};
use crate::line::{self, LINE_MAX_BYTES};
use crate::target::Target;

/// The variables that a guard inherits; all others are dropped.
const ENVIRONMENT: [&str; 3] = ["PATH", "RUST_LOG", "LANG"];
const SETTINGS_PREFIX: &str = "SUDARE_HOST_";

const ENDS_WITHIN_NS: i64 = 200_000_000;

/// How guards are started, the same for all.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    /// The guards' program, whose file the caller keeps open.
    pub(crate) program: PathBuf,
    pub(crate) account: GuardAccount,
    pub(crate) config: Option<PathBuf>,
}

/// A running guard. A line `cover N` on its standard input makes it cover until `go-on N`; the end of that input
/// makes it cover and end.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) run: u64,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Launcher {
    /// Starts a guard; its output goes to the inbox.
    pub(crate) fn start(&self, target: &Target, run: u64, inbox: SyncSender<Inbox>) -> io::Result<Guard> {
        let mut child = self.command(target).spawn()?;
        // Not waited for yet, so the pid is still this child's.
        let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(io::Error::from);
        let mut stdin = child.stdin.take();
        let told = match &mut stdin {
            // One line fits into an empty pipe, so this does not block.
            Some(pipe) => pipe.write_all(target.cookie.line().as_bytes()).and_then(|()| never_block(pipe)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        let mut guard = Guard { run, child, stdin };
        let listens = told.and_then(|()| guard.child.stdout.take().ok_or(io::ErrorKind::BrokenPipe.into()));
        let number = target.number;
        let started = listens.and_then(|out| {
            let ended = ended?;
            let name = format!("guard {number}");
            std::thread::Builder::new().name(name).spawn(move || listen(number, run, out, &ended, &inbox))
        });
        if let Err(error) = started {
            guard.kill();
            return Err(error);
        }
        Ok(guard)
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0("sudare-guard").args(["--display", &target.number.to_string()]);
        command.args(["--user", &target.user, "--uid", &target.uid.to_string()]);
        command.args(["--server-pid", &target.server_pid.to_string()]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            ENVIRONMENT.contains(&&*name) || name.starts_with(SETTINGS_PREFIX)
        }));
        // Setting the uid also drops all of root's supplementary groups.
        if rustix::process::geteuid().is_root() {
            command.uid(self.account.uid).gid(self.account.gid);
        }
        // Ctrl-C at a terminal is meant for the supervisor, which then ends its guards itself.
        command.current_dir(Path::new("/")).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }
}

impl Guard {
    /// Gives it an order. A guard that does not read its orders is noticed by other means.
    pub(crate) fn order(&mut self, order: &str, ticket: u64) {
        if let Some(pipe) = &mut self.stdin {
            drop(pipe.write_all(format!("{order} {ticket}\n").as_bytes()));
        }
    }

    /// Tells it to cover and end.
    pub(crate) fn dismiss(&mut self) {
        self.stdin = None;
    }

    /// Kills it; its blanker notices and covers.
    pub(crate) fn kill(&mut self) {
        self.stdin = None;
        if let Err(error) = self.child.kill() {
            tracing::debug!(%error, "the guard had already ended");
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// A guard that does not read its orders must not block the supervisor.
fn never_block(pipe: &ChildStdin) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}

/// Reads lines until the guard closes its output or writes a line that no guard writes.
fn listen(number: u32, run: u64, out: ChildStdout, ended: &OwnedFd, inbox: &SyncSender<Inbox>) {
    let mut out = BufReader::new(out);
    let mut bytes = Vec::with_capacity(LINE_MAX_BYTES);
    let mut greeted = false;
    loop {
        bytes.clear();
        let limit = u64::try_from(LINE_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let output = match (&mut out).take(limit).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => Output::End,
            Ok(_) if !greeted => {
                greeted = bytes.strip_suffix(b"\n") == Some(greeting().as_bytes());
                if greeted {
                    continue;
                }
                Output::OtherBuild
            }
            Ok(_) => match bytes.strip_suffix(b"\n").and_then(line::parse) {
                Some(line) => Output::Line(line),
                None => Output::Babble,
            },
        };
        if matches!(output, Output::End) {
            wait_for(ended);
        }
        let last = !matches!(output, Output::Line(_));
        let said = Inbox::Guard { number, run, at_ms: clock::boot_ms(), output };
        if inbox.send(said).is_err() || last {
            return;
        }
    }
}

/// A process closes its files a moment before its end can be seen.
fn wait_for(ended: &OwnedFd) {
    let limit = Timespec { tv_sec: 0, tv_nsec: ENDS_WITHIN_NS };
    // If it does not end, the plan notices its silence.
    if let Err(error) = poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&limit)) {
        tracing::debug!(%error, "waiting for the end of a guard failed");
    }
}
