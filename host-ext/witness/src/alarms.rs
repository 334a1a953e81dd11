//! The alarms of the witness: `alarms.jsonl`, one JSON object per line, for people and for a SIEM.
//!
//! Each line includes the refused note: signed by the log, it proves that the log contradicted itself. Repeated alarms
//! are written once. The file is bounded; when it is full, `status` says so, and the first lines, which matter most,
//! are kept. Move the file away after reading it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sudare_evidence::store::Disk;
use sudare_protocol::tlog::SignedCheckpoint;

use crate::error::WitnessError;
use crate::memory::Memory;

/// Largest size of the file; an alarm with its note takes about 700 bytes.
pub const MAX_ALARMS_BYTES: usize = 1024 * 1024;

/// Why an alarm was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A checkpoint smaller than one that was cosigned.
    Rollback,
    /// Another tree of the same size, or a larger one that does not continue the last one.
    Fork,
    /// A larger checkpoint whose proof does not hold; its sender may be at fault.
    Unproven,
    /// The clock of the witness went backwards.
    Clock,
    /// The log has sent nothing for too long.
    Silence,
    /// The log is sending again.
    HeardAgain,
}

impl Kind {
    /// Whether it needs an investigation even after it has passed.
    pub fn is_serious(self) -> bool {
        !matches!(self, Self::Silence | Self::HeardAgain)
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Rollback => {
                "the log sent a checkpoint smaller than the last cosigned one: it was truncated, or somebody sent an old \
                 checkpoint again. Check the log's current size"
            }
            Self::Fork => "the log's key has signed two different histories. Keep both notes as evidence",
            Self::Unproven => {
                "the checkpoint was not proven to continue the last cosigned one. Run `sudare-witness check` on the \
                 folder to learn whether the log or the sender is at fault"
            }
            Self::Clock => {
                "the clock of the witness went backwards, and nothing is cosigned until it is right. Correct it"
            }
            Self::Silence => {
                "the log has sent nothing for too long. Check that its host is running and can reach the witness"
            }
            Self::HeardAgain => "the log is sending again",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Unix time in seconds.
    pub time_s: u64,
    /// Why it was raised.
    pub kind: Kind,
    /// Name of the log.
    pub origin: String,
    /// Size of the last cosigned checkpoint.
    pub known_size: u64,
    /// Size of the refused checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its root in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The refused note itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it means and what to do.
    pub meaning: String,
}

impl Alarm {
    /// An alarm about a log.
    pub fn new(time_s: u64, kind: Kind, origin: &str, known_size: u64) -> Self {
        let meaning = kind.meaning().to_owned();
        Self {
            time_s,
            kind,
            origin: origin.to_owned(),
            known_size,
            size: None,
            root: None,
            note: None,
            meaning,
        }
    }

    /// An alarm about a refused checkpoint.
    pub fn about(time_s: u64, kind: Kind, known_size: u64, refused: &SignedCheckpoint) -> Self {
        Self {
            size: Some(refused.size()),
            root: Some(STANDARD.encode(refused.root())),
            note: Some(refused.note().to_owned()),
            ..Self::new(time_s, kind, &refused.checkpoint().origin, known_size)
        }
    }

    fn repeats(&self, earlier: &Self) -> bool {
        let what = |alarm: &Self| (alarm.kind, alarm.known_size, alarm.size);
        self.kind.is_serious()
            && what(self) == what(earlier)
            && self.origin == earlier.origin
            && self.root == earlier.root
    }
}

/// The alarms on file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms {
    /// Oldest first; unreadable lines are left out.
    pub list: Vec<Alarm>,
    /// True if the file is full or holds an unreadable line.
    pub full_or_damaged: bool,
}

/// Reads all alarms.
pub fn read<D: Disk>(memory: &Memory<D>) -> Result<Alarms, WitnessError> {
    let text = text(memory)?;
    let mut alarms = Alarms { list: Vec::new(), full_or_damaged: is_full(&text) };
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(alarm) => alarms.list.push(alarm),
            Err(_) => alarms.full_or_damaged = true,
        }
    }
    Ok(alarms)
}

/// Adds an alarm, unless it repeats an earlier one. To be called within [`Memory::change`].
pub fn raise<D: Disk>(memory: &mut Memory<D>, alarm: &Alarm) -> Result<(), WitnessError> {
    let mut text = text(memory)?;
    if is_full(&text) || read(memory)?.list.iter().any(|earlier| alarm.repeats(earlier)) {
        return Ok(());
    }
    // Plain strings and numbers always serialise.
    text.push_str(&serde_json::to_string(alarm).unwrap_or_default());
    text.push('\n');
    tracing::warn!(kind = ?alarm.kind, origin = alarm.origin, "{}", alarm.meaning);
    memory.replace(&memory.dir().join("alarms.jsonl"), text.as_bytes())
}

fn text<D: Disk>(memory: &Memory<D>) -> Result<String, WitnessError> {
    // The last line may exceed the bound, and must not be truncated.
    let bytes = memory.read(&memory.dir().join("alarms.jsonl"), MAX_ALARMS_BYTES + 64 * 1024)?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

fn is_full(text: &str) -> bool {
    text.len() >= MAX_ALARMS_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestLog, cosigner};
    use sudare_evidence::store::OsDisk;

    #[test]
    fn the_same_contradiction_is_written_once_and_silence_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        let small = TestLog::new("sudare.example/log/a").grow_to(3);
        for time_s in 1..=3 {
            raise(&mut memory, &Alarm::about(time_s, Kind::Rollback, 9, &small)).unwrap();
            raise(&mut memory, &Alarm::new(time_s, Kind::Silence, "sudare.example/log/a", 9)).unwrap();
        }
        let kinds: Vec<_> = read(&memory).unwrap().list.iter().map(|alarm| alarm.kind).collect();
        assert_eq!(kinds, [Kind::Rollback, Kind::Silence, Kind::Silence, Kind::Silence]);
        let first = &read(&memory).unwrap().list[0];
        assert_eq!((first.size, first.note.as_deref()), (Some(3), Some(small.note())));
    }

    #[test]
    fn a_full_file_keeps_the_first_alarms_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::create(OsDisk, dir.path(), cosigner().public()).unwrap();
        let line = serde_json::to_string(&Alarm::new(1, Kind::Silence, "a", 0)).unwrap() + "\n";
        let full = line.repeat(MAX_ALARMS_BYTES / line.len() + 1);
        std::fs::write(dir.path().join("alarms.jsonl"), &full).unwrap();
        raise(&mut memory, &Alarm::new(2, Kind::Fork, "a", 0)).unwrap();
        let alarms = read(&memory).unwrap();
        assert!(alarms.full_or_damaged);
        assert!(alarms.list.iter().all(|alarm| alarm.kind == Kind::Silence));
        std::fs::write(dir.path().join("alarms.jsonl"), "{}\n").unwrap();
        assert!(read(&memory).unwrap().full_or_damaged);
    }
}
