//! TLS towards a receiver: its certificate is always checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sudare_base::files::{self, FileError};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, ClientConnection, RootCertStore};
use zeroize::Zeroizing;

const PEM_MAX_BYTES: usize = 1024 * 1024;

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of `--ca` holds no certificate authority.
    #[error("{0} contains no certificate authority. Give the receiver's authority as PEM with --ca")]
    NoAuthority(PathBuf),
    /// The system has no certificate authorities.
    #[error("this system has no certificate authorities. Install ca-certificates, or give one with --ca")]
    NoSystemAuthorities,
    /// The client's own certificate is not usable.
    #[error("{path} does not contain a certificate with its key ({detail}). Give both in one PEM file")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The name cannot appear in a certificate.
    #[error("{0} is not a valid host name. Use the name in the receiver's certificate")]
    Name(String),
    /// Anything else.
    #[error("TLS cannot be set up: {0}. Check the given certificates; otherwise this is a bug in Sudare")]
    Setup(rustls::Error),
}

/// How TLS connections are opened.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Authorities from `ca` or, without it, those of the system; `identity` is this host's own certificate chain and
    /// key in one file.
    pub fn new(ca: Option<&Path>, identity: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(authorities(ca)?);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let (chain, key) = read_identity(path)?;
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Setup)?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }

    /// A connection to the receiver of this name, before its handshake.
    pub fn connect(&self, host: &str) -> Result<ClientConnection, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))?;
        ClientConnection::new(self.config.clone(), name).map_err(TlsError::Setup)
    }
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        // One broken certificate among the system's must not disable the others.
        let (_, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() { Err(TlsError::NoSystemAuthorities) } else { Ok(roots) };
    };
    let pem = files::read_bounded(path, PEM_MAX_BYTES)?.unwrap_or_default();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().map(|certificate| roots.add(certificate));
        if !matches!(added, Some(Ok(()))) {
            return Err(TlsError::NoAuthority(path.to_owned()));
        }
    }
    if roots.is_empty() { Err(TlsError::NoAuthority(path.to_owned())) } else { Ok(roots) }
}

fn read_identity(path: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let wrong = |detail: String| TlsError::Identity { path: path.to_owned(), detail };
    let pem =
        files::read_bounded(path, PEM_MAX_BYTES)?.ok_or_else(|| wrong("there is no such file".into()))?;
    let pem = Zeroizing::new(pem);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| wrong(format!("certificate: {error}")))?;
    if chain.is_empty() {
        return Err(wrong("no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(format!("key: {error}")))?;
    Ok((chain, key))
}
