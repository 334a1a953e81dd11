//! From host and port to an RDP session that receives pixels (MS-RDPBCGR 1.3.1.1).

use std::io;
use std::sync::mpsc::Receiver;

use ironrdp_connector::{
    ClientConnector, Config, ConnectionResult, ConnectorError, ConnectorErrorKind, Credentials, DesktopSize,
};
use ironrdp_pdu::gcc::{ConnectionType, KeyboardType};
use ironrdp_pdu::rdp::capability_sets::{MajorPlatformType, RailSupportLevel};
use ironrdp_pdu::rdp::client_info::{PerformanceFlags, TimezoneInfo};
use ironrdp_tls::TlsStream;
use ironrdp_tokio::{NetworkClient, TokioFramed, connect_begin, connect_finalize, mark_as_upgraded};
use sha2::{Digest as _, Sha256};
use sudare_protocol::message::TLS_EXPORTER_LABEL;
use tokio::net::TcpStream;

use super::processor::{self, DvcEvent};
use crate::rdp::{RdpError, RdpOptions};

/// A session after its handshake.
pub(super) struct Connected {
    pub(super) framed: TokioFramed<TlsStream<TcpStream>>,
    pub(super) result: ConnectionResult,
    pub(super) events: Receiver<DvcEvent>,
    pub(super) tls: TlsSession,
}

/// What the host is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct TlsSession {
    /// SHA-256 of the certificate that it showed.
    pub(super) cert_sha256: [u8; 32],
    /// What only the two ends of this TLS session know.
    pub(super) exporter: [u8; 32],
}

/// Runs the handshake; the caller bounds its time.
///
/// Any certificate is accepted here. Its hash is returned, and the Sudare handshake compares it
/// with the one that the host signed.
pub(super) async fn connect(options: &RdpOptions) -> Result<Connected, RdpError> {
    let tcp = open(options).await?;
    let local = tcp.local_addr().map_err(RdpError::Unreachable)?;
    let (drdynvc, events) = processor::make();
    let mut connector = ClientConnector::new(config(options), local).with_static_channel(drdynvc);

    let mut framed = TokioFramed::new(tcp);
    let upgrade = connect_begin(&mut framed, &mut connector).await.map_err(|error| before_tls(&error))?;
    let (tcp, early) = framed.into_inner();
    if !early.is_empty() {
        return Err(RdpError::NotRdp("the server sent data before TLS".to_owned()));
    }
    let (tls, cert) =
        ironrdp_tls::upgrade(tcp, &options.host).await.map_err(|e| RdpError::Tls(e.to_string()))?;
    let session = TlsSession { cert_sha256: certificate_hash(&tls)?, exporter: exporter(&tls)? };
    let public_key = ironrdp_tls::extract_tls_server_public_key(&cert).unwrap_or_default().to_vec();

    let upgraded = mark_as_upgraded(upgrade, &mut connector);
    let mut framed = TokioFramed::new(tls);
    let server = options.host.clone().into();
    let outcome =
        connect_finalize(upgraded, connector, &mut framed, &mut NoNetwork, server, public_key, None)
            .await
            .map_err(|error| after_tls(&error))?;
    let result = outcome.into_connected().map_err(|error| after_tls(&error))?;
    Ok(Connected { framed, result, events, tls: session })
}

async fn open(options: &RdpOptions) -> Result<TcpStream, RdpError> {
    let addresses = tokio::net::lookup_host((options.host.as_str(), options.port))
        .await
        .map_err(RdpError::UnknownHost)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true).map_err(RdpError::Unreachable)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::ConnectionRefused => RdpError::Refused(options.port),
        _ => RdpError::Unreachable(last),
    })
}

fn certificate_hash(tls: &TlsStream<TcpStream>) -> Result<[u8; 32], RdpError> {
    let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate =
        certificate.ok_or_else(|| RdpError::Tls("the host showed no certificate".to_owned()))?;
    Ok(Sha256::digest(certificate.as_ref()).into())
}

fn exporter(tls: &TlsStream<TcpStream>) -> Result<[u8; 32], RdpError> {
    let value = tls.get_ref().1.export_keying_material([0; 32], TLS_EXPORTER_LABEL.as_bytes(), None);
    value.map_err(|error| RdpError::Tls(error.to_string()))
}

fn before_tls(error: &ConnectorError) -> RdpError {
    match error.kind() {
        ConnectorErrorKind::Negotiation(failure) => RdpError::Security(failure.to_string()),
        _ => RdpError::NotRdp(explain(error)),
    }
}

fn after_tls(error: &ConnectorError) -> RdpError {
    match error.kind() {
        ConnectorErrorKind::AccessDenied => RdpError::LoginRefused,
        _ => RdpError::Handshake(explain(error)),
    }
}

/// The error with its causes: the outermost alone often says just "custom error".
fn explain(error: &ConnectorError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Only Kerberos needs a network here, and it needs NLA, which this client does not offer.
struct NoNetwork;

impl NetworkClient for NoNetwork {
    async fn send(
        &mut self,
        _request: &ironrdp_connector::sspi::generator::NetworkRequest,
    ) -> ironrdp_connector::ConnectorResult<Vec<u8>> {
        Err(ironrdp_connector::general_err!("Kerberos is not supported"))
    }
}

fn config(options: &RdpOptions) -> Config {
    Config {
        credentials: Credentials::UsernamePassword {
            username: options.user.clone(),
            password: options.password.clone(),
        },
        domain: None,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        autologon: true,
        desktop_size: DesktopSize { width: options.width, height: options.height },
        client_name: "sudare".to_owned(),
        client_build: 0,
        client_dir: String::new(),
        platform: MajorPlatformType::UNIX,
        connection_type: ConnectionType::Wan,
        performance_flags: PerformanceFlags::default(),
        keyboard_type: KeyboardType::IBM_ENHANCED,
        keyboard_subtype: 0,
        keyboard_layout: 0,
        keyboard_functional_keys_count: 12,
        ime_file_name: String::new(),
        dig_product_id: String::new(),
        bitmap: None,
        request_data: None,
        compression_type: None,
        // A cursor drawn into the picture would make a black screen count as not black.
        enable_server_pointer: false,
        pointer_software_rendering: false,
        relative_mouse_input: false,
        enable_audio_playback: false,
        enable_audio_capture: false,
        multitransport_flags: None,
        support_dyn_vc_gfx_protocol: false,
        remote_application_mode: false,
        rail_support_level: RailSupportLevel::empty(),
        desktop_scale_factor: 0,
        desktop_physical_size: None,
        desktop_orientation: None,
        device_scale_factor: None,
        monitor_layout: None,
        monitor_extended_layout: None,
        hardware_id: None,
        license_cache: None,
        timezone_info: TimezoneInfo::default(),
        alternate_shell: String::new(),
        work_dir: String::new(),
    }
}
