//! The certificate that clients see, and its key.
//!
//! They are the RDP server's own, so that what employees have accepted before stays valid. The host signs the
//! certificate's hash in the handshake, and the plugin compares it with what its connection saw. Both files are read
//! by each connection anew: a renewed certificate needs no restart, and hash and certificate are of one moment.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::{Error, ServerConfig};

use crate::limits::PEM_MAX_BYTES;

/// What the gate shows its client.
#[derive(Clone)]
pub struct Identity {
    /// Accepts TLS 1.2 and 1.3.
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the certificate (DER).
    pub cert_sha256: [u8; 32],
    /// The certificate itself, whose key CredSSP binds.
    pub certificate: CertificateDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read {path}: {source}. Let the gate's account read it, or correct `{setting}`")]
    Unreadable { path: PathBuf, setting: &'static str, source: io::Error },
    #[error("everybody on this machine can read the key in {path} (mode {mode:o}). Run `chmod o= {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} does not hold a {what} ({detail}). Correct `{setting}`")]
    Damaged { path: PathBuf, what: &'static str, setting: &'static str, detail: String },
    #[error(
        "the key in {key} does not belong to the certificate in {certificate} ({source}). Set both together"
    )]
    Mismatch { key: PathBuf, certificate: PathBuf, source: Error },
}

impl Identity {
    /// Reads both files. They may be one.
    ///
    /// # Errors
    /// If a file cannot be read, its key is open to everybody, or they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let pem = read(certificate, "tls_certificate", false)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let damaged = |path: &Path, what, setting, detail: String| {
            let path = path.to_owned();
            IdentityError::Damaged { path, what, setting, detail }
        };
        let no_certificate = |detail| damaged(certificate, "certificate", "tls_certificate", detail);
        let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
        let first = chain.first().ok_or_else(|| no_certificate("there is none".to_owned()))?;
        let cert_sha256 = Sha256::digest(first.as_ref()).into();
        let secret = PrivateKeyDer::from_pem_slice(&read(key, "tls_key", true)?)
            .map_err(|error| damaged(key, "key", "tls_key", error.to_string()))?;
        Self::of(chain, secret, cert_sha256).map_err(|source| IdentityError::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
            source,
        })
    }

    /// Of a chain that has this hash.
    pub(crate) fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        cert_sha256: [u8; 32],
    ) -> Result<Self, Error> {
        let certificate = chain.first().cloned().unwrap_or_else(|| CertificateDer::from(Vec::new()));
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config(chain, key)?)), cert_sha256, certificate })
    }
}

fn config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, Error> {
    // Given explicitly: rustls panics where a program links two providers and none is chosen.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // One connection is one process: nothing could be resumed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // Without it, sessions of TLS 1.2 through a relay can have one exporter on both sides (RFC 7627).
    config.require_ems = true;
    Ok(config)
}

fn read(path: &Path, setting: &'static str, secret: bool) -> Result<Vec<u8>, IdentityError> {
    let fail = |source| IdentityError::Unreadable { path: path.to_owned(), setting, source };
    let file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.permissions().mode() & 0o777;
    // Debian gives keys to a group (ssl-cert), which is fine; everybody is not.
    if secret && mode & 0o007 != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode });
    }
    let mut pem = Vec::new();
    file.take(PEM_MAX_BYTES).read_to_end(&mut pem).map_err(fail)?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn made(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["host".to_owned()]).unwrap();
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        (cert, key)
    }

    #[test]
    fn a_certificate_and_its_key_are_read_and_a_renewed_one_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = made(dir.path(), "a");
        let first = Identity::load(&cert, &key).unwrap().cert_sha256;
        assert_eq!(Identity::load(&cert, &key).unwrap().cert_sha256, first);
        made(dir.path(), "a");
        assert_ne!(Identity::load(&cert, &key).unwrap().cert_sha256, first);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_the_setting_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = made(dir.path(), "a");
        let (_, other) = made(dir.path(), "b");
        let error = |cert: &Path, key: &Path| Identity::load(cert, key).unwrap_err();
        assert!(matches!(error(&cert, &other), IdentityError::Mismatch { .. }));
        assert!(matches!(error(&key, &key), IdentityError::Damaged { setting: "tls_certificate", .. }));
        fs::set_permissions(&cert, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(error(&cert, &cert), IdentityError::Damaged { setting: "tls_key", .. }));
        let missing = dir.path().join("none");
        assert!(matches!(error(&cert, &missing), IdentityError::Unreadable { setting: "tls_key", .. }));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let said = error(&cert, &key).to_string();
        assert!(said.contains("chmod o="), "{said}");
    }
}
