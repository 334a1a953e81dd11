//! Tells systemd that a service is ready and that it still works (sd_notify(3)).
//!
//! Each state is one datagram `NAME=1` to the socket in `NOTIFY_SOCKET`; a leading `@` means an abstract one.
//! `WATCHDOG_USEC` is the time within which systemd expects `WATCHDOG=1`. Without these variables nothing is sent.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The connection to systemd.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    /// systemd restarts the service after a longer silence.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects; call it before the process is confined. `None` without systemd.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let Ok(name) = std::env::var("NOTIFY_SOCKET") else { return Ok(None) };
        let usec = std::env::var("WATCHDOG_USEC").ok();
        Self::connect(&name, usec.as_deref()).map(Some)
    }

    fn connect(name: &str, watchdog_usec: Option<&str>) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A service never waits for systemd.
        socket.set_nonblocking(true)?;
        let watchdog = watchdog_usec.and_then(|usec| usec.parse().ok()).map(Duration::from_micros);
        Ok(Self { socket, watchdog })
    }

    /// The service is ready.
    pub fn ready(&self) {
        self.send(b"READY=1");
    }

    /// The service still works.
    pub fn alive(&self) {
        self.send(b"WATCHDOG=1");
    }

    fn send(&self, state: &[u8]) {
        if let Err(error) = self.socket.send(state) {
            tracing::warn!(%error, "systemd could not be notified");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_gets_both_states_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let hidden = format!("sudare-notify-{}", std::process::id());
        let places = [
            (SocketAddr::from_pathname(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (SocketAddr::from_abstract_name(&hidden).unwrap(), format!("@{hidden}")),
        ];
        for (address, name) in places {
            let systemd = UnixDatagram::bind_addr(&address).unwrap();
            let notifier = Notifier::connect(&name, Some("60000000")).unwrap();
            assert_eq!(notifier.watchdog, Some(Duration::from_secs(60)));
            notifier.ready();
            notifier.alive();
            let mut buffer = [0; 32];
            let mut received = || {
                let length = systemd.recv(&mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..length]).into_owned()
            };
            assert_eq!((received(), received()), ("READY=1".into(), "WATCHDOG=1".into()));
        }
        assert!(Notifier::connect("/nonexistent/notify", None).is_err());
        assert_eq!(Notifier::connect(path.to_str().unwrap(), None).map_or(None, |n| n.watchdog), None);
    }
}
