//! Who signed a time-stamp token: verified by openssl, in one process per token.
//!
//! ```text
//! token ─stdin─► openssl ts -verify -CAfile CERT -attime TIME ─► OK, or why not
//! ```
//! CERT is the certificate of the service, or of the authority that issued it. It must have been valid at the token's
//! own time and be meant for time stamps only; it may have expired since. Revocation is not checked.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sudare_base::text::excerpt;
use sudare_evidence::timetoken::Token;
use sudare_protocol::hex::hex;
use thiserror::Error;

const OPENSSL: &str = "openssl";
/// What openssl says if the chain of certificates is wrong, rather than the signature (versions 1.1 to 3.5).
const OF_CERTIFICATE: &str = "certificate verify error";

/// Why tokens could not be verified at all.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// openssl cannot be run.
    #[error("openssl, which verifies time-stamp tokens, cannot be run: {0}. Install the package openssl")]
    NoOpenssl(std::io::Error),
    /// The file does not hold a certificate.
    #[error(
        "{0} holds no certificate in PEM. Give the certificate of the time-stamp service, or of the authority that \
         issued it, that reached you by another way than the evidence"
    )]
    NoCertificate(PathBuf),
}

/// Result of verifying a token; the text is openssl's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Signed under the given certificate.
    Good,
    /// Signed under another certificate, or outside its validity.
    OtherCertificate(String),
    /// Changed after it was signed.
    Changed(String),
}

/// The time-stamp service that an auditor trusts.
#[derive(Clone, Debug)]
pub struct Authority {
    certificate: PathBuf,
}

impl Authority {
    /// Reads `certificate`, a file in PEM.
    pub fn new(certificate: &Path) -> Result<Self, AuthorityError> {
        let read = run(Command::new(OPENSSL).args(["x509", "-noout", "-in"]).arg(certificate), &[])?;
        if read.status.success() {
            Ok(Self { certificate: certificate.to_owned() })
        } else {
            Err(AuthorityError::NoCertificate(certificate.to_owned()))
        }
    }

    /// Verifies that this answer, from which `token` was read, was signed under the certificate at the token's time.
    pub fn judge(
        &self,
        response: &[u8],
        digest: &[u8; 32],
        token: &Token,
    ) -> Result<Judgement, AuthorityError> {
        let digest = hex(digest);
        let time_s = token.time_ms.div_euclid(1000).to_string();
        let mut command = Command::new(OPENSSL);
        command.args(["ts", "-verify", "-in", "/dev/stdin", "-digest", &digest]);
        command.args(["-attime", &time_s, "-partial_chain", "-CAfile"]).arg(&self.certificate);
        let output = run(&mut command, response)?;
        if output.status.success() {
            return Ok(Judgement::Good);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let why = excerpt(&reason(&said));
        Ok(if said.contains(OF_CERTIFICATE) {
            Judgement::OtherCertificate(why)
        } else {
            Judgement::Changed(why)
        })
    }
}

fn run(command: &mut Command, input: &[u8]) -> Result<Output, AuthorityError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(AuthorityError::NoOpenssl)?;
    if let Some(mut stdin) = child.stdin.take() {
        // If openssl does not read to the end, its exit code tells.
        drop(stdin.write_all(input));
    }
    child.wait_with_output().map_err(AuthorityError::NoOpenssl)
}

/// `ID:error:CODE:LIBRARY:FUNCTION:REASON:FILE:LINE:MORE`, one on each line.
fn reason(said: &str) -> String {
    let fields = said.lines().map(|line| line.splitn(9, ':').collect::<Vec<_>>());
    let told = fields.into_iter().find_map(|fields| match fields.as_slice() {
        [_, "error", _, _, _, reason, _, _, more @ ..] => Some((reason.to_string(), more.concat())),
        _ => None,
    });
    match told {
        Some((reason, more)) if more.trim().is_empty() => reason,
        Some((reason, more)) => format!("{reason}: {more}"),
        None => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_openssl_is_found_among_its_words() {
        let said = "Using configuration from /usr/lib/ssl/openssl.cnf\n\
            40575465AD7F0000:error:17800064:time stamp routines:ts_verify_cert:certificate verify error:a.c:188:Verify error:unable to get local issuer certificate\n";
        assert_eq!(
            reason(said),
            "certificate verify error: Verify error:unable to get local issuer certificate"
        );
        let said = "140:error:2F06D064:PKCS7 routines:PKCS7_signatureVerify:digest failure:pk7.c:1093:\n";
        assert_eq!(reason(said), "digest failure");
        assert_eq!(reason("no such thing"), "no such thing");
    }
}
