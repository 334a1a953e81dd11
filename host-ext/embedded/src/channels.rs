//! The virtual channels of a session, without its socket: PDUs of the client in; events and blocks of channel data out.

use std::sync::mpsc::Receiver;

use ironrdp_core::decode;
use ironrdp_pdu::mcs::{McsMessage, SendDataRequest};
use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
use ironrdp_pdu::x224::X224;
use ironrdp_svc::{StaticChannelSet, SvcMessage, server_encode_svc_messages};
use sudare_guard::transport::LinkEvent;

use crate::processor::{self, Drdynvc, DvcEvent, MAX_MESSAGE_BYTES};

/// Channel PDUs are grouped into blocks of about this size, so that a cover can be sent between them.
const BLOCK_BYTES: usize = 8 * 1024;

/// What one PDU of the client contained.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Replies of the channel protocol itself.
    pub(super) replies: Vec<Vec<u8>>,
    pub(super) events: Vec<LinkEvent>,
    /// The client asks for the whole picture again.
    pub(super) refresh: bool,
    pub(super) left: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("the client sent a malformed {what}: {detail}. This is a fault of the client: update it")]
    Malformed { what: &'static str, detail: String },
    #[error("a channel message could not be encoded: {0}. This is a bug in sudare-embedded: report it")]
    Encode(String),
}

/// The virtual channels of one session.
#[derive(Debug)]
pub(super) struct VirtualChannels {
    channels: StaticChannelSet,
    queue: Receiver<DvcEvent>,
    /// MCS id under which the host sends.
    user_channel_id: u16,
    /// MCS id of the channel for everything that is not a virtual channel.
    io_channel_id: u16,
    /// Id of the dynamic channel while it is open.
    open: Option<u32>,
}

impl VirtualChannels {
    pub(super) fn new(
        channels: StaticChannelSet,
        queue: Receiver<DvcEvent>,
        user_channel_id: u16,
        io_channel_id: u16,
    ) -> Self {
        Self { channels, queue, user_channel_id, io_channel_id, open: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The blocks that start the virtual channels.
    pub(super) fn start(&mut self) -> Result<Vec<Vec<u8>>, ChannelError> {
        let mut blocks = Vec::new();
        for (_, channel, id) in self.channels.iter_mut() {
            if let Some(id) = id {
                let messages = channel.start().map_err(|error| ChannelError::Encode(error.to_string()))?;
                blocks.extend(encode(messages, id, self.user_channel_id)?);
            }
        }
        Ok(blocks)
    }

    pub(super) fn receive(&mut self, pdu: &[u8]) -> Result<Incoming, ChannelError> {
        let mut incoming = Incoming::default();
        match decode::<X224<McsMessage<'_>>>(pdu).map_err(|error| malformed("PDU", &error))?.0 {
            McsMessage::SendDataRequest(data) if data.channel_id == self.io_channel_id => {
                incoming.refresh = asks_for_refresh(&data);
            }
            McsMessage::SendDataRequest(data) => {
                incoming.replies = self.feed(&data)?;
                while let Ok(event) = self.queue.try_recv() {
                    incoming.events.extend(self.follow(event));
                }
            }
            McsMessage::DisconnectProviderUltimatum(_) => incoming.left = true,
            _ => {}
        }
        Ok(incoming)
    }

    /// The blocks of one channel message; none while the channel is closed.
    pub(super) fn encode(&self, message: Vec<u8>) -> Result<Vec<Vec<u8>>, ChannelError> {
        let static_id = self.channels.get_channel_id_by_type::<Drdynvc>();
        let (Some(open), Some(static_id)) = (self.open, static_id) else {
            tracing::warn!(bytes = message.len(), "a message was dropped because the channel is closed");
            return Ok(Vec::new());
        };
        let parts =
            processor::encode(open, message).map_err(|error| ChannelError::Encode(error.to_string()))?;
        encode(parts, static_id, self.user_channel_id)
    }

    /// The blocks that ask the client to open the channel again.
    pub(super) fn reopen(&mut self) -> Result<Vec<Vec<u8>>, ChannelError> {
        let Some(id) = self.channels.get_channel_id_by_type::<Drdynvc>() else { return Ok(Vec::new()) };
        let channel = self.channels.get_by_channel_id_mut(id);
        let drdynvc = channel.and_then(|channel| channel.channel_processor_downcast_mut::<Drdynvc>());
        let Some(drdynvc) = drdynvc else { return Ok(Vec::new()) };
        let request = drdynvc.reopen().map_err(|error| ChannelError::Encode(error.to_string()))?;
        encode(vec![request], id, self.user_channel_id)
    }

    fn feed(&mut self, data: &SendDataRequest<'_>) -> Result<Vec<Vec<u8>>, ChannelError> {
        let Some(channel) = self.channels.get_by_channel_id_mut(data.channel_id) else {
            return Ok(Vec::new());
        };
        // Every chunk starts with the total length (MS-RDPBCGR 2.2.6.1.1), which `ironrdp-svc` does not limit.
        let announced = data.user_data.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
        if announced > MAX_MESSAGE_BYTES {
            return Err(malformed("channel message", &format!("{announced} bytes announced")));
        }
        let replies =
            channel.process(&data.user_data).map_err(|error| malformed("channel message", &error))?;
        encode(replies, data.channel_id, self.user_channel_id)
    }

    fn follow(&mut self, event: DvcEvent) -> Option<LinkEvent> {
        match event {
            DvcEvent::Opened(id) => {
                self.open = Some(id);
                Some(LinkEvent::Opened)
            }
            DvcEvent::Message(bytes) => Some(LinkEvent::Bytes(bytes)),
            DvcEvent::Closed(id) if self.open == Some(id) => {
                self.open = None;
                Some(LinkEvent::Closed)
            }
            DvcEvent::Closed(_) => None,
        }
    }
}

fn malformed(what: &'static str, detail: &dyn ToString) -> ChannelError {
    ChannelError::Malformed { what, detail: detail.to_string() }
}

/// Of all the PDUs that a client may send here, only a request for a full picture matters.
fn asks_for_refresh(data: &SendDataRequest<'_>) -> bool {
    decode::<ShareControlHeader>(&data.user_data).is_ok_and(|header| match header.share_control_pdu {
        ShareControlPdu::Data(header) => matches!(header.share_data_pdu, ShareDataPdu::RefreshRectangle(_)),
        _ => false,
    })
}

fn encode(
    messages: Vec<SvcMessage>,
    static_id: u16,
    user_channel_id: u16,
) -> Result<Vec<Vec<u8>>, ChannelError> {
    let mut blocks = vec![Vec::new()];
    for message in messages {
        let bytes = server_encode_svc_messages(vec![message], static_id, user_channel_id)
            .map_err(|error| ChannelError::Encode(error.to_string()))?;
        match blocks.last_mut() {
            Some(block) if block.len() < BLOCK_BYTES => block.extend_from_slice(&bytes),
            _ => blocks.push(bytes),
        }
    }
    blocks.retain(|block| !block.is_empty());
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;
    use std::borrow::Cow;

    use ironrdp_core::encode_vec;
    use ironrdp_dvc::pdu::{
        CapabilitiesResponsePdu, CapsVersion, ClosePdu, CreateResponsePdu, CreationStatus, DataPdu,
        DrdynvcClientPdu, DrdynvcDataPdu,
    };

    use super::*;

    const CHANNEL: u16 = 1004;

    fn channels() -> VirtualChannels {
        let (drdynvc, queue) = processor::make();
        let mut channels = StaticChannelSet::new();
        channels.insert(drdynvc);
        channels.attach_channel_id(TypeId::of::<Drdynvc>(), CHANNEL);
        VirtualChannels::new(channels, queue, 1002, 1003)
    }

    /// One unfragmented PDU of the client, whose header announces this length.
    fn pdu(announced: u32, payload: &[u8]) -> Vec<u8> {
        let mut user_data = announced.to_le_bytes().to_vec();
        user_data.extend([3, 0, 0, 0]);
        user_data.extend(payload);
        let data =
            SendDataRequest { initiator_id: 1002, channel_id: CHANNEL, user_data: Cow::Owned(user_data) };
        encode_vec(&X224(McsMessage::SendDataRequest(data))).unwrap()
    }

    fn feed(channels: &mut VirtualChannels, message: &DrdynvcClientPdu) -> Incoming {
        let payload = encode_vec(message).unwrap();
        channels.receive(&pdu(u32::try_from(payload.len()).unwrap(), &payload)).unwrap()
    }

    fn opened() -> VirtualChannels {
        let mut channels = channels();
        channels.start().unwrap();
        let caps = CapabilitiesResponsePdu::new(CapsVersion::V2);
        feed(&mut channels, &DrdynvcClientPdu::Capabilities(caps));
        let created = CreateResponsePdu::new(0, CreationStatus::OK);
        let incoming = feed(&mut channels, &DrdynvcClientPdu::Create(created));
        assert!(matches!(incoming.events[..], [LinkEvent::Opened]));
        channels
    }

    #[test]
    fn opens_carries_closes_and_opens_again() {
        let mut channels = opened();
        let data = DataPdu::new(0, b"hello".to_vec());
        let incoming = feed(&mut channels, &DrdynvcClientPdu::Data(DrdynvcDataPdu::Data(data)));
        assert!(matches!(&incoming.events[..], [LinkEvent::Bytes(bytes)] if bytes == b"hello"));
        // 100 kB leave in blocks between which a cover can pass.
        let blocks = channels.encode(vec![1; 100_000]).unwrap();
        assert!(blocks.len() > 8 && blocks.iter().all(|block| block.len() < BLOCK_BYTES + 2048));

        let incoming = feed(&mut channels, &DrdynvcClientPdu::Close(ClosePdu::new(0)));
        assert!(matches!(incoming.events[..], [LinkEvent::Closed]));
        assert!(!channels.is_open() && channels.encode(vec![1]).unwrap().is_empty());
        assert_eq!(channels.reopen().unwrap().len(), 1);
        let created = CreateResponsePdu::new(1, CreationStatus::OK);
        let incoming = feed(&mut channels, &DrdynvcClientPdu::Create(created));
        assert!(matches!(incoming.events[..], [LinkEvent::Opened]));
    }

    #[test]
    fn a_client_without_the_extension_is_no_error() {
        let mut channels = channels();
        feed(&mut channels, &DrdynvcClientPdu::Capabilities(CapabilitiesResponsePdu::new(CapsVersion::V2)));
        let refused = CreateResponsePdu::new(0, CreationStatus::NO_LISTENER);
        let incoming = feed(&mut channels, &DrdynvcClientPdu::Create(refused));
        assert!(incoming.events.is_empty() && !channels.is_open());
    }

    #[test]
    fn damaged_and_oversized_data_are_errors_that_name_the_client() {
        for bytes in [pdu(2, &[0xFF, 0xFF]), pdu(MAX_MESSAGE_BYTES + 1, &[0; 8]), vec![3, 0, 0, 7, 0, 0, 0]] {
            let error = opened().receive(&bytes).unwrap_err();
            assert!(error.to_string().contains("fault of the client"), "{error}");
        }
    }
}
