//! The running connection: decodes, reports, sends.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ironrdp_core::{decode, encode_vec};
use ironrdp_pdu::Action;
use ironrdp_pdu::mcs::{DisconnectProviderUltimatum, DisconnectReason, McsMessage};
use ironrdp_pdu::x224::X224;
use ironrdp_session::{ActiveStage, ActiveStageBuilder, ActiveStageOutput, GracefulDisconnectReason};
use ironrdp_tls::TlsStream;
use ironrdp_tokio::{FramedWrite as _, TokioFramed, split_tokio_framed};
use sudare_client_runtime::clock;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::handshake::Connected;
use super::processor::{self, DvcEvent};
use super::{Commands, Shared};
use crate::rdp::{MAX_MESSAGE_BYTES, RdpEvent};
use crate::screen::ScreenTracker;

/// While this many events wait for the consumer, nothing more is read from the host.
const MAX_WAITING_EVENTS: usize = 256;
/// A host that does not read for this long is considered gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const FAREWELL_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the connection ended, unless it ended normally.
type Ended = Option<String>;

/// Runs until the connection ends, and reports that as the last event.
pub(super) async fn run(
    connected: Connected,
    shared: Arc<Shared>,
    commands: Commands,
    events: mpsc::Sender<RdpEvent>,
) {
    let Connected { framed, result, events: channel_events, .. } = connected;
    let size = result.desktop_size;
    let (reader, writer) = split_tokio_framed(framed);
    let stage = ActiveStageBuilder {
        static_channels: result.static_channels,
        user_channel_id: result.user_channel_id,
        io_channel_id: result.io_channel_id,
        message_channel_id: result.message_channel_id,
        share_id: result.share_id,
        compression_type: result.compression_type,
        enable_server_pointer: result.enable_server_pointer,
        pointer_software_rendering: result.pointer_software_rendering,
    }
    .build();
    let mut session = Session {
        writer,
        stage,
        io_channel_id: result.io_channel_id,
        channel_events,
        channel_id: None,
        tracker: ScreenTracker::new(size.width, size.height),
        shared,
        waiting: VecDeque::new(),
    };
    let error = session.serve(reader, commands, &events).await;
    session.shared.open.store(false, Ordering::Relaxed);
    session.waiting.push_back(RdpEvent::Ended { error });
    for event in session.waiting {
        // Fails when the consumer is gone.
        if events.send(event).await.is_err() {
            break;
        }
    }
}

struct Session {
    writer: TokioFramed<WriteHalf<TlsStream<TcpStream>>>,
    stage: ActiveStage,
    io_channel_id: u16,
    channel_events: Receiver<DvcEvent>,
    /// The dynamic channel while it is open.
    channel_id: Option<u32>,
    tracker: ScreenTracker,
    shared: Arc<Shared>,
    /// Events that the consumer has not taken yet.
    waiting: VecDeque<RdpEvent>,
}

impl Session {
    async fn serve(
        &mut self,
        mut reader: TokioFramed<ReadHalf<TlsStream<TcpStream>>>,
        Commands { mut messages, mut stop }: Commands,
        events: &mpsc::Sender<RdpEvent>,
    ) -> Ended {
        loop {
            let done = tokio::select! {
                permit = events.reserve(), if !self.waiting.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.waiting.pop_front() {
                            permit.send(event);
                        }
                        Ok(())
                    }
                    Err(_) => return self.leave().await,
                },
                pdu = reader.read_pdu(), if self.waiting.len() < MAX_WAITING_EVENTS => match pdu {
                    Ok((action, bytes)) => self.on_pdu(action, &bytes).await,
                    Err(error) => Err(Some(lost(&error))),
                },
                Some(message) = messages.recv() => self.send(message).await,
                _ = stopped(&mut stop) => return self.leave().await,
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    async fn on_pdu(&mut self, action: Action, bytes: &[u8]) -> Result<(), Ended> {
        self.check_announced_length(action, bytes)?;
        let outputs = {
            let mut image = self.shared.image.lock().unwrap_or_else(PoisonError::into_inner);
            let outputs = self
                .stage
                .process(&mut image, action, bytes, None)
                .map_err(|error| Some(format!("the host sent data that cannot be decoded: {error}. Tell the VDI administrator; the host is at fault")))?;
            let decoded_at = clock::instant();
            for output in &outputs {
                if let ActiveStageOutput::GraphicsUpdate(area) = output {
                    self.tracker.update(image.data(), [area.left, area.top, area.right, area.bottom]);
                    let state = RdpEvent::Screen(self.tracker.state(decoded_at));
                    match self.waiting.back_mut() {
                        Some(last @ RdpEvent::Screen(_)) => *last = state,
                        _ => self.waiting.push_back(state),
                    }
                }
            }
            outputs
        };
        self.report_channel();
        for output in outputs {
            match output {
                ActiveStageOutput::ResponseFrame(frame) if !frame.is_empty() => self.write(&frame).await?,
                ActiveStageOutput::Terminate(reason) => return Err(ended_by(reason)),
                ActiveStageOutput::DeactivateAll => {
                    return Err(Some(
                        "the host changed the session's size, which this client does not support. Connect again"
                            .to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The total length leads every chunk of a static channel (MS-RDPBCGR 2.2.6.1.1);
    /// `ironrdp-svc` sets no limit.
    fn check_announced_length(&self, action: Action, bytes: &[u8]) -> Result<(), Ended> {
        if matches!(action, Action::X224)
            && let Ok(X224(McsMessage::SendDataIndication(data))) = decode::<X224<McsMessage<'_>>>(bytes)
            && data.channel_id != self.io_channel_id
            && let Some(length) = data.user_data.first_chunk()
            && usize::try_from(u32::from_le_bytes(*length)).map_or(true, |length| length > MAX_MESSAGE_BYTES)
        {
            return Err(Some(
                "the host announced a channel message over the limit. Tell the VDI administrator; the host is at fault"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn report_channel(&mut self) {
        while let Ok(event) = self.channel_events.try_recv() {
            self.waiting.push_back(match event {
                DvcEvent::Opened(id) => {
                    self.channel_id = Some(id);
                    RdpEvent::ChannelOpened
                }
                DvcEvent::Message(bytes) => RdpEvent::ChannelBytes(bytes),
                DvcEvent::Closed(id) if self.channel_id == Some(id) => {
                    self.channel_id = None;
                    RdpEvent::ChannelClosed
                }
                DvcEvent::Closed(_) => continue,
            });
            self.shared.open.store(self.channel_id.is_some(), Ordering::Relaxed);
        }
    }

    async fn send(&mut self, message: Vec<u8>) -> Result<(), Ended> {
        let Some(channel_id) = self.channel_id else {
            tracing::warn!(
                bytes = message.len(),
                "a message was dropped, because the host closed the channel"
            );
            return Ok(());
        };
        let frame = processor::encode(channel_id, message)
            .map_err(|error| Some(error.to_string()))
            .and_then(|parts| {
                self.stage.process_svc_processor_messages(parts).map_err(|error| Some(error.to_string()))
            })?;
        self.write(&frame).await
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), Ended> {
        match timeout(WRITE_TIMEOUT, self.writer.write_all(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Some(lost(&error))),
            Err(_) => {
                Err(Some("the host stopped reading. Connect again; it is overloaded or gone".to_owned()))
            }
        }
    }

    /// Disconnects politely.
    async fn leave(&mut self) -> Ended {
        let goodbye = DisconnectProviderUltimatum::from_reason(DisconnectReason::UserRequested);
        if let Ok(frame) = encode_vec(&X224(McsMessage::DisconnectProviderUltimatum(goodbye))) {
            let farewell = async {
                self.writer.write_all(&frame).await?;
                self.writer.get_inner_mut().0.shutdown().await
            };
            if !matches!(timeout(FAREWELL_TIMEOUT, farewell).await, Ok(Ok(()))) {
                tracing::debug!("the host did not read the goodbye");
            }
        }
        None
    }
}

/// Waits until the handle asks to stop, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle was dropped, which also ends the connection.
    stop.wait_for(|stop| *stop).await.ok();
}

fn ended_by(reason: GracefulDisconnectReason) -> Ended {
    match reason {
        GracefulDisconnectReason::UserInitiated | GracefulDisconnectReason::ServerInitiated => None,
        GracefulDisconnectReason::Other(reason) => Some(format!(
            "the host ended the session: {reason}. Tell the VDI administrator; the host's log says more"
        )),
    }
}

fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the host closed the connection without a reason. Connect again; it was stopped or the network failed"
                .to_owned()
        }
        _ => format!("the connection broke: {error}. Check this device's network and connect again"),
    }
}
