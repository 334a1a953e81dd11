//! Cosignatures: a witness says that it saw this checkpoint, at this time, and that it
//! continues every one it saw before (C2SP tlog-cosignature, type `cosignature/v1`, Ed25519).
//!
//! ```text
//! signed by the witness            its line in the note
//! cosignature/v1
//! time <Unix time in seconds>      — <name> <base64(key id [4] ‖ time, u64 big-endian ‖ signature [64])>
//! <text of the checkpoint>
//! ```
//! The key id is the start of `SHA-256(name ‖ "\n" ‖ 0x04 ‖ public key)`, and the public line
//! is a vkey of type 4, so that a log's key is never taken for a witness's or the reverse.
//! A cosignature does not name its witness inside what is signed: one key, one witness.
//!
//! Source: <https://c2sp.org/tlog-cosignature>.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::checkpoint::SignedCheckpoint;
use super::note::{self, MAX_VKEY_BYTES, NoteError};

/// Signature type of `cosignature/v1` in key ids and verifier keys.
const COSIGNATURE_V1: u8 = 4;

/// Why a cosignature or the key of a witness was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CosignatureError {
    /// The note around it.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// Not the public line of a witness.
    #[error(
        "this is not a witness's key: {0}. Give the one line, name+hexid+base64, that `sudare-witness keygen` printed; a log's key is of another type"
    )]
    BadKey(&'static str),
    /// The witness's line is there, and wrong.
    #[error(
        "the cosignature by {0} is wrong: the checkpoint, its time or the line itself was changed. Do not trust this copy; ask the witness what it last saw"
    )]
    Refused(String),
}

/// What a witness vouches for: it saw the checkpoint at that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// Name of the witness.
    pub name: String,
    /// Unix time in seconds, by the clock of the witness.
    pub time_s: u64,
}

/// Name and public key of a witness.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    key: VerifyingKey,
}

/// Name and private key of a witness.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

/// All cosignatures on a note by these witnesses, in the order of the note. Lines by others are
/// left alone, the log's own signature is not checked: `SignedCheckpoint::open` does that.
pub fn check(note: &[u8], witnesses: &[WitnessKey]) -> Result<Vec<Cosigned>, CosignatureError> {
    let (text, lines) = note::parts(note)?;
    let mut found = Vec::new();
    for line in lines.lines() {
        let (name, id, signature) = note::parse_signature_line(line)?;
        for witness in witnesses.iter().filter(|witness| witness.name == name && witness.id() == id) {
            let refused = || CosignatureError::Refused(name.to_owned());
            let time_s = witness.time_of(text, &signature).ok_or_else(refused)?;
            found.push(Cosigned { name: name.to_owned(), time_s });
        }
    }
    Ok(found)
}

/// How many signature lines a note has, whoever wrote them.
pub fn lines(note: &[u8]) -> Result<usize, NoteError> {
    note::parts(note).map(|(_, lines)| lines.lines().count())
}

/// The note with one more signature line, as a witness answers it.
pub fn attach(note: &str, line: &str) -> String {
    format!("{note}{}\n", line.trim_end_matches('\n'))
}

impl WitnessKey {
    /// Joins a name and a key; the name must not be empty nor contain white space or `+`.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, CosignatureError> {
        if !note::is_key_name(name) {
            return Err(CosignatureError::BadKey("the name is empty or holds white space or a plus sign"));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Name of the witness, such as `witness.example/audit`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update([b'\n', COSIGNATURE_V1]);
        let hash: [u8; 32] = hash.chain_update(self.key.as_bytes()).finalize().into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }

    /// The time of a cosignature that is right, or `None`.
    fn time_of(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (time, signature) = signature.split_first_chunk::<8>()?;
        let time_s = u64::from_be_bytes(*time);
        // The specification keeps the upper half free for clients that count with a sign.
        i64::try_from(time_s).ok()?;
        let signature = Signature::from_slice(signature).ok()?;
        self.key.verify_strict(message(text, time_s).as_bytes(), &signature).ok().map(|()| time_s)
    }
}

impl Cosigner {
    /// A witness that can sign.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, CosignatureError> {
        WitnessKey::new(name, key.verifying_key())?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// What auditors are given.
    pub fn public(&self) -> WitnessKey {
        WitnessKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The signature line for a checkpoint seen at `time_s`, with its newline.
    ///
    /// The caller must have shown that the checkpoint continues the last one it cosigned.
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, time_s: u64) -> Result<String, CosignatureError> {
        if i64::try_from(time_s).is_err() {
            return Err(CosignatureError::Refused(self.name.clone()));
        }
        let (text, _) = note::parts(checkpoint.note().as_bytes())?;
        let mut bytes = self.public().id().to_vec();
        bytes.extend_from_slice(&time_s.to_be_bytes());
        bytes.extend_from_slice(&self.key.sign(message(text, time_s).as_bytes()).to_bytes());
        Ok(format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes)))
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![COSIGNATURE_V1];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id()), STANDARD.encode(key))
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessKey({self})")
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.name)
    }
}

impl FromStr for WitnessKey {
    type Err = CosignatureError;

    fn from_str(line: &str) -> Result<Self, CosignatureError> {
        let bad = CosignatureError::BadKey;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.len() > MAX_VKEY_BYTES {
            return Err(bad("it is too long"));
        }
        let mut parts = line.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("it does not have three parts joined by plus signs"));
        };
        let key = STANDARD.decode(key).map_err(|_| bad("its last part is not base64"))?;
        let Some((&COSIGNATURE_V1, key)) = key.split_first() else {
            return Err(bad("it is not of type 4 (cosignature/v1)"));
        };
        let key: [u8; 32] = key.try_into().map_err(|_| bad("the key is not 32 bytes long"))?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| bad("these 32 bytes are no Ed25519 key"))?;
        let witness = Self::new(name, key)?;
        if id != format!("{:08x}", u32::from_be_bytes(witness.id())) {
            return Err(bad("the key id does not belong to this name and key"));
        }
        Ok(witness)
    }
}

fn message(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{Checkpoint, VerifierKey};
    use proptest::prelude::*;

    fn checkpoint() -> (SignedCheckpoint, VerifierKey) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let origin = "sudare.example/log/test".to_owned();
        let verifier = VerifierKey::new(&origin, key.verifying_key()).unwrap();
        (Checkpoint { origin, size: 9, root: [5; 32] }.sign(&key).unwrap(), verifier)
    }

    fn witness(seed: u8) -> Cosigner {
        Cosigner::new("witness.example/audit", SigningKey::from_bytes(&[seed; 32])).unwrap()
    }

    fn cosigned() -> String {
        let (checkpoint, _) = checkpoint();
        attach(checkpoint.note(), &witness(4).cosign(&checkpoint, 1_679_315_147).unwrap())
    }

    #[test]
    fn a_cosigned_note_is_still_the_logs_and_says_when_it_was_seen() {
        let (_, log) = checkpoint();
        let note = cosigned();
        assert_eq!(SignedCheckpoint::open(note.as_bytes(), &log).unwrap().size(), 9);
        let seen = Cosigned { name: "witness.example/audit".into(), time_s: 1_679_315_147 };
        assert_eq!(check(note.as_bytes(), &[witness(4).public()]).unwrap(), [seen]);
    }

    #[test]
    fn a_line_by_an_unknown_witness_counts_for_nothing() {
        assert_eq!(check(cosigned().as_bytes(), &[witness(5).public()]).unwrap(), []);
        let (checkpoint, _) = checkpoint();
        assert_eq!(check(checkpoint.note().as_bytes(), &[witness(4).public()]).unwrap(), []);
    }

    #[test]
    fn no_byte_of_text_time_or_signature_can_be_changed() {
        let note = cosigned();
        let own_line = note.trim_end().rfind('\n').unwrap();
        let log_line = note.find("\n\n").unwrap() + 2;
        for at in (0..log_line).chain(own_line..note.len()) {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let seen = check(&bytes, &[witness(4).public()]);
            assert!(seen.as_ref().map_or(true, Vec::is_empty), "byte {at}: {seen:?}");
        }
        let (checkpoint, _) = checkpoint();
        let line = witness(4).cosign(&checkpoint, 7).unwrap();
        let (head, encoded) = line.trim_end().rsplit_once(' ').unwrap();
        let mut bytes = STANDARD.decode(encoded).unwrap();
        bytes[11] = 8;
        let changed = attach(checkpoint.note(), &format!("{head} {}", STANDARD.encode(bytes)));
        let refused = CosignatureError::Refused("witness.example/audit".into());
        assert_eq!(check(changed.as_bytes(), &[witness(4).public()]), Err(refused));
    }

    #[test]
    fn the_example_of_the_specification_has_the_form_that_is_read() {
        let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
             \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let (_, lines) = note::parts(note.as_bytes()).unwrap();
        let (name, id, signature) = note::parse_signature_line(lines.trim_end()).unwrap();
        assert_eq!((name, id, signature.len()), ("witness.example.com/w1", [0x8d, 0x66, 0xcf, 0x3f], 72));
        assert_eq!(signature[..8], 1_679_315_147u64.to_be_bytes());
    }

    #[test]
    fn a_witness_key_survives_its_line_and_a_logs_key_is_not_one() {
        let line = witness(4).public().to_string();
        assert_eq!(line.parse::<WitnessKey>().unwrap(), witness(4).public());
        assert!(line.parse::<VerifierKey>().is_err());
        let (_, log) = checkpoint();
        assert!(matches!(log.to_string().parse::<WitnessKey>(), Err(CosignatureError::BadKey(_))));
        let other_name = line.replacen("witness", "otherwise", 1);
        assert!(matches!(other_name.parse::<WitnessKey>(), Err(CosignatureError::BadKey(_))));
    }

    #[test]
    fn a_time_beyond_the_specification_is_neither_signed_nor_read() {
        let (checkpoint, _) = checkpoint();
        assert!(witness(4).cosign(&checkpoint, 1 << 63).is_err());
        assert!(witness(4).cosign(&checkpoint, (1 << 63) - 1).is_ok());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let key = [witness(4).public()];
            prop_assert!(check(&bytes, &key).map_or(true, |seen| seen.is_empty()));
            prop_assert!(check(text.as_bytes(), &key).map_or(true, |seen| seen.is_empty()));
            prop_assert!(text.parse::<WitnessKey>().is_err());
        }
    }
}
