//! Ending processes: SIGTERM first, SIGKILL half a second later.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clients;
use crate::process::Process;

/// Between SIGTERM and SIGKILL.
const PATIENCE_MS: u64 = 500;
/// A connection whose process cannot be found may have just ended without the X server noticing; after this long it
/// counts as real.
const UNKNOWN_FOR_MS: u64 = 2_000;
/// The kernel's list of unix sockets: about 80 bytes each.
const UNIX_MAX_BYTES: u64 = 32 << 20;
const TCP_MAX_BYTES: u64 = 32 << 20;

/// The result of a disconnection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This many connections were ended.
    Disconnected(usize),
    /// Nobody was connected.
    Nobody,
    /// A connection seems to exist whose process cannot be found.
    Unknown,
    /// The same for too long, so the session itself was ended.
    SessionEnded,
}

/// Processes that got SIGTERM.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    pending: Vec<(OwnedFd, u64)>,
    /// Displays with a connection whose process cannot be found, and since when.
    unknown: BTreeMap<u32, u64>,
}

impl Endings {
    /// Ends all RDP connections to this display, or its X server if that is impossible.
    pub(crate) fn disconnect(&mut self, number: u32, server: &Process, now_ms: u64) -> Outcome {
        let found = clients::clients().and_then(|all| {
            let mine: Vec<_> = all.into_iter().filter(|c| c.display == number).collect();
            let count = mine.len();
            mine.iter().try_for_each(|client| self.end_by(client.handle(), now_ms)).map(|()| count)
        });
        let error = match found {
            Ok(count) if count > 0 => {
                self.unknown.remove(&number);
                return Outcome::Disconnected(count);
            }
            Ok(_) if !is_attached(number) => {
                self.unknown.remove(&number);
                return Outcome::Nobody;
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let since_ms = *self.unknown.entry(number).or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < UNKNOWN_FOR_MS {
            return Outcome::Unknown;
        }
        self.unknown.remove(&number);
        tracing::error!(
            display = number,
            ?error,
            "a client of this display cannot be disconnected, so its session is ended. \
             Check that root may inspect xrdp's processes (CAP_SYS_PTRACE)"
        );
        if let Err(error) = self.end(server, now_ms) {
            tracing::error!(display = number, %error, "the X server could not be ended either. Stop xrdp");
        }
        Outcome::SessionEnded
    }

    /// Ends the process, unless another one has its pid by now.
    pub(crate) fn end(&mut self, process: &Process, now_ms: u64) -> io::Result<()> {
        match pidfd_open(process.pid, PidfdFlags::empty()) {
            Ok(handle) if process.is_same() => self.end_by(&handle, now_ms),
            Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Ends the process behind this handle.
    pub(crate) fn end_by(&mut self, handle: &OwnedFd, now_ms: u64) -> io::Result<()> {
        let pending = handle.try_clone()?;
        match pidfd_send_signal(handle, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(e) => return Err(e.into()),
        }
        self.pending.push((pending, now_ms.saturating_add(PATIENCE_MS)));
        Ok(())
    }

    /// Kills the processes that did not end in time.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.pending.retain(|(handle, due_ms)| {
            if now_ms < *due_ms {
                return true;
            }
            match pidfd_send_signal(handle, Signal::KILL) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => tracing::error!(%error, "a process that must end does not"),
            }
            false
        });
    }
}

/// Whether a client is connected to the display, as the kernel's lists say. A list that cannot be read counts as
/// yes.
fn is_attached(number: u32) -> bool {
    let unix = read("/proc/net/unix", UNIX_MAX_BYTES);
    let tcp = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| read(path, TCP_MAX_BYTES));
    unix.is_none_or(|list| in_unix(&list, number))
        || tcp.into_iter().any(|list| list.is_none_or(|list| in_tcp(&list, number)))
}

fn read(path: &str, max_bytes: u64) -> Option<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(max_bytes).read_to_end(&mut bytes).ok()?,
        // There is no such list on a machine without IPv6.
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(_) => return None,
    };
    // A truncated list proves nothing.
    (u64::try_from(bytes.len()).is_ok_and(|n| n < max_bytes))
        .then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Fields: address, references, protocol, flags, type, state (03 = connected), inode, path.
fn in_unix(list: &str, number: u32) -> bool {
    let socket = format!("/xrdp_display_{number}");
    list.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(5);
        fields.next() == Some("03") && fields.nth(1).is_some_and(|path| path.ends_with(&socket))
    })
}

/// Fields: number, local address:port in hexadecimal, remote, state (01 = established).
fn in_tcp(list: &str, number: u32) -> bool {
    let port = format!(":{:04X}", number.saturating_add(5_900));
    list.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("01")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Pid;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};
    use sudare_base::clock;

    #[test]
    fn connections_are_seen_in_the_kernel_s_lists() {
        let unix = "Num RefCount Protocol Flags Type St Inode Path\n\
            0: 00000002 00000000 00010000 0001 01 376634 /run/xrdp/sockdir/xrdp_display_10\n\
            0: 00000003 00000000 00000000 0001 03 376642 /run/xrdp/sockdir/xrdp_display_11\n";
        assert!(!in_unix(unix, 10), "listening is not connected");
        assert!(in_unix(unix, 11));
        assert!(!in_unix(unix, 1));
        let tcp = "  sl  local_address rem_address   st\n\
            0: 0100007F:1716 00000000:0000 0A 0\n\
            1: 0100007F:1718 0100007F:B044 01 0\n";
        assert!(!in_tcp(tcp, 10));
        assert!(in_tcp(tcp, 12));
        assert!(!is_attached(59_000));
    }

    fn process(child: &Child) -> Process {
        Process::read(Pid::from_child(child)).unwrap()
    }

    #[test]
    fn a_process_that_ignores_sigterm_is_killed_half_a_second_later() {
        // Ignores SIGTERM, and prints a line once it does.
        let script = "trap '' TERM; echo; while :; do sleep 0.05; done";
        let mut child =
            Command::new("sh").args(["-c", script]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let mut endings = Endings::default();
        endings.end(&process(&child), 1_000).unwrap();
        endings.tick(1_499);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(child.try_wait().unwrap().is_none());
        endings.tick(1_500);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(endings.pending.is_empty());
    }

    #[test]
    fn a_process_that_reuses_the_pid_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut other = process(&child);
        other.started_ticks += 1;
        Endings::default().end(&other, clock::boot_ms()).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
