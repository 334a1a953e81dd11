//! COSE_Sign1 (RFC 9052, section 4.2) with Ed25519 (RFC 8032; algorithm -19 of RFC 9864).
//!
//! ```text
//! 18([ protected bstr: {1: -19, 4: key id},  {},  payload bstr,  signature bstr(64) ])
//! signed bytes = ["Signature1", protected, external_aad, payload]
//! ```
//! One message has exactly one encoding here: the CBOR is deterministic ([`crate::cbor`]), and the protected header is compared with the one
//! that the expected key would have written, so neither the algorithm nor the key is ever
//! taken from the message itself.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder};
use sha2::{Digest as _, Sha256};

use crate::cbor;

/// Ed25519 as registered by RFC 9864.
pub const ALGORITHM_ED25519: i64 = -19;
const TAG_SIGN1: u64 = 18;
const SIGNATURE_BYTES: usize = 64;
/// Bytes that wrapping a payload adds at most (tag, headers, signature, lengths).
pub const OVERHEAD_MAX_BYTES: usize = 100;

/// Why a signed message was not accepted. None of these says anything about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    #[error(
        "the message is not a COSE_Sign1 in the one form that Sudare writes. The sender is at fault: compare versions"
    )]
    Malformed,
    #[error(
        "the message is signed with a key other than the expected one. Check that the device or host is enrolled with its current key"
    )]
    WrongKey,
    #[error(
        "the signature does not match the message. The message was changed in transit, or belongs to another session"
    )]
    BadSignature,
}

/// The first 8 bytes of SHA-256 over the public key.
pub type KeyId = [u8; 8];

pub fn key_id(key: &VerifyingKey) -> KeyId {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    id
}

/// Signs `payload` bound to `external_aad` and returns the encoded COSE_Sign1.
pub fn sign1(key: &SigningKey, external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = protected_header(&key.verifying_key());
    let signature = key.sign(&signature_structure(&protected, external_aad, payload));
    let mut out = Vec::with_capacity(payload.len() + OVERHEAD_MAX_BYTES);
    let mut e = Encoder::new(&mut out);
    infallible(
        e.tag(Tag::new(TAG_SIGN1))
            .and_then(|e| e.array(4))
            .and_then(|e| e.bytes(&protected))
            .and_then(|e| e.map(0))
            .and_then(|e| e.bytes(payload))
            .and_then(|e| e.bytes(&signature.to_bytes()))
            .map(|_| ()),
    );
    out
}

/// Checks that `message` was signed by `key` for `external_aad`, and returns its payload.
pub fn verify1<'m>(
    key: &VerifyingKey,
    external_aad: &[u8],
    message: &'m [u8],
) -> Result<&'m [u8], CoseError> {
    let parts = parse(message)?;
    if parts.protected != protected_header(key) {
        return Err(CoseError::WrongKey);
    }
    let signed = signature_structure(parts.protected, external_aad, parts.payload);
    key.verify_strict(&signed, &Signature::from_bytes(&parts.signature))
        .map_err(|_| CoseError::BadSignature)?;
    Ok(parts.payload)
}

/// The payload of a message whose signature is checked elsewhere, or not yet.
pub fn unverified_payload(message: &[u8]) -> Result<&[u8], CoseError> {
    parse(message).map(|parts| parts.payload)
}

/// The key that a message claims to be signed with, to find that key by. Nothing is proved by it.
pub fn claimed_key_id(message: &[u8]) -> Result<KeyId, CoseError> {
    let protected = parse(message)?.protected;
    protected.last_chunk().copied().ok_or(CoseError::Malformed)
}

struct Parts<'m> {
    protected: &'m [u8],
    payload: &'m [u8],
    signature: [u8; SIGNATURE_BYTES],
}

fn parse(message: &[u8]) -> Result<Parts<'_>, CoseError> {
    fn inner(message: &[u8]) -> Result<Parts<'_>, minicbor::decode::Error> {
        let wrong = |what| minicbor::decode::Error::message(what);
        let mut d = Decoder::new(message);
        if d.tag()? != Tag::new(TAG_SIGN1) || d.array()? != Some(4) {
            return Err(wrong("tag"));
        }
        let protected = d.bytes()?;
        if d.map()? != Some(0) {
            return Err(wrong("unprotected header"));
        }
        let payload = d.bytes()?;
        let signature = d.bytes()?.try_into().map_err(|_| wrong("signature"))?;
        if d.position() != message.len() {
            return Err(wrong("trailing bytes"));
        }
        Ok(Parts { protected, payload, signature })
    }
    cbor::check(message).map_err(|_| CoseError::Malformed)?;
    inner(message).map_err(|_| CoseError::Malformed)
}

fn protected_header(key: &VerifyingKey) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    let mut e = Encoder::new(&mut out);
    infallible(
        e.map(2)
            .and_then(|e| e.u8(1))
            .and_then(|e| e.i64(ALGORITHM_ED25519))
            .and_then(|e| e.u8(4))
            .and_then(|e| e.bytes(&key_id(key)))
            .map(|_| ()),
    );
    out
}

fn signature_structure(protected: &[u8], external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + external_aad.len() + 64);
    let mut e = Encoder::new(&mut out);
    infallible(
        e.array(4)
            .and_then(|e| e.str("Signature1"))
            .and_then(|e| e.bytes(protected))
            .and_then(|e| e.bytes(external_aad))
            .and_then(|e| e.bytes(payload))
            .map(|_| ()),
    );
    out
}

/// Writing CBOR to a `Vec` cannot fail, which the types do not express.
fn infallible(result: Result<(), minicbor::encode::Error<core::convert::Infallible>>) {
    debug_assert!(result.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    #[test]
    fn a_message_verifies_only_with_its_key_and_context() {
        let message = sign1(&key(1), b"session", b"lock");
        assert_eq!(verify1(&key(1).verifying_key(), b"session", &message), Ok(&b"lock"[..]));
        assert_eq!(verify1(&key(2).verifying_key(), b"session", &message), Err(CoseError::WrongKey));
        assert_eq!(verify1(&key(1).verifying_key(), b"other", &message), Err(CoseError::BadSignature));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let message = sign1(&key(1), b"session", b"lock");
        let public = key(1).verifying_key();
        for bit in 0..message.len() * 8 {
            let mut bad = message.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verify1(&public, b"session", &bad).is_err(), "bit {bit}");
        }
        for cut in 0..message.len() {
            assert_eq!(verify1(&public, b"session", &message[..cut]).err(), Some(CoseError::Malformed));
        }
        let mut long = message;
        long.push(0);
        assert_eq!(verify1(&public, b"session", &long), Err(CoseError::Malformed));
    }
}
