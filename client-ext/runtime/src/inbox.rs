//! How other threads reach the driver: one bounded queue, and flags that never get lost.
//!
//! ```text
//!  RDP client's threads ─ ChannelHandle ──┐  (never wait: a full queue closes the channel)
//!  camera thread ─ LookSender ────────────┼─► queue of QUEUE_MAX ─► driver
//!  sealing thread ────────────────────────┘  (may wait)
//! ```

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sudare_client_core::event::ChannelId;
use sudare_client_core::spool::HostKey;
use sudare_protocol::client::Evidence;
use sudare_protocol::message::Digest;
use sudare_protocol::screen::CHANNEL_WRITE_MAX_BYTES;

use crate::watcher::Look;

const WISH_NOTHING: u8 = 0;
const WISH_COVER: u8 = 1;
const WISH_END: u8 = 2;

/// Inputs that wait for the driver.
const QUEUE_MAX: usize = 256;
/// Bytes of one channel that wait for the driver.
const CHANNEL_MAX_BYTES: usize = 4 * CHANNEL_WRITE_MAX_BYTES;

/// One channel, as the RDP client offers it. A client transport implements this.
pub trait Transport: Send {
    /// Queues one message. Must not wait.
    ///
    /// # Errors
    /// The channel is closed, or the host does not read.
    fn send(&self, bytes: Vec<u8>) -> Result<(), NotSent>;

    /// SHA-256 of the certificate that the RDP connection showed, if the client tells.
    fn tls_cert_sha256(&self) -> Option<Digest>;

    /// The exporter of the TLS session of the pixels, if the client tells (HELLO's `tls_exporter`). Plugins cannot
    /// know it.
    fn tls_exporter(&self) -> Option<Digest> {
        None
    }

    /// Closes the channel; later messages are dropped.
    fn close(&self);
}

/// A message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message was not sent: {0}")]
pub struct NotSent(pub String);

/// Why input for the driver was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overflow {
    #[error(
        "more than {CHANNEL_MAX_BYTES} bytes of one channel are waiting. Look for a program on the host that floods it"
    )]
    Channel,
    #[error(
        "the driver's queue is full. This computer is overloaded, or a program on the host floods the channel"
    )]
    Queue,
    #[error("the driver has ended. Connect again")]
    Ended,
}

/// One input for the driver.
pub(crate) enum Input {
    Opened(ChannelId, Box<dyn Transport>, Arc<ChannelState>),
    Bytes(ChannelId, Waiting),
    /// A look from the watch with this number.
    Look(u64, Box<Look>),
    /// Why the watch with this number cannot look.
    Trouble(u64, String),
    /// The watch with this number sees that the template does not fit well any more.
    EnrolAgain(u64),
    Sealed(HostKey, Box<Evidence>),
    /// A flag was raised: check the flags.
    Flag,
}

/// The driver's end of the queue.
pub struct Inputs(pub(crate) Receiver<Input>);

impl std::fmt::Debug for Inputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inputs")
    }
}

/// How other threads reach the driver.
#[derive(Clone)]
pub struct Inbox {
    queue: SyncSender<Input>,
    stop: Arc<AtomicBool>,
    /// What the operator last asked for: one of the three numbers below.
    wish: Arc<AtomicU8>,
    unsaved: Arc<Counter>,
    next_id: Arc<AtomicU64>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Inbox {
    /// Both ends. Inputs wait until the driver runs.
    pub fn new() -> (Self, Inputs) {
        let (queue, inputs) = sync_channel(QUEUE_MAX);
        (
            Inbox {
                queue,
                stop: Arc::default(),
                wish: Arc::default(),
                unsaved: Arc::default(),
                next_id: Arc::default(),
            },
            Inputs(inputs),
        )
    }

    /// A channel was opened. Never waits.
    ///
    /// # Errors
    /// The driver is overloaded or has ended; close the channel.
    pub fn opened(&self, transport: Box<dyn Transport>) -> Result<ChannelHandle, Overflow> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ChannelState::default());
        self.try_put(Input::Opened(id, transport, Arc::clone(&state)))?;
        Ok(ChannelHandle { id, inbox: self.clone(), state })
    }

    /// Asks the driver to end. Never waits, and is never lost.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        // A full queue wakes the driver as well.
        self.try_put(Input::Flag).ok();
    }

    /// The operator asks for a cover, or ends the one they asked for. Never waits, and the last one is never lost.
    pub fn ask_cover(&self, on: bool) {
        self.wish.store(if on { WISH_COVER } else { WISH_END }, Ordering::Release);
        // A full queue wakes the driver as well.
        self.try_put(Input::Flag).ok();
    }

    /// What the operator asked for since the last call. For the driver.
    pub fn take_wish(&self) -> Option<bool> {
        match self.wish.swap(WISH_NOTHING, Ordering::AcqRel) {
            WISH_COVER => Some(true),
            WISH_END => Some(false),
            _ => None,
        }
    }

    /// As [`Inbox::stop`], when the process may exit next: waits until the pictures of incidents in progress are on disk, for
    /// at most this long. Returns at once if there are none.
    pub fn stop_and_save(&self, at_most: Duration) {
        self.stop();
        let count = self.unsaved.lock();
        let waited = self.unsaved.gone.wait_timeout_while(count, at_most, |count| *count > 0);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *count > 0 {
            tracing::warn!("the connection ended before the pictures of {} incidents were sealed", *count);
        }
    }

    /// Counts an incident whose pictures are in memory only, until this is dropped.
    pub(crate) fn unsaved(&self) -> Unsaved {
        *self.unsaved.lock() += 1;
        Unsaved(Arc::clone(&self.unsaved))
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Waits for room. Returns false if the driver has ended.
    pub(crate) fn put(&self, input: Input) -> bool {
        self.queue.send(input).is_ok()
    }

    fn try_put(&self, input: Input) -> Result<(), Overflow> {
        self.queue.try_send(input).map_err(|error| match error {
            TrySendError::Full(_) => Overflow::Queue,
            TrySendError::Disconnected(_) => Overflow::Ended,
        })
    }
}

/// How many incidents have pictures that are in memory only.
#[derive(Debug, Default)]
struct Counter {
    count: Mutex<usize>,
    gone: Condvar,
}

impl Counter {
    /// The number is valid after every statement, so a panicked holder does no harm.
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one while it lives.
#[derive(Debug)]
pub(crate) struct Unsaved(Arc<Counter>);

impl Drop for Unsaved {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.gone.notify_all();
    }
}

/// Hands one channel's bytes to the driver. Dropping it closes the channel.
#[derive(Debug)]
pub struct ChannelHandle {
    id: ChannelId,
    inbox: Inbox,
    state: Arc<ChannelState>,
}

/// What both ends of a channel see.
#[derive(Debug, Default)]
pub(crate) struct ChannelState {
    waiting_bytes: AtomicUsize,
    closed: AtomicBool,
}

impl ChannelState {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl ChannelHandle {
    /// Bytes came. Copies them and never waits.
    ///
    /// # Errors
    /// There is no room; the stream has a gap now, so close the channel.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Overflow> {
        let mut waiting = self.waiting(bytes.len()).ok_or(Overflow::Channel)?;
        waiting.bytes = bytes.to_vec();
        self.inbox.try_put(Input::Bytes(self.id, waiting))
    }

    /// The same for a thread that may wait for the driver.
    ///
    /// # Errors
    /// The driver has ended.
    pub fn bytes_waiting(&self, bytes: Vec<u8>) -> Result<(), Overflow> {
        let state = Arc::clone(&self.state);
        state.waiting_bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        let waiting = Waiting { counted: bytes.len(), bytes, state };
        if self.inbox.put(Input::Bytes(self.id, waiting)) { Ok(()) } else { Err(Overflow::Ended) }
    }

    /// The channel is gone. Never waits, and is never lost.
    pub fn closed(&self) {
        self.state.closed.store(true, Ordering::Release);
        self.inbox.try_put(Input::Flag).ok();
    }

    fn waiting(&self, more: usize) -> Option<Waiting> {
        let before = self.state.waiting_bytes.fetch_add(more, Ordering::AcqRel);
        // Dropped at once if there is no room, which subtracts the bytes again.
        let waiting = Waiting { bytes: Vec::new(), counted: more, state: Arc::clone(&self.state) };
        (before.saturating_add(more) <= CHANNEL_MAX_BYTES).then_some(waiting)
    }
}

impl Drop for ChannelHandle {
    fn drop(&mut self) {
        self.closed();
    }
}

/// Bytes of a channel, counted while they wait.
pub(crate) struct Waiting {
    pub(crate) bytes: Vec<u8>,
    counted: usize,
    state: Arc<ChannelState>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.state.waiting_bytes.fetch_sub(self.counted, Ordering::AcqRel);
    }
}

/// Hands the looks of one watch to the driver.
#[derive(Debug, Clone)]
pub struct LookSender {
    inbox: Inbox,
    watch: u64,
}

impl LookSender {
    pub(crate) fn new(inbox: Inbox, watch: u64) -> Self {
        LookSender { inbox, watch }
    }

    /// Waits while the driver is busy. Returns false if the watch is over.
    pub fn send(&self, look: Look) -> bool {
        self.inbox.put(Input::Look(self.watch, Box::new(look)))
    }

    /// Says that the operator should enrol again. Returns false if the watch is over.
    pub fn enrol_again(&self) -> bool {
        self.inbox.put(Input::EnrolAgain(self.watch))
    }

    /// Says why there will be no look. Returns false if the watch is over.
    pub fn trouble(&self, text: String) -> bool {
        self.inbox.put(Input::Trouble(self.watch, text))
    }
}
