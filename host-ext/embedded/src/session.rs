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
use sudare_guard::transport::{Action, CoverText, LinkEvent, Painted, Picture, SessionDriver};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::channels::ChannelError;
use crate::desktop::Desktop;
use crate::gate::{Block, Gate};
use crate::handshake::Accepted;
use crate::outbox::Outbox;

const TICK: Duration = Duration::from_millis(50);
/// If the driver was not asked for this long, no pixel of the desktop is sent before it is asked again.
const ASK_AGAIN_MS: u64 = 250;
/// The client's system must have received the black frame this long after the decision.
const COVER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the last messages when the driver ends the connection.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// A client that closes the channel is asked to open it again after this time …
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// … and at most this often.
const MAX_REOPENS: u32 = 100;
/// More snapshots at a time mean that the driver is in an endless loop.
const MAX_SNAPSHOTS: usize = 16;

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
    let now = Instant::now();
    let mut session = Session {
        accepted,
        driver,
        gate,
        desktop: Desktop::new(size.0, size.1, fonts),
        outbox: Outbox::default(),
        snapshots: VecDeque::new(),
        asked_ms: 0,
        advice: None,
        started: now,
        cover_since: Some(now),
        reopen_at: None,
        reopens: 0,
    };
    let ended = match session.start() {
        Ok(()) => session.serve(stop).await,
        Err(ended) => ended,
    };
    session.finish(ended).await
}

struct Session {
    accepted: Accepted,
    driver: Box<dyn SessionDriver>,
    gate: Gate,
    desktop: Desktop,
    outbox: Outbox,
    /// Screenshots taken but not yet passed on; a cover is written first.
    snapshots: VecDeque<(u64, Picture)>,
    /// When the driver was last asked, on CLOCK_BOOTTIME.
    asked_ms: u64,
    /// Set when the driver ends the connection.
    advice: Option<String>,
    started: Instant,
    /// When a cover was decided that is not painted yet.
    cover_since: Option<Instant>,
    reopen_at: Option<Instant>,
    reopens: u32,
}

impl Session {
    /// Queues the opening of the virtual channels. The black frame still goes out first.
    fn start(&mut self) -> Result<(), Ended> {
        let blocks = self.accepted.channels.start()?;
        self.queue(blocks)
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
                block = self.outbox.write(&mut self.accepted.writer) => match block {
                    Ok(block) => self.on_written(&block),
                    Err(error) => Err(Ended::Broken(error)),
                },
                pdu = self.accepted.reader.read_pdu() => match pdu {
                    Ok((ironrdp_pdu::Action::X224, bytes)) => self.on_pdu(&bytes),
                    // Keyboard and mouse, which the synthetic desktop ignores.
                    Ok((ironrdp_pdu::Action::FastPath, _)) => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Ended::ClientLeft),
                    Err(error) => Err(Ended::Broken(error)),
                },
                _ = ticks.tick() => self.on_tick(),
                _ = stop.changed() => Err(Ended::Stopped),
            };
            if let Err(ended) = done.and_then(|()| self.hand_over_snapshots()) {
                return ended;
            }
            if let Some(advice) = self.advice.take() {
                return Ended::Advised(advice);
            }
        }
    }

    /// Starts the next block when the writer is idle.
    fn choose_next(&mut self) -> Result<(), Ended> {
        if !self.outbox.is_idle() {
            return Ok(());
        }
        let block = match self.gate.next_black().or_else(|| self.outbox.next_message()) {
            Some(block) => Some(block),
            None if self.asked_ms + ASK_AGAIN_MS < clock::boot_ms() => {
                // This machine was suspended or stalled. Ask whether pixels may still be sent before sending one,
                // rather than at the next tick.
                self.drive(|driver, actions| driver.on_tick(actions))?;
                return self.choose_next();
            }
            None => {
                self.gate.next(&self.desktop.picture()).map_err(|error| Ended::Internal(error.to_string()))?
            }
        };
        if let Some(block) = block {
            self.outbox.start(block, Instant::now());
        }
        Ok(())
    }

    fn on_written(&mut self, block: &Block) -> Result<(), Ended> {
        let Some(painted) = block.then else { return Ok(()) };
        if painted == Painted::Covered && !self.gate.is_black_due() {
            self.cover_since = None;
        }
        self.drive(|driver, actions| driver.on_painted(painted, actions))
    }

    fn on_tick(&mut self) -> Result<(), Ended> {
        let now = Instant::now();
        let late = self.cover_since.is_some_and(|since| now.duration_since(since) > COVER_TIMEOUT);
        if late || self.outbox.is_stalled(now) {
            return Err(Ended::Stalled);
        }
        let changed = self.desktop.advance(now.duration_since(self.started));
        self.gate.damage(&changed);
        if self.reopen_at.is_some_and(|at| now >= at) {
            self.reopen_at = None;
            self.reopens += 1;
            let blocks = self.accepted.channels.reopen()?;
            self.queue(blocks)?;
        }
        self.drive(|driver, actions| driver.on_tick(actions))
    }

    fn on_pdu(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let incoming = self.accepted.channels.receive(bytes)?;
        if incoming.left {
            return Err(Ended::ClientLeft);
        }
        if incoming.refresh {
            self.gate.refresh();
        }
        self.queue(incoming.replies)?;
        for event in incoming.events {
            if matches!(event, LinkEvent::Closed) && self.reopens < MAX_REOPENS {
                self.reopen_at = Some(Instant::now() + REOPEN_AFTER);
            }
            self.drive(|driver, actions| driver.on_link(event, actions))?;
        }
        Ok(())
    }

    fn drive(&mut self, call: impl FnOnce(&mut dyn SessionDriver, &mut Vec<Action>)) -> Result<(), Ended> {
        let mut actions = Vec::new();
        self.asked_ms = clock::boot_ms();
        call(self.driver.as_mut(), &mut actions);
        actions.into_iter().try_for_each(|action| self.carry_out(action))
    }

    fn carry_out(&mut self, action: Action) -> Result<(), Ended> {
        match action {
            Action::Send(message) => {
                let blocks = self.accepted.channels.encode(message)?;
                self.queue(blocks)?;
            }
            Action::Cover(text) => {
                self.gate.cover(text);
                if self.gate.is_black_due() {
                    self.cover_since.get_or_insert_with(Instant::now);
                }
            }
            Action::Uncover => {
                self.gate.uncover();
                self.cover_since = None;
            }
            Action::Snapshot(_) if self.snapshots.len() >= MAX_SNAPSHOTS => {
                return Err(Ended::Internal(
                    "the session's driver asks for screenshots endlessly. This is a bug in Sudare: report it"
                        .to_owned(),
                ));
            }
            Action::Snapshot(ticket) => self.snapshots.push_back((ticket, self.desktop.picture())),
            Action::Disconnect { advice } => self.advice = Some(advice),
        }
        Ok(())
    }

    fn queue(&mut self, blocks: Vec<Vec<u8>>) -> Result<(), Ended> {
        let accepted = blocks.into_iter().all(|block| self.outbox.queue(block));
        if accepted { Ok(()) } else { Err(Ended::Stalled) }
    }

    /// Passes screenshots to the driver, but never while a cover is waiting to be painted.
    fn hand_over_snapshots(&mut self) -> Result<(), Ended> {
        if self.cover_since.is_some() {
            return Ok(());
        }
        // Only those taken so far: the driver may ask for more in return.
        for (ticket, picture) in std::mem::take(&mut self.snapshots) {
            self.drive(|driver, actions| driver.on_snapshot(ticket, picture, actions))?;
        }
        Ok(())
    }

    /// Covers the screen, closes the connection, and only then tells the driver.
    async fn finish(mut self, ended: Ended) -> Ended {
        if matches!(ended, Ended::Channels(_)) && self.accepted.channels.is_open() {
            // The reason for the end is known already, so the driver's actions for a closed channel are ignored.
            self.drive(|driver, actions| driver.on_link(LinkEvent::Closed, actions)).ok();
        }
        // In any case, the last frame that a client receives is black.
        self.gate.cover(CoverText::default());
        let polite = matches!(ended, Ended::Advised(_) | Ended::Stopped | Ended::Channels(_));
        let done = polite && matches!(timeout(FAREWELL_TIMEOUT, self.farewell()).await, Ok(Ok(())));
        let Self { accepted, mut driver, desktop, snapshots, .. } = self;
        close(accepted, !done);

        let mut last = Vec::new();
        for (ticket, picture) in snapshots {
            driver.on_snapshot(ticket, picture, &mut last);
        }
        driver.on_link(LinkEvent::Disconnected, &mut last);
        // Nothing can be sent or shown any more, but a screenshot can still be taken.
        for action in last {
            if let Action::Snapshot(ticket) = action {
                driver.on_snapshot(ticket, desktop.picture(), &mut Vec::new());
            }
        }
        ended
    }

    /// Writes the black frame and the messages that wait, then the end of the connection.
    async fn farewell(&mut self) -> io::Result<()> {
        loop {
            if self.outbox.is_idle() {
                match self.gate.next_black().or_else(|| self.outbox.next_message()) {
                    Some(block) => self.outbox.start(block, Instant::now()),
                    None => break,
                }
            }
            self.outbox.write(&mut self.accepted.writer).await?;
        }
        let goodbye = DisconnectProviderUltimatum::from_reason(DisconnectReason::ProviderInitiated);
        let bytes =
            encode_vec(&X224(McsMessage::DisconnectProviderUltimatum(goodbye))).map_err(io::Error::other)?;
        self.accepted.writer.write_all(&bytes).await?;
        self.accepted.writer.shutdown().await
    }
}

/// Closes the socket. `hard` makes the system discard unsent data, which may include pixels of the desktop.
fn close(accepted: Accepted, hard: bool) {
    let (reader, _) = accepted.reader.into_inner();
    let stream = reader.unsplit(accepted.writer);
    if hard && let Err(error) = stream.get_ref().0.set_zero_linger() {
        tracing::debug!(%error, "the connection could not be reset");
    }
}
