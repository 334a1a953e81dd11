//! Delivers a batch, and knows when the receiver has accepted it.
//!
//! | receiver | a batch is accepted once |
//! |---|---|
//! | file | its lines are written and synced |
//! | syslog over TCP | the receiver has closed the connection cleanly, after we closed our sending direction |
//! | syslog over TLS | the same |
//! | event collector | it answered 200 with the code 0 |
//!
//! Syslog has no acknowledgement. Bytes that a socket took may be lost with the receiver or the network, so a connection
//! carries one batch and is closed from our side first: a receiver closes its side after it has read to the end, and one
//! that closes with events unread resets the connection. That proves that it has read everything, not that it has stored
//! it. RFC 5425 (section 4.4) requires the receiver to answer our `close_notify`, but rsyslog does not, so a bare close
//! counts, and an attacker on the network path can forge it. Where that matters, use an event collector.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::connection::Connection;
use crate::delivery::DeliveryError;
use crate::http::Collector;
use crate::syslog::{self, Framing};
use crate::target::Address;
use crate::tls::Tls;

/// Bytes that a syslog receiver may send before it closes; they are ignored.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// Where batches go.
#[derive(Debug)]
pub enum Receiver {
    /// Lines of a file.
    File(PathBuf),
    /// Frames of syslog.
    Syslog {
        /// Host and port.
        address: Address,
        /// `None` for plain TCP.
        tls: Option<Tls>,
        /// How it tells events apart.
        framing: Framing,
    },
    /// HTTP Event Collector.
    Collector(Collector),
}

impl Receiver {
    /// Returns once the batch is accepted.
    pub fn deliver(&self, events: &[String]) -> Result<(), DeliveryError> {
        match self {
            Self::File(path) => {
                append(path, events).map_err(|source| DeliveryError::File { path: path.clone(), source })
            }
            Self::Syslog { address, tls, framing } => {
                send_syslog(address, tls.as_ref(), &syslog::frames(events, *framing))
            }
            Self::Collector(collector) => collector.post(events),
        }
    }
}

/// Opens the file for each batch, so that it may be moved away in between (log rotation).
fn append(path: &Path, events: &[String]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut lines = events.join("\n").into_bytes();
    lines.push(b'\n');
    // Ends a line that a full disk or a kill cut short: only that line is unreadable then, and its event is sent again.
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            lines.insert(0, b'\n');
        }
    }
    file.write_all(&lines)?;
    file.sync_data()
}

fn send_syslog(address: &Address, tls: Option<&Tls>, frames: &[u8]) -> Result<(), DeliveryError> {
    let broken = |source| DeliveryError::Broken { address: address.to_string(), source };
    let mut connection = Connection::open(address, tls)?;
    connection.write_all(frames).map_err(broken)?;
    connection.finish_writing().map_err(broken)?;
    let unconfirmed = |source| DeliveryError::Unconfirmed { address: address.to_string(), source };
    match io::copy(&mut (&mut connection).take(ANSWER_MAX_BYTES), &mut io::sink()) {
        Ok(ANSWER_MAX_BYTES..) => return Err(unconfirmed(io::Error::other("it sends endlessly"))),
        Ok(_) => {}
        // rustls's name for a close without `close_notify`; a reset is another kind.
        Err(error) if tls.is_some() && error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(unconfirmed(error)),
    }
    connection.ended_in_order().map_err(unconfirmed)
}

#[cfg(test)]
mod tests;
