//! What a service tells systemd: that it is ready, and that it still works (sd_notify(3)).
//!
//! One datagram `NAME=1` to the socket that `NOTIFY_SOCKET` names; `@` at its beginning stands for an abstract
//! one. `WATCHDOG_USEC` says within which time systemd wants to hear that all is well. Without these variables
//! nobody listens and nothing is sent.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The one who started this service and wants to hear of it.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    /// Silence for longer than this is taken as a failure.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// Connects; call it before the process is restricted. `None` where nobody listens.
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
        // A service never waits for who watches it.
        socket.set_nonblocking(true)?;
        let watchdog = watchdog_usec.and_then(|usec| usec.parse().ok()).map(Duration::from_micros);
        Ok(Self { socket, watchdog })
    }

    /// The service can be used.
    pub fn ready(&self) {
        self.say(b"READY=1");
    }

    /// The service still works.
    pub fn alive(&self) {
        self.say(b"WATCHDOG=1");
    }

    fn say(&self, words: &[u8]) {
        if let Err(error) = self.socket.send(words) {
            tracing::warn!(%error, "systemd could not be told how this service is");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_both_words_at_a_path_and_at_an_abstract_name() {
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
            let mut hear = || {
                let length = systemd.recv(&mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..length]).into_owned()
            };
            assert_eq!((hear(), hear()), ("READY=1".into(), "WATCHDOG=1".into()));
        }
        assert!(Notifier::connect("/nonexistent/notify", None).is_err());
        assert_eq!(Notifier::connect(path.to_str().unwrap(), None).map_or(None, |n| n.watchdog), None);
    }
}
