//! Why events did not reach their receiver, for every format and transport.

use std::io;
use std::path::PathBuf;

use crate::tls::TlsError;

/// Why a batch was not accepted. It is sent again.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No connection.
    #[error(
        "{address} cannot be reached: {source}. Check the receiver, the network and the certificate authority"
    )]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke.
    #[error("the connection to {address} broke: {source}. The events are sent again")]
    Broken {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The receiver did not close cleanly.
    #[error(
        "{address} did not close the connection cleanly after everything was sent ({source}), so it is unknown \
         whether it read the events. They are sent again. Check the receiver's own log"
    )]
    Unconfirmed {
        /// Host and port.
        address: String,
        /// What happened instead.
        source: io::Error,
    },
    /// The collector refused the batch.
    #[error("the event collector answered {status}: {text}. {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The beginning of its response.
        text: String,
        /// What to do.
        advice: &'static str,
    },
    /// Not HTTP, or truncated.
    #[error("the event collector's response is not HTTP. Check the address in --to")]
    NotHttp,
    /// The file cannot be written.
    #[error(
        "{path} cannot be written: {source}. Free space, or give the file to the user this program runs as"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
