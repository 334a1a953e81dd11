//! Other processes, as the kernel describes them (proc(5)), read with bounds.
//!
//! Their owner is looked at before anything that their user chooses: the program of a user's process may lie on a
//! file system of that user's own, which answers late or never.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sudare_base::accounts::PEOPLE_FROM_UID;
use sudare_base::proc::{Stat, program_name, text, uids, unreadable};

/// pid_max is at most 2^22.
const PIDS_MAX: usize = 1 << 22;

/// A process, held so that its number cannot come to mean another one.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) handle: OwnedFd,
    /// Start time in ticks since boot.
    pub(crate) started_ticks: u64,
}

impl Process {
    /// Holds a process that runs now.
    ///
    /// # Errors
    /// If there is none with this number any more.
    pub(crate) fn hold(pid: Pid) -> io::Result<Self> {
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let stat = text(&folder(pid).join("stat"))?;
        let started_ticks = Stat::parse(&stat).ok_or_else(unreadable)?.started_ticks;
        let process = Self { pid, handle, started_ticks };
        // What was read is this process's only if it still runs.
        if process.has_ended() { Err(Errno::SRCH.into()) } else { Ok(process) }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now)).is_ok_and(|news| news > 0)
    }

    /// How many descriptors it may have: one more than the highest.
    pub(crate) fn descriptors(&self) -> io::Result<u32> {
        let status = text(&folder(self.pid).join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        line.and_then(|size| size.trim().parse().ok()).ok_or_else(unreadable)
    }
}

/// The processes of the system's own accounts that run a program with this name, of which root alone may change the
/// file.
///
/// # Errors
/// If the processes of this machine cannot be listed. Of one process nothing is an error: it is not one of those.
pub(crate) fn running(name: &str) -> io::Result<Vec<Process>> {
    let pids = fs::read_dir("/proc")?.take(PIDS_MAX).filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        // The cheap half of the question that `is_systems` asks: most processes are users'.
        (entry.metadata().ok()?.uid() < PEOPLE_FROM_UID).then_some(pid)
    });
    let runs = |pid: &Pid| is_systems(*pid).unwrap_or(false) && runs(*pid, name).unwrap_or(false);
    let held = pids.filter(runs).filter_map(|pid| {
        let process = Process::hold(pid).ok()?;
        // Held only now: what was seen before may have been another process.
        runs(&pid).then_some(process).filter(|process| !process.has_ended())
    });
    Ok(held.collect())
}

/// None of its users is a person. Programs that root lends to people keep a person's real uid.
fn is_systems(pid: Pid) -> io::Result<bool> {
    let status = text(&folder(pid).join("status"))?;
    let uids = uids(&status).ok_or_else(unreadable)?;
    Ok(uids.iter().all(|uid| *uid < PEOPLE_FROM_UID))
}

fn runs(pid: Pid, name: &str) -> io::Result<bool> {
    let link = folder(pid).join("exe");
    let target = fs::read_link(&link)?;
    if program_name(&target) != name {
        return Ok(false);
    }
    // Follows the link to the file itself, and does not ask a file system that would have to be asked.
    let wanted = StatxFlags::UID | StatxFlags::MODE;
    let file = statx(CWD, &link, AtFlags::STATX_DONT_SYNC, wanted)?;
    Ok(file.stx_uid == 0 && file.stx_mode & 0o022 == 0)
}

fn folder(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_program_that_others_may_change_is_not_taken_for_roots() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("sudare-other-xrdp");
        fs::copy("/bin/sleep", &program).unwrap();
        let mode = |mode| fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(mode));
        mode(0o777).unwrap();
        let mut child = Command::new(&program).arg("600").stdin(Stdio::null()).spawn().unwrap();
        assert!(running("sudare-other-xrdp").unwrap().is_empty());
        mode(0o755).unwrap();
        let found = running("sudare-other-xrdp").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, Pid::from_child(&child));
        assert!(!found[0].has_ended() && found[0].descriptors().unwrap() >= 3);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found[0].has_ended());
        assert!(Process::hold(found[0].pid).is_err());
    }

    #[test]
    fn a_persons_process_is_none_of_the_systems() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "1000", "--clear-groups", "--", "sleep", "600"]);
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        // Until it has changed its user.
        while is_systems(pid).unwrap() && std::time::Instant::now() < until {}
        assert!(!is_systems(pid).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
