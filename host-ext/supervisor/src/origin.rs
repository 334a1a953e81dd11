//! Tells which X servers are displays of xrdp sessions.
//!
//! ```text
//! xrdp-sesman (root) ─► xrdp-sesman, one per session (root) ─┬► X server      (session's user)
//!   0.10: xrdp-sesexec in its place                          ├► window manager, desktop
//!                                                            └► xrdp-chansrv
//! ```
//! Any user can make a socket in /tmp/.X11-unix. Only root can make a child of a root process that runs root's own
//! session manager. A user's code can be such a child (it replaces the window manager), so one X server counts as one
//! display at most, however many sockets it has.

use std::io;

use rustix::process::Pid;

use crate::process::{self, Process};

/// The programs that start X servers: in xrdp 0.9, and from 0.10 on.
const STARTERS: [&str; 2] = ["xrdp-sesman", "xrdp-sesexec"];
/// The X server whose xrdp module drops the previous client when another one connects. Xvnc shows its screen to all
/// clients, and a guard knows only one of them.
const EXCLUSIVE: &str = "Xorg";

/// An X server that belongs to an xrdp session.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) server: Process,
    /// The root process that started it and everything else of the session.
    pub(crate) leader: Process,
}

/// `None` for a display that does not belong to xrdp.
pub(crate) fn of(server: Pid) -> io::Result<Option<Origin>> {
    let server = Process::read(server)?;
    let Some(parent) = server.parent else { return Ok(None) };
    let leader = Process::read(parent)?;
    let starts = STARTERS.contains(&leader.exe.name.as_str()) && leader.is_roots();
    // The parent's pid may have been reused between the two reads: check again.
    let still = server.is_same() && Process::read(server.pid)?.parent == Some(parent);
    Ok((starts && still).then_some(Origin { server, leader }))
}

impl Origin {
    /// Whether its X server has at most one RDP client.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.server.exe.name == EXCLUSIVE && self.server.exe.is_roots
    }

    /// Processes of the session that will run the user's code but have not begun: forks of the session manager that
    /// wait for the X server.
    pub(crate) fn not_begun(&self) -> io::Result<Vec<Process>> {
        let all = process::children(self.leader.pid)?;
        Ok(all
            .into_iter()
            .filter(|p| p.pid != self.server.pid && p.exe.file == self.leader.exe.file)
            .collect())
    }

    /// xrdp 0.10 forks these processes only once the X server answers; until then their parent is the process to
    /// hold.
    pub(crate) fn begins_later(&self) -> bool {
        self.leader.exe.name == "xrdp-sesexec"
    }
}
