//! A real client and a real host of another implementation, with the relay between them.

use ironrdp_acceptor::{Acceptor, AcceptorResult};
use ironrdp_connector::{BitmapConfig, ClientConnector, Config, ConnectionResult, DesktopSize, Sequence};
use ironrdp_core::WriteBuf;
use ironrdp_dvc::{DrdynvcClient, DrdynvcServer};
use ironrdp_pdu::gcc::{ChannelName, ChannelOptions, MultiTransportFlags};
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::capability_sets::{self as caps, CapabilitySet};
use ironrdp_pdu::rdp::client_info::CompressionType;
use ironrdp_svc::{SvcClientProcessor, SvcMessage, SvcProcessor, SvcServerProcessor, impl_as_any};

use crate::connect::negotiate::{Agreed, Negotiate};
use crate::connect::{Connection, Out};
use crate::error::{Broken, Side};
use crate::frames::Frames;
use crate::live::Live;
use crate::policy::{Policy, Rule};

/// A static channel that does nothing.
#[derive(Debug)]
struct Plain<const NAME: u8>;

impl_as_any!(Plain<1>);
impl_as_any!(Plain<2>);

macro_rules! plain {
    ($number:literal, $name:literal) => {
        impl SvcProcessor for Plain<$number> {
            fn channel_name(&self) -> ChannelName {
                ChannelName::from_static($name)
            }
            fn channel_options(&self) -> ChannelOptions {
                ChannelOptions::INITIALIZED | ChannelOptions::COMPRESS_RDP
            }
            fn process(&mut self, _: &[u8]) -> ironrdp_pdu::PduResult<Vec<SvcMessage>> {
                Ok(Vec::new())
            }
        }
        impl SvcClientProcessor for Plain<$number> {}
        impl SvcServerProcessor for Plain<$number> {}
    };
}
plain!(1, b"cliprdr\0");
plain!(2, b"rdpsnd\0\0");

/// The size that the host announces.
pub(crate) const SIZE: (u16, u16) = (1024, 768);

/// With everything that a relay has to take away.
fn config() -> Config {
    Config {
        domain: Some("OFFICE".into()),
        desktop_size: DesktopSize { width: SIZE.0, height: SIZE.1 },
        bitmap: Some(BitmapConfig {
            lossy_compression: true,
            color_depth: 32,
            codecs: caps::client_codecs_capabilities(&[]).unwrap(),
        }),
        compression_type: Some(CompressionType::K64),
        enable_audio_playback: true,
        multitransport_flags: Some(MultiTransportFlags::TRANSPORT_TYPE_UDP_FECR),
        support_dyn_vc_gfx_protocol: true,
        ..sudare_test_kit::rdp::config()
    }
}

fn capabilities() -> Vec<CapabilitySet> {
    vec![
        CapabilitySet::General(caps::General { refresh_rect_support: true, ..Default::default() }),
        CapabilitySet::Bitmap(caps::Bitmap {
            pref_bits_per_pix: 32,
            desktop_width: SIZE.0,
            desktop_height: SIZE.1,
            desktop_resize_flag: true,
            drawing_flags: caps::BitmapDrawingFlags::empty(),
        }),
        CapabilitySet::Order(caps::Order::new(
            caps::OrderFlags::empty(),
            caps::OrderSupportExFlags::empty(),
            0,
            0,
        )),
    ]
}

/// What the tests let through.
pub(crate) fn policy() -> Policy {
    Policy { static_channels: vec![("cliprdr".to_owned(), Rule::Drop)], ..Policy::default() }
}

/// A client that has said nothing yet.
pub(crate) fn client(drdynvc: bool) -> ClientConnector {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 3389));
    let mut client = ClientConnector::new(config(), address)
        .with_static_channel(Plain::<1>)
        .with_static_channel(Plain::<2>);
    if drdynvc {
        client.attach_static_channel(DrdynvcClient::new());
    }
    client
}

/// A client, a host, and all that they said.
pub(crate) struct Ends {
    pub(crate) client: ClientConnector,
    pub(crate) host: Acceptor,
    pub(crate) agreed: Agreed,
    /// Every frame that the relay took, in order.
    pub(crate) said: Vec<(Side, Vec<u8>)>,
    /// Every frame that it gave.
    pub(crate) heard: Vec<(Side, Vec<u8>)>,
    stream: [Frames; 2],
}

impl Ends {
    /// As far as TLS.
    pub(crate) fn new(policy: Policy, drdynvc: bool) -> Self {
        let mut client = client(drdynvc);
        let size = DesktopSize { width: SIZE.0, height: SIZE.1 };
        let mut host = Acceptor::new(SecurityProtocol::SSL, size, capabilities(), None);
        host.attach_static_channel(DrdynvcServer::new());
        host.attach_static_channel(Plain::<1>);
        host.attach_static_channel(Plain::<2>);
        let mut buffer = WriteBuf::new();
        client.step_no_input(&mut buffer).unwrap();
        let (asked, request) = Negotiate::new(policy).request(buffer.filled()).unwrap();
        let mut buffer = WriteBuf::new();
        host.step(&request, None, &mut buffer).unwrap();
        host.step_no_input(&mut buffer).unwrap();
        let (agreed, confirm) = asked.confirm(buffer.filled()).unwrap();
        client.step(&confirm, None, &mut WriteBuf::new()).unwrap();
        assert!(client.should_perform_security_upgrade());
        client.mark_security_upgrade_as_done();
        assert_eq!(host.reached_security_upgrade(), Some(SecurityProtocol::SSL));
        host.mark_security_upgrade_as_done();
        let stream = [Frames::default(), Frames::default()];
        Self { client, host, agreed, said: Vec::new(), heard: Vec::new(), stream }
    }

    /// Runs both ends until nobody has anything to say.
    pub(crate) fn run(&mut self, mut relay: Connection) -> Result<Connection, Broken> {
        loop {
            let client = talk(&mut self.client, &mut self.stream[0], &mut self.heard, Side::Client);
            let host = talk(&mut self.host, &mut self.stream[1], &mut self.heard, Side::Host);
            if client.is_empty() && host.is_empty() {
                return Ok(relay);
            }
            for (side, bytes) in [(Side::Client, client), (Side::Host, host)] {
                let mut frames = Frames::default();
                frames.push(&bytes).unwrap();
                while let Some(frame) = frames.take().unwrap() {
                    self.said.push((side, frame.to_vec()));
                    relay = self.relay(relay, side, frame)?;
                }
            }
        }
    }

    fn relay(&mut self, relay: Connection, side: Side, frame: &[u8]) -> Result<Connection, Broken> {
        let mut out = Out::default();
        let mut relay = take(relay, side, frame, &mut out)?;
        if let Connection::Live(live) = &mut relay {
            drain(live, &mut out)?;
        }
        self.stream[0].push(&out.to_client).unwrap();
        self.stream[1].push(&out.to_host).unwrap();
        Ok(relay)
    }

    /// What both ends came to.
    pub(crate) fn results(&mut self) -> (ConnectionResult, AcceptorResult) {
        let client =
            self.client.state.take_outcome().expect("the client has connected").into_connected().unwrap();
        (client, self.host.get_result().expect("the host has accepted"))
    }
}

/// Gives the relay one frame.
pub(crate) fn take(relay: Connection, side: Side, frame: &[u8], out: &mut Out) -> Result<Connection, Broken> {
    match side {
        Side::Client => relay.client(0, frame, out),
        Side::Host => relay.host(0, frame, out),
    }
}

/// Writes everything that a session has for both sides.
pub(crate) fn drain(live: &mut Live, out: &mut Out) -> Result<(), Broken> {
    while let Some(unit) = live.next_to_client(0)? {
        out.to_client.extend(unit.bytes);
    }
    while let Some(bytes) = live.next_to_host() {
        out.to_host.extend(bytes);
    }
    Ok(())
}

/// Lets one end hear what has come for it, and gives what it says.
pub(crate) fn talk(
    end: &mut dyn Sequence,
    stream: &mut Frames,
    heard: &mut Vec<(Side, Vec<u8>)>,
    side: Side,
) -> Vec<u8> {
    let mut said = Vec::new();
    loop {
        let mut buffer = WriteBuf::new();
        if end.state().is_terminal() {
            return said;
        }
        if end.next_pdu_hint().is_none() {
            end.step_no_input(&mut buffer).unwrap();
        } else {
            let Some(frame) = stream.take().unwrap() else { return said };
            heard.push((side, frame.to_vec()));
            end.step(frame, None, &mut buffer).unwrap();
        }
        said.extend_from_slice(buffer.filled());
    }
}
