//! From an accepted TCP connection to an RDP session ready for pixels (MS-RDPBCGR 1.3.1.1).

use ironrdp_acceptor::{Acceptor, DesktopSize, accept_finalize};
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::capability_sets as caps;
use ironrdp_tokio::{TokioFramed, single_sequence_step};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::channels::VirtualChannels;
use crate::processor;

/// Buffer of TLS for unsent data. It is small, so that a cover is not stuck behind pixels of the desktop.
const TLS_BUFFER_BYTES: usize = 16 * 1024;
/// The largest update that a client is asked to accept.
const MAX_UPDATE_BYTES: u32 = 64 * 1024;

/// A session after its handshake.
pub(super) struct Accepted {
    pub(super) reader: TokioFramed<ReadHalf<TlsStream<TcpStream>>>,
    pub(super) writer: WriteHalf<TlsStream<TcpStream>>,
    pub(super) channels: VirtualChannels,
    /// The user name that the client claims.
    pub(super) user: Option<String>,
}

/// Why a client got no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error(
        "the client did not follow the RDP connection sequence: {0}. It may not be an RDP client, or may require NLA: \
         connect with TLS security"
    )]
    Rdp(#[from] ironrdp_acceptor::ConnectorError),
    #[error("the client refused TLS. Connect with TLS security (xfreerdp: /sec:tls)")]
    NoTls,
    #[error(
        "the client sent data before TLS began. This is a fault of the client, or somebody is scanning this port"
    )]
    Early,
    #[error(
        "TLS failed: {0}. The client or something in between ended it: check that the client accepts TLS 1.2 or 1.3"
    )]
    Tls(std::io::Error),
}

/// Performs the handshake; the caller limits its duration.
pub(super) async fn accept(
    tcp: TcpStream,
    tls: &TlsAcceptor,
    (width, height): (u16, u16),
) -> Result<Accepted, HandshakeError> {
    let (drdynvc, events) = processor::make();
    let size = DesktopSize { width, height };
    let mut acceptor = Acceptor::new(SecurityProtocol::SSL, size, capabilities(width, height), None);
    acceptor.attach_static_channel(drdynvc);

    let tcp = negotiate(tcp, &mut acceptor).await?;
    let mut tls = tls.accept(tcp).await.map_err(HandshakeError::Tls)?;
    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
    acceptor.mark_security_upgrade_as_done();

    let (framed, result) = accept_finalize(TokioFramed::new(tls), &mut acceptor).await?;
    let (stream, early) = framed.into_inner();
    let (reader, writer) = tokio::io::split(stream);
    let user = result.credentials.map(|claimed| claimed.username).filter(|name| !name.is_empty());
    Ok(Accepted {
        reader: TokioFramed::new_with_leftover(reader, early),
        writer,
        channels: VirtualChannels::new(
            result.static_channels,
            events,
            result.user_channel_id,
            result.io_channel_id,
        ),
        user,
    })
}

/// Like `ironrdp_acceptor::accept_begin`, which asserts in debug builds that the client sent nothing early. A peer must
/// not be able to cause a panic.
async fn negotiate(tcp: TcpStream, acceptor: &mut Acceptor) -> Result<TcpStream, HandshakeError> {
    let mut framed = TokioFramed::new(tcp);
    let mut buffer = ironrdp_core::WriteBuf::new();
    loop {
        match acceptor.reached_security_upgrade() {
            Some(security) if security.is_empty() => return Err(HandshakeError::NoTls),
            Some(_) => break,
            None => single_sequence_step(&mut framed, acceptor, &mut buffer).await?,
        }
    }
    let (tcp, early) = framed.into_inner();
    if early.is_empty() { Ok(tcp) } else { Err(HandshakeError::Early) }
}

fn capabilities(width: u16, height: u16) -> Vec<caps::CapabilitySet> {
    use caps::CapabilitySet as Set;
    vec![
        Set::General(caps::General {
            extra_flags: caps::GeneralExtraFlags::FASTPATH_OUTPUT_SUPPORTED,
            refresh_rect_support: true,
            ..Default::default()
        }),
        Set::Bitmap(caps::Bitmap {
            pref_bits_per_pix: 32,
            desktop_width: width,
            desktop_height: height,
            desktop_resize_flag: true,
            drawing_flags: caps::BitmapDrawingFlags::empty(),
        }),
        // No drawing orders and no surface commands: only bitmaps are sent.
        Set::Order(caps::Order::new(caps::OrderFlags::empty(), caps::OrderSupportExFlags::empty(), 0, 0)),
        Set::SurfaceCommands(caps::SurfaceCommands { flags: caps::CmdFlags::empty() }),
        Set::Pointer(caps::Pointer { color_pointer_cache_size: 0, pointer_cache_size: 0 }),
        Set::Input(caps::Input {
            input_flags: caps::InputFlags::SCANCODES
                | caps::InputFlags::FASTPATH_INPUT
                | caps::InputFlags::UNICODE,
            keyboard_layout: 0,
            keyboard_type: None,
            keyboard_subtype: 0,
            keyboard_function_key: 12,
            keyboard_ime_filename: String::new(),
        }),
        Set::VirtualChannel(caps::VirtualChannel {
            flags: caps::VirtualChannelFlags::NO_COMPRESSION,
            chunk_size: None,
        }),
        Set::MultiFragmentUpdate(caps::MultifragmentUpdate { max_request_size: MAX_UPDATE_BYTES }),
    ]
}
