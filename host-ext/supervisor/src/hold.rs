//! Holds a session before any code of its user runs.
//!
//! sesman forks early the process that will become the user's window manager; that process waits for the X server. It
//! is stopped the moment the X socket appears, and continues once the screen is covered.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sudare_base::clock;

use crate::origin::Origin;
use crate::process::Process;

/// How long a busy machine may take to schedule the process, which stops before it runs on.
const STOPS_WITHIN_MS: u64 = 50;
/// sesman has one such process, for a moment two.
const HELD_MAX: usize = 8;

/// Stopped processes. They stay stopped if this is dropped, and if the supervisor dies: the next supervisor holds them
/// again and releases them once the screen is covered.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    stopped: Vec<OwnedFd>,
}

impl Hold {
    /// Stops the processes that have not begun. The result holds nothing if there are none: the user's code runs
    /// already.
    pub(crate) fn place(origin: &Origin) -> io::Result<Self> {
        let mut waiting = origin.not_begun()?;
        if waiting.is_empty() && origin.begins_later() {
            waiting.push(origin.leader.clone());
        }
        Self::of(&waiting)
    }

    /// Stops all of these or none: a process that was stopped and forgotten would never continue.
    fn of(waiting: &[Process]) -> io::Result<Self> {
        let mut hold = Hold::default();
        for process in waiting.iter().take(HELD_MAX) {
            match stop(process) {
                Ok(handle) => hold.stopped.extend(handle),
                Err(error) => {
                    hold.release();
                    return Err(error);
                }
            }
        }
        Ok(hold)
    }

    /// Whether the user's code is held.
    pub(crate) fn holds(&self) -> bool {
        !self.stopped.is_empty()
    }

    pub(crate) fn release(self) {
        for handle in self.stopped {
            match pidfd_send_signal(&handle, Signal::CONT) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => {
                    tracing::error!(%error, "a held session cannot continue. Have its user log on again");
                }
            }
        }
    }
}

/// `None` if there is nothing to hold: it has ended, or has become the user's program.
fn stop(process: &Process) -> io::Result<Option<OwnedFd>> {
    let handle = match pidfd_open(process.pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match wait_stopped(process, &handle) {
        Ok(true) => Ok(Some(handle)),
        Err(_) if !process.is_same() => Ok(None),
        other => {
            // Too late or unreadable, so it must not stay stopped.
            pidfd_send_signal(&handle, Signal::CONT).or_else(ended)?;
            other.map(|_| None)
        }
    }
}

fn ended(error: Errno) -> Result<(), Errno> {
    if error == Errno::SRCH { Ok(()) } else { Err(error) }
}

/// Whether it stopped before it became another program.
fn wait_stopped(process: &Process, handle: &OwnedFd) -> io::Result<bool> {
    if !process.is_same() {
        return Err(Errno::SRCH.into());
    }
    pidfd_send_signal(handle, Signal::STOP)?;
    let until_ms = clock::monotonic_ms().saturating_add(STOPS_WITHIN_MS);
    loop {
        let now = Process::read(process.pid)?;
        if now.stopped && now.exe.file == process.exe.file {
            return Ok(true);
        }
        if now.exe.file != process.exe.file || clock::monotonic_ms() > until_ms {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use rustix::process::Pid;
    use std::process::{Child, Command};

    /// A shell plays the session manager: its forks wait, its other children are programs.
    fn session(script: &str) -> (Child, Origin) {
        let child = Command::new("bash").args(["-c", script]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (leader, server) = loop {
            let leader = Process::read(pid).unwrap();
            let children = process::children(pid).unwrap();
            if let Some(found) = children.into_iter().find(|p| p.exe.name == "sleep") {
                break (leader, found);
            }
        };
        (child, Origin { server, leader })
    }

    fn end(mut child: Child, origin: &Origin) {
        for process in process::children(origin.leader.pid).unwrap() {
            rustix::process::kill_process(process.pid, Signal::KILL).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn processes_that_have_not_begun_wait_and_the_server_does_not() {
        let (child, origin) = session("(while :; do read -t 0.1 <> <(:); done) & sleep 60 & wait");
        let hold = Hold::place(&origin).unwrap();
        assert!(hold.holds());
        let waiting = origin.not_begun().unwrap();
        assert!(waiting.len() == 1 && waiting[0].stopped);
        assert!(!Process::read(origin.server.pid).unwrap().stopped);
        // A second supervisor, after a crash of the first, holds the same ones.
        assert!(Hold::place(&origin).unwrap().holds());
        hold.release();
        assert!(origin.not_begun().unwrap().iter().all(|p| !p.stopped));
        end(child, &origin);
    }

    #[test]
    fn a_process_that_ended_does_not_leave_the_others_stopped_for_ever() {
        let sleeper = || Command::new("sleep").arg("60").spawn().unwrap();
        let read = |child: &Child| Process::read(Pid::from_child(child)).unwrap();
        let (mut one, mut gone, mut other) = (sleeper(), sleeper(), sleeper());
        let listed = [read(&one), read(&gone), read(&other)];
        gone.kill().unwrap();
        gone.wait().unwrap();
        let hold = Hold::of(&listed).unwrap();
        assert!(hold.holds() && read(&one).stopped && read(&other).stopped);
        hold.release();
        let until = clock::monotonic() + Duration::from_secs(300);
        while (read(&one).stopped || read(&other).stopped) && clock::monotonic() < until {}
        assert!(!read(&one).stopped && !read(&other).stopped);
        for child in [&mut one, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_session_whose_user_s_code_runs_is_not_stopped() {
        let (child, origin) = session("sleep 60 & sleep 61 & wait");
        // Both are programs by now, neither is a fork of the shell.
        while !origin.not_begun().unwrap().is_empty() {}
        assert!(!Hold::place(&origin).unwrap().holds());
        assert!(process::children(origin.leader.pid).unwrap().iter().all(|p| !p.stopped));
        end(child, &origin);
    }
}
