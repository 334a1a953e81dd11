//! The host's leg: connects to the target, and knows the host by its certificate.
//!
//! RDP hosts show certificates that they made themselves, so no authority is asked: the certificate must be the
//! pinned one. It says nothing yet about who holds its key, so the signatures of the handshake are verified all the
//! same. A socket in the file system may go without a pin: its folder says who can listen there.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
};

use crate::error::Ended;
use crate::leg;
use crate::limits::TLS_BUFFER_BYTES;
use crate::target::{Pin, Place, Target};

/// A stream of bytes, whatever is below it.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// The host's leg before TLS.
pub(crate) type Plain = Box<dyn Duplex>;
/// The host's leg.
pub(crate) type Secured = TlsStream<BufReader<Plain>>;

/// Connects.
pub(crate) async fn reach(place: &Place) -> Result<Plain, Ended> {
    let reached: io::Result<Plain> = match place {
        Place::Unix(path) => UnixStream::connect(path).await.map(|stream| Box::new(stream) as Plain),
        Place::Tcp(address) => tcp(address).await.map(|stream| Box::new(stream) as Plain),
    };
    reached.map_err(|source| Ended::Unreachable { place: place.clone(), source })
}

async fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    leg::prepare(&stream)?;
    Ok(stream)
}

/// TLS with the host, if it is the one that is meant. It has been told nothing before.
pub(crate) async fn secure(plain: Plain, target: &Target) -> Result<Secured, Ended> {
    let failed = |source| Ended::HostTls { place: target.place.clone(), source };
    let config = client_config(target.pin).map_err(|error| failed(io::Error::other(error)))?;
    // The pin takes the place of the name.
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let connected = TlsConnector::from(Arc::new(config)).connect(name, leg::below_tls(plain)).await;
    let mut secured = connected.map_err(|error| match wrong_pin(&error) {
        Some(WrongPin { expected, seen }) => Ended::WrongPin { place: target.place.clone(), expected, seen },
        None => failed(error),
    })?;
    secured.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
    Ok(secured)
}

/// What it has shown.
pub(crate) fn certificate(host: &Secured) -> Vec<u8> {
    let shown = host.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    shown.map(|certificate| certificate.to_vec()).unwrap_or_default()
}

/// TLS with a host of this certificate, or of any, and never with one that has no key of it.
///
/// # Errors
/// If this machine's TLS has none of the versions that are needed.
pub fn client_config(pin: Option<Pin>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Pinned { pin, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Another certificate than the pinned one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the certificate is not the pinned one")]
struct WrongPin {
    expected: Pin,
    seen: Pin,
}

fn wrong_pin(error: &io::Error) -> Option<WrongPin> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error else { return None };
    other.downcast_ref::<WrongPin>().copied()
}

/// Takes one certificate, or on a socket of this machine any, and never a signature on trust.
#[derive(Debug)]
struct Pinned {
    pin: Option<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen: Pin = Sha256::digest(end_entity.as_ref()).into();
        match self.pin {
            Some(expected) if expected != seen => {
                let other = OtherError(Arc::new(WrongPin { expected, seen }));
                Err(Error::InvalidCertificate(CertificateError::Other(other)))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(crate) fn any_certificate() -> Result<ClientConfig, Error> {
    client_config(None)
}

#[cfg(test)]
mod tests;
