//! One session: a single task that feeds the deciding part, carries out its actions in order,
//! and writes.
//!
//! What is written next is chosen whenever the writer is idle, most urgent first: the black
//! frame, then channel messages, then pixels. So a cover waits for at most the one block that is
//! already in flight, and the report that it is painted follows the flush of exactly its bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ironrdp_core::{decode, encode_vec};
use ironrdp_pdu::mcs::{DisconnectProviderUltimatum, DisconnectReason, McsMessage, SendDataRequest};
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::x224::X224;
use ironrdp_svc::{SvcMessage, server_encode_svc_messages};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::gate::{Block, Gate};
use super::handshake::Accepted;
use super::outbox::Outbox;
use super::processor::{self, Drdynvc, DvcEvent, MAX_MESSAGE_BYTES};
use crate::channel::{Action, LinkEvent, SessionDriver};
use crate::cover::fonts::Fonts;
use crate::desktop::Desktop;

const TICK: Duration = Duration::from_millis(50);
/// The black frame must be with the client's system this long after the decision.
const COVER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last messages may take when the deciding part ends the connection.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// A client that closes the channel is asked to open it again, at most so often.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
const MAX_REOPENS: u32 = 100;
/// Channel PDUs are grouped into blocks of about this size, so that a cover can pass between.
const MESSAGE_BLOCK_BYTES: usize = 8 * 1024;
/// More actions in one batch mean that the deciding part runs in a circle.
const MAX_SNAPSHOTS: usize = 16;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the client left.")]
    ClientLeft,
    #[error("the connection broke: {0}. The client ended without a word, or the network failed.")]
    Broken(#[from] io::Error),
    #[error(
        "the client stopped reading. Its screen may be out of date, so the connection was cut; reconnect."
    )]
    Stalled,
    #[error("the client sent a damaged {what}: {detail}. This is a fault of the client; update it.")]
    Malformed { what: &'static str, detail: String },
    #[error("{0}")]
    Advised(String),
    #[error("the host is stopping.")]
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
        link: accepted,
        driver,
        gate,
        desktop: Desktop::new(size.0, size.1, fonts),
        outbox: Outbox::default(),
        channel_id: None,
        snapshots: VecDeque::new(),
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
    link: Accepted,
    driver: Box<dyn SessionDriver>,
    gate: Gate,
    desktop: Desktop,
    outbox: Outbox,
    /// The dynamic channel while it is open.
    channel_id: Option<u32>,
    /// Pictures taken but not yet handed over; a cover is written first.
    snapshots: VecDeque<(u64, crate::channel::Picture)>,
    /// Set when the deciding part wants to end the connection.
    advice: Option<String>,
    started: Instant,
    /// When the cover that is not yet painted was decided.
    cover_since: Option<Instant>,
    reopen_at: Option<Instant>,
    reopens: u32,
}

impl Session {
    /// Queues the opening of the virtual channels. The black frame still goes out first.
    fn start(&mut self) -> Result<(), Ended> {
        let mut opening = Vec::new();
        for (_, channel, id) in self.link.channels.iter_mut() {
            if let Some(id) = id {
                let messages = channel.start().map_err(|error| Ended::Internal(error.to_string()))?;
                opening.push((messages, id));
            }
        }
        opening.into_iter().try_for_each(|(messages, id)| self.queue(messages, id))
    }

    async fn serve(&mut self, mut stop: watch::Receiver<bool>) -> Ended {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(ended) = self.choose_next() {
                return ended;
            }
            // Chosen at random among the ready ones, so that neither a client that floods nor a
            // busy desktop can starve the other.
            let done = tokio::select! {
                block = self.outbox.write(&mut self.link.writer) => match block {
                    Ok(block) => self.on_written(&block),
                    Err(error) => Err(Ended::Broken(error)),
                },
                pdu = self.link.reader.read_pdu() => match pdu {
                    Ok((ironrdp_pdu::Action::X224, bytes)) => self.on_pdu(&bytes),
                    // Keyboard and mouse; the synthetic desktop takes no input.
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

    /// Fills the writer when it is idle.
    fn choose_next(&mut self) -> Result<(), Ended> {
        if !self.outbox.is_idle() {
            return Ok(());
        }
        let block = match self.gate.next_black().or_else(|| self.outbox.next_message()) {
            Some(block) => Some(block),
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
        if painted == crate::channel::Painted::Covered && !self.gate.is_black_due() {
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
            self.reopen()?;
        }
        self.drive(|driver, actions| driver.on_tick(actions))
    }

    fn on_pdu(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let damaged = |detail| Ended::Malformed { what: "PDU", detail };
        match decode::<X224<McsMessage<'_>>>(bytes).map_err(|error| damaged(error.to_string()))?.0 {
            McsMessage::SendDataRequest(data) if data.channel_id == self.link.io_channel_id => {
                self.on_share_data(&data);
                Ok(())
            }
            McsMessage::SendDataRequest(data) => self.on_channel_data(&data),
            McsMessage::DisconnectProviderUltimatum(_) => Err(Ended::ClientLeft),
            _ => Ok(()),
        }
    }

    /// Of the many PDUs a client may send here, only the wish for a full picture matters.
    fn on_share_data(&mut self, data: &SendDataRequest<'_>) {
        if let Ok(header) = decode::<ShareControlHeader>(&data.user_data)
            && let ShareControlPdu::Data(header) = header.share_control_pdu
            && let ShareDataPdu::RefreshRectangle(_) = header.share_data_pdu
        {
            self.gate.refresh();
        }
    }

    fn on_channel_data(&mut self, data: &SendDataRequest<'_>) -> Result<(), Ended> {
        let damaged = |detail| Ended::Malformed { what: "channel message", detail };
        let Some(channel) = self.link.channels.get_by_channel_id_mut(data.channel_id) else { return Ok(()) };
        // The total length leads every chunk (MS-RDPBCGR 2.2.6.1.1); `ironrdp-svc` sets no limit.
        let announced = data.user_data.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        if announced > MAX_MESSAGE_BYTES {
            return Err(damaged(format!("{announced} bytes announced")));
        }
        let replies = channel.process(&data.user_data).map_err(|error| damaged(error.to_string()))?;
        self.queue(replies, data.channel_id)?;
        while let Ok(event) = self.link.events.try_recv() {
            self.on_channel_event(event)?;
        }
        Ok(())
    }

    fn on_channel_event(&mut self, event: DvcEvent) -> Result<(), Ended> {
        let event = match event {
            DvcEvent::Opened(id) => {
                self.channel_id = Some(id);
                LinkEvent::Opened
            }
            DvcEvent::Message(bytes) => LinkEvent::Bytes(bytes),
            DvcEvent::Closed(id) if self.channel_id == Some(id) => {
                self.channel_id = None;
                self.reopen_at = (self.reopens < MAX_REOPENS).then(|| Instant::now() + REOPEN_AFTER);
                LinkEvent::Closed
            }
            DvcEvent::Closed(_) => return Ok(()),
        };
        self.drive(|driver, actions| driver.on_link(event, actions))
    }

    fn reopen(&mut self) -> Result<(), Ended> {
        self.reopen_at = None;
        self.reopens += 1;
        let Some(id) = self.link.channels.get_channel_id_by_type::<Drdynvc>() else { return Ok(()) };
        let drdynvc = self.link.channels.get_by_channel_id_mut(id);
        let Some(drdynvc) = drdynvc.and_then(|channel| channel.channel_processor_downcast_mut::<Drdynvc>())
        else {
            return Ok(());
        };
        let request = drdynvc.reopen().map_err(|error| Ended::Internal(error.to_string()))?;
        self.queue(vec![request], id)
    }

    fn drive(&mut self, call: impl FnOnce(&mut dyn SessionDriver, &mut Vec<Action>)) -> Result<(), Ended> {
        let mut actions = Vec::new();
        call(self.driver.as_mut(), &mut actions);
        actions.into_iter().try_for_each(|action| self.carry_out(action))
    }

    fn carry_out(&mut self, action: Action) -> Result<(), Ended> {
        match action {
            Action::Send(message) => self.send(message)?,
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
                    "the session's deciding part asks for pictures without end. This is a fault of this program."
                        .to_owned(),
                ));
            }
            Action::Snapshot(ticket) => self.snapshots.push_back((ticket, self.desktop.picture())),
            Action::Disconnect { advice } => self.advice = Some(advice),
        }
        Ok(())
    }

    fn send(&mut self, message: Vec<u8>) -> Result<(), Ended> {
        let static_id = self.link.channels.get_channel_id_by_type::<Drdynvc>();
        let (Some(channel_id), Some(static_id)) = (self.channel_id, static_id) else {
            tracing::warn!(bytes = message.len(), "a message was dropped, because the channel is closed");
            return Ok(());
        };
        let parts =
            processor::encode(channel_id, message).map_err(|error| Ended::Internal(error.to_string()))?;
        self.queue(parts, static_id)
    }

    fn queue(&mut self, messages: Vec<SvcMessage>, static_id: u16) -> Result<(), Ended> {
        let mut block = Vec::new();
        let mut accepted = true;
        for message in messages {
            let bytes = server_encode_svc_messages(vec![message], static_id, self.link.user_channel_id)
                .map_err(|error| Ended::Internal(error.to_string()))?;
            block.extend_from_slice(&bytes);
            if block.len() >= MESSAGE_BLOCK_BYTES {
                accepted &= self.outbox.queue(std::mem::take(&mut block));
            }
        }
        if !block.is_empty() {
            accepted &= self.outbox.queue(block);
        }
        if accepted { Ok(()) } else { Err(Ended::Stalled) }
    }

    /// Hands pictures to the deciding part, after a cover that waits was put on its way.
    fn hand_over_snapshots(&mut self) -> Result<(), Ended> {
        if self.gate.is_black_due() {
            return Ok(());
        }
        // Only those taken so far: an answer may ask for the next.
        for (ticket, picture) in std::mem::take(&mut self.snapshots) {
            self.drive(|driver, actions| driver.on_snapshot(ticket, picture, actions))?;
        }
        Ok(())
    }

    /// Tells the deciding part that the channel is gone, and closes the connection.
    async fn finish(mut self, ended: Ended) -> Ended {
        self.gate.cover(crate::channel::CoverText::default());
        if self.channel_id.take().is_some() {
            // The reason to end is known; what the deciding part wants of a dead link is not.
            self.drive(|driver, actions| driver.on_link(LinkEvent::Closed, actions)).ok();
        }
        for (ticket, picture) in std::mem::take(&mut self.snapshots) {
            self.driver.on_snapshot(ticket, picture, &mut Vec::new());
        }
        let polite = matches!(ended, Ended::Advised(_) | Ended::Stopped | Ended::Malformed { .. });
        if !polite || timeout(FAREWELL_TIMEOUT, self.farewell()).await.is_err() {
            self.cut();
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
            self.outbox.write(&mut self.link.writer).await?;
        }
        let goodbye = DisconnectProviderUltimatum::from_reason(DisconnectReason::ProviderInitiated);
        let bytes =
            encode_vec(&X224(McsMessage::DisconnectProviderUltimatum(goodbye))).map_err(io::Error::other)?;
        self.link.writer.write_all(&bytes).await?;
        self.link.writer.shutdown().await
    }

    /// Ends the connection so that the system throws away what it has not sent: it may hold
    /// pixels of the desktop.
    fn cut(self) {
        let (reader, _) = self.link.reader.into_inner();
        let stream = reader.unsplit(self.link.writer);
        if let Err(error) = stream.get_ref().0.set_zero_linger() {
            tracing::debug!(%error, "the connection could not be cut hard");
        }
    }
}
