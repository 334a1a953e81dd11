//! The bundled headless RDP client on the ironrdp crates, in a thread of its own.

mod handshake;
mod processor;
mod session;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};

use ironrdp_graphics::image_processing::PixelFormat;
use ironrdp_session::image::DecodedImage;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::picture::ClientPicture;
use crate::rdp::{MAX_MESSAGE_BYTES, RdpError, RdpEvent, RdpOptions, SendError};

/// Messages that wait to be written.
const MAX_QUEUED_MESSAGES: usize = 64;

/// A connection. Dropping it disconnects.
pub struct RdpHandle {
    /// SHA-256 of the DER certificate that the host showed.
    pub tls_cert_sha256: [u8; 32],
    /// What only the two ends of this TLS session know (HELLO's `tls_exporter`).
    pub tls_exporter: [u8; 32],
    shared: Arc<Shared>,
    messages: mpsc::Sender<Vec<u8>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for RdpHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdpHandle").finish_non_exhaustive()
    }
}

/// State shared by the handle and the session's thread.
struct Shared {
    image: Mutex<DecodedImage>,
    /// Whether the channel is open.
    open: AtomicBool,
}

/// Requests of the handle to the session's thread.
struct Commands {
    messages: mpsc::Receiver<Vec<u8>>,
    stop: watch::Receiver<bool>,
}

/// Connects and waits until the session runs or has failed, at most `connect_timeout`.
///
/// Blocks; call it outside of async code. The last event on `events` is [`RdpEvent::Ended`].
///
/// # Errors
/// See [`RdpError`]; no event is sent then.
pub fn connect(options: RdpOptions, events: mpsc::Sender<RdpEvent>) -> Result<RdpHandle, RdpError> {
    let (messages, queued) = mpsc::channel(MAX_QUEUED_MESSAGES);
    let (stop, stopped) = watch::channel(false);
    let commands = Commands { messages: queued, stop: stopped };
    let (outcome_tx, outcome) = std_mpsc::sync_channel(1);
    let limit = options.connect_timeout;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(RdpError::System)?;
    let thread = thread::Builder::new()
        .name("rdp-client".to_owned())
        .spawn(move || runtime.block_on(serve(options, commands, events, outcome_tx)))
        .map_err(RdpError::System)?;
    match outcome.recv() {
        Ok(Ok((shared, tls))) => Ok(RdpHandle {
            tls_cert_sha256: tls.cert_sha256,
            tls_exporter: tls.exporter,
            shared,
            messages,
            stop,
            thread: Some(thread),
        }),
        Ok(Err(error)) => Err(error),
        // The thread died before it answered.
        Err(_) => Err(RdpError::TimedOut(limit.as_secs())),
    }
}

type Outcome = Result<(Arc<Shared>, handshake::TlsSession), RdpError>;

async fn serve(
    options: RdpOptions,
    commands: Commands,
    events: mpsc::Sender<RdpEvent>,
    outcome: std_mpsc::SyncSender<Outcome>,
) {
    let limit = options.connect_timeout;
    let connected = match timeout(limit, handshake::connect(&options)).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return answer(&outcome, Err(error)),
        Err(_) => return answer(&outcome, Err(RdpError::TimedOut(limit.as_secs()))),
    };
    drop(options);
    let size = connected.result.desktop_size;
    let image = DecodedImage::new(PixelFormat::RgbA32, size.width, size.height);
    let shared = Arc::new(Shared { image: Mutex::new(image), open: AtomicBool::new(false) });
    answer(&outcome, Ok((Arc::clone(&shared), connected.tls)));
    session::run(connected, shared, commands, events).await;
}

fn answer(outcome: &std_mpsc::SyncSender<Outcome>, result: Outcome) {
    if outcome.send(result).is_err() {
        tracing::debug!("the caller of connect is gone");
    }
}

impl RdpHandle {
    /// Queues one message for the channel. Never blocks.
    ///
    /// # Errors
    /// If the channel is not open, the queue is full, or the message is too large.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), SendError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(SendError::TooLarge);
        }
        if !self.shared.open.load(Ordering::Relaxed) {
            return Err(SendError::NotOpen);
        }
        self.messages.try_send(bytes).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => SendError::NotOpen,
        })
    }

    /// A copy of the remote desktop as decoded so far; `None` after the connection's thread
    /// ended.
    #[must_use]
    pub fn picture(&self) -> Option<ClientPicture> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return None;
        }
        let image = self.shared.image.lock().unwrap_or_else(PoisonError::into_inner);
        Some(ClientPicture { width: image.width(), height: image.height(), rgba: image.data().to_vec() })
    }

    /// Disconnects; [`RdpEvent::Ended`] follows.
    pub fn disconnect(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for RdpHandle {
    fn drop(&mut self) {
        // The thread ends within half a second. It is not joined, because it may be handing its last event to
        // this very thread.
        self.disconnect();
    }
}
