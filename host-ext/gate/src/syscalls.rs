//! The system calls that a connection may still make (seccomp). All others fail with EPERM.
//!
//! A list of what is needed, so that what a newer kernel adds is closed as well: no bind, listen or accept, no
//! debugging of other processes, no mounts, no new namespaces, no keyrings, no io_uring, no deletion or renaming. The
//! program that decodes a screenshot inherits it, so what a program needs to start is among them.

use std::io::Cursor;

use seccompiler::{BackendError, BpfMap, TargetArch};
use serde_json::{Value, json};

/// On every machine.
const CALLS: &[&str] = &[
    // Reading and writing what is open.
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "pwrite64",
    "lseek",
    "close",
    "close_range",
    "dup",
    "dup3",
    "fcntl",
    "ioctl",
    "fstat",
    "newfstatat",
    "statx",
    "faccessat",
    "faccessat2",
    "readlinkat",
    "openat",
    "getdents64",
    "getcwd",
    "fadvise64",
    "ftruncate",
    // A device that an invitation lets in is kept for good.
    "fsync",
    // Sockets, without those that wait for others to connect.
    "connect",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "shutdown",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "recvfrom",
    "recvmsg",
    "recvmmsg",
    // Waiting.
    "ppoll",
    "pselect6",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd2",
    "timerfd_create",
    "timerfd_settime",
    "pipe2",
    "memfd_create",
    // Memory.
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "membarrier",
    // Threads and time.
    "futex",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "set_tid_address",
    "sched_yield",
    "sched_getaffinity",
    "getcpu",
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "getrandom",
    "restart_syscall",
    // Signals, which Landlock keeps to this process and its children.
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "rt_sigpending",
    "sigaltstack",
    "kill",
    "tgkill",
    "pidfd_open",
    "pidfd_send_signal",
    // Who and what it is, and less of it.
    "getpid",
    "gettid",
    "getppid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "uname",
    "sysinfo",
    "prctl",
    "prlimit64",
    "getrlimit",
    "setrlimit",
    "umask",
    "seccomp",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
    // A thread, a child, an end.
    "clone",
    "clone3",
    "execve",
    "wait4",
    "waitid",
    "setpgid",
    "setsid",
    "chdir",
    "exit",
    "exit_group",
];
/// Older names, which other machines never had.
#[cfg(target_arch = "x86_64")]
const OLDER: &[&str] = &[
    "open",
    "stat",
    "lstat",
    "access",
    "readlink",
    "dup2",
    "pipe",
    "poll",
    "select",
    "epoll_wait",
    "fork",
    "vfork",
    "arch_prctl",
    "time",
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[&str] = &[];

/// Of socket(2): the kernel's numbers of AF_UNIX, AF_INET and AF_INET6.
const NEAR: &[u32] = &[1];
const FAR: &[u32] = &[1, 2, 10];

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("{0}")]
    Filter(#[from] seccompiler::Error),
    #[error("{0}")]
    Machine(#[from] BackendError),
    #[error("the list of system calls is empty")]
    Empty,
}

/// Restricts this thread and those that it will start. `far`: the host is on another machine.
///
/// # Errors
/// If the kernel does not know seccomp, or this kind of machine is not known here.
pub fn restrict(far: bool) -> Result<(), FilterError> {
    let filters = compiled(far)?;
    let filter = filters.get("gate").ok_or(FilterError::Empty)?;
    Ok(seccompiler::apply_filter(filter)?)
}

fn compiled(far: bool) -> Result<BpfMap, FilterError> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(seccompiler::compile_from_json(Cursor::new(list(far).to_string()), machine)?)
}

fn list(far: bool) -> Value {
    let named = CALLS.iter().chain(OLDER).map(|name| json!({ "syscall": name }));
    let family = |call: &'static str, family: &u32| json!({ "syscall": call, "args": [{ "index": 0, "type": "dword", "op": "eq", "val": family }] });
    let sockets = if far { FAR } else { NEAR }.iter().map(|of| family("socket", of));
    let pairs = NEAR.iter().map(|of| family("socketpair", of));
    json!({ "gate": {
        "mismatch_action": { "errno": 1 },
        "match_action": "allow",
        "filter": named.chain(sockets).chain(pairs).collect::<Vec<_>>(),
    } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_known_once_and_nothing_waits_for_others() {
        compiled(false).unwrap();
        compiled(true).unwrap();
        let all: Vec<_> = CALLS.iter().chain(OLDER).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        for never in
            ["bind", "listen", "accept4", "ptrace", "io_uring_setup", "unlinkat", "renameat2", "mount"]
        {
            assert!(!all.contains(&&never), "{never}");
        }
    }
}
