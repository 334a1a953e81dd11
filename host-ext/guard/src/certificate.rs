//! The certificate that the RDP server shows its clients. The host signs its hash, and the client compares it with what
//! its connection saw.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// A certificate and a key take about 1 kB; anything far bigger is not a certificate.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why the certificate is not known.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error(
        "cannot read {path}: {source}. Let the account that guards run under read it, or correct the setting `tls_certificate`"
    )]
    Unreadable { path: PathBuf, source: io::Error },
    /// There is no certificate in the file.
    #[error(
        "there is no certificate in {path} ({detail}). Set `tls_certificate` to the file that the RDP server shows its clients"
    )]
    Missing { path: PathBuf, detail: String },
}

/// SHA-256 of the first certificate in a PEM file, as clients see it: the one of another RDP server.
pub fn certificate_sha256(path: &Path) -> Result<[u8; 32], CertificateError> {
    let unreadable = |source| CertificateError::Unreadable { path: path.to_owned(), source };
    let mut pem = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_FILE_BYTES).read_to_end(&mut pem)).map_err(unreadable)?;
    let cert = CertificateDer::from_pem_slice(&pem)
        .map_err(|error| CertificateError::Missing { path: path.to_owned(), detail: error.to_string() })?;
    Ok(Sha256::digest(cert.as_ref()).into())
}
