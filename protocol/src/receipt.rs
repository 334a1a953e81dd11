//! What an ACK proves: that the log of the host holds all pictures of an incident.
//!
//! ```text
//! host record ── organisation's key ──► the log's key
//! entry ── log's key ──► incident-complete, which lists each picture of the manifest by its hash
//! checkpoint ── log's key ──► size, root ◄── inclusion proof ◄── entry at leaf_index
//! ```
//! A client forgets evidence by an ACK, so whoever could make one up could erase what has not been stored. Where the
//! host's record names no log key, nothing of this can be checked; then an ACK counts if its checkpoint at least claims to
//! cover the entry.

use crate::evidence::event::Event;
use crate::evidence::{Entry, EntryError};
use crate::limits::{ACK_ENTRY_MAX_BYTES, TEXT_MAX_BYTES};
use crate::message::{Ack, Bounded, Manifest};
use crate::tlog::inclusion::{self, PROOF_MAX_HASHES};
use crate::tlog::merkle::{Hash, leaf_hash};
use crate::tlog::{NoteError, SignedCheckpoint, VerifierKey};

impl Bounded for Ack {
    fn in_bounds(&self) -> bool {
        self.checkpoint.len() <= 4 * TEXT_MAX_BYTES
            && self.entry.as_ref().is_none_or(|entry| entry.len() <= ACK_ENTRY_MAX_BYTES)
            && self.proof.as_ref().is_none_or(|proof| proof.len() <= PROOF_MAX_HASHES)
    }
}

/// Why an ACK does not count. The evidence is kept and sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error(
        "the host acknowledged an incident that was not sent to it. The incident is kept; tell the security team"
    )]
    NotSent,
    #[error("the host acknowledged an incident without proof that its log holds it. {ADVICE}")]
    NoProof,
    #[error("the checkpoint in an acknowledgement is refused: {0}. {ADVICE}")]
    Checkpoint(#[from] NoteError),
    #[error("the entry in an acknowledgement is refused: {0}. {ADVICE}")]
    Entry(#[from] EntryError),
    #[error(
        "the entry in an acknowledgement does not complete this incident, or lacks one of its pictures. {ADVICE}"
    )]
    OtherEntry,
    #[error("the entry in an acknowledgement is not in the log at the place that it names. {ADVICE}")]
    NotIncluded,
}

const ADVICE: &str = "The incident is kept and sent again; if it repeats, tell the security team";

/// Checks an ACK for an incident that was sent. `log` is the key that the organisation signed, if it signed one.
pub fn check(ack: &Ack, manifest: &Manifest, log: Option<&VerifierKey>) -> Result<(), ReceiptError> {
    let Some(log) = log else {
        let size = ack.checkpoint.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        let claims = size.is_some_and(|size| size > ack.leaf_index);
        return if claims { Ok(()) } else { Err(ReceiptError::NoProof) };
    };
    let (Some(leaf), Some(proof)) = (&ack.entry, &ack.proof) else { return Err(ReceiptError::NoProof) };
    let checkpoint = SignedCheckpoint::open(ack.checkpoint.as_bytes(), log)?;
    let entry = Entry::open(leaf, log.key())?;
    if entry.seq != ack.leaf_index || !completes(&entry, manifest)? {
        return Err(ReceiptError::OtherEntry);
    }
    let proof: Option<Vec<Hash>> =
        proof.iter().take(PROOF_MAX_HASHES + 1).map(|hash| hash.as_slice().try_into().ok()).collect();
    let proof = proof.ok_or(ReceiptError::NotIncluded)?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    if inclusion::verify(&leaf_hash(leaf), ack.leaf_index, size, &proof, &root) {
        Ok(())
    } else {
        Err(ReceiptError::NotIncluded)
    }
}

/// The host may have recorded the incident under an id of its own, so the pictures say which one it is.
fn completes(entry: &Entry, manifest: &Manifest) -> Result<bool, EntryError> {
    let all = manifest.pieces.iter().all(|piece| {
        entry.blobs.iter().any(|blob| {
            (blob.blob_id, blob.sha256, blob.size, blob.commitment)
                == (piece.blob_id, piece.sha256, piece.size, piece.commitment)
        })
    });
    Ok(all && matches!(entry.event()?, Event::IncidentComplete(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;
    use crate::evidence::event::{IncidentComplete, PicturesStored};
    use crate::evidence::{BlobRef, Label, Media};
    use crate::message::{Moment, Piece};
    use crate::reason::Reason;
    use crate::tlog::inclusion::Prover;
    use crate::tlog::{Checkpoint, Tree};
    use crate::verify::testing;

    const ORIGIN: &str = "sudare.example/log/test";

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn log(n: u8) -> VerifierKey {
        VerifierKey::new(ORIGIN, key(n).verifying_key()).unwrap()
    }

    fn manifest(pieces: &[u8]) -> Manifest {
        let piece = |n: &u8| Piece {
            blob_id: [*n; 16],
            moment: Moment::At,
            size: 9,
            sha256: [*n; 32],
            commitment: [*n; 32],
            chunks: vec![vec![0; 32].into()],
            boot_ms: 0,
            media: 0,
            header_size: None,
            pixelated: Some(true),
        };
        Manifest {
            incident_id: [5; 16],
            reason: Reason::Stranger,
            pieces: pieces.iter().map(piece).collect(),
            policy_digest: [0; 32],
            decided_boot_ms: 0,
            wall_ms: 0,
            cosine_milli: None,
            basis: None,
        }
    }

    fn blob(n: u8) -> BlobRef {
        BlobRef {
            blob_id: [n; 16],
            label: Label::CameraAt.number(),
            media: Media::Jpeg.number(),
            sha256: [n; 32],
            size: 9,
            commitment: [n; 32],
            header_size: None,
        }
    }

    /// The ACK for a log of seven entries of which number 4 is this one.
    fn ack(event: &Event, blobs: &[u8], log_key: u8) -> Ack {
        let (mut tree, mut prover, mut entry) = (Tree::new(), Prover::default(), Vec::new());
        for seq in 0..7 {
            let blobs = blobs.iter().map(|n| blob(*n)).collect();
            let leaf = Entry { seq, blobs, ..testing::entry(event) }.sign(&key(log_key)).unwrap();
            tree.push(leaf_hash(&leaf));
            prover.push(leaf_hash(&leaf));
            if seq == 4 {
                entry = leaf;
            }
        }
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 7, root: tree.root() };
        let proof = prover.proof(4).unwrap().iter().map(|hash| hash.to_vec().into()).collect();
        Ack {
            incident_id: [5; 16],
            leaf_index: 4,
            checkpoint: checkpoint.sign(&key(log_key)).unwrap().note().to_owned(),
            entry: Some(entry),
            proof: Some(proof),
        }
    }

    #[test]
    fn only_what_the_log_holds_is_acknowledged() {
        let done = Event::IncidentComplete(IncidentComplete { missing: 0 });
        let good = ack(&done, &[1, 2, 9], 1);
        let sent = manifest(&[1, 2]);
        assert_eq!(check(&good, &sent, Some(&log(1))), Ok(()));
        let other_key = check(&ack(&done, &[1, 2], 8), &sent, Some(&log(1)));
        assert!(matches!(other_key, Err(ReceiptError::Checkpoint(_))), "{other_key:?}");
        assert_eq!(check(&good, &manifest(&[1, 3]), Some(&log(1))), Err(ReceiptError::OtherEntry));
        let stored = ack(&Event::PicturesStored(PicturesStored {}), &[1, 2], 1);
        assert_eq!(check(&stored, &sent, Some(&log(1))), Err(ReceiptError::OtherEntry));
        let elsewhere = Ack { leaf_index: 5, ..good.clone() };
        assert_eq!(check(&elsewhere, &sent, Some(&log(1))), Err(ReceiptError::OtherEntry));
        let mut unproven = good.clone();
        unproven.proof.as_mut().unwrap().pop();
        assert_eq!(check(&unproven, &sent, Some(&log(1))), Err(ReceiptError::NotIncluded));
        for without in [Ack { entry: None, ..good.clone() }, Ack { proof: None, ..good.clone() }] {
            assert_eq!(check(&without, &sent, Some(&log(1))), Err(ReceiptError::NoProof));
        }
        let forged =
            Ack { leaf_index: u64::MAX, checkpoint: String::new(), entry: None, proof: None, ..good };
        for key in [Some(log(1)), None] {
            assert_eq!(check(&forged, &sent, key.as_ref()), Err(ReceiptError::NoProof));
        }
    }
}
