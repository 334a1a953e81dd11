//! Both ends of an RDP connection, each with a real handshake by IronRDP, and nothing after it: what is said then is up
//! to whoever asks for them. For relays between them, which need no desktop and no window.

use std::sync::Arc;

use anyhow::Context as _;
use ironrdp_acceptor::{Acceptor, accept_finalize};
use ironrdp_connector::sspi::generator::NetworkRequest;
use ironrdp_connector::{ClientConnector, Config, ConnectorResult, Credentials, DesktopSize};
use ironrdp_core::WriteBuf;
use ironrdp_pdu::gcc::{ConnectionType, KeyboardType};
use ironrdp_pdu::nego::SecurityProtocol;
use ironrdp_pdu::rdp::capability_sets::{self as caps, CapabilitySet, MajorPlatformType, RailSupportLevel};
use ironrdp_pdu::rdp::client_info::{PerformanceFlags, TimezoneInfo};
use ironrdp_tokio::{
    NetworkClient, TokioFramed, connect_begin, connect_finalize, mark_as_upgraded, single_sequence_step,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Of every desktop here.
pub const SIZE: (u16, u16) = (640, 480);

/// A certificate of its own for a host, and the key.
pub struct HostKey {
    pub certificate_pem: String,
    pub key_pem: String,
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKey")
    }
}

impl HostKey {
    pub fn make() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["host".to_owned()])?;
        let certificate: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())?;
        Ok(Self {
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

impl HostKey {
    /// As DER, of which pins are hashes.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// TLS alone, at the host's end.
    pub async fn tls_server<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> anyhow::Result<server::TlsStream<S>> {
        Ok(self.acceptor.accept(stream).await?)
    }
}

/// TLS alone, at the client's end. It takes any certificate.
pub async fn tls_client<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> anyhow::Result<client::TlsStream<S>> {
    let tls = TlsConnector::from(Arc::new(any_certificate()?));
    Ok(tls.connect(ServerName::try_from("host")?, stream).await?)
}

/// The host's end, after the handshake.
pub async fn accept<S>(stream: S, key: &HostKey) -> anyhow::Result<server::TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let size = DesktopSize { width: SIZE.0, height: SIZE.1 };
    let mut acceptor = Acceptor::new(SecurityProtocol::SSL, size, capabilities(), None);
    let mut framed = TokioFramed::new(stream);
    let mut buffer = WriteBuf::new();
    while acceptor.reached_security_upgrade().is_none() {
        single_sequence_step(&mut framed, &mut acceptor, &mut buffer).await?;
    }
    let tls = key.tls_server(framed.into_inner().0).await?;
    acceptor.mark_security_upgrade_as_done();
    let (framed, _) = accept_finalize(TokioFramed::new(tls), &mut acceptor).await?;
    Ok(framed.into_inner().0)
}

/// The client's end, after the handshake, and what it has been sent since. It takes any certificate.
pub async fn connect<S>(stream: S) -> anyhow::Result<(client::TlsStream<S>, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut connector = ClientConnector::new(config(), local);
    let mut framed = TokioFramed::new(stream);
    let upgrade = connect_begin(&mut framed, &mut connector).await?;
    let tls = tls_client(framed.into_inner().0).await?;
    let upgraded = mark_as_upgraded(upgrade, &mut connector);
    let mut framed = TokioFramed::new(tls);
    let name = "host".to_owned().into();
    let finalized =
        connect_finalize(upgraded, connector, &mut framed, &mut NoNetwork, name, Vec::new(), None).await?;
    finalized.into_connected().context("the connection is not complete")?;
    let (tls, early) = framed.into_inner();
    Ok((tls, early.to_vec()))
}

struct NoNetwork;

impl NetworkClient for NoNetwork {
    async fn send(&mut self, _: &NetworkRequest) -> ConnectorResult<Vec<u8>> {
        Err(ironrdp_connector::general_err!("no Kerberos here"))
    }
}

fn any_certificate() -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions()?.dangerous();
    Ok(config.with_custom_certificate_verifier(Arc::new(AnyCertificate)).with_no_client_auth())
}

/// Tests talk to themselves.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
/// Of a host that draws bitmaps.
pub fn capabilities() -> Vec<CapabilitySet> {
    vec![
        CapabilitySet::General(caps::General { refresh_rect_support: true, ..Default::default() }),
        CapabilitySet::Bitmap(caps::Bitmap {
            pref_bits_per_pix: 32,
            desktop_width: SIZE.0,
            desktop_height: SIZE.1,
            desktop_resize_flag: true,
            drawing_flags: caps::BitmapDrawingFlags::empty(),
        }),
    ]
}

/// Of a client without channels, which logs on with a password.
pub fn config() -> Config {
    Config {
        credentials: Credentials::UsernamePassword { username: "hanako".into(), password: "word".into() },
        domain: None,
        enable_tls: true,
        enable_credssp: false,
        enable_standard_rdp_security: false,
        autologon: true,
        desktop_size: DesktopSize { width: SIZE.0, height: SIZE.1 },
        client_name: "pc".to_owned(),
        client_build: 0,
        client_dir: String::new(),
        platform: MajorPlatformType::UNIX,
        connection_type: ConnectionType::Lan,
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
        enable_server_pointer: true,
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
