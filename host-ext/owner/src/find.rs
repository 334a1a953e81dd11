//! The xrdp process that serves a gate, and whose desktop that shows.

use std::io;

use rustix::io::Errno;

use crate::process::{self, Process};
use crate::sockets::{self, Gate, Seen};
use crate::tcp::Pair;
use crate::verdict;
use crate::wire::{Answer, Refused, Why};

/// The program that serves connections.
const PROGRAM: &str = "xrdp";

/// The process that serves one gate.
#[derive(Debug)]
pub(crate) struct Served {
    xrdp: Process,
    gates_tcp: Vec<Pair>,
}

/// Looks for the process that serves this gate. `None` while there is none, or while two share the connection: for a
/// moment xrdp's first process still has what its child is to serve.
///
/// # Errors
/// If the kernel refuses a look.
pub(crate) fn serves(gate: &Gate) -> io::Result<Option<Served>> {
    let gates_tcp = sockets::tcp_of(gate)?;
    let mut found = None;
    for xrdp in process::running(PROGRAM)? {
        // A process from before the gate serves an earlier one with the same number.
        if xrdp.started_ticks < gate.process.started_ticks {
            continue;
        }
        let seen = match sockets::of(&xrdp, gate, &gates_tcp) {
            Ok(seen) => seen,
            Err(_) if xrdp.has_ended() => continue,
            Err(e) => return Err(e),
        };
        if seen.contains(&Seen::Gate) && found.replace(xrdp).is_some() {
            return Ok(None);
        }
    }
    Ok(found.map(|xrdp| Served { xrdp, gates_tcp }))
}

impl Served {
    /// Whose desktop it shows at this moment.
    pub(crate) fn answer(&self, gate: &Gate) -> Answer {
        match sockets::of(&self.xrdp, gate, &self.gates_tcp) {
            Ok(seen) => judge(&seen),
            Err(_) if self.xrdp.has_ended() => no_server(),
            Err(e) => refused(&e),
        }
    }
}

fn judge(seen: &[Seen]) -> Answer {
    if !seen.contains(&Seen::Gate) {
        return no_server();
    }
    let links: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen {
            Seen::Gate => None,
            Seen::Other(link) => Some(*link),
        })
        .collect();
    verdict::of(&links)
}

/// Nobody serves this gate.
pub(crate) fn no_server() -> Answer {
    Answer::Refused(Refused { why: Why::NoServer, errno: 0 })
}

/// The kernel refuses a look.
pub(crate) fn refused(error: &io::Error) -> Answer {
    let errno = error.raw_os_error().unwrap_or_else(|| Errno::IO.raw_os_error());
    Answer::Refused(Refused { why: Why::Kernel, errno })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Link;

    #[test]
    fn a_process_that_lost_its_gate_shows_nobody_a_login_screen() {
        assert_eq!(judge(&[]), no_server());
        assert_eq!(judge(&[Seen::Other(Link::Desktop(Some(7)))]), no_server());
        assert_eq!(judge(&[Seen::Gate]), Answer::LoginScreen);
        assert_eq!(judge(&[Seen::Gate, Seen::Other(Link::Desktop(Some(7)))]), Answer::Session { uid: 7 });
    }
}
