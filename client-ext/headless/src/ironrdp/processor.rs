//! The client's end of the dynamic virtual channel `SUDARE` (MS-RDPEDYC).

use std::sync::mpsc::{Receiver, Sender, channel};

use ironrdp_core::{Decode as _, Encode, EncodeResult, ReadCursor, WriteCursor, ensure_size, impl_as_any};
use ironrdp_dvc::pdu::{DrdynvcDataPdu, DrdynvcServerPdu};
use ironrdp_dvc::{
    DrdynvcClient, DvcClientProcessor, DvcEncode, DvcMessage, DvcProcessor, encode_dvc_messages,
};
use ironrdp_pdu::gcc::ChannelName;
use ironrdp_pdu::{PduResult, decode_err, pdu_other_err};
use ironrdp_svc::{
    ChannelFlags, CompressionCondition, SvcClientProcessor, SvcMessage, SvcProcessor, SvcProcessorMessages,
};
use sudare_protocol::screen::CHANNEL_NAME;

use crate::rdp::MAX_MESSAGE_BYTES;

/// What the channel reports to the session; `u32` is the channel's number.
pub(super) enum DvcEvent {
    Opened(u32),
    Message(Vec<u8>),
    Closed(u32),
}

/// The static channel that carries our dynamic one, and the queue of its events, which the session drains after each
/// PDU. The host may close the channel and open it again.
pub(super) fn make() -> (Drdynvc, Receiver<DvcEvent>) {
    let (events, queue) = channel();
    let factory = move || Endpoint { events: events.clone() };
    (Drdynvc(DrdynvcClient::new().with_dynamic_channel_factory(CHANNEL_NAME, factory)), queue)
}

/// Splits one message into channel PDUs.
pub(super) fn encode(channel_id: u32, message: Vec<u8>) -> EncodeResult<SvcProcessorMessages<Drdynvc>> {
    encode_dvc_messages(channel_id, vec![Box::new(Message(message))], ChannelFlags::empty())
        .map(SvcProcessorMessages::new)
}

/// The static channel `drdynvc`, with a limit on the memory that a host can make the client allocate.
#[derive(Debug)]
pub(super) struct Drdynvc(DrdynvcClient);

impl_as_any!(Drdynvc);

impl SvcProcessor for Drdynvc {
    fn channel_name(&self) -> ChannelName {
        DrdynvcClient::NAME
    }

    fn compression_condition(&self) -> CompressionCondition {
        self.0.compression_condition()
    }

    fn start(&mut self) -> PduResult<Vec<SvcMessage>> {
        self.0.start()
    }

    fn process(&mut self, payload: &[u8]) -> PduResult<Vec<SvcMessage>> {
        let pdu =
            DrdynvcServerPdu::decode(&mut ReadCursor::new(payload)).map_err(|error| decode_err!(error))?;
        let announced = match &pdu {
            DrdynvcServerPdu::Data(DrdynvcDataPdu::DataFirst(first)) => first.length(),
            DrdynvcServerPdu::Data(DrdynvcDataPdu::DataFirstCompressed(first)) => first.length(),
            _ => 0,
        };
        if usize::try_from(announced).map_or(true, |length| length > MAX_MESSAGE_BYTES) {
            return Err(pdu_other_err!("the host announced a channel message over the limit"));
        }
        self.0.process(payload)
    }
}

impl SvcClientProcessor for Drdynvc {}

/// One opening of the channel; only passes events on.
struct Endpoint {
    events: Sender<DvcEvent>,
}

impl Endpoint {
    fn report(&self, event: DvcEvent) -> PduResult<Vec<DvcMessage>> {
        self.events.send(event).map_err(|_| pdu_other_err!("the session has ended"))?;
        Ok(Vec::new())
    }
}

impl_as_any!(Endpoint);

impl DvcProcessor for Endpoint {
    fn channel_name(&self) -> &str {
        CHANNEL_NAME
    }

    fn start(&mut self, channel_id: u32) -> PduResult<Vec<DvcMessage>> {
        self.report(DvcEvent::Opened(channel_id))
    }

    fn process(&mut self, _channel_id: u32, payload: &[u8]) -> PduResult<Vec<DvcMessage>> {
        self.report(DvcEvent::Message(payload.to_vec()))
    }

    fn close(&mut self, channel_id: u32) {
        // Also runs when the whole connection is dropped; then nobody listens.
        self.report(DvcEvent::Closed(channel_id)).ok();
    }
}

impl DvcClientProcessor for Endpoint {}

/// A message as opaque bytes; the protocol crate knows what they mean.
struct Message(Vec<u8>);

impl Encode for Message {
    fn encode(&self, dst: &mut WriteCursor<'_>) -> EncodeResult<()> {
        ensure_size!(in: dst, size: self.size());
        dst.write_slice(&self.0);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "SudareMessage"
    }

    fn size(&self) -> usize {
        self.0.len()
    }
}

impl DvcEncode for Message {}

#[cfg(test)]
mod tests {
    use ironrdp_core::encode_vec;
    use ironrdp_dvc::pdu::{CapabilitiesRequestPdu, CapsVersion, ClosePdu, CreateRequestPdu, DataFirstPdu};

    use super::*;

    fn feed(channel: &mut Drdynvc, pdu: &DrdynvcServerPdu) -> PduResult<Vec<SvcMessage>> {
        channel.process(&encode_vec(pdu).unwrap())
    }

    fn create(channel: &mut Drdynvc, id: u32) {
        let request = CreateRequestPdu::new(id, CHANNEL_NAME.to_owned());
        feed(channel, &DrdynvcServerPdu::Create(request)).unwrap();
    }

    fn connected() -> (Drdynvc, Receiver<DvcEvent>) {
        let (mut channel, queue) = make();
        let caps = CapabilitiesRequestPdu::new(CapsVersion::V2, None);
        feed(&mut channel, &DrdynvcServerPdu::Capabilities(caps)).unwrap();
        (channel, queue)
    }

    #[test]
    fn opens_again_after_the_host_closed_it() {
        let (mut channel, queue) = connected();
        create(&mut channel, 3);
        assert!(matches!(queue.try_recv(), Ok(DvcEvent::Opened(3))));
        feed(&mut channel, &DrdynvcServerPdu::Close(ClosePdu::new(3))).unwrap();
        assert!(matches!(queue.try_recv(), Ok(DvcEvent::Closed(3))));
        create(&mut channel, 4);
        assert!(matches!(queue.try_recv(), Ok(DvcEvent::Opened(4))));
    }

    #[test]
    fn an_announced_message_over_the_limit_is_refused() {
        let (mut channel, _queue) = connected();
        create(&mut channel, 0);
        let first = |length| {
            DrdynvcServerPdu::Data(DrdynvcDataPdu::DataFirst(DataFirstPdu::new(0, length, vec![0; 9])))
        };
        assert!(feed(&mut channel, &first(256 * 1024 + 1)).is_err());
        assert!(feed(&mut channel, &first(256 * 1024)).is_ok());
    }
}
