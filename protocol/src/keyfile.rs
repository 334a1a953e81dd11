//! Keys as one line of text, for files and for people who copy them.
//!
//! ```text
//! SUDARE-ED25519-SECRET-1 <base64 of 32 bytes>      private, 0600
//! sudare-ed25519 <base64 of 32 bytes>               public
//! sudare-ed25519 <base64> log <base64>              a host's, with the public key of its log
//! ```
//! Lines that begin with `#` are comments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::message::Id;

const SECRET: &str = "SUDARE-ED25519-SECRET-1";
const PUBLIC: &str = "sudare-ed25519";
/// Between a host's key and its log's.
const LOG: &str = " log ";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("this is not a Sudare secret key (one line `{SECRET} …`). Give the file that Sudare wrote")]
    Secret,
    #[error("this is not a Sudare public key (one line `{PUBLIC} …`). Copy the whole line")]
    Public,
}

pub fn secret_line(key: &SigningKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{SECRET} {}\n", STANDARD.encode(key.as_bytes())))
}

pub fn public_line(key: &VerifyingKey) -> String {
    format!("{PUBLIC} {}\n", STANDARD.encode(key.as_bytes()))
}

/// What a host asks the security team to sign. The log has no name before the host has one, so its bare key is here.
pub fn host_line(host: &VerifyingKey, log: Option<&VerifyingKey>) -> String {
    let line = public_line(host);
    match log {
        Some(log) => format!("{}{LOG}{}\n", line.trim_end(), STANDARD.encode(log.as_bytes())),
        None => line,
    }
}

/// Reads what [`host_line`] writes.
pub fn parse_host(text: &str) -> Result<(VerifyingKey, Option<VerifyingKey>), KeyFileError> {
    let Some((host, log)) = text.split_once(LOG) else { return Ok((parse_public(text)?, None)) };
    Ok((parse_public(host)?, Some(parse_public(&format!("{PUBLIC} {log}"))?)))
}

pub fn parse_secret(text: &str) -> Result<SigningKey, KeyFileError> {
    let bytes = Zeroizing::new(value(text, SECRET).ok_or(KeyFileError::Secret)?);
    Ok(SigningKey::from_bytes(&bytes))
}

pub fn parse_public(text: &str) -> Result<VerifyingKey, KeyFileError> {
    let bytes = value(text, PUBLIC).ok_or(KeyFileError::Public)?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| KeyFileError::Public)
}

/// A device is named by its key: the first 16 bytes of SHA-256("sudare device id" || public key).
pub fn device_id(key: &VerifyingKey) -> Id {
    let digest: [u8; 32] =
        Sha256::new().chain_update(b"sudare device id").chain_update(key.as_bytes()).finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

fn value(text: &str, kind: &str) -> Option<[u8; 32]> {
    // Editors put a byte order mark before the first line.
    let text = text.trim_start_matches('\u{feff}');
    let line = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
    let encoded = line.strip_prefix(kind)?.strip_prefix(' ')?;
    STANDARD.decode(encoded.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_s_line_is_read_with_and_without_its_log() {
        let [host, log] = [[5; 32], [6; 32]].map(|seed| SigningKey::from_bytes(&seed).verifying_key());
        assert_eq!(parse_host(&host_line(&host, Some(&log))).unwrap(), (host, Some(log)));
        assert_eq!(parse_host(&host_line(&host, None)).unwrap(), (host, None));
        // A line that lost its end is not taken for one without a log.
        let line = host_line(&host, Some(&log));
        assert_eq!(parse_host(&line[..line.len() - 8]).err(), Some(KeyFileError::Public));
    }

    #[test]
    fn keys_survive_their_line_and_the_wrong_kind_is_refused() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let secret = secret_line(&key);
        let public = public_line(&key.verifying_key());
        assert_eq!(parse_secret(&format!("# mine\n{}", *secret)).unwrap().to_bytes(), [5; 32]);
        assert_eq!(parse_public(&public).unwrap(), key.verifying_key());
        let edited = format!("\u{feff}# ours\r\n{}\r\n", public.trim());
        assert_eq!(parse_public(&edited).unwrap(), key.verifying_key());
        assert_eq!(parse_secret(&public).err(), Some(KeyFileError::Secret));
        assert_eq!(parse_public(&secret).err(), Some(KeyFileError::Public));
        assert_eq!(parse_public("sudare-ed25519 AAAA").err(), Some(KeyFileError::Public));
    }
}
