//! Signed notes and verifier keys (C2SP signed-note), Ed25519 only.
//!
//! A note is text that ends in a newline, an empty line, and one signature line per signer:
//!
//! ```text
//! <text>
//!
//! — <name> <base64(key id [4] ‖ signature [64])>
//! ```
//!
//! A verifier key ("vkey") is one line, `<name>+<key id in hex>+<base64(0x01 ‖ public key [32])>`.
//! It must reach the auditor by another way than the log it verifies.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _};
pub use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::text::is_hidden;

/// Longest note that is read; ours have about 250 bytes and one cosignature adds about 120.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Longest verifier key line.
pub const MAX_VKEY_BYTES: usize = 512;

/// Signature type of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 1;
const KEY_ID_BYTES: usize = 4;

/// Why a note or a verifier key was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Not in the form of a signed note.
    #[error("this is not a signed note: {0}. Fetch the file again from the log")]
    Malformed(&'static str),
    /// Not in the form of a verifier key.
    #[error(
        "this is not a verifier key: {0}. Give the one line, name+hexid+base64, that `sudare-recorder --print-key` prints"
    )]
    BadKey(&'static str),
    /// Nobody signed with that key.
    #[error(
        "this note carries no signature by {0}. Either it belongs to another log, or it was signed with another key: compare the verifier key with the one that you were given out of band"
    )]
    Unsigned(String),
    /// The key's signature is there, and wrong.
    #[error(
        "the signature by {0} is wrong: the text was changed after it was signed. Do not trust this copy"
    )]
    BadSignature(String),
}

/// A public key with the name of its log.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Joins a name and a key; the name must not be empty nor contain white space or `+`.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::BadKey("the name is empty or holds white space or a plus sign"));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Name of the signer; for a log this is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// First four bytes of `SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key)`.
    pub fn id(&self) -> [u8; KEY_ID_BYTES] {
        key_id(&self.name, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        // Editors put a byte order mark before the first line.
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.len() > MAX_VKEY_BYTES {
            return Err(NoteError::BadKey("it is too long"));
        }
        let mut parts = line.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::BadKey("it does not have three parts joined by plus signs"));
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::BadKey("its last part is not base64"))?;
        let Some((&ED25519, key)) = key.split_first() else {
            return Err(NoteError::BadKey("it is not of type 1 (Ed25519)"));
        };
        let key: [u8; 32] = key.try_into().map_err(|_| NoteError::BadKey("the key is not 32 bytes long"))?;
        let key = VerifyingKey::from_bytes(&key)
            .map_err(|_| NoteError::BadKey("these 32 bytes are not an Ed25519 public key"))?;
        let verifier = Self::new(name, key)?;
        if id != format!("{:08x}", u32::from_be_bytes(verifier.id())) {
            return Err(NoteError::BadKey("the key id does not belong to this name and key"));
        }
        Ok(verifier)
    }
}

/// Signs `text` (which must end in a newline) under `name` and returns the whole note.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> Result<String, NoteError> {
    if !is_note_text(text) {
        return Err(NoteError::Malformed(
            "its text is empty, lacks the last newline or holds control characters",
        ));
    }
    if !is_key_name(name) {
        return Err(NoteError::BadKey("the name is empty or holds white space or a plus sign"));
    }
    let mut signature = key_id(name, &key.verifying_key()).to_vec();
    signature.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
    Ok(format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature)))
}

/// Checks that `key` signed the note and returns its text. Signatures by others are left alone.
pub fn open<'a>(note: &'a [u8], key: &VerifierKey) -> Result<&'a str, NoteError> {
    let (text, signatures) = parts(note)?;
    let mut signed = false;
    for line in signatures.lines() {
        let (name, id, signature) = parse_signature_line(line)?;
        if name == key.name && id == key.id() {
            let signature = Signature::from_slice(&signature)
                .map_err(|_| NoteError::Malformed("an Ed25519 signature is not 64 bytes long"))?;
            key.key
                .verify_strict(text.as_bytes(), &signature)
                .map_err(|_| NoteError::BadSignature(key.name.clone()))?;
            signed = true;
        }
    }
    if signed { Ok(text) } else { Err(NoteError::Unsigned(key.name.clone())) }
}

/// The text of a note and its signature lines, nothing checked but the form.
pub(super) fn parts(note: &[u8]) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(NoteError::Malformed("it is too long"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
    // The last empty line separates, so that a text may hold empty lines of its own.
    let split = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, signatures) = note.split_at(split + 1);
    let signatures = signatures.strip_prefix('\n').unwrap_or_default();
    if !is_note_text(text) {
        return Err(NoteError::Malformed("its text holds control characters"));
    }
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Malformed("the signature lines are missing or cut short"));
    }
    Ok((text, signatures))
}

pub(super) fn parse_signature_line(line: &str) -> Result<(&str, [u8; KEY_ID_BYTES], Vec<u8>), NoteError> {
    let (name, signature) = line
        .strip_prefix("\u{2014} ")
        .and_then(|rest| rest.split_once(' '))
        .ok_or(NoteError::Malformed("a line after the empty line is not a signature"))?;
    if !is_key_name(name) {
        return Err(NoteError::Malformed("a signature line has no proper name"));
    }
    let signature =
        STANDARD.decode(signature).map_err(|_| NoteError::Malformed("a signature is not base64"))?;
    let (id, signature) = signature
        .split_first_chunk::<KEY_ID_BYTES>()
        .ok_or(NoteError::Malformed("a signature is shorter than its key id"))?;
    Ok((name, *id, signature.to_vec()))
}

pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || is_hidden(c) || c == '+')
}

fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && !text.contains(|c: char| c.is_ascii_control() && c != '\n')
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; KEY_ID_BYTES] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let mut id = [0; KEY_ID_BYTES];
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Example of golang.org/x/mod/sumdb/note, so that our reading is checked against a peer's.
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key() -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::new("sudare.example/log/test", key.verifying_key()).unwrap();
        (key, verifier)
    }

    #[test]
    fn the_note_of_the_go_package_opens() {
        let key: VerifierKey = GO_VKEY.parse().unwrap();
        assert_eq!(key.to_string(), GO_VKEY);
        assert!(open(GO_NOTE.as_bytes(), &key).unwrap().starts_with("If you think"));
    }

    #[test]
    fn sign_then_open_and_every_changed_byte_is_refused() {
        let (signing, verifier) = key();
        let note = sign("origin\n1\nroot\n", verifier.name(), &signing).unwrap();
        assert_eq!(open(note.as_bytes(), &verifier).unwrap(), "origin\n1\nroot\n");
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(open(&bytes, &verifier).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_foreign_key_is_named_as_such() {
        let (signing, verifier) = key();
        let note = sign("text\n", verifier.name(), &signing).unwrap();
        let other =
            VerifierKey::new(verifier.name(), SigningKey::from_bytes(&[8; 32]).verifying_key()).unwrap();
        assert_eq!(open(note.as_bytes(), &other), Err(NoteError::Unsigned(verifier.name().to_owned())));
    }

    #[test]
    fn a_cosignature_by_somebody_else_does_not_disturb() {
        let (signing, verifier) = key();
        let note = sign("text\n", verifier.name(), &signing).unwrap();
        let witness = SigningKey::from_bytes(&[9; 32]);
        let second = sign("text\n", "witness.example", &witness).unwrap();
        let both = format!("{note}{}\n", second.lines().last().unwrap());
        assert_eq!(open(both.as_bytes(), &verifier).unwrap(), "text\n");
    }

    #[test]
    fn a_verifier_key_with_a_wrong_id_is_refused() {
        let line = GO_VKEY.replace("c74f20a3", "c74f20a4");
        assert!(matches!(line.parse::<VerifierKey>(), Err(NoteError::BadKey(_))));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
            let (_, verifier) = key();
            prop_assert!(open(&bytes, &verifier).is_err());
            prop_assert!(open(text.as_bytes(), &verifier).is_err());
            prop_assert!(text.parse::<VerifierKey>().is_err());
        }

        #[test]
        fn a_cut_note_is_refused(cut in 0usize..200) {
            let (signing, verifier) = key();
            let note = sign("origin\n12\nroot\n", verifier.name(), &signing).unwrap().into_bytes();
            prop_assert!(open(&note[..cut.min(note.len() - 1)], &verifier).is_err());
        }
    }
}
