//! One submission, from what was sent to what is answered.
//!
//! Reading what is known, judging, and writing what is known now happen in one change, so that two
//! requests at once cannot take the memory back (the race that the specification warns of).

use std::path::Path;

use sudare_evidence::store::Disk;
use sudare_protocol::tlog::submission::Submission;
use sudare_protocol::tlog::{Cosigner, NoteError, SignedCheckpoint, VerifierKey};

use super::alarms::{self, Alarm, Kind};
use super::error::WitnessError;
use super::judge::{Objection, judge};
use super::memory::Memory;

/// A witness at work: its key, its memory, and the logs that it knows.
#[derive(Debug)]
pub struct Desk<D: Disk> {
    cosigner: Cosigner,
    memory: Memory<D>,
    logs: Vec<VerifierKey>,
}

/// What the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The signature line, remembered durably.
    Cosigned(String),
    /// No key of such a log was given to the witness.
    UnknownLog,
    /// None of the keys known for this log signed it.
    Unsigned(NoteError),
    /// Not a checkpoint, or a request that contradicts itself.
    Malformed(String),
    /// The witness knows another size; this one.
    Conflict(u64, Objection),
    /// The proof does not hold.
    Unproven,
}

impl<D: Disk> Desk<D> {
    /// Opens the memory made for this key. A log may have several keys, one line each.
    pub fn open(
        disk: D,
        dir: &Path,
        cosigner: Cosigner,
        logs: Vec<VerifierKey>,
    ) -> Result<Self, WitnessError> {
        let memory = Memory::open(disk, dir, &cosigner.public())?;
        Ok(Self { cosigner, memory, logs })
    }

    /// What it remembers.
    pub fn memory(&mut self) -> &mut Memory<D> {
        &mut self.memory
    }

    /// The logs that it knows.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Cosigns the checkpoint, or says why not; contradictions are put on record.
    pub fn add(&mut self, submission: &Submission, now_s: u64) -> Result<Answer, WitnessError> {
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
        Objection::Backwards => Answer::Malformed("the old size is above that of the checkpoint".to_owned()),
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

    fn desk(dir: &Path, logs: &[&TestLog]) -> Desk<OsDisk> {
        Memory::create(OsDisk, dir, cosigner().public()).unwrap();
        let logs = logs.iter().map(|log| log.verifier()).collect();
        Desk::open(OsDisk, dir, cosigner(), logs).unwrap()
    }

    fn kinds(desk: &mut Desk<OsDisk>) -> Vec<Kind> {
        alarms::read(desk.memory()).unwrap().list.iter().map(|alarm| alarm.kind).collect()
    }

    #[test]
    fn a_growing_log_is_cosigned_with_the_time_at_which_it_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut desk = desk(dir.path(), &[&log]);
        let mut last = 0;
        for (size, now_s) in [(1, 100), (2, 100), (2, 160), (300, 161), (70_000, 162)] {
            let submission = log.submission(last, size);
            let Answer::Cosigned(line) = desk.add(&submission, now_s).unwrap() else { panic!("{size}") };
            let seen = check(attach(&submission.note, &line).as_bytes(), &[cosigner().public()]).unwrap();
            assert_eq!(seen[0].time_s, now_s);
            last = size;
        }
        assert_eq!(kinds(&mut desk), []);
    }

    #[test]
    fn contradictions_are_refused_and_put_on_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut desk = desk(dir.path(), &[&log]);
        desk.add(&log.submission(0, 9), 100).unwrap();
        let rollback = desk.add(&log.submission(0, 5), 101).unwrap();
        assert_eq!(rollback, Answer::Conflict(9, Objection::RolledBack));
        let mut forked = log.fork_at(4);
        let fork = desk.add(&forked.submission(9, 9), 102).unwrap();
        assert_eq!(fork, Answer::Conflict(9, Objection::Forked));
        let longer = desk.add(&forked.submission(9, 20), 103).unwrap();
        assert_eq!(longer, Answer::Unproven);
        assert_eq!(kinds(&mut desk), [Kind::Rollback, Kind::Fork, Kind::Unproven]);
        assert!(matches!(desk.add(&log.submission(9, 20), 104).unwrap(), Answer::Cosigned(_)));
    }

    #[test]
    fn strangers_are_refused_without_a_record() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut desk = desk(dir.path(), &[&log]);
        let unknown = TestLog::new("sudare.example/log/b").submission(0, 3);
        assert_eq!(desk.add(&unknown, 100).unwrap(), Answer::UnknownLog);
        let mut unsigned = log.submission(0, 3);
        unsigned.note = unsigned.note.replacen("\n3\n", "\n4\n", 1);
        assert!(matches!(desk.add(&unsigned, 100).unwrap(), Answer::Unsigned(_)));
        let cut = Submission { note: "sudare.example/log/a\n3\n".into(), ..log.submission(0, 3) };
        assert!(matches!(desk.add(&cut, 100).unwrap(), Answer::Malformed(_)));
        let mut backwards = log.submission(0, 3);
        backwards.old_size = 4;
        assert!(matches!(desk.add(&backwards, 100).unwrap(), Answer::Malformed(_)));
        let outdated = Submission { old_size: 2, ..log.submission(0, 3) };
        assert_eq!(desk.add(&outdated, 100).unwrap(), Answer::Conflict(0, Objection::Outdated));
        assert_eq!(kinds(&mut desk), []);
    }

    #[test]
    fn a_log_may_have_two_keys() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let other = sudare_protocol::SigningKey::from_bytes(&[1; 32]).verifying_key();
        let other = VerifierKey::new("sudare.example/log/a", other).unwrap();
        Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        let mut desk = Desk::open(OsDisk, dir.path(), cosigner(), vec![other, log.verifier()]).unwrap();
        assert!(matches!(desk.add(&log.submission(0, 3), 100).unwrap(), Answer::Cosigned(_)));
    }

    #[test]
    fn nothing_is_cosigned_with_a_clock_that_went_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut desk = desk(dir.path(), &[&log]);
        desk.add(&log.submission(0, 3), 100).unwrap();
        let error = desk.add(&log.submission(3, 5), 90).unwrap_err();
        assert!(matches!(error, WitnessError::Clock { behind_s: 10 }));
        assert_eq!(kinds(&mut desk), [Kind::Clock]);
        assert!(matches!(desk.add(&log.submission(3, 5), 100).unwrap(), Answer::Cosigned(_)));
    }
}
