//! Which xrdp process shows which display to an RDP client, and how to end it.
//!
//! One xrdp process serves one connection. It is looked at from its side, which no user can change:
//! its open sockets, and whom they reach.
//!
//! ```text
//! xrdp ── /run/xrdp/sockdir/xrdp_display_<N> ──────── Xorg      (the socket names N and Xorg's pid)
//!      ── /run/xrdp/sockdir/xrdp_chansrv_socket_<N> ─ chansrv
//!      ── 127.0.0.1:<5900 + N> ────────────────────── Xvnc
//! ```
//! Ending it disconnects the client; the session stays.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, getpeername, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal};

use super::accounts::PEOPLE_FROM_UID;
use super::process::{self, Process};

/// The program that serves connections.
const PROGRAM: &str = "xrdp";
/// Above are ports that the system gives to the other ends of connections.
const VNC_DISPLAYS: std::ops::RangeInclusive<u16> = 1..=20_000;
const VNC_PORT: u16 = 5_900;

/// An RDP connection that is attached to a display.
#[derive(Debug)]
pub(super) struct Client {
    xrdp: Process,
    handle: OwnedFd,
    pub(super) display: u32,
    /// The process at the other end, where the kind of connection tells it: the X server.
    server: Option<Pid>,
    /// It speaks VNC, be it with Xvnc or with a program that copies the screen: others may do so
    /// at the same time, and nobody knows of them.
    vnc: bool,
}

impl Client {
    /// Names the connection for as long as it lasts.
    pub(super) fn key(&self) -> (i32, u64, u32) {
        (self.xrdp.pid.as_raw_pid(), self.xrdp.started_ticks, self.display)
    }

    /// Whether it shows what this X server has, as far as can be told, and in a way that is guarded.
    pub(super) fn leads_to(&self, server: Pid) -> bool {
        !self.vnc && self.server.is_none_or(|other| other == server)
    }

    pub(super) fn end(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.handle, Signal::TERM)?)
    }

    /// What is needed to make sure later that it ended.
    pub(super) fn into_handle(self) -> OwnedFd {
        self.handle
    }
}

/// Those whose display another one is attached to as well.
pub(super) fn shared(clients: &[Client]) -> impl Iterator<Item = &Client> {
    clients
        .iter()
        .filter(|one| clients.iter().any(|other| other.display == one.display && other.key() != one.key()))
}

/// All RDP connections that are attached to displays of this machine.
pub(super) fn clients() -> io::Result<Vec<Client>> {
    let mut found = Vec::new();
    for xrdp in process::running(PROGRAM)? {
        // Anybody may run the program; the service runs as root or as a user of the system.
        if !xrdp.exe.is_roots || xrdp.real_uid() >= PEOPLE_FROM_UID {
            continue;
        }
        match attached(&xrdp) {
            Ok(clients) => found.extend(clients),
            // It ended just now, and with it the connection.
            Err(_) if !xrdp.is_same() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

fn attached(xrdp: &Process) -> io::Result<Vec<Client>> {
    let handle = pidfd_open(xrdp.pid, PidfdFlags::empty())?;
    if !xrdp.is_same() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut found: Vec<Client> = Vec::new();
    for number in process::sockets(xrdp.pid)? {
        let socket = match pidfd_getfd(&handle, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => socket,
            // Closed since.
            Err(rustix::io::Errno::BADF) => continue,
            Err(e) => return Err(e.into()),
        };
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

fn of_address(peer: SocketAddr) -> Option<(u32, Kind)> {
    let display = peer.port().checked_sub(VNC_PORT)?;
    let here = match peer.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    };
    (here && VNC_DISPLAYS.contains(&display)).then_some((u32::from(display), Kind::Vnc))
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
        // A client through a tunnel on this machine, and a desktop elsewhere.
        assert_eq!(vnc("127.0.0.1:45124"), None);
        assert_eq!(vnc("192.0.2.1:5910"), None);
    }
}
