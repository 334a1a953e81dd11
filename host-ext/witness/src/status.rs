//! Which logs were heard when. Silence matters as well: the log of a host that is switched off, or cut off from its
//! witness, could be rewritten from its last cosignature on.

use std::collections::BTreeSet;

use serde::Serialize;
use sudare_evidence::store::Disk;
use sudare_protocol::tlog::VerifierKey;

use crate::alarms::{self, Alarm, Kind};
use crate::error::WitnessError;
use crate::memory::Memory;

/// Seconds without a submission after which a log counts as silent.
pub const SILENCE_S: u64 = 120;

/// Whether a log is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogState {
    /// Cosigned recently.
    Heard,
    /// Not cosigned for too long.
    Silent,
    /// Never cosigned.
    Never,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogStatus {
    /// Name of the log.
    pub origin: String,
    /// Heard, silent or never heard.
    pub state: LogState,
    /// Entries under the last cosigned checkpoint.
    pub size: u64,
    /// When it was cosigned, Unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_s: Option<u64>,
    /// How long ago that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

/// The state of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// True if every log was heard recently and no serious alarm is on record.
    pub ok: bool,
    /// Public key line of the witness.
    pub witness: String,
    /// One for each log that was given to `serve` or cosigned by `check`.
    pub logs: Vec<LogStatus>,
    /// Number of rollbacks, forks, unproven checkpoints and clock jumps on record.
    pub serious_alarms: usize,
    /// True if the file of alarms is full or holds damaged lines.
    pub alarms_full_or_damaged: bool,
}

/// The state of the witness at `now_s`.
pub fn status<D: Disk>(memory: &Memory<D>, now_s: u64, silence_s: u64) -> Result<Status, WitnessError> {
    let mut keys = memory.logs()?;
    keys.extend(memory.checked()?);
    let logs = logs(memory, &keys, now_s, silence_s)?;
    let alarms = alarms::read(memory)?;
    let serious_alarms = alarms.list.iter().filter(|alarm| alarm.kind.is_serious()).count();
    let heard = !logs.is_empty() && logs.iter().all(|log| log.state == LogState::Heard);
    Ok(Status {
        ok: heard && serious_alarms == 0 && !alarms.full_or_damaged,
        witness: memory.key().to_string(),
        logs,
        serious_alarms,
        alarms_full_or_damaged: alarms.full_or_damaged,
    })
}

/// Raises an alarm when a log falls silent, and records when it is heard again.
#[derive(Debug)]
pub struct SilenceWatch {
    silence_s: u64,
    started_s: u64,
    silent: BTreeSet<String>,
}

impl SilenceWatch {
    /// A log that was never heard counts as silent `silence_s` seconds after the start.
    pub fn new(silence_s: u64, started_s: u64) -> Self {
        Self { silence_s, started_s, silent: BTreeSet::new() }
    }

    /// Checks all watched logs; to be called every few seconds.
    pub fn look<D: Disk>(&mut self, memory: &mut Memory<D>, now_s: u64) -> Result<(), WitnessError> {
        // Not those of `check`, which runs only when somebody has a copy.
        let keys = memory.logs()?;
        for log in logs(memory, &keys, now_s, self.silence_s)? {
            let waited_s = now_s.saturating_sub(self.started_s);
            let silent = match log.state {
                LogState::Heard => false,
                LogState::Silent => true,
                LogState::Never => waited_s > self.silence_s,
            };
            let kind = match (self.silent.contains(&log.origin), silent) {
                (false, true) => Kind::Silence,
                (true, false) => Kind::HeardAgain,
                _ => continue,
            };
            let alarm = Alarm::new(now_s, kind, &log.origin, log.size);
            memory.change(|memory| alarms::raise(memory, &alarm))?;
            if silent {
                self.silent.insert(log.origin);
            } else {
                self.silent.remove(&log.origin);
            }
        }
        Ok(())
    }
}

fn logs<D: Disk>(
    memory: &Memory<D>,
    keys: &[VerifierKey],
    now_s: u64,
    silence_s: u64,
) -> Result<Vec<LogStatus>, WitnessError> {
    let origins: BTreeSet<&str> = keys.iter().map(|key| key.name()).collect();
    let status = |origin: &str| {
        let seen = memory.seen(origin, keys)?;
        let last_s = seen.as_ref().map(|seen| seen.time_s);
        let age_s = last_s.map(|last_s| now_s.saturating_sub(last_s));
        let state = match age_s {
            None => LogState::Never,
            Some(age_s) if age_s > silence_s => LogState::Silent,
            Some(_) => LogState::Heard,
        };
        let size = seen.map_or(0, |seen| seen.checkpoint.size());
        Ok(LogStatus { origin: origin.to_owned(), state, size, last_s, age_s })
    };
    origins.into_iter().map(status).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestLog, cosigner};
    use sudare_evidence::store::OsDisk;

    fn kinds(memory: &Memory<OsDisk>) -> Vec<Kind> {
        alarms::read(memory).unwrap().list.iter().map(|alarm| alarm.kind).collect()
    }

    fn hear(memory: &mut Memory<OsDisk>, log: &mut TestLog, size: u64, time_s: u64) {
        let checkpoint = log.grow_to(size);
        memory.remember(&checkpoint, &cosigner().cosign(&checkpoint, time_s).unwrap()).unwrap();
    }

    #[test]
    fn silence_is_noticed_once_and_its_end_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut memory = Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        memory.set_logs(&[log.verifier()]).unwrap();
        let mut watch = SilenceWatch::new(120, 1000);
        let mut look = |memory: &mut Memory<OsDisk>, now_s| {
            watch.look(memory, now_s).unwrap();
            let status = status(memory, now_s, 120).unwrap();
            (kinds(memory).len(), status.logs[0].state, status.ok)
        };
        assert_eq!(look(&mut memory, 1120), (0, LogState::Never, false));
        assert_eq!(look(&mut memory, 1121), (1, LogState::Never, false));
        hear(&mut memory, &mut log, 3, 1125);
        assert_eq!(look(&mut memory, 1130), (2, LogState::Heard, true));
        assert_eq!(look(&mut memory, 1245), (2, LogState::Heard, true));
        assert_eq!(look(&mut memory, 1246), (3, LogState::Silent, false));
        assert_eq!(look(&mut memory, 1300), (3, LogState::Silent, false));
        hear(&mut memory, &mut log, 3, 1310);
        assert_eq!(look(&mut memory, 1311), (4, LogState::Heard, true));
        assert_eq!(kinds(&memory), [Kind::Silence, Kind::HeardAgain, Kind::Silence, Kind::HeardAgain]);
    }

    #[test]
    fn a_log_that_is_only_checked_is_in_the_status_and_its_silence_raises_no_alarm() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut memory = Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        hear(&mut memory, &mut log, 3, 100);
        for _ in 0..2 {
            memory.add_checked(&log.verifier()).unwrap();
        }
        assert_eq!(memory.checked().unwrap(), [log.verifier()], "once");
        let after = status(&memory, 110, 120).unwrap();
        assert_eq!((after.ok, after.logs.len(), after.logs[0].size), (true, 1, 3));
        SilenceWatch::new(120, 0).look(&mut memory, 100_000).unwrap();
        assert_eq!(kinds(&memory), []);
        assert!(!status(&memory, 100_000, 120).unwrap().ok, "older than who asks wants it");
        memory.set_logs(&[log.verifier()]).unwrap();
        assert_eq!(status(&memory, 110, 120).unwrap().logs.len(), 1, "both know it");
    }

    #[test]
    fn a_serious_alarm_and_a_witness_without_logs_are_not_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = TestLog::new("sudare.example/log/a");
        let mut memory = Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        assert!(!status(&memory, 0, 120).unwrap().ok, "nobody is watched");
        memory.set_logs(&[log.verifier()]).unwrap();
        hear(&mut memory, &mut log, 3, 100);
        assert!(status(&memory, 110, 120).unwrap().ok);
        alarms::raise(&mut memory, &Alarm::new(105, Kind::Fork, log.origin(), 3)).unwrap();
        let after = status(&memory, 110, 120).unwrap();
        assert_eq!((after.ok, after.serious_alarms), (false, 1));
    }
}
