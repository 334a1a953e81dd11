//! What this process gives up before it reads a byte of anybody: all but its one socket, memory and time.
//!
//! Landlock as the kernel has it, and a filter of system calls, without which nobody logs on. Refused calls fail and do
//! not kill, so that the gate still hears a message.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use sudare_base::harden::{self, HardenError, Rules};

/// Why this process could not be locked in.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Files and debuggers.
    #[error(transparent)]
    Files(#[from] HardenError),
    /// The filter of system calls.
    #[error(
        "the kernel takes no filter of system calls: {0}. Use a kernel with seccomp; without it nobody logs on"
    )]
    Filter(String),
}

/// Gives up everything else, for good.
///
/// # Errors
/// If the kernel refuses, although it must not.
pub fn enter() -> Result<(), SandboxError> {
    harden::protect()?;
    harden::confine(&Rules { paths: Vec::new(), connects: false })?;
    let filter = filter().map_err(|error| SandboxError::Filter(error.to_string()))?;
    seccompiler::apply_filter(&filter).map_err(|error| SandboxError::Filter(error.to_string()))
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let plain = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        // The file of attempts, which is open.
        libc::SYS_pread64,
        libc::SYS_pwrite64,
        libc::SYS_flock,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
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
