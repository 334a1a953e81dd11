//! Why events did not reach their receiver, whatever form and way they go.

use std::io;
use std::path::PathBuf;

use crate::tls::TlsError;

/// Why a batch was not accepted. It is sent again.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No connection.
    #[error(
        "{address} cannot be reached: {source}. Check the receiver, the network and the certificate's authority."
    )]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// TLS as such.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke.
    #[error("The connection to {address} broke: {source}. The events are sent again.")]
    Broken {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The receiver did not close in order.
    #[error(
        "{address} did not close the connection in order after everything was sent ({source}), so that it is not \
         known whether it read the events. They are sent again. Look at the receiver's own log."
    )]
    Unconfirmed {
        /// Host and port.
        address: String,
        /// What came instead.
        source: io::Error,
    },
    /// The collector said no.
    #[error("The event collector answered {status}: {text}. {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// What to do.
        advice: &'static str,
    },
    /// Not HTTP, or cut short.
    #[error("The event collector's answer is not HTTP. Check the address in --to.")]
    NotHttp,
    /// The file.
    #[error(
        "{path} cannot be written: {source}. Make room, or give the file to the user this program runs as."
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
