//! Decides whether a checkpoint may follow the last cosigned one. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use sudare_protocol::tlog::SignedCheckpoint;
use sudare_protocol::tlog::consistency::{self, ConsistencyError};
use sudare_protocol::tlog::merkle::{Hash, root_of};

/// Why a checkpoint that its log signed is not cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The old size is larger than that of the checkpoint: a request that contradicts itself.
    Backwards,
    /// It is smaller than the last cosigned one.
    RolledBack,
    /// It is as large as the last cosigned one, but has another root.
    Forked,
    /// The proof does not start at the last cosigned one; the sender may try again.
    Outdated,
    /// The proof does not hold.
    Unproven,
}

/// `seen` is the last cosigned checkpoint of this log, and `old_size` the size from which the proof starts.
pub fn judge(
    seen: Option<&SignedCheckpoint>,
    old_size: u64,
    proof: &[Hash],
    next: &SignedCheckpoint,
) -> Result<(), Objection> {
    // A log that was never seen counts as empty.
    let (known, known_root) = seen.map_or((0, root_of(&[])), |seen| (seen.size(), seen.root()));
    if old_size > next.size() {
        return Err(Objection::Backwards);
    }
    // Contradictions are tested before outdated requests: both are answered with the known size, but only a
    // contradiction is evidence.
    if next.size() < known {
        return Err(Objection::RolledBack);
    }
    if next.size() == known && next.root() != known_root {
        return Err(Objection::Forked);
    }
    if old_size != known {
        return Err(Objection::Outdated);
    }
    let verified = consistency::verify((known, &known_root), (next.size(), &next.root()), proof);
    verified.map_err(|error| match error {
        ConsistencyError::Shrunk { .. } => Objection::RolledBack,
        ConsistencyError::Forked(_) => Objection::Forked,
        ConsistencyError::Unproven { .. } => Objection::Unproven,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestLog;

    #[test]
    fn only_what_continues_the_last_one_passes() {
        let mut log = TestLog::new("sudare.example/log/a");
        let five = log.grow_to(5);
        let nine = log.grow_to(9);
        let proof = log.proof(5, 9);
        assert_eq!(judge(None, 0, &[], &five), Ok(()));
        assert_eq!(judge(Some(&five), 5, &proof, &nine), Ok(()));
        assert_eq!(judge(Some(&nine), 9, &[], &nine), Ok(()), "still there: a fresh time");
        assert_eq!(judge(Some(&five), 0, &[], &nine), Err(Objection::Outdated));
        assert_eq!(judge(Some(&five), 10, &proof, &nine), Err(Objection::Backwards));
        assert_eq!(judge(Some(&five), 5, &[], &nine), Err(Objection::Unproven));
        assert_eq!(judge(Some(&nine), 9, &[], &five), Err(Objection::Backwards));
        assert_eq!(judge(Some(&nine), 5, &[], &five), Err(Objection::RolledBack));
    }

    #[test]
    fn a_rewritten_log_is_refused_at_the_same_size_and_later() {
        let mut log = TestLog::new("sudare.example/log/a");
        let nine = log.grow_to(9);
        let mut forked = log.fork_at(4);
        assert_eq!(judge(Some(&nine), 9, &[], &forked.grow_to(9)), Err(Objection::Forked));
        assert_eq!(judge(Some(&nine), 0, &[], &forked.grow_to(9)), Err(Objection::Forked));
        let later = forked.grow_to(20);
        assert_eq!(judge(Some(&nine), 9, &forked.proof(9, 20), &later), Err(Objection::Unproven));
    }
}
