//! Behind FreeRDP's entries: hands channels and their bytes to the driver's thread.
//!
//! Everything here runs on FreeRDP's threads and returns at once, with one exception: if somebody was just seen,
//! closing the window would lose the pictures, so `terminated` waits for them.

use std::time::Duration;

use sudare_client_runtime::inbox::{ChannelHandle, Inbox, NotSent, Overflow, Transport};
use sudare_client_runtime::plugin::connection;
use sudare_protocol::message::Digest;

use crate::sys::{Channel, ChannelEvents, Extension, Startup};

/// The program often exits right after the connection; sealing takes a fraction of a second, more on a busy machine.
const LAST_PICTURES: Duration = Duration::from_secs(15);

/// Starts the driver's thread and returns what FreeRDP talks to.
pub(crate) fn start(startup: Startup) -> Box<dyn Extension> {
    let tls_cert_sha256 = startup.acceptance.pinned();
    let inbox = connection::start(startup.arguments);
    Box::new(Connection { inbox, tls_cert_sha256 })
}

struct Connection {
    inbox: Inbox,
    tls_cert_sha256: Option<Digest>,
}

impl Extension for Connection {
    fn opened(&self, channel: Channel) -> Option<Box<dyn ChannelEvents>> {
        let transport = DvcTransport { channel: channel.clone(), tls_cert_sha256: self.tls_cert_sha256 };
        match self.inbox.opened(Box::new(transport)) {
            Ok(handle) => Some(Box::new(Receiving { handle: Some(handle), channel })),
            Err(Overflow::Ended) => {
                tracing::warn!(
                    "a channel was refused, because the extension could not start; the reason is above"
                );
                None
            }
            Err(error) => {
                tracing::warn!("a channel was refused: {error}");
                None
            }
        }
    }

    fn terminated(&self) {
        self.inbox.stop_and_save(LAST_PICTURES);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// Dropped when the channel is closed, and the handle with it.
struct Receiving {
    handle: Option<ChannelHandle>,
    channel: Channel,
}

impl ChannelEvents for Receiving {
    fn data(&mut self, bytes: &[u8]) {
        let Some(handle) = &self.handle else { return };
        if let Err(error) = handle.bytes(bytes) {
            tracing::warn!("a channel was given up: {error}");
            self.channel.close();
            self.handle = None;
        }
    }
}

struct DvcTransport {
    channel: Channel,
    tls_cert_sha256: Option<Digest>,
}

impl Transport for DvcTransport {
    fn send(&self, bytes: Vec<u8>) -> Result<(), NotSent> {
        if self.channel.send(&bytes) { Ok(()) } else { Err(NotSent("the channel is closed".to_owned())) }
    }

    fn tls_cert_sha256(&self) -> Option<Digest> {
        self.tls_cert_sha256
    }

    fn close(&self) {
        self.channel.close();
    }
}

impl Drop for DvcTransport {
    fn drop(&mut self) {
        // Nobody reads this channel any more.
        self.channel.close();
    }
}
