//! The socket at which figures are read: opened before the recorder gives up the right to open one.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use sudare_base::accounts;
use sudare_base::metrics::MetricsPlace;

/// Who may read at the Unix socket, beside root and the recorder.
const READERS: &str = "sudare-metrics";

/// A socket that listens.
#[derive(Debug)]
pub enum Bound {
    Unix(UnixListener),
    Loopback(TcpListener),
}

/// Opens the socket, if there is to be one.
pub fn bind(place: &MetricsPlace) -> io::Result<Option<Bound>> {
    match place {
        MetricsPlace::Off => Ok(None),
        MetricsPlace::Unix(path) => unix(path).map(|listener| Some(Bound::Unix(listener))),
        MetricsPlace::Loopback(at) => Ok(Some(Bound::Loopback(TcpListener::bind(at)?))),
    }
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The unit's umask closes it to all others until here.
    if let Some(group) = accounts::gid_of(READERS)
        && let Err(error) = chown(path, None, Some(group))
    {
        tracing::warn!(%error, group = READERS, "only root and the recorder can read its figures");
    }
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o660))?;
    Ok(listener)
}

impl Bound {
    pub(super) fn accept(&self) -> io::Result<Caller> {
        match self {
            Bound::Unix(listener) => listener.accept().map(|(stream, _)| Caller::Unix(stream)),
            Bound::Loopback(listener) => listener.accept().map(|(stream, _)| Caller::Loopback(stream)),
        }
    }
}

/// Whoever asks.
#[derive(Debug)]
pub(super) enum Caller {
    Unix(UnixStream),
    Loopback(TcpStream),
}

impl Caller {
    /// The longest wait for one piece, in either direction.
    pub(super) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        match self {
            Caller::Unix(stream) => {
                stream.set_read_timeout(Some(time)).and_then(|()| stream.set_write_timeout(Some(time)))
            }
            Caller::Loopback(stream) => {
                stream.set_read_timeout(Some(time)).and_then(|()| stream.set_write_timeout(Some(time)))
            }
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Caller::Unix(stream) => stream.read(buffer),
            Caller::Loopback(stream) => stream.read(buffer),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Caller::Unix(stream) => stream.write(bytes),
            Caller::Loopback(stream) => stream.write(bytes),
        }
    }
}
