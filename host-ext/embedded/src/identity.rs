//! The TLS identity of the embedded host: a self-signed certificate in a private file.
//!
//! RDP clients cannot verify such a certificate with a public authority. The Sudare handshake does it instead: the host
//! signs [`TlsIdentity::cert_sha256`] with its host key, and the client compares it with the certificate of its
//! connection.
//!
//! The file `rdp-tls.pem` (mode 0600) holds both the certificate and the PKCS #8 key, so that a crash between two writes
//! cannot leave a certificate without its key.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sudare_base::files;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Name of the file in its folder.
pub const FILE_NAME: &str = "rdp-tls.pem";
/// A certificate and a key take about 1 kB.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A certificate with its key, ready to accept connections.
#[derive(Clone)]
pub struct TlsIdentity {
    /// Accepts TLS 1.2 and 1.3 connections with this identity.
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the DER certificate.
    pub cert_sha256: [u8; 32],
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// Why there is no usable TLS identity.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The folder or file cannot be read or written.
    #[error("cannot {doing} {path}: {source}. Check that the account that runs this program owns the folder")]
    File {
        /// `create`, `read` or `write`.
        doing: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Other accounts than the owner's can read the key.
    #[error(
        "{path} can be read by other accounts (mode {mode:o}). Run `chmod 600` on it, or delete it to get a new key"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a certificate with its key.
    #[error(
        "{path} does not hold a certificate with its key ({detail}). Restore it, or delete it so that a new one is made"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A new certificate could not be made.
    #[error(
        "no certificate could be made: {0}. This is a bug in sudare-embedded or a failure of its random source"
    )]
    Make(String),
}

impl TlsIdentity {
    /// Loads the identity from `dir`, or creates it there (folder 0700, file 0600).
    ///
    /// # Errors
    /// If the file cannot be read or written, is readable by others, or is damaged. A damaged file is never replaced
    /// silently, because clients may have pinned its certificate.
    pub fn load_or_create(dir: &Path) -> Result<Self, TlsError> {
        let path = dir.join(FILE_NAME);
        if !path.exists() {
            create(dir, &path)?;
        }
        let pem = read_private(&path)?;
        from_pem(&pem).map_err(|detail| TlsError::Damaged { path, detail })
    }
}

fn from_pem(pem: &[u8]) -> Result<TlsIdentity, String> {
    let cert = CertificateDer::from_pem_slice(pem).map_err(|error| format!("certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("key: {error}"))?;
    let cert_sha256 = Sha256::digest(cert.as_ref()).into();
    // The provider is given explicitly, because rustls panics if a program links two and none is chosen.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert], key))
        .map_err(|error| error.to_string())?;
    Ok(TlsIdentity { acceptor: TlsAcceptor::from(Arc::new(config)), cert_sha256 })
}

fn create(dir: &Path, path: &Path) -> Result<(), TlsError> {
    let fail = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { doing, path, source }
    };
    let made = rcgen::generate_simple_self_signed(vec!["sudare-host".to_owned(), "localhost".to_owned()])
        .map_err(|error| TlsError::Make(error.to_string()))?;
    let pem = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());

    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail("create", dir))?;
    files::replace(path, pem.as_bytes(), 0o600).map_err(fail("write", path))
}

fn read_private(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |source| TlsError::File { doing: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TlsError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut pem).map_err(fail)?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn is_made_once_private_and_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let tls = dir.path().join("tls");
        let first = TlsIdentity::load_or_create(&tls).unwrap();
        let again = TlsIdentity::load_or_create(&tls).unwrap();
        assert_eq!(first.cert_sha256, again.cert_sha256);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&tls), 0o700);
        assert_eq!(mode(&tls.join(FILE_NAME)), 0o600);
    }

    #[test]
    fn a_damaged_or_exposed_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        TlsIdentity::load_or_create(dir.path()).unwrap();

        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = TlsIdentity::load_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, TlsError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap().len(), whole.len() / 2);

        fs::write(&path, &whole).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = TlsIdentity::load_or_create(dir.path()).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
