//! Which xrdp process shows which display to an RDP client, and how to end it.
//!
//! One xrdp process serves one connection. Its open sockets and their peers tell, which no user can change.
//!
//! ```text
//! xrdp ── /run/xrdp/sockdir/xrdp_display_<N> ──────── Xorg      (the socket names N and Xorg's pid)
//!      ── /run/xrdp/sockdir/xrdp_chansrv_socket_<N> ─ chansrv
//!      ── 127.0.0.1:<5900 + N> ────────────────────── Xvnc
//!      ── 127.0.0.1:3350, or sesman.socket ────────── sesman, from the password until it is attached
//! ```
//! Ending it disconnects the client; the session stays.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, getpeername, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use sudare_base::accounts::PEOPLE_FROM_UID;

use crate::arrivals::{Asks, Progress};
use crate::process::{self, Process};

/// The program that serves connections.
const PROGRAM: &str = "xrdp";
/// Ports above these are the ephemeral ones of other connections.
const VNC_DISPLAYS: std::ops::RangeInclusive<u16> = 1..=20_000;
const VNC_PORT: u16 = 5_900;
/// Each sign-in has its own xrdp process; more than this at the same moment is an attack.
const ASKING_MAX: usize = 256;
/// The default; doctor reports another `ListenPort` in sesman.ini.
const SESMAN_PORT: u16 = 3_350;
/// Takes the place of the port since xrdp 0.10.
const SESMAN_SOCKET: &str = "/sesman.socket";

/// An RDP connection that is attached to a display.
#[derive(Debug)]
pub(crate) struct Client {
    xrdp: Process,
    handle: OwnedFd,
    pub(crate) display: u32,
    /// The X server at the other end, if the kind of connection tells it.
    server: Option<Pid>,
    /// It speaks VNC, with Xvnc or with a program that copies the screen. Others may do so at the same time
    /// without being noticed.
    vnc: bool,
}

impl Client {
    /// Identifies the connection as long as it lasts.
    pub(crate) fn key(&self) -> (i32, u64, u32) {
        (self.xrdp.pid.as_raw_pid(), self.xrdp.started_ticks, self.display)
    }

    /// Whether it shows the screen of this X server, as far as can be told, and in a way that is guarded.
    pub(crate) fn leads_to(&self, server: Pid) -> bool {
        !self.vnc && self.server.is_none_or(|other| other == server)
    }

    /// For ending it.
    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }
}

/// The clients that share their display with another one.
pub(crate) fn shared(clients: &[Client]) -> impl Iterator<Item = &Client> {
    clients
        .iter()
        .filter(|one| clients.iter().any(|other| other.display == one.display && other.key() != one.key()))
}

/// An RDP connection that is signing in: it has a socket to sesman.
#[derive(Debug)]
pub(crate) struct Asking {
    xrdp: Process,
    handle: OwnedFd,
    /// The inode of that socket, which identifies it until it is closed.
    inode: u64,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        (self.xrdp.pid, self.xrdp.started_ticks, self.inode)
            == (other.xrdp.pid, other.xrdp.started_ticks, other.inode)
    }
}

impl Asks for Asking {
    fn progress(&self) -> Progress {
        if has_ended(&self.handle) {
            return Progress::Done;
        }
        match self.socket() {
            Ok(None) => Progress::Done,
            Ok(Some(socket)) if waits(&socket) => Progress::Waits,
            Ok(Some(_)) if self.is_attached() => Progress::Attached,
            Ok(Some(_)) => Progress::Answered,
            Err(_) if has_ended(&self.handle) => Progress::Done,
            Err(_) => Progress::Answered,
        }
    }
}

impl Asking {
    pub(crate) fn pid(&self) -> Pid {
        self.xrdp.pid
    }

    /// For ending it.
    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// A duplicate of its socket to sesman; `None` once that is closed.
    fn socket(&self) -> io::Result<Option<OwnedFd>> {
        let Some(number) = process::number_of_socket(self.xrdp.pid, self.inode)? else { return Ok(None) };
        match pidfd_getfd(&self.handle, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => Ok(Some(socket)),
            // Closed since.
            Err(rustix::io::Errno::BADF) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn is_attached(&self) -> bool {
        attached(&self.xrdp, &self.handle).is_ok_and(|clients| !clients.is_empty())
    }
}

/// Whether sesman has not answered yet. It answers once, and 0.9 then closes its end. 0.10 leaves it open, so there no
/// process is known to wait.
fn waits(socket: &OwnedFd) -> bool {
    let is_tcp =
        getpeername(socket).is_ok_and(|peer| peer.is_some_and(|p| p.address_family() != AddressFamily::UNIX));
    is_tcp && has_news(socket, PollFlags::IN | PollFlags::RDHUP) == Some(false)
}

fn has_ended(process: &OwnedFd) -> bool {
    has_news(process, PollFlags::IN) == Some(true)
}

fn has_news(file: &OwnedFd, events: PollFlags) -> Option<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Some(poll(&mut [PollFd::new(file, events)], Some(&now)).ok()? > 0)
}

/// All RDP connections that are signing in.
pub(crate) fn asking() -> io::Result<Vec<Arc<Asking>>> {
    let asking = each_xrdp(|xrdp, handle| {
        let asks = |socket: &&OwnedFd| getpeername(socket).is_ok_and(|peer| peer.is_some_and(is_sesman));
        let sockets = open_sockets(xrdp, handle)?;
        let new = |socket| {
            let inode = rustix::fs::fstat(socket)?.st_ino;
            Ok(Arc::new(Asking { xrdp: xrdp.clone(), handle: handle.try_clone()?, inode }))
        };
        sockets.iter().filter(asks).map(new).collect()
    })?;
    if asking.len() > ASKING_MAX {
        return Err(io::Error::other("too many users sign in at once"));
    }
    Ok(asking)
}

/// All RDP connections that are attached to displays of this machine.
pub(crate) fn clients() -> io::Result<Vec<Client>> {
    each_xrdp(attached)
}

fn each_xrdp<T>(look: impl Fn(&Process, &OwnedFd) -> io::Result<Vec<T>>) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for xrdp in process::running(PROGRAM)? {
        // Any user may run the program; the service runs as root or as a system user.
        if !xrdp.exe.is_roots || xrdp.real_uid() >= PEOPLE_FROM_UID {
            continue;
        }
        let handle = match pidfd_open(xrdp.pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            // It has just ended, and its connection with it.
            Err(rustix::io::Errno::SRCH) => continue,
            Err(e) => return Err(e.into()),
        };
        match look(&xrdp, &handle) {
            _ if has_ended(&handle) => {}
            Ok(more) if xrdp.is_same() => found.extend(more),
            // Its pid was reused, or /proc cannot be read.
            Ok(_) => return Err(io::Error::other("processes change too fast")),
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Duplicates of its sockets, which neither end notices.
fn open_sockets(xrdp: &Process, handle: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let mut found = Vec::new();
    for number in process::sockets(xrdp.pid)? {
        match pidfd_getfd(handle, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => found.push(socket),
            // Closed since.
            Err(rustix::io::Errno::BADF) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(found)
}

fn attached(xrdp: &Process, handle: &OwnedFd) -> io::Result<Vec<Client>> {
    let mut found: Vec<Client> = Vec::new();
    for socket in open_sockets(xrdp, handle)? {
        let Ok(Some(peer)) = getpeername(&socket) else { continue };
        let Some((display, kind)) = display_of(peer) else { continue };
        let server = match kind {
            Kind::Screen => sockopt::socket_peercred(&socket).ok().map(|credentials| credentials.pid),
            Kind::Channels | Kind::Vnc => None,
        };
        match found.iter_mut().find(|c| c.display == display) {
            Some(client) => {
                client.server = client.server.or(server);
                client.vnc |= kind == Kind::Vnc;
            }
            None => {
                let handle = handle.try_clone()?;
                let vnc = kind == Kind::Vnc;
                found.push(Client { xrdp: xrdp.clone(), handle, display, server, vnc });
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Screen,
    Channels,
    Vnc,
}

fn display_of(peer: SocketAddrAny) -> Option<(u32, Kind)> {
    if peer.address_family() == AddressFamily::UNIX {
        let peer = SocketAddrUnix::try_from(peer).ok()?;
        return of_path(peer.path_bytes()?);
    }
    of_address(SocketAddr::try_from(peer).ok()?)
}

fn of_path(path: &[u8]) -> Option<(u32, Kind)> {
    let name = std::str::from_utf8(path).ok()?.rsplit('/').next()?;
    let number = |prefix| name.strip_prefix(prefix)?.parse::<u32>().ok();
    let screen = number("xrdp_display_").map(|n| (n, Kind::Screen));
    screen.or_else(|| number("xrdp_chansrv_socket_").map(|n| (n, Kind::Channels)))
}

fn is_sesman(peer: SocketAddrAny) -> bool {
    if peer.address_family() == AddressFamily::UNIX {
        let path = SocketAddrUnix::try_from(peer).ok();
        let ends = |peer: SocketAddrUnix| Some(peer.path_bytes()?.ends_with(SESMAN_SOCKET.as_bytes()));
        return path.and_then(ends).unwrap_or(false);
    }
    SocketAddr::try_from(peer).is_ok_and(|peer| peer.port() == SESMAN_PORT && is_here(peer.ip()))
}

fn is_here(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

fn of_address(peer: SocketAddr) -> Option<(u32, Kind)> {
    let display = peer.port().checked_sub(VNC_PORT)?;
    (is_here(peer.ip()) && VNC_DISPLAYS.contains(&display)).then_some((u32::from(display), Kind::Vnc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_xrdp_name_their_display() {
        let screen = of_path(b"/run/xrdp/sockdir/xrdp_display_10");
        assert_eq!(screen, Some((10, Kind::Screen)));
        // xrdp 0.10 has a folder for each user.
        let channels = of_path(b"/run/xrdp/sockdir/1001/xrdp_chansrv_socket_7");
        assert_eq!(channels, Some((7, Kind::Channels)));
        assert_eq!(of_path(b"/run/xrdp/sockdir/xrdpapi_10"), None);
        assert_eq!(of_path(b"/run/xrdp/sockdir/xrdp_display_-1"), None);
        let vnc = |address: &str| of_address(address.parse().unwrap());
        assert_eq!(vnc("127.0.0.1:5910"), Some((10, Kind::Vnc)));
        assert_eq!(vnc("[::ffff:127.0.0.1]:5912"), Some((12, Kind::Vnc)));
        assert_eq!(vnc("[::1]:5901"), Some((1, Kind::Vnc)));
        // The client of a tunnel on this machine, and a desktop on another machine.
        assert_eq!(vnc("127.0.0.1:45124"), None);
        assert_eq!(vnc("192.0.2.1:5910"), None);
    }

    #[test]
    fn sesman_is_known_by_its_port_or_its_socket() {
        let tcp = |address: &str| is_sesman(address.parse::<SocketAddr>().unwrap().into());
        assert!(tcp("127.0.0.1:3350") && tcp("[::1]:3350") && tcp("[::ffff:127.0.0.1]:3350"));
        assert!(!tcp("127.0.0.1:5910") && !tcp("192.0.2.1:3350"));
        let unix = |path: &str| is_sesman(SocketAddrUnix::new(path).unwrap().into());
        assert!(unix("/run/xrdp/sesman.socket") && !unix("/run/xrdp/sockdir/xrdp_display_10"));
    }
}
