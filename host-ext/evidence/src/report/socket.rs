//! The socket between guard and recorder: it keeps packet boundaries, and the kernel vouches for the peer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};

use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, shutdown, socket_with,
};

use super::wire::PACKET_MAX_BYTES;

/// Guards that may wait to be accepted.
const BACKLOG: i32 = 64;

/// A bound socket that guards connect to.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    stopped: AtomicBool,
}

impl Listener {
    /// Replaces a socket that a dead recorder left behind. Everybody may connect: the kernel says who the peer is.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let fd = packet_socket()?;
        let address = SocketAddrUnix::new(path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        bind(&fd, &address)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        listen(&fd, BACKLOG)?;
        Ok(Listener { fd, stopped: AtomicBool::new(false) })
    }

    pub fn accept(&self) -> io::Result<Connection> {
        Ok(Connection { fd: accept_with(&self.fd, SocketFlags::CLOEXEC)? })
    }

    /// Makes a waiting `accept` return with an error.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Err(error) = shutdown(&self.fd, Shutdown::Both) {
            tracing::debug!(%error, "the socket was closed already");
        }
    }
}

impl Listener {
    /// Whether [`Listener::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
}

impl Connection {
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = packet_socket()?;
        connect(&fd, &SocketAddrUnix::new(path)?)?;
        Ok(Connection { fd })
    }

    /// Longest wait for the peer, in either direction.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout))?;
        Ok(set_socket_timeout(&self.fd, Timeout::Send, Some(timeout))?)
    }

    /// The user that the peer runs as, by the kernel's word.
    pub fn peer_uid(&self) -> io::Result<u32> {
        Ok(socket_peercred(&self.fd)?.uid.as_raw())
    }

    /// The peer's process; for a guard, the one that listens.
    pub fn peer_pid(&self) -> io::Result<i32> {
        Ok(socket_peercred(&self.fd)?.pid.as_raw_nonzero().get())
    }

    /// Sends one packet.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let sent = send(&self.fd, packet, SendFlags::NOSIGNAL)?;
        if sent == packet.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Receives one packet into `buffer`; `None` once the peer has closed the connection.
    pub fn receive<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<Option<&'b [u8]>> {
        buffer.resize(PACKET_MAX_BYTES + 1, 0);
        let (read, _) = recv(&self.fd, buffer.as_mut_slice(), RecvFlags::empty())?;
        match read {
            0 => Ok(None),
            read if read > PACKET_MAX_BYTES => Err(io::ErrorKind::InvalidData.into()),
            read => Ok(buffer.get(..read)),
        }
    }

    /// Ends both directions, also for a thread that waits in `receive`.
    pub fn close(&self) {
        // It may be closed already, which is fine.
        if let Err(error) = shutdown(&self.fd, Shutdown::Both) {
            tracing::debug!(%error, "the connection was closed already");
        }
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Connection { fd: self.fd.try_clone()? })
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_boundaries_and_the_peer_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "left by a dead recorder").unwrap();
        let listener = Listener::bind(&path).unwrap();
        let near = Connection::open(&path).unwrap();
        let far = listener.accept().unwrap();
        assert_eq!(far.peer_uid().unwrap(), rustix::process::geteuid().as_raw());
        near.send(&vec![7; PACKET_MAX_BYTES]).unwrap();
        near.send(b"two").unwrap();
        let mut buffer = Vec::new();
        assert_eq!(far.receive(&mut buffer).unwrap().map(<[u8]>::len), Some(PACKET_MAX_BYTES));
        assert_eq!(far.receive(&mut buffer).unwrap(), Some(&b"two"[..]));
        near.close();
        assert_eq!(far.receive(&mut buffer).unwrap(), None);
        far.set_timeout(Duration::from_millis(20)).unwrap();
        let (_near, far) = (Connection::open(&path).unwrap(), listener.accept().unwrap());
        far.set_timeout(Duration::from_millis(20)).unwrap();
        assert!(far.receive(&mut buffer).is_err(), "nothing was sent");
    }
}
