//! The signed tree head (C2SP tlog-checkpoint).
//!
//! Text of the note, one item a line: origin, size in decimal, root in base64; more lines may
//! follow and are ignored. The note's signer is named like the origin.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;
use super::note::{self, NoteError, SigningKey, VerifierKey};

/// What a log claims about itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, such as `sudare.example/log/vdi-0042`.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Hash,
}

/// A checkpoint whose signature was made here or has been verified; nothing else builds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl Checkpoint {
    /// Signs with the log key under the origin's name.
    pub fn sign(self, key: &SigningKey) -> Result<SignedCheckpoint, NoteError> {
        let note = note::sign(&self.text(), &self.origin, key)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed("a checkpoint has three lines at least"));
        };
        let root = STANDARD.decode(root).ok().and_then(|root| Hash::try_from(root).ok());
        let root = root.ok_or(NoteError::Malformed("the root is not 32 bytes in base64"))?;
        let size = parse_size(size).ok_or(NoteError::Malformed("the size is not a plain decimal number"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

impl SignedCheckpoint {
    /// Verifies a note under the log's key; its origin must be the key's name.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, NoteError> {
        let text = note::open(note, key)?;
        let checkpoint = Checkpoint::parse(text)?;
        if checkpoint.origin != key.name() {
            return Err(NoteError::Malformed("the origin is not the name of the key that signed it"));
        }
        // `note::open` has just read it as UTF-8, so nothing is replaced here.
        Ok(Self { checkpoint, note: String::from_utf8_lossy(note).into_owned() })
    }

    /// Origin, size and root.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.checkpoint.root
    }

    /// The whole note, as it is stored and handed out.
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// Digits only and no leading zero, so that one size has one spelling.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example(size: u64) -> (Checkpoint, SigningKey, VerifierKey) {
        let key = SigningKey::from_bytes(&[3; 32]);
        let origin = "sudare.example/log/test".to_owned();
        let verifier = VerifierKey::new(&origin, key.verifying_key()).unwrap();
        (Checkpoint { origin, size, root: [5; 32] }, key, verifier)
    }

    proptest! {
        #[test]
        fn what_was_signed_opens(size in any::<u64>()) {
            let (checkpoint, key, verifier) = example(size);
            let signed = checkpoint.clone().sign(&key).unwrap();
            let opened = SignedCheckpoint::open(signed.note().as_bytes(), &verifier).unwrap();
            prop_assert_eq!(opened.checkpoint(), &checkpoint);
        }

        #[test]
        fn garbage_never_panics(text in "\\PC{0,40}\n\\PC{0,20}\n\\PC{0,60}\n") {
            prop_assert!(Checkpoint::parse(&text).is_err());
        }
    }

    #[test]
    fn extension_lines_are_allowed() {
        let (checkpoint, key, verifier) = example(9);
        let text = format!("{}extension\n", checkpoint.text());
        let note = note::sign(&text, &checkpoint.origin, &key).unwrap();
        assert_eq!(SignedCheckpoint::open(note.as_bytes(), &verifier).unwrap().size(), 9);
    }

    #[test]
    fn a_size_has_one_spelling() {
        for bad in ["", "+1", "01", "-1", " 1", "1 ", "18446744073709551616"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
        assert_eq!(parse_size("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn an_origin_that_is_not_the_signers_name_is_refused() {
        let (mut checkpoint, key, verifier) = example(9);
        checkpoint.origin = "sudare.example/log/other".to_owned();
        let note = note::sign(&checkpoint.text(), verifier.name(), &key).unwrap();
        assert!(SignedCheckpoint::open(note.as_bytes(), &verifier).is_err());
    }
}
