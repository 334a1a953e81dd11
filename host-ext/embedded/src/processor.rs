//! The host's end of the dynamic virtual channel `SUDARE` (MS-RDPEDYC).

use std::sync::mpsc::{Receiver, Sender, channel};

use ironrdp_core::{Decode as _, Encode, EncodeResult, ReadCursor, WriteCursor, ensure_size, impl_as_any};
use ironrdp_dvc::pdu::{DrdynvcClientPdu, DrdynvcDataPdu};
use ironrdp_dvc::{
    DrdynvcServer, DvcEncode, DvcMessage, DvcProcessor, DvcServerProcessor, encode_dvc_messages,
};
use ironrdp_pdu::gcc::ChannelName;
use ironrdp_pdu::{PduResult, decode_err, pdu_other_err};
use ironrdp_svc::{ChannelFlags, CompressionCondition, SvcMessage, SvcProcessor, SvcServerProcessor};
use sudare_protocol::screen::CHANNEL_NAME;

/// The largest message accepted from a client. `ironrdp-dvc` would reassemble up to 4 GiB.
#[allow(clippy::cast_possible_truncation, reason = "256 KiB")]
pub(super) const MAX_MESSAGE_BYTES: u32 = sudare_protocol::screen::CHANNEL_WRITE_MAX_BYTES as u32;

/// What the channel reports to the session; the `u32` is the channel's id.
pub(super) enum DvcEvent {
    Opened(u32),
    Message(Vec<u8>),
    Closed(u32),
}

/// Creates the static channel that carries our dynamic channel, and the queue of its events.
///
/// The session empties the queue after each PDU, and a PDU causes at most one event, so the queue stays short although
/// it is not bounded.
pub(super) fn make() -> (Drdynvc, Receiver<DvcEvent>) {
    let (events, queue) = channel();
    let inner = DrdynvcServer::new().with_dynamic_channel(Endpoint { events: events.clone() });
    (Drdynvc { inner, events }, queue)
}

/// Splits a message into channel PDUs.
pub(super) fn encode(channel_id: u32, message: Vec<u8>) -> EncodeResult<Vec<SvcMessage>> {
    encode_dvc_messages(channel_id, vec![Box::new(Message(message))], ChannelFlags::SHOW_PROTOCOL)
}

/// The static channel `drdynvc`, with a limit on how much data a client can make the host hold.
#[derive(Debug)]
pub(super) struct Drdynvc {
    inner: DrdynvcServer,
    events: Sender<DvcEvent>,
}

impl Drdynvc {
    /// Asks the client to open the channel again after closing it.
    pub(super) fn reopen(&mut self) -> PduResult<SvcMessage> {
        self.inner.create_channel(Endpoint { events: self.events.clone() })
    }
}

impl_as_any!(Drdynvc);

impl SvcProcessor for Drdynvc {
    fn channel_name(&self) -> ChannelName {
        DrdynvcServer::NAME
    }

    fn compression_condition(&self) -> CompressionCondition {
        self.inner.compression_condition()
    }

    fn start(&mut self) -> PduResult<Vec<SvcMessage>> {
        self.inner.start()
    }

    fn process(&mut self, payload: &[u8]) -> PduResult<Vec<SvcMessage>> {
        let pdu =
            DrdynvcClientPdu::decode(&mut ReadCursor::new(payload)).map_err(|error| decode_err!(error))?;
        match pdu {
            DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirst(first))
                if first.length() > MAX_MESSAGE_BYTES =>
            {
                Err(pdu_other_err!("the client announced a channel message over the limit"))
            }
            // Compression needs version 3 and we negotiate version 2, so only an attacker sends this.
            DrdynvcClientPdu::Data(
                DrdynvcDataPdu::DataFirstCompressed(_) | DrdynvcDataPdu::DataCompressed(_),
            ) => Err(pdu_other_err!("the client compressed a channel message, which was not negotiated")),
            _ => self.inner.process(payload),
        }
    }
}

impl SvcServerProcessor for Drdynvc {}

/// The open channel; only passes events on.
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
        // Also runs when the whole connection is dropped; then the receiver may be gone.
        self.report(DvcEvent::Closed(channel_id)).ok();
    }
}

impl DvcServerProcessor for Endpoint {}

/// A message as opaque bytes, which only the protocol crate interprets.
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
    use ironrdp_dvc::pdu::{
        CapabilitiesResponsePdu, CapsVersion, CreateResponsePdu, CreationStatus, DataFirstPdu,
    };

    use super::*;

    fn feed(channel: &mut Drdynvc, pdu: &DrdynvcClientPdu) -> PduResult<Vec<SvcMessage>> {
        channel.process(&encode_vec(pdu).unwrap())
    }

    fn opened() -> (Drdynvc, Receiver<DvcEvent>) {
        let (mut channel, queue) = make();
        let caps = DrdynvcClientPdu::Capabilities(CapabilitiesResponsePdu::new(CapsVersion::V2));
        assert_eq!(feed(&mut channel, &caps).unwrap().len(), 1);
        let created = DrdynvcClientPdu::Create(CreateResponsePdu::new(0, CreationStatus::OK));
        feed(&mut channel, &created).unwrap();
        assert!(matches!(queue.try_recv(), Ok(DvcEvent::Opened(0))));
        (channel, queue)
    }

    #[test]
    fn an_announced_message_over_the_limit_is_refused_before_it_is_kept() {
        let (mut channel, queue) = opened();
        let at = |length| {
            DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirst(DataFirstPdu::new(0, length, vec![0; 9])))
        };
        assert!(feed(&mut channel, &at(MAX_MESSAGE_BYTES + 1)).is_err());
        assert!(feed(&mut channel, &at(MAX_MESSAGE_BYTES)).is_ok());
        assert!(queue.try_recv().is_err());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        let mut seed = 1_u32;
        for round in 0..2000_usize {
            let (mut channel, _queue) = opened();
            let bytes: Vec<u8> = (0..round % 40)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed.to_be_bytes()[0]
                })
                .collect();
            channel.process(&bytes).ok();
        }
    }
}
