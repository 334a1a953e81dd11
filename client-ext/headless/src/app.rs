//! Runs the bundled client: our own RDP connection, and the driver.
//!
//! ```text
//!  rdp thread ─ RdpEvent ─► forwarding thread ─┬─► driver (channel)
//!                                              └─► AppEvent (screen, end)
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sudare_client_runtime::Event;
use sudare_client_runtime::driver::Driver;
use sudare_client_runtime::inbox::{ChannelHandle, Inbox, NotSent, Transport};
use sudare_protocol::message::Digest;
use tokio::sync::mpsc;

use crate::ironrdp::RdpHandle;
use crate::rdp::RdpEvent;
use crate::screen::ScreenState;

/// Receives each event, and whether a window of the client's own must be covered.
pub type Tell<'a> = &'a mut (dyn FnMut(AppEvent, bool) + Send);

/// What happened, for people and programs.
#[derive(Debug)]
pub enum AppEvent {
    Driver(Event),
    Screen(ScreenState),
    Ended { error: Option<String> },
}

/// Runs until the connection ends or the driver is stopped, which ends the connection.
pub fn run(rdp: &Arc<RdpHandle>, events: mpsc::Receiver<RdpEvent>, driver: Driver, tell: Tell<'_>) {
    let inbox = driver.inbox();
    let (tell, covers_own) = (Mutex::new(tell), AtomicBool::new(true));
    // If the receiver panics, so does this thread; the lock protects nothing that could be left half done.
    let say = |event| {
        tell.lock().unwrap_or_else(PoisonError::into_inner)(event, covers_own.load(Ordering::Acquire));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| forward(events, rdp, &inbox, &say));
        driver.run(&mut |event, covers| {
            covers_own.store(covers, Ordering::Release);
            say(AppEvent::Driver(event));
        });
        rdp.disconnect();
    });
}

fn forward(
    mut events: mpsc::Receiver<RdpEvent>,
    rdp: &Arc<RdpHandle>,
    inbox: &Inbox,
    say: &(dyn Fn(AppEvent) + Sync),
) {
    let mut handle: Option<ChannelHandle> = None;
    while let Some(event) = events.blocking_recv() {
        match event {
            RdpEvent::ChannelOpened => handle = open(rdp, inbox),
            RdpEvent::ChannelBytes(bytes) => {
                // Fails once the driver has ended.
                handle = handle.filter(|handle| handle.bytes_waiting(bytes).is_ok());
            }
            RdpEvent::ChannelClosed => handle = None,
            RdpEvent::Screen(screen) => say(AppEvent::Screen(screen)),
            RdpEvent::Ended { error } => {
                say(AppEvent::Ended { error });
                break;
            }
        }
    }
    drop(handle);
    inbox.stop();
}

fn open(rdp: &Arc<RdpHandle>, inbox: &Inbox) -> Option<ChannelHandle> {
    match inbox.opened(Box::new(RdpChannel(Arc::clone(rdp)))) {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}

struct RdpChannel(Arc<RdpHandle>);

impl Transport for RdpChannel {
    fn send(&self, bytes: Vec<u8>) -> Result<(), NotSent> {
        self.0.send(bytes).map_err(|error| NotSent(error.to_string()))
    }

    fn tls_cert_sha256(&self) -> Option<Digest> {
        Some(self.0.tls_cert_sha256)
    }

    fn tls_exporter(&self) -> Option<Digest> {
        Some(self.0.tls_exporter)
    }

    /// This connection has one channel, and closing it would tell the user no more than the host's cover does. Later
    /// messages on it are ignored.
    fn close(&self) {}
}
