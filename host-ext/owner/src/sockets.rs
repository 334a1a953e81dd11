//! The sockets of another process, duplicated for the moment of a look (pidfd_getfd), which neither end notices.
//!
//! Descriptors are tried by their numbers. To list them, /proc/PID/fd, one would have to be root or the process's own
//! user, which is more than the one right that this service has.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getpeername, getsockname, sockopt,
};
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use crate::process::Process;
use crate::tcp::{self, Pair};
use crate::verdict::Link;

/// xrdp has about twenty.
const DESCRIPTORS_MAX: u32 = 4_096;
/// The default; doctor reports another `ListenPort` in sesman.ini.
const SESMAN_PORT: u16 = 3_350;
/// Takes the place of the port since xrdp 0.10.
const SESMAN_SOCKET: &[u8] = b"/sesman.socket";
const VNC_PORT: u16 = 5_900;
/// Ports above these are the ephemeral ones of other connections.
const VNC_DISPLAYS: std::ops::RangeInclusive<u16> = 1..=20_000;

/// A gate, as the kernel knows it.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) process: Process,
    pub(crate) uid: u32,
}

/// A connected socket of xrdp.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Accepted from this gate.
    Gate,
    Other(Link),
}

/// The connections of an xrdp process, seen from this gate.
///
/// # Errors
/// If the process has ended, or the kernel refuses a look.
pub(crate) fn of(xrdp: &Process, gate: &Gate, gates_tcp: &[Pair]) -> io::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for socket in each(xrdp)? {
        seen.extend(look(&socket?, gate, gates_tcp)?);
    }
    Ok(seen)
}

/// The TCP connections of a gate to this machine itself.
///
/// # Errors
/// If the gate has ended, or the kernel refuses a look.
pub(crate) fn tcp_of(gate: &Gate) -> io::Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for socket in each(&gate.process)? {
        pairs.extend(tcp_pair(&socket?).filter(|(_, peer)| tcp::is_here(peer.ip())));
    }
    Ok(pairs)
}

/// Each descriptor that is a socket.
fn each(process: &Process) -> io::Result<impl Iterator<Item = io::Result<OwnedFd>>> {
    let count = process.descriptors()?;
    if count > DESCRIPTORS_MAX {
        return Err(Errno::MFILE.into());
    }
    let copies = (0..i32::try_from(count).unwrap_or(0)).filter_map(|number| {
        match pidfd_getfd(&process.handle, number, PidfdGetfdFlags::empty()) {
            Ok(copy) => sockopt::socket_type(&copy).is_ok().then_some(Ok(copy)),
            Err(Errno::BADF) => None,
            Err(e) => Some(Err(e.into())),
        }
    });
    Ok(copies)
}

/// What a socket is; `None` if it connects to nobody who could show or send a desktop.
fn look(socket: &OwnedFd, gate: &Gate, gates_tcp: &[Pair]) -> io::Result<Option<Seen>> {
    if sockopt::socket_type(socket)? != SocketType::STREAM || sockopt::socket_acceptconn(socket)? {
        return Ok(None);
    }
    let peer = match getpeername(socket) {
        Ok(peer) => peer,
        Err(Errno::NOTCONN) => return Ok(Some(Seen::Other(Link::Connecting))),
        Err(e) => return Err(e.into()),
    };
    let family = sockopt::socket_domain(socket)?;
    if family == AddressFamily::UNIX {
        return unix(socket, peer, gate);
    }
    let Some((own, peer)) = tcp_pair(socket) else { return Ok(Some(Seen::Other(Link::Elsewhere))) };
    if gates_tcp.contains(&(peer, own)) {
        return Ok(Some(Seen::Gate));
    }
    let link = match vnc_or_sesman(peer) {
        Some(Link::Desktop(_)) => Link::Desktop(tcp::accepted_by((own, peer))?),
        other => other.unwrap_or(Link::Elsewhere),
    };
    Ok(Some(Seen::Other(link)))
}

fn unix(socket: &OwnedFd, peer: Option<SocketAddrAny>, gate: &Gate) -> io::Result<Option<Seen>> {
    // Of an accepted socket the kernel says who connected, and of a connecting one who made it listen.
    let them = sockopt::socket_peercred(socket)?;
    let name = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    let name = name.as_ref().and_then(SocketAddrUnix::path_bytes).unwrap_or_default();
    if !name.is_empty() {
        return Ok(unix_link(name, them.uid.as_raw()).map(Seen::Other));
    }
    let own = SocketAddrUnix::try_from(getsockname(socket)?).ok();
    if own.as_ref().and_then(SocketAddrUnix::path_bytes).is_none() {
        // A pair, whose other end is in the same program, unless somebody else gave it.
        let inside = them.uid.as_raw() < sudare_base::accounts::PEOPLE_FROM_UID;
        return Ok((!inside).then_some(Seen::Other(Link::Elsewhere)));
    }
    let is_gate = them.pid == gate.process.pid && them.uid.as_raw() == gate.uid;
    Ok(Some(if is_gate { Seen::Gate } else { Seen::Other(Link::Client) }))
}

/// What somebody listens to under this name, having made it as this user. Names choose the question only; the answer
/// is the user.
fn unix_link(name: &[u8], uid: u32) -> Option<Link> {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let is_desktop = last.starts_with(b"xrdp_display_") || last.starts_with(b"xrdp_chansrv_socket_");
    match uid {
        uid if is_desktop => Some(Link::Desktop(Some(uid))),
        0 if name.ends_with(SESMAN_SOCKET) => Some(Link::Sesman),
        // The journal, for one.
        0 => None,
        _ => Some(Link::Elsewhere),
    }
}

fn tcp_pair(socket: &OwnedFd) -> Option<Pair> {
    let own = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
    Some((tcp::canonical(own), tcp::canonical(peer)))
}

fn vnc_or_sesman(peer: SocketAddr) -> Option<Link> {
    if !tcp::is_here(peer.ip()) {
        return None;
    }
    if peer.port() == SESMAN_PORT {
        return Some(Link::Sesman);
    }
    let display = peer.port().checked_sub(VNC_PORT)?;
    VNC_DISPLAYS.contains(&display).then_some(Link::Desktop(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{geteuid, getpid};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn me() -> Gate {
        Gate { process: Process::hold(getpid()).unwrap(), uid: geteuid().as_raw() }
    }

    fn looked(socket: &OwnedFd, gate: &Gate) -> Option<Seen> {
        look(socket, gate, &[]).unwrap()
    }

    #[test]
    fn a_name_says_what_to_ask_and_the_kernel_who_it_is() {
        let desktop = |name: &[u8]| unix_link(name, 1001);
        assert_eq!(desktop(b"/run/xrdp/sockdir/xrdp_display_10"), Some(Link::Desktop(Some(1001))));
        assert_eq!(desktop(b"/run/xrdp/sockdir/1001/xrdp_chansrv_socket_7"), Some(Link::Desktop(Some(1001))));
        // A user's socket is neither the session manager nor the journal.
        assert_eq!(desktop(b"/run/xrdp/sesman.socket"), Some(Link::Elsewhere));
        assert_eq!(unix_link(b"/run/xrdp/sesman.socket", 0), Some(Link::Sesman));
        assert_eq!(unix_link(b"/run/systemd/journal/stdout", 0), None);
        let tcp = |address: &str| vnc_or_sesman(address.parse().unwrap());
        assert_eq!(
            (tcp("127.0.0.1:3350"), tcp("[::1]:5910")),
            (Some(Link::Sesman), Some(Link::Desktop(None)))
        );
        assert_eq!((tcp("192.0.2.1:5910"), tcp("127.0.0.1:45124")), (None, None));
    }

    #[test]
    fn the_gates_own_connection_is_known_and_anothers_is_a_client() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let here = UnixStream::connect(dir.path().join("socket")).unwrap();
        let there: OwnedFd = listener.accept().unwrap().0.into();
        let mut gate = me();
        assert_eq!(looked(&there, &gate), Some(Seen::Gate));
        gate.uid += 1;
        assert_eq!(looked(&there, &gate), Some(Seen::Other(Link::Client)));
        assert_eq!(looked(&listener.into(), &gate), None);
        let (pair, _other) = UnixStream::pair().unwrap();
        assert_eq!(looked(&pair.into(), &gate).is_none(), geteuid().as_raw() < 1000);
        drop(here);
    }

    #[test]
    fn over_tcp_the_gate_is_known_by_both_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let there: OwnedFd = listener.accept().unwrap().0.into();
        let gate = me();
        let mine = tcp_of(&gate).unwrap();
        let pair = (here.local_addr().unwrap(), here.peer_addr().unwrap());
        assert!(mine.contains(&pair));
        assert_eq!(look(&there, &gate, &[pair]).unwrap(), Some(Seen::Gate));
        assert_eq!(looked(&there, &gate), Some(Seen::Other(Link::Elsewhere)));
    }
}
