//! What a log sends to a witness (C2SP tlog-witness, `POST <prefix>/add-checkpoint`).
//!
//! ```text
//! old <size that the witness cosigned last, or 0>
//! <base64 of a hash>          zero or more, the consistency proof from that size
//!
//! <the checkpoint, a signed note>
//! ```
//! Answers: 200 and cosignature lines · 404 unknown log · 403 not signed by it · 400 malformed ·
//! 409 and the size known to the witness ([`SIZE_TYPE`]) · 422 the proof does not hold.
//!
//! Source: <https://c2sp.org/tlog-witness>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::checkpoint::parse_size;
use super::consistency::MAX_PROOF_HASHES;
use super::merkle::Hash;
use super::note::MAX_NOTE_BYTES;

/// Longest body: the old size, a full proof, the longest note.
pub const MAX_SUBMISSION_BYTES: usize = 32 + MAX_PROOF_HASHES * 45 + MAX_NOTE_BYTES;
/// Media type of the size in a 409 answer.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// A checkpoint with what shows that it continues the last one; nothing in it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Size of the last checkpoint that the witness cosigned.
    pub old_size: u64,
    /// From there to the checkpoint.
    pub proof: Vec<Hash>,
    /// The signed note.
    pub note: String,
}

/// The body is not in the form of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is not an add-checkpoint request: {0}. See c2sp.org/tlog-witness for its form")]
pub struct SubmissionError(&'static str);

impl Submission {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, SubmissionError> {
        if body.len() > MAX_SUBMISSION_BYTES {
            return Err(SubmissionError("it is too long"));
        }
        let body = std::str::from_utf8(body).map_err(|_| SubmissionError("it is not UTF-8"))?;
        let (head, note) =
            body.split_once("\n\n").ok_or(SubmissionError("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(parse_size);
        let old_size = old_size.ok_or(SubmissionError("its first line is not `old` and a plain number"))?;
        let hashes = lines.map(|line| STANDARD.decode(line).ok().and_then(|hash| Hash::try_from(hash).ok()));
        let proof: Option<Vec<Hash>> = hashes.collect();
        let proof = proof.ok_or(SubmissionError("a line of the proof is not 32 bytes in base64"))?;
        if proof.len() > MAX_PROOF_HASHES {
            return Err(SubmissionError("the proof has more than 63 hashes"));
        }
        if note.is_empty() {
            return Err(SubmissionError("the checkpoint is missing"));
        }
        Ok(Self { old_size, proof, note: note.to_owned() })
    }

    /// The body.
    pub fn to_body(&self) -> String {
        let mut body = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        format!("{body}\n{}", self.note)
    }

    /// The origin that the note claims, before anything is verified.
    pub fn origin(&self) -> &str {
        self.note.lines().next().unwrap_or_default()
    }
}

/// The body of a 409 answer: the size that the witness cosigned last.
pub fn size_body(size: u64) -> String {
    format!("{size}\n")
}

/// Reads the body of a 409 answer.
pub fn parse_size_body(body: &str) -> Option<u64> {
    parse_size(body.strip_suffix('\n')?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            old_size in any::<u64>(), proof in prop::collection::vec(any::<[u8; 32]>(), 0..=63), note in "[a-z\n]{1,80}",
        ) {
            let submission = Submission { old_size, proof, note };
            prop_assert_eq!(Submission::parse(submission.to_body().as_bytes()), Ok(submission));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "old [0-9]{0,3}\n.{0,60}\n\n.{0,9}") {
            prop_assert!(Submission::parse(&bytes).is_err());
            if let Ok(read) = Submission::parse(text.as_bytes()) {
                prop_assert_eq!(read.to_body(), text);
            }
        }
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let body = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
            jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\nexample.com/behind-the-sofa\n20852163\n";
        let read = Submission::parse(body.as_bytes()).unwrap();
        assert_eq!((read.old_size, read.proof.len()), (20_852_014, 2));
        assert_eq!(read.origin(), "example.com/behind-the-sofa");
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let hash = STANDARD.encode([1; 32]);
        let long = format!("old 1\n{}\n\nnote", vec![hash.as_str(); 64].join("\n"));
        let bad =
            ["", "old 1\n", "old 01\n\nx", "old +1\n\nx", "1\n\nx", "old 1\nAA==\n\nx", "old 1\n\n", &long];
        for body in bad {
            assert!(Submission::parse(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_known_size_has_one_spelling() {
        assert_eq!(parse_size_body(&size_body(12)), Some(12));
        for bad in ["12", "012\n", "12\n\n", "\n", "x\n"] {
            assert_eq!(parse_size_body(bad), None, "{bad:?}");
        }
    }
}
