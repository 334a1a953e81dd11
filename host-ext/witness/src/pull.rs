//! Cosigns a store folder or a copy of one, without a network: the witness makes the proof itself.
//!
//! Because it can compare the tiles with the signed root, it can tell a rewritten log from damaged tiles. A witness that
//! only receives a proof cannot.

use std::path::{Path, PathBuf};

use sudare_evidence::proofs::{self, TileError};
use sudare_evidence::reader::{ReadError, Store};
use sudare_evidence::store::Disk;
use sudare_protocol::tlog::consistency::ProveError;
use sudare_protocol::tlog::cosignature::attach;
use sudare_protocol::tlog::submission::Submission;
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, VerifierKey};
use thiserror::Error;

use crate::alarms::{self, Alarm, Kind};
use crate::error::WitnessError;
use crate::submission::{Answer, Witness};

/// Another process may cosign a newer checkpoint between reading the memory and judging.
const TRIES: u32 = 3;

/// Why a folder was not cosigned.
#[derive(Debug, Error)]
pub enum PullError {
    /// The folder has no checkpoint.
    #[error("{0} holds no `checkpoint`. Give the folder of an evidence store, or a copy of one")]
    NoCheckpoint(PathBuf),
    /// The checkpoint is not signed by this log.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log is smaller than before.
    #[error(
        "the log has {size} entries, but {known} were cosigned: it was truncated, or this is an old copy. Nothing was \
         cosigned now; the checkpoint is kept in `alarms.jsonl`"
    )]
    RolledBack {
        /// Size of the log.
        size: u64,
        /// Size that was cosigned before.
        known: u64,
    },
    /// The log has another history.
    #[error(
        "the log was REWRITTEN: its tiles lead to its signed checkpoint of {size} entries, but not to the {known} \
         entries that were cosigned before. Nothing was cosigned now; both checkpoints are kept as evidence, in \
         `alarms.jsonl` and in `seen`"
    )]
    Forked {
        /// Size of the log.
        size: u64,
        /// Size that was cosigned before.
        known: u64,
    },
    /// The tiles do not give the root of the checkpoint.
    #[error(
        "the tiles in this folder do not lead to its checkpoint, so nothing can be said about the log. Copy it again \
         (tiles before `checkpoint`), and run `sudare-audit verify`"
    )]
    Damaged,
    /// Other processes keep changing the memory.
    #[error("other requests about this log kept changing the memory of the witness. Try again")]
    Busy,
    /// The proof cannot be made from the tiles.
    #[error(transparent)]
    Prove(#[from] ProveError<TileError>),
    /// The folder cannot be read.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// The witness itself failed.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

/// Cosigns the folder's checkpoint and returns the note with its cosignature.
pub fn cosign_folder<D: Disk>(
    witness: &mut Witness<D>,
    key: &VerifierKey,
    dir: &Path,
    now_s: u64,
) -> Result<String, PullError> {
    let store = Store::open(dir)?;
    let note = store.checkpoint()?.ok_or_else(|| PullError::NoCheckpoint(dir.to_owned()))?;
    let next = SignedCheckpoint::open(&note, key)?;
    for _ in 0..TRIES {
        let logs = witness.logs().to_vec();
        let seen = witness.memory().seen(key.name(), &logs)?;
        let known = seen.map_or(0, |seen| seen.checkpoint.size());
        // There is no proof for a smaller checkpoint, which is refused anyway.
        let proof =
            if known <= next.size() { proofs::prove(&store, known, next.size())? } else { Vec::new() };
        let old_size = known.min(next.size());
        match witness.add_checkpoint(&Submission { old_size, proof, note: next.note().to_owned() }, now_s)? {
            Answer::Cosigned(line) => return Ok(attach(next.note(), &line)),
            Answer::Conflict(now_known, _) if next.size() < now_known => {
                return Err(PullError::RolledBack { size: next.size(), known: now_known });
            }
            Answer::Conflict(now_known, _) if now_known != known => {}
            Answer::Conflict(..) | Answer::Unproven => {
                return Err(contradiction(witness, &store, &next, known, now_s));
            }
            Answer::UnknownLog => return Err(NoteError::Unsigned(key.name().to_owned()).into()),
            Answer::Unsigned(error) => return Err(error.into()),
            Answer::Malformed(_) => return Err(NoteError::Malformed("the checkpoint cannot be read").into()),
        }
    }
    Err(PullError::Busy)
}

/// Tells a rewritten log from damaged tiles, if a checkpoint was not proven.
fn contradiction<D: Disk>(
    witness: &mut Witness<D>,
    store: &Store,
    next: &SignedCheckpoint,
    known: u64,
    now_s: u64,
) -> PullError {
    // At the same size, the two signed roots alone are the contradiction.
    if next.size() != known && !proofs::tiles_agree(store, next) {
        return PullError::Damaged;
    }
    let alarm = Alarm::about(now_s, Kind::Fork, known, next);
    match witness.memory().change(|memory| alarms::raise(memory, &alarm)) {
        Ok(()) => PullError::Forked { size: next.size(), known },
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use crate::testing::{TestLog, cosigner};
    use sudare_evidence::store::OsDisk;

    struct Place {
        _root: tempfile::TempDir,
        store: PathBuf,
        witness: Witness<OsDisk>,
    }

    fn place(log: &TestLog) -> Place {
        let root = tempfile::tempdir().unwrap();
        let (store, state) = (root.path().join("store"), root.path().join("state"));
        std::fs::create_dir(&store).unwrap();
        Memory::create(OsDisk, &state, cosigner().public()).unwrap();
        let witness = Witness::open(OsDisk, &state, cosigner(), vec![log.verifier()]).unwrap();
        Place { _root: root, store, witness }
    }

    impl Place {
        fn pull(&mut self, log: &TestLog) -> Result<String, PullError> {
            cosign_folder(&mut self.witness, &log.verifier(), &self.store, 100)
        }

        fn last_alarm(&mut self) -> Option<Kind> {
            alarms::read(self.witness.memory()).unwrap().list.last().map(|alarm| alarm.kind)
        }
    }

    #[test]
    fn a_growing_folder_is_cosigned_each_time() {
        let mut log = TestLog::new("sudare.example/log/a");
        let mut place = place(&log);
        for size in [1, 7, 7, 300, 66_000] {
            log.write(&place.store, size);
            let note = place.pull(&log).unwrap();
            assert_eq!(note.matches('\u{2014}').count(), 2, "{note}");
        }
        assert_eq!(place.last_alarm(), None);
    }

    #[test]
    fn a_rewritten_folder_is_a_fork_and_a_damaged_one_is_not() {
        let mut log = TestLog::new("sudare.example/log/a");
        let mut place = place(&log);
        log.write(&place.store, 300);
        place.pull(&log).unwrap();
        log.write(&place.store, 500);
        let tile = place.store.join("tile/0/001.p/244");
        let kept = std::fs::read(&tile).unwrap();
        std::fs::write(&tile, vec![0; kept.len()]).unwrap();
        assert!(matches!(place.pull(&log), Err(PullError::Damaged)));
        std::fs::remove_file(&tile).unwrap();
        assert!(matches!(place.pull(&log), Err(PullError::Prove(ProveError::Tile(TileError::Missing(_))))));
        std::fs::write(&tile, kept).unwrap();
        assert_eq!(place.last_alarm(), Some(Kind::Unproven));
        log.fork_at(4).write(&place.store, 600);
        assert!(matches!(place.pull(&log), Err(PullError::Forked { size: 600, known: 300 })));
        assert_eq!(place.last_alarm(), Some(Kind::Fork));
        log.fork_at(4).write(&place.store, 300);
        assert!(matches!(place.pull(&log), Err(PullError::Forked { size: 300, known: 300 })));
        log.write(&place.store, 299);
        assert!(matches!(place.pull(&log), Err(PullError::RolledBack { size: 299, known: 300 })));
        assert_eq!(place.last_alarm(), Some(Kind::Rollback));
        log.write(&place.store, 700);
        place.pull(&log).unwrap();
    }

    #[test]
    fn a_folder_of_another_log_is_refused() {
        let mut log = TestLog::new("sudare.example/log/a");
        let mut place = place(&log);
        assert!(matches!(place.pull(&log), Err(PullError::NoCheckpoint(_))));
        TestLog::new("sudare.example/log/b").write(&place.store, 3);
        assert!(matches!(place.pull(&log), Err(PullError::Note(_))));
        log.write(&place.store, 3);
        place.pull(&log).unwrap();
    }
}
