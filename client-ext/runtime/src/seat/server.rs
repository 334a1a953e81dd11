//! The plugin's end of the seat socket: one thread that accepts, and two for each window.
//!
//! Nothing here holds up the driver: it only ever looks at the outboxes. A window that does not read for
//! `WRITE_MAX`, or asks more often than people press keys, is dropped.

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::inbox::Inbox;
use crate::platform::{self, SeatListener, SeatStream};
use crate::seat::message::{self, Asked, Told, VERSION};
use crate::seat::outbox::{Entered, Next, SharedHub};
use crate::seat::{ENDING, SeatError, client, picture};

/// A window that takes nothing for so long is dropped.
const WRITE_MAX: Duration = Duration::from_secs(5);
/// How often a thread looks whether it is still wanted.
const STEP: Duration = Duration::from_millis(500);
/// Lines that a window may send in one second.
const LINES_MAX: u32 = 20;

/// Ends its threads when it is dropped, and removes the socket.
pub(super) struct Server {
    hub: SharedHub,
    over: Arc<AtomicBool>,
    path: PathBuf,
}

impl Server {
    pub(super) fn start(folder: &Path, hub: SharedHub, inbox: Inbox) -> Result<Self, SeatError> {
        if !platform::private_folder(folder).map_err(|source| io(folder, source))? {
            return Err(SeatError::NotPrivate { path: folder.to_owned() });
        }
        remove_stale(folder);
        let path = folder.join(name());
        if SeatStream::connect(&path).is_err() {
            // Of a dead process that had our number.
            std::fs::remove_file(&path).ok();
        }
        let listener = SeatListener::bind(&path).map_err(|source| io(&path, source))?;
        let over = Arc::new(AtomicBool::new(false));
        let server = Server { hub: Arc::clone(&hub), over: Arc::clone(&over), path: path.clone() };
        spawn("seat", move || accept(&listener, &hub, &inbox, &over)).map_err(|source| io(&path, source))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.hub.close();
        // Wakes the thread that accepts. It may have ended already.
        SeatStream::connect(&self.path).ok();
        std::fs::remove_file(&self.path).ok();
    }
}

/// Unique in this folder: several connections of one process have one each.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}{ENDING}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what dead processes left: nobody listens, and the process is gone.
fn remove_stale(folder: &Path) {
    for seat in client::sockets(folder) {
        if !platform::is_alive(seat.pid) && SeatStream::connect(&seat.path).is_err() {
            // Another process may have removed it first.
            std::fs::remove_file(&seat.path).ok();
        }
    }
}

fn accept(listener: &SeatListener, hub: &SharedHub, inbox: &Inbox, over: &AtomicBool) {
    while !over.load(Ordering::Acquire) {
        let stream = match listener.accept() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a window could not be accepted");
                thread::sleep(STEP);
                continue;
            }
        };
        if over.load(Ordering::Acquire) {
            return;
        }
        if !stream.is_own_user() {
            tracing::warn!("a program of another user came to the seat's socket, and was refused");
            continue;
        }
        // Too many: whoever comes later is told by the end of its connection.
        let Some(entered) = hub.enter() else { continue };
        if let Err(error) = serve(stream, entered, inbox) {
            tracing::debug!(%error, "a window could not be served");
        }
    }
}

fn serve(stream: SeatStream, entered: Entered, inbox: &Inbox) -> std::io::Result<()> {
    stream.set_write_timeout(WRITE_MAX)?;
    let (reading, inbox) = (stream.try_clone()?, inbox.clone());
    let entered = Arc::new(entered);
    let for_reader = Arc::clone(&entered);
    spawn("seat-reader", move || {
        read(reading, &for_reader, &inbox);
        for_reader.outbox.close();
    })?;
    spawn("seat-writer", move || {
        write(&stream, &entered);
        // Ends the reader as well.
        stream.shutdown();
    })
}

fn read(stream: SeatStream, entered: &Entered, inbox: &Inbox) {
    let mut lines = BufReader::new(stream);
    let mut pace = Pace::default();
    while let Ok(Some(line)) = message::read_line(&mut lines, message::ASKED_MAX_BYTES) {
        if !pace.takes(clock::boottime_ms()) {
            tracing::warn!("a window asked too often, and was dropped");
            return;
        }
        match message::parse_asked(&line) {
            Ok(Asked::Hello { version }) if version == VERSION => {}
            Ok(Asked::Hello { .. }) | Err(_) => return,
            Ok(Asked::CoverNow) => inbox.ask_cover(true),
            Ok(Asked::EndCover) => inbox.ask_cover(false),
            Ok(Asked::Preview { on }) => entered.preview(on),
            Ok(Asked::Unknown) => {}
        }
    }
}

fn write(mut stream: &SeatStream, entered: &Entered) {
    let mut send = |told: &Told| match message::told_line(told) {
        Ok(line) => stream.write_all(&line).is_ok(),
        // A picture of noise; the next is smaller.
        Err(error) => {
            tracing::debug!(%error, "a line for a window was left out");
            true
        }
    };
    let mut goes_on = send(&Told::Hello { version: VERSION });
    while goes_on {
        goes_on = match entered.outbox.next(STEP) {
            Next::Told(told) => send(&told),
            Next::Picture(seen) => picture::seen(&seen).is_none_or(|seen| send(&Told::Picture(seen))),
            Next::Nothing => true,
            Next::Closed => false,
        };
    }
}

/// How often a window asks.
#[derive(Default)]
struct Pace {
    since_ms: u64,
    lines: u32,
}

impl Pace {
    fn takes(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.since_ms) >= 1_000 {
            (self.since_ms, self.lines) = (now_ms, 0);
        }
        self.lines += 1;
        self.lines <= LINES_MAX
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(body).map(|_| ())
}

fn io(path: &Path, source: std::io::Error) -> SeatError {
    SeatError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
