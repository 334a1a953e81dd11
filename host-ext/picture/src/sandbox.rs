//! What this process gives up before it reads a byte.
//!
//! Three layers, so that a fault of one is not a hole: limits of the kernel, Landlock's rules, and a filter of system
//! calls. The filter alone refuses every file, socket and process; where it cannot be had, nothing is decoded. Landlock
//! does what the kernel supports. Refused calls fail and do not kill, so that a message of this program is still heard.

use std::collections::BTreeMap;
use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Address space: the largest screen takes 128 MiB, and nothing else here is large.
pub const MEMORY_MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Time on a processor.
pub const CPU_MAX_S: u64 = 2;
const LANDLOCK: ABI = ABI::V6;

/// Why this process could not be locked in. It decodes nothing then.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A limit.
    #[error("the limits of this process cannot be set: {0}. Start it from the gate, which may")]
    Limit(#[from] rustix::io::Errno),
    /// Landlock itself, not the lack of it.
    #[error("the kernel refuses Landlock's rules: {0}. Check whether a security module forbids them")]
    Landlock(#[from] RulesetError),
    /// The filter of system calls.
    #[error(
        "the kernel takes no filter of system calls: {0}. Without one nothing is decoded; use a kernel with seccomp"
    )]
    Filter(String),
}

/// Gives up everything but reading, writing and memory, for good.
///
/// # Errors
/// If a layer that must be there is not.
pub fn enter() -> Result<(), SandboxError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    limit(Resource::As, MEMORY_MAX_BYTES)?;
    limit(Resource::Cpu, CPU_MAX_S)?;
    limit(Resource::Core, 0)?;
    // Landlock's own file is one more, and the last.
    landlock()?;
    limit(Resource::Nofile, 0)?;
    let filter = filter().map_err(|error| SandboxError::Filter(error.to_string()))?;
    seccompiler::apply_filter(&filter).map_err(|error| SandboxError::Filter(error.to_string()))
}

fn limit(resource: Resource, most: u64) -> Result<(), SandboxError> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Everything is handled and nothing is allowed.
fn landlock() -> Result<(), RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?;
    rules.create()?.restrict_self().map(drop)
}

/// What decoding needs: its streams, memory that is not code, and an end.
fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let plain = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        plain.into_iter().map(|call| (call, Vec::new())).collect();
    // Their third argument says what the memory is for.
    let exec = u64::try_from(libc::PROT_EXEC).unwrap_or(u64::MAX);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let no_code = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![no_code])?]);
    }
    let refused = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let machine = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, refused, SeccompAction::Allow, machine)?.try_into()?)
}

/// Something to try from the inside, and what it means in words if it succeeds.
type Attempt = (&'static str, fn() -> io::Result<()>);

/// Tries from the inside what must not be possible: what was, in words.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "each of them has to fail")]
pub fn holes() -> Vec<&'static str> {
    let tries: [Attempt; 6] = [
        ("a file was read", || std::fs::File::open("/proc/self/status").map(drop)),
        ("a file was made", || std::fs::File::create("/tmp/sudare-picture.hole").map(drop)),
        ("a network socket was made", || std::net::UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("a local socket was made", || std::os::unix::net::UnixDatagram::unbound().map(drop)),
        ("a program was started", || std::process::Command::new("/bin/true").status().map(drop)),
        ("a thread was started", || std::thread::Builder::new().spawn(|| {}).map(drop)),
    ];
    tries.into_iter().filter_map(|(what, attempt)| attempt().is_ok().then_some(what)).collect()
}
