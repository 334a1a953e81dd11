//! Which X servers are displays of xrdp sessions.
//!
//! ```text
//! xrdp-sesman (root) ─► xrdp-sesman, one per session (root) ─┬► X server      (session's user)
//!   0.10: xrdp-sesexec in its place                          ├► window manager, desktop
//!                                                            └► xrdp-chansrv
//! ```
//! Everybody can make a socket in /tmp/.X11-unix. What nobody but root can make is a child of a
//! process of root that runs root's own session manager. A user's code can be such a child (it
//! replaces the window manager), so one X server is one display at most, however many sockets it has.

use std::io;

use rustix::process::Pid;

use crate::process::{self, Process};

/// The programs that start X servers: xrdp 0.9, and 0.10 and later.
const STARTERS: [&str; 2] = ["xrdp-sesman", "xrdp-sesexec"];
/// The X server whose xrdp part drops the client before when another one connects. Xvnc shows its
/// screen to all that connect, and a guard knows of one of them only.
const EXCLUSIVE: &str = "Xorg";

/// An X server that belongs to an xrdp session.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) server: Process,
    /// Root's process that started it and everything else of the session.
    pub(crate) leader: Process,
}

/// `None` for a display that is none of our business.
pub(crate) fn of(server: Pid) -> io::Result<Option<Origin>> {
    let server = Process::read(server)?;
    let Some(parent) = server.parent else { return Ok(None) };
    let leader = Process::read(parent)?;
    let starts = STARTERS.contains(&leader.exe.name.as_str()) && leader.is_roots();
    // Between the two reads the parent's number may have got a new owner: ask again.
    let still = server.is_same() && Process::read(server.pid)?.parent == Some(parent);
    Ok((starts && still).then_some(Origin { server, leader }))
}

impl Origin {
    /// Whether its X server has one client of RDP at most.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.server.exe.name == EXCLUSIVE && self.server.exe.is_roots
    }

    /// Processes of the session that are about to run the user's code but have not begun: copies of
    /// the session manager that wait for the X server.
    pub(crate) fn not_begun(&self) -> io::Result<Vec<Process>> {
        let all = process::children(self.leader.pid)?;
        Ok(all
            .into_iter()
            .filter(|p| p.pid != self.server.pid && p.exe.file == self.leader.exe.file)
            .collect())
    }

    /// xrdp 0.10 makes these processes only once the X server answers; until then their parent is
    /// the one to hold.
    pub(crate) fn begins_later(&self) -> bool {
        self.leader.exe.name == "xrdp-sesexec"
    }
}
