//! What the kernel says about other processes (proc(5)), read with bounds.
//!
//! Users control the names, arguments and working directories of their processes, but not uids, parents or the owner of
//! the program file; only the latter are used to decide.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use sudare_base::proc::{Stat, bounded, program_name, text, uids, unreadable};

const CMDLINE_MAX_BYTES: u64 = 64 * 1024;
/// Far more than any machine has processes; /proc/sys/kernel/pid_max is at most 2^22.
const PIDS_MAX: usize = 1 << 22;
/// xrdp has about twenty.
const SOCKETS_MAX: usize = 4096;

/// A process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: Option<Pid>,
    /// Start time in ticks since boot; together with the pid it identifies the process for good.
    pub(crate) started_ticks: u64,
    pub(crate) stopped: bool,
    /// Real, effective, saved and file system uid.
    pub(crate) uids: [u32; 4],
    pub(crate) exe: Exe,
}

/// The program a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exe {
    /// The last part of the path from which it was started.
    pub(crate) name: String,
    /// Owned by root and writable by root only.
    pub(crate) is_roots: bool,
    /// Device and inode.
    pub(crate) file: (u64, u64),
}

impl Process {
    pub(crate) fn read(pid: Pid) -> io::Result<Self> {
        let folder = folder(pid);
        let stat = text(&folder.join("stat"))?;
        let status = text(&folder.join("status"))?;
        let stat = Stat::parse(&stat).ok_or_else(unreadable)?;
        Ok(Process {
            pid,
            parent: Pid::from_raw(stat.parent),
            started_ticks: stat.started_ticks,
            stopped: matches!(stat.state, "T" | "t"),
            uids: uids(&status).ok_or_else(unreadable)?,
            exe: exe(&folder.join("exe"))?,
        })
    }

    /// The session's user, also for an X server that has root's rights.
    pub(crate) fn real_uid(&self) -> u32 {
        self.uids[0]
    }

    /// All its uids are root's, and its program is owned by root.
    pub(crate) fn is_roots(&self) -> bool {
        self.uids == [0; 4] && self.exe.is_roots
    }

    /// Whether the pid still belongs to this process, and it has not ended.
    pub(crate) fn is_same(&self) -> bool {
        text(&folder(self.pid).join("stat")).is_ok_and(|stat| {
            let now = Stat::parse(&stat);
            now.is_some_and(|now| now.started_ticks == self.started_ticks && !matches!(now.state, "Z" | "X"))
        })
    }
}

/// The arguments of a process, which its user may have changed.
pub(crate) fn arguments(pid: Pid) -> io::Result<Vec<Vec<u8>>> {
    let bytes = bounded(&folder(pid).join("cmdline"), CMDLINE_MAX_BYTES)?;
    Ok(bytes.split(|&b| b == 0).map(<[u8]>::to_vec).collect())
}

/// The working directory of a process, by a path that still leads there after a rename.
pub(crate) fn working_directory(pid: Pid) -> PathBuf {
    folder(pid).join("cwd")
}

/// All processes.
pub(crate) fn all() -> io::Result<Vec<Pid>> {
    let names =
        fs::read_dir("/proc")?.take(PIDS_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| Pid::from_raw(name.parse().ok()?)).collect())
}

/// The children of a process.
pub(crate) fn children(parent: Pid) -> io::Result<Vec<Process>> {
    // /proc/PID/task/TID/children would need CONFIG_PROC_CHILDREN and misses children of threads.
    let theirs = |pid: &Pid| parent_of(*pid) == Some(parent);
    let read = |pid| Process::read(pid).ok().filter(|p| p.parent == Some(parent));
    Ok(all()?.into_iter().filter(theirs).filter_map(read).collect())
}

/// The processes that run a program with this name.
pub(crate) fn running(name: &str) -> io::Result<Vec<Process>> {
    let named =
        |pid: &Pid| fs::read_link(folder(*pid).join("exe")).is_ok_and(|exe| program_name(&exe) == name);
    let read = |pid| match Process::read(pid) {
        Err(e) if has_gone(&e) => None,
        read => Some(read),
    };
    all()?.into_iter().filter(named).filter_map(read).collect()
}

/// Whether the error means that the process has ended, and not that this process ran out of files.
fn has_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The descriptors of a process that are sockets.
pub(crate) fn sockets(pid: Pid) -> io::Result<Vec<i32>> {
    numbers_of(pid, |link| link.starts_with(b"socket:"))
}

/// The descriptor of a process that is this socket.
pub(crate) fn number_of_socket(pid: Pid, inode: u64) -> io::Result<Option<i32>> {
    let wanted = format!("socket:[{inode}]");
    Ok(numbers_of(pid, |link| link == wanted.as_bytes())?.first().copied())
}

/// The descriptors whose link matches; the link tells what a file is without opening it.
fn numbers_of(pid: Pid, is: impl Fn(&[u8]) -> bool) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(pid).join("fd"))?.take(SOCKETS_MAX) {
        let entry = entry?;
        if fs::read_link(entry.path()).is_ok_and(|to| is(to.as_os_str().as_encoded_bytes())) {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
        }
    }
    Ok(found)
}

fn folder(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

fn exe(link: &Path) -> io::Result<Exe> {
    let target = fs::read_link(link)?;
    // Follows the link to the file itself, even if an upgrade removed its name.
    let meta = fs::metadata(link)?;
    Ok(Exe {
        name: program_name(&target),
        is_roots: meta.uid() == 0 && meta.mode() & 0o022 == 0,
        file: (meta.dev(), meta.ino()),
    })
}

fn parent_of(pid: Pid) -> Option<Pid> {
    Pid::from_raw(Stat::parse(&text(&folder(pid).join("stat")).ok()?)?.parent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_found_and_a_stranger_s_program_is_not_root_s() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("xrdp-sesman");
        fs::copy("/bin/sleep", &program).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let mut child = Command::new(&program).arg("60").stdin(Stdio::null()).spawn().unwrap();
        let me = rustix::process::getpid();
        let mine = children(me).unwrap();
        let found = mine.iter().find(|p| p.pid == Pid::from_child(&child)).unwrap().clone();
        assert_eq!((found.exe.name.as_str(), found.exe.is_roots), ("xrdp-sesman", false));
        assert_eq!(arguments(found.pid).unwrap()[1], b"60");
        assert!(found.is_same() && !found.stopped);
        child.kill().unwrap();
        // A process that is dead but not waited for yet has ended too.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(300);
        while found.is_same() && std::time::Instant::now() < until {}
        assert!(!found.is_same());
        child.wait().unwrap();
        assert!(!found.is_same());
    }
}
