//! One connection to a receiver, with a timeout for each step.
//!
//! Blocking sockets: there is one receiver and one batch in flight, and nothing else to do meanwhile.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use sudare_base::clock;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use crate::delivery::DeliveryError;
use crate::target::Address;
use crate::tls::Tls;

/// Longest wait for a connection, and for any single read or write on it.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, encrypted or not.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    /// Connects to the first address of the host that answers.
    pub(crate) fn open(address: &Address, tls: Option<&Tls>) -> Result<Self, DeliveryError> {
        let failed = |source| DeliveryError::Connect { address: address.to_string(), source };
        let found = (address.host.as_str(), address.port).to_socket_addrs().map_err(failed)?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut stream = None;
        for candidate in found.take(8) {
            match TcpStream::connect_timeout(&candidate, STEP_TIMEOUT) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(error) => last = error,
            }
        }
        let stream = stream.ok_or(last).map_err(failed)?;
        stream.set_read_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
        stream.set_write_timeout(Some(STEP_TIMEOUT)).map_err(failed)?;
        let Some(tls) = tls else { return Ok(Self::Plain(stream)) };
        let session = tls.connect(&address.host)?;
        let mut stream = StreamOwned::new(session, stream);
        // The handshake first, so that a refused certificate is reported as such, before anything was sent.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(failed)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Closes the sending direction, and leaves the other one open.
    pub(crate) fn finish_writing(&mut self) -> io::Result<()> {
        self.flush()?;
        match self {
            Self::Plain(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream) => {
                stream.conn.send_close_notify();
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock)?;
                }
                stream.sock.shutdown(Shutdown::Write)
            }
        }
    }

    /// After [`Self::finish_writing`] and reading to the end: waits until the peer's kernel has acknowledged all data and
    /// the close. A receiver that closed before it read everything looks like one that read to the end, until its reset
    /// arrives.
    pub(crate) fn ended_in_order(&self) -> io::Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        };
        let started = clock::monotonic();
        // Linux considers a socket connected until both closes are acknowledged or one side has reset it.
        while stream.peer_addr().is_ok() {
            if clock::monotonic().saturating_sub(started) > STEP_TIMEOUT {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "its system did not acknowledge everything in time",
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        stream.take_error()?.map_or(Ok(()), Err)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
