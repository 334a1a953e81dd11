//! The session that xrdp started, as the kernel shows it.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::net::sockopt::{socket_acceptconn, socket_peercred};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use sudare_protocol::hex::unhex_all;
use sudare_test_kit::wait_until;

use super::process;
use super::users::User;
use crate::attackers::display::Access;

/// Logging on, the X server and the first program take well under this.
/// X servers that sessions use.
const X_SERVERS: &[&str] = &["Xorg", "Xvnc", "Xtigervnc"];

/// A process of the namespace.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    pub parent: i32,
    pub uid: u32,
    pub arguments: Vec<String>,
}

impl Process {
    /// The name of the program, without its folder.
    pub fn program(&self) -> &str {
        let first = self.arguments.first().map(String::as_str).unwrap_or_default();
        Path::new(first).file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// All that run; zombies have no arguments and are left out.
pub fn processes() -> anyhow::Result<Vec<Process>> {
    let numbers =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that ends while it is read is left out as well.
    Ok(numbers.filter_map(look_at).collect())
}

fn look_at(number: i32) -> Option<Process> {
    let folder = PathBuf::from(format!("/proc/{number}"));
    let line = std::fs::read(folder.join("cmdline")).ok()?;
    let arguments: Vec<String> =
        line.split(|b| *b == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name in parentheses may hold anything; what follows is numbers.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    let uid = std::fs::metadata(&folder).ok()?.uid();
    let pid = Pid::from_raw(number)?;
    (!line.is_empty()).then_some(Process { pid, parent, uid, arguments })
}

/// The session of one user.
#[derive(Debug)]
pub struct Session {
    pub server: Pid,
    pub display: u32,
    user: User,
}

impl Session {
    /// Waits until the user has an X server with a display.
    pub fn wait(user: &User) -> anyhow::Result<Self> {
        wait_until("an X server of the user", || {
            let servers = processes()?.into_iter().filter(|process| process.uid == user.uid);
            let found = servers.filter(|process| X_SERVERS.contains(&process.program())).find_map(|server| {
                let display = server.arguments.iter().find_map(|a| a.strip_prefix(':')?.parse().ok())?;
                let socket = Path::new("/tmp/.X11-unix").join(format!("X{display}"));
                socket.exists().then(|| Session { server: server.pid, display, user: user.clone() })
            });
            Ok(found)
        })
    }

    /// Whether the same X server still runs.
    pub fn is_alive(&self) -> bool {
        look_at(self.server.as_raw_nonzero().get()).is_some()
    }

    /// How the user's own programs get to the display.
    pub fn access(&self) -> anyhow::Result<Access> {
        let xauthority = self.user.home.join(".Xauthority");
        let mut xauth = Command::new("xauth");
        xauth.arg("-f").arg(&xauthority).args(["list", &format!(":{}", self.display)]);
        let told = process::output(&mut xauth)?;
        let digits =
            told.split_whitespace().last().context("the session's user has no key to the display")?;
        let cookie = unhex_all(digits).context("the key to the display is not hexadecimal")?;
        Ok(Access { number: self.display, xauthority, cookie })
    }

    /// Exists only while no RDP client is connected.
    pub fn waiting_socket(&self) -> PathBuf {
        Path::new("/run/xrdp/sockdir").join(format!("xrdp_chansrv_socket_{}", self.display))
    }

    /// Waits until xrdp has noticed that a client came or went.
    pub fn wait_connected(&self, connected: bool) -> anyhow::Result<()> {
        let what = if connected { "the client to be connected" } else { "the client to be gone" };
        wait_until(what, || Ok(self.waiting_socket().exists() != connected))
    }

    /// The process of xrdp that serves the client: whoever is at the other end of the X server's
    /// socket for it. Ending it disconnects the client, and the session goes on.
    pub fn connection(&self) -> anyhow::Result<Option<Pid>> {
        let name = Path::new("/run/xrdp/sockdir").join(format!("xrdp_display_{}", self.display));
        let server = pidfd_open(self.server, PidfdFlags::empty())?;
        let folder = PathBuf::from(format!("/proc/{}/fd", self.server.as_raw_nonzero()));
        for entry in std::fs::read_dir(folder)? {
            let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // It may have been closed in between.
            let Ok(copy) = pidfd_getfd(&server, number, PidfdGetfdFlags::empty()) else { continue };
            let socket = UnixStream::from(copy);
            let ours = socket.local_addr().is_ok_and(|address| address.as_pathname() == Some(&name));
            if ours && !socket_acceptconn(&socket)? {
                return Ok(Some(socket_peercred(&socket)?.pid));
            }
        }
        Ok(None)
    }

    /// Ends all programs of the user.
    pub fn end(self) -> anyhow::Result<()> {
        wait_until("the user's programs to end", || {
            let running: Vec<Process> =
                processes()?.into_iter().filter(|process| process.uid == self.user.uid).collect();
            for process in &running {
                // It may have ended in between.
                kill_process(process.pid, Signal::KILL).ok();
            }
            Ok(running.is_empty().then_some(()))
        })
        .context("the session does not end")
    }
}
