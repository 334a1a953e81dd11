//! One session: a single task that passes events to the driver, carries out its actions in order, and writes.
//!
//! Whenever the writer is idle, the most urgent data is written next: the black frame, then channel messages, then
//! pixels. So a cover waits for at most the one block that is already in flight, and is reported as painted after
//! exactly its bytes were flushed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ironrdp_core::encode_vec;
use ironrdp_pdu::mcs::{DisconnectProviderUltimatum, DisconnectReason, McsMessage};
use ironrdp_pdu::x224::X224;
use sudare_base::clock;
use sudare_guard::cover::fonts::Fonts;
use sudare_guard::screen::{CoverText, Screenshot};
use sudare_guard::transport::{
    Action, Cover, CoverEvent, LinkEvent, SessionDriver, SessionEvent, Transport, carry_out,
};
use sudare_protocol::message::Shown;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::channels::ChannelError;
use crate::desktop::Desktop;
use crate::gate::{Block, Gate};
use crate::handshake::Accepted;
use crate::outbox::Outbox;

const TICK: Duration = Duration::from_millis(50);
/// When the driver was not asked for this long, it is asked again before another pixel of the desktop is sent.
const ASK_AGAIN_MS: u64 = 250;
/// The black frame must have reached the client's system this long after the decision.
const COVER_TIMEOUT_MS: u64 = 5_000;
/// How long the last messages may take when the driver ends the connection.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// A client that closes the channel is asked to open it again, up to `MAX_REOPENS` times.
const REOPEN_AFTER_MS: u64 = 1_000;
const MAX_REOPENS: u32 = 100;
/// More screenshots than this that wait mean that the driver requests them in a loop.
const MAX_SCREENSHOTS: usize = 16;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client disconnected")]
    ClientLeft,
    #[error("the connection failed: {0}. The client ended without disconnecting, or the network failed")]
    Broken(#[from] io::Error),
    #[error(
        "the client stopped reading, and was disconnected because its screen may be out of date. Connect again"
    )]
    Stalled,
    #[error(transparent)]
    Channels(#[from] ChannelError),
    #[error("{0}")]
    Advised(String),
    #[error("the host is stopping")]
    Stopped,
    #[error("{0}")]
    Internal(String),
}

/// Runs a session to its end.
pub(super) async fn run(
    accepted: Accepted,
    driver: Box<dyn SessionDriver>,
    size: (u16, u16),
    fonts: Arc<Fonts>,
    stop: watch::Receiver<bool>,
) -> Ended {
    let gate = match Gate::new(size.0, size.1, Arc::clone(&fonts)) {
        Ok(gate) => gate,
        Err(error) => return Ended::Internal(error.to_string()),
    };
    let started_ms = clock::monotonic_ms();
    let mut session = Session {
        connection: Connection { accepted, outbox: Outbox::default(), advice: None, failed: None },
        screen: Screen {
            gate,
            desktop: Desktop::new(size.0, size.1, fonts),
            screenshots: VecDeque::new(),
            cover_since_ms: Some(clock::boot_ms()),
        },
        driver,
        asked_ms: 0,
        started_ms,
        reopen_at_ms: None,
        reopens: 0,
    };
    let ended = match session.start() {
        Ok(()) => session.serve(stop).await,
        Err(ended) => ended,
    };
    session.finish(ended).await
}

struct Session {
    connection: Connection,
    screen: Screen,
    driver: Box<dyn SessionDriver>,
    /// When the driver was last asked anything, CLOCK_BOOTTIME.
    asked_ms: u64,
    started_ms: u64,
    reopen_at_ms: Option<u64>,
    reopens: u32,
}

/// The transport: the client's connection and what waits to be written to it.
struct Connection {
    accepted: Accepted,
    outbox: Outbox,
    /// Set when the driver wants to end the connection.
    advice: Option<String>,
    /// Why the connection cannot go on, found while an action was carried out.
    failed: Option<Ended>,
}

impl Connection {
    fn queue(&mut self, blocks: Vec<Vec<u8>>) -> Result<(), Ended> {
        let accepted = blocks.into_iter().all(|block| self.outbox.queue(block));
        if accepted { Ok(()) } else { Err(Ended::Stalled) }
    }
}

impl Transport for Connection {
    fn send(&mut self, message: Vec<u8>) {
        let encoded = self.accepted.channels.encode(message).map_err(Ended::from);
        if let Err(ended) = encoded.and_then(|blocks| self.queue(blocks)) {
            self.failed.get_or_insert(ended);
        }
    }

    fn disconnect(&mut self, advice: String) {
        self.advice = Some(advice);
    }
}

/// The cover: the gate that black frames and pixels of the desktop go through.
struct Screen {
    gate: Gate,
    desktop: Desktop,
    /// Taken but not yet handed over; a cover is written first.
    screenshots: VecDeque<(u64, Screenshot)>,
    /// When the cover that is not yet painted was decided.
    cover_since_ms: Option<u64>,
}

impl Cover for Screen {
    fn cover(&mut self, text: CoverText, screenshot: Option<u64>, now_ms: u64) {
        if let Some(ticket) = screenshot {
            self.screenshot(ticket);
        }
        self.gate.cover(text);
        if self.gate.is_black_due() {
            self.cover_since_ms.get_or_insert(now_ms);
        }
    }

    fn light(&mut self, rgb: Option<[u8; 3]>) {
        self.gate.light(rgb);
    }

    fn uncover(&mut self) {
        self.gate.uncover();
        self.cover_since_ms = None;
    }

    fn screenshot(&mut self, ticket: u64) {
        self.screenshots.push_back((ticket, self.desktop.picture()));
    }
}

impl Session {
    /// Queues the opening of the virtual channels. The black frame still goes out first.
    fn start(&mut self) -> Result<(), Ended> {
        let blocks = self.connection.accepted.channels.start()?;
        self.connection.queue(blocks)
    }

    async fn serve(&mut self, mut stop: watch::Receiver<bool>) -> Ended {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(ended) = self.choose_next() {
                return ended;
            }
            // `select!` picks a ready branch at random, so that neither a flooding client nor a busy desktop can
            // starve the other.
            let done = tokio::select! {
                block = self.connection.outbox.write(&mut self.connection.accepted.writer) => match block {
                    Ok(block) => self.on_written(&block),
                    Err(error) => Err(Ended::Broken(error)),
                },
                pdu = self.connection.accepted.reader.read_pdu() => match pdu {
                    Ok((ironrdp_pdu::Action::X224, bytes)) => self.on_pdu(&bytes),
                    // Keyboard and mouse, which the synthetic desktop ignores.
                    Ok((ironrdp_pdu::Action::FastPath, _)) => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Ended::ClientLeft),
                    Err(error) => Err(Ended::Broken(error)),
                },
                _ = ticks.tick() => self.on_tick(),
                _ = stop.changed() => Err(Ended::Stopped),
            };
            if let Err(ended) = done.and_then(|()| self.hand_over_screenshots()) {
                return ended;
            }
            if let Some(advice) = self.connection.advice.take() {
                return Ended::Advised(advice);
            }
        }
    }

    /// Starts the next block when the writer is idle.
    fn choose_next(&mut self) -> Result<(), Ended> {
        if !self.connection.outbox.is_idle() {
            return Ok(());
        }
        let block = match self.screen.gate.next_black().or_else(|| self.connection.outbox.next_message()) {
            Some(block) => Some(block),
            None if self.asked_ms + ASK_AGAIN_MS < clock::boot_ms() => {
                // This machine slept or stood still. Whether pixels may still flow is asked before
                // the first of them, not with the next tick.
                self.drive(SessionEvent::Tick)?;
                return self.choose_next();
            }
            None => {
                let next = self.screen.gate.next(&self.screen.desktop.picture());
                next.map_err(|error| Ended::Internal(error.to_string()))?
            }
        };
        if let Some(block) = block {
            self.connection.outbox.start(block, clock::monotonic_ms());
        }
        Ok(())
    }

    fn on_written(&mut self, block: &Block) -> Result<(), Ended> {
        let Some(shown) = block.then else { return Ok(()) };
        if shown == Shown::Covered && !self.screen.gate.is_black_due() {
            self.screen.cover_since_ms = None;
        }
        self.drive(SessionEvent::Cover(CoverEvent::Painted(shown)))
    }

    fn on_tick(&mut self) -> Result<(), Ended> {
        let (boot_ms, now_ms) = (clock::boot_ms(), clock::monotonic_ms());
        let covering_ms = self.screen.cover_since_ms.map_or(0, |since_ms| boot_ms.saturating_sub(since_ms));
        if covering_ms > COVER_TIMEOUT_MS || self.connection.outbox.is_stalled(now_ms) {
            return Err(Ended::Stalled);
        }
        let running = Duration::from_millis(now_ms.saturating_sub(self.started_ms));
        let changed = self.screen.desktop.advance(running);
        self.screen.gate.damage(&changed);
        if self.reopen_at_ms.is_some_and(|at_ms| now_ms >= at_ms) {
            self.reopen_at_ms = None;
            self.reopens += 1;
            let blocks = self.connection.accepted.channels.reopen()?;
            self.connection.queue(blocks)?;
        }
        self.drive(SessionEvent::Tick)
    }

    fn on_pdu(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let incoming = self.connection.accepted.channels.receive(bytes)?;
        if incoming.left {
            return Err(Ended::ClientLeft);
        }
        if incoming.refresh {
            self.screen.gate.refresh();
        }
        self.connection.queue(incoming.replies)?;
        for event in incoming.events {
            if matches!(event, LinkEvent::Closed) && self.reopens < MAX_REOPENS {
                self.reopen_at_ms = Some(clock::monotonic_ms() + REOPEN_AFTER_MS);
            }
            self.drive(SessionEvent::Link(event))?;
        }
        Ok(())
    }

    fn drive(&mut self, event: SessionEvent) -> Result<(), Ended> {
        let now = clock::now();
        self.asked_ms = now.boot_ms;
        let actions = self.driver.handle(now, event);
        carry_out(actions, now.boot_ms, &mut self.connection, &mut self.screen);
        if self.screen.screenshots.len() > MAX_SCREENSHOTS {
            return Err(Ended::Internal(
                "the session's driver requests screenshots without end. This is a bug; please report it"
                    .to_owned(),
            ));
        }
        self.connection.failed.take().map_or(Ok(()), Err)
    }

    /// Hands screenshots to the driver, but never while a cover is on its way.
    fn hand_over_screenshots(&mut self) -> Result<(), Ended> {
        if self.screen.cover_since_ms.is_some() {
            return Ok(());
        }
        // Only those taken so far: an answer may ask for the next.
        for (ticket, screenshot) in std::mem::take(&mut self.screen.screenshots) {
            self.drive(SessionEvent::Cover(CoverEvent::Screenshot { ticket, screenshot }))?;
        }
        Ok(())
    }

    /// Closes the connection, black, and only then tells the driver.
    async fn finish(mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Channels(_)) && self.connection.accepted.channels.is_open() {
            // Why the connection ends is known already; what the driver wants of a dead link does not matter.
            self.drive(SessionEvent::Link(LinkEvent::Closed)).ok();
        }
        // Whatever the driver wanted: the last thing a client gets is black.
        self.screen.gate.cover(CoverText::default());
        let polite = matches!(ended, Ended::Advised(_) | Ended::Stopped | Ended::Channels(_));
        let done = polite && matches!(timeout(FAREWELL_TIMEOUT, self.farewell()).await, Ok(Ok(())));
        let Self { connection, screen, mut driver, .. } = self;
        close(connection.accepted, !done);

        let mut tell = |event| driver.handle(clock::now(), event);
        let taken = |ticket, screenshot| SessionEvent::Cover(CoverEvent::Screenshot { ticket, screenshot });
        let mut last = Vec::new();
        for (ticket, screenshot) in screen.screenshots {
            last.extend(tell(taken(ticket, screenshot)));
        }
        last.extend(tell(SessionEvent::Link(LinkEvent::Disconnected)));
        // Nothing can be sent or shown any more, but a screenshot can still be taken.
        for action in last {
            if let Action::Screenshot(ticket) = action {
                tell(taken(ticket, screen.desktop.picture()));
            }
        }
        ended
    }

    /// Writes the black frame and the messages that wait, then the end of the connection.
    async fn farewell(&mut self) -> io::Result<()> {
        loop {
            if self.connection.outbox.is_idle() {
                match self.screen.gate.next_black().or_else(|| self.connection.outbox.next_message()) {
                    Some(block) => self.connection.outbox.start(block, clock::monotonic_ms()),
                    None => break,
                }
            }
            self.connection.outbox.write(&mut self.connection.accepted.writer).await?;
        }
        let goodbye = DisconnectProviderUltimatum::from_reason(DisconnectReason::ProviderInitiated);
        let bytes =
            encode_vec(&X224(McsMessage::DisconnectProviderUltimatum(goodbye))).map_err(io::Error::other)?;
        self.connection.accepted.writer.write_all(&bytes).await?;
        self.connection.accepted.writer.shutdown().await
    }
}

/// Closes the socket. `hard` makes the system discard what it has not sent yet, because that may be pixels
/// of the desktop.
fn close(accepted: Accepted, hard: bool) {
    let (reader, _) = accepted.reader.into_inner();
    let stream = reader.unsplit(accepted.writer);
    if hard && let Err(error) = stream.get_ref().0.set_zero_linger() {
        tracing::debug!(%error, "the connection could not be reset");
    }
}
