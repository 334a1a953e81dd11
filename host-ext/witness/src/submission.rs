//! Answers add-checkpoint submissions (C2SP tlog-witness).
//!
//! The memory is read, judged by and replaced within one change, so that two simultaneous requests cannot set it back
//! (the race that the specification warns of).

use std::path::Path;

use sudare_evidence::store::Disk;
use sudare_protocol::tlog::submission::Submission;
use sudare_protocol::tlog::{Cosigner, NoteError, SignedCheckpoint, VerifierKey};

use crate::alarms::{self, Alarm, Kind};
use crate::error::WitnessError;
use crate::judge::{Objection, judge};
use crate::memory::Memory;

/// A witness: its key, its memory, and the logs it knows.
#[derive(Debug)]
pub struct Witness<D: Disk> {
    cosigner: Cosigner,
    memory: Memory<D>,
    logs: Vec<VerifierKey>,
}

/// The answer to a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The signature line, remembered durably.
    Cosigned(String),
    /// The witness has no key for this log.
    UnknownLog,
    /// The checkpoint is not signed with a known key of this log.
    Unsigned(NoteError),
    /// Not a checkpoint, or a request that contradicts itself.
    Malformed(String),
    /// The witness last cosigned this other size.
    Conflict(u64, Objection),
    /// The proof does not hold.
    Unproven,
}

impl<D: Disk> Witness<D> {
    /// Opens the memory of this key. A log may have several keys.
    pub fn open(
        disk: D,
        dir: &Path,
        cosigner: Cosigner,
        logs: Vec<VerifierKey>,
    ) -> Result<Self, WitnessError> {
        let memory = Memory::open(disk, dir, &cosigner.public())?;
        Ok(Self { cosigner, memory, logs })
    }

    /// Its memory.
    pub fn memory(&mut self) -> &mut Memory<D> {
        &mut self.memory
    }

    /// The logs it knows.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Watches these logs from here on.
    pub fn watch(&mut self, logs: Vec<VerifierKey>) -> Result<(), WitnessError> {
        self.memory.change(|memory| memory.set_logs(&logs))?;
        self.logs = logs;
        Ok(())
    }

    /// Cosigns the checkpoint or says why not; raises an alarm on a contradiction.
    pub fn add_checkpoint(&mut self, submission: &Submission, now_s: u64) -> Result<Answer, WitnessError> {
        let origin = submission.origin();
        let mut answer = Answer::UnknownLog;
        for key in self.logs.iter().filter(|key| key.name() == origin) {
            match SignedCheckpoint::open(submission.note.as_bytes(), key) {
                Ok(checkpoint) => return self.decide(submission, &checkpoint, now_s),
                Err(NoteError::Malformed(what)) => answer = Answer::Malformed(what.to_owned()),
                Err(error) => answer = Answer::Unsigned(error),
            }
        }
        Ok(answer)
    }

    fn decide(
        &mut self,
        submission: &Submission,
        next: &SignedCheckpoint,
        now_s: u64,
    ) -> Result<Answer, WitnessError> {
        let Self { cosigner, memory, logs } = self;
        let origin = &next.checkpoint().origin;
        memory.change(|memory| {
            let seen = memory.seen(origin, logs)?;
            let known = seen.as_ref().map_or(0, |seen| seen.checkpoint.size());
            let last = seen.as_ref().map(|seen| &seen.checkpoint);
            if let Err(objection) = judge(last, submission.old_size, &submission.proof, next) {
                if let Some(kind) = kind_of(objection) {
                    alarms::raise(memory, &Alarm::about(now_s, kind, known, next))?;
                }
                return Ok(answer_to(objection, known));
            }
            let behind_s = seen.as_ref().map_or(0, |seen| seen.time_s.saturating_sub(now_s));
            if behind_s > 0 {
                alarms::raise(memory, &Alarm::new(now_s, Kind::Clock, origin, known))?;
                return Err(WitnessError::Clock { behind_s });
            }
            let line = cosigner.cosign(next, now_s)?;
            memory.remember(next, &line)?;
            Ok(Answer::Cosigned(line))
        })
    }
}

fn kind_of(objection: Objection) -> Option<Kind> {
    match objection {
        Objection::RolledBack => Some(Kind::Rollback),
        Objection::Forked => Some(Kind::Fork),
        Objection::Unproven => Some(Kind::Unproven),
        Objection::Backwards | Objection::Outdated => None,
    }
}

fn answer_to(objection: Objection, known: u64) -> Answer {
    match objection {
        Objection::Backwards => {
            Answer::Malformed("the old size is larger than that of the checkpoint".to_owned())
        }
        Objection::Unproven => Answer::Unproven,
        Objection::RolledBack | Objection::Forked | Objection::Outdated => Answer::Conflict(known, objection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestLog, cosigner};
    use sudare_evidence::store::OsDisk;
    use sudare_protocol::tlog::cosignature::{attach, check};

    fn witness(dir: &Path, logs: &[&TestLog]) -> Witness<OsDisk> {
        Memory::create(OsDisk, dir, cosigner().public()).unwrap();
        let logs = logs.iter().map(|log| log.verifier()).collect();
        Witness::open(OsDisk, dir, cosigner(), logs).unwrap()
    }

    fn kinds(witness: &mut Witness<OsDisk>) -> Vec<Kind> {
        alarms::read(witness.memory()).unwrap().list.iter().map(|alarm| alarm.kind).collect()
    }

    #[test]
    fn a_growing_log_is_cosigned_with_the_time_at_which_it_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut witness = witness(dir.path(), &[&log]);
        let mut last = 0;
        for (size, now_s) in [(1, 100), (2, 100), (2, 160), (300, 161), (70_000, 162)] {
            let submission = log.submission(last, size);
            let Answer::Cosigned(line) = witness.add_checkpoint(&submission, now_s).unwrap() else {
                panic!("{size}")
            };
            let seen = check(attach(&submission.note, &line).as_bytes(), &[cosigner().public()]).unwrap();
            assert_eq!(seen[0].time_s, now_s);
            last = size;
        }
        assert_eq!(kinds(&mut witness), []);
    }

    #[test]
    fn contradictions_are_refused_and_put_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut witness = witness(dir.path(), &[&log]);
        witness.add_checkpoint(&log.submission(0, 9), 100).unwrap();
        let rollback = witness.add_checkpoint(&log.submission(0, 5), 101).unwrap();
        assert_eq!(rollback, Answer::Conflict(9, Objection::RolledBack));
        let mut forked = log.fork_at(4);
        let fork = witness.add_checkpoint(&forked.submission(9, 9), 102).unwrap();
        assert_eq!(fork, Answer::Conflict(9, Objection::Forked));
        let longer = witness.add_checkpoint(&forked.submission(9, 20), 103).unwrap();
        assert_eq!(longer, Answer::Unproven);
        assert_eq!(kinds(&mut witness), [Kind::Rollback, Kind::Fork, Kind::Unproven]);
        assert!(matches!(witness.add_checkpoint(&log.submission(9, 20), 104).unwrap(), Answer::Cosigned(_)));
    }

    #[test]
    fn strangers_are_refused_without_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut witness = witness(dir.path(), &[&log]);
        let unknown = TestLog::new("sudare.example/log/b").submission(0, 3);
        assert_eq!(witness.add_checkpoint(&unknown, 100).unwrap(), Answer::UnknownLog);
        let mut unsigned = log.submission(0, 3);
        unsigned.note = unsigned.note.replacen("\n3\n", "\n4\n", 1);
        assert!(matches!(witness.add_checkpoint(&unsigned, 100).unwrap(), Answer::Unsigned(_)));
        let cut = Submission { note: "sudare.example/log/a\n3\n".into(), ..log.submission(0, 3) };
        assert!(matches!(witness.add_checkpoint(&cut, 100).unwrap(), Answer::Malformed(_)));
        let mut backwards = log.submission(0, 3);
        backwards.old_size = 4;
        assert!(matches!(witness.add_checkpoint(&backwards, 100).unwrap(), Answer::Malformed(_)));
        let outdated = Submission { old_size: 2, ..log.submission(0, 3) };
        assert_eq!(witness.add_checkpoint(&outdated, 100).unwrap(), Answer::Conflict(0, Objection::Outdated));
        assert_eq!(kinds(&mut witness), []);
    }

    #[test]
    fn a_log_may_have_two_keys() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let other = sudare_protocol::SigningKey::from_bytes(&[1; 32]).verifying_key();
        let other = VerifierKey::new("sudare.example/log/a", other).unwrap();
        Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        let mut witness = Witness::open(OsDisk, dir.path(), cosigner(), vec![other, log.verifier()]).unwrap();
        assert!(matches!(witness.add_checkpoint(&log.submission(0, 3), 100).unwrap(), Answer::Cosigned(_)));
    }

    #[test]
    fn nothing_is_cosigned_with_a_clock_that_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut witness = witness(dir.path(), &[&log]);
        witness.add_checkpoint(&log.submission(0, 3), 100).unwrap();
        let error = witness.add_checkpoint(&log.submission(3, 5), 90).unwrap_err();
        assert!(matches!(error, WitnessError::Clock { behind_s: 10 }));
        assert_eq!(kinds(&mut witness), [Kind::Clock]);
        assert!(matches!(witness.add_checkpoint(&log.submission(3, 5), 100).unwrap(), Answer::Cosigned(_)));
    }
}
