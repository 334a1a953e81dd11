//! What the witness noticed: `alarms.jsonl`, one JSON object a line, for people and for a SIEM.
//!
//! The refused note is in the line: signed by the log, it is the proof that the log contradicted
//! itself. The same thing is written once. The file has a bound; when it is full, `status` says
//! so and the first lines, which matter most, stay. Whoever has read it moves it elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sudare_evidence::store::Disk;
use sudare_protocol::tlog::SignedCheckpoint;

use super::error::WitnessError;
use super::memory::Memory;

/// Alarms that are kept; one with its note has about 700 bytes.
pub const MAX_ALARMS_BYTES: usize = 1024 * 1024;

/// Why an alarm was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A checkpoint smaller than one that was cosigned.
    Rollback,
    /// Another tree of the same size, or a larger one that does not continue the last one.
    Fork,
    /// A larger checkpoint whose proof does not hold; whoever sent it may be at fault.
    Unproven,
    /// The clock of the witness went back.
    Clock,
    /// The log has not sent for too long.
    Silence,
    /// The log sends again.
    HeardAgain,
}

impl Kind {
    /// Whether somebody must look at it even when it is over.
    pub fn is_serious(self) -> bool {
        !matches!(self, Self::Silence | Self::HeardAgain)
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Rollback => {
                "a checkpoint smaller than the last cosigned one was sent: the log was cut back, or somebody sent an \
                 old one again. Look at the log's size now"
            }
            Self::Fork => "the log's key has signed two different histories. Keep both notes as evidence",
            Self::Unproven => {
                "the checkpoint was not shown to continue the last cosigned one. Cosign the folder with `witness \
                 check` to learn whether the log or the sender is at fault"
            }
            Self::Clock => "the clock of the witness went back. Set it right; until then nothing is cosigned",
            Self::Silence => {
                "the log has not sent for too long. Is its host up, and can it reach the witness"
            }
            Self::HeardAgain => "the log sends again",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Unix time in seconds.
    pub time_s: u64,
    /// Why.
    pub kind: Kind,
    /// Which log.
    pub origin: String,
    /// Size of the last cosigned checkpoint.
    pub known_size: u64,
    /// Size of the refused one.
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
    /// About a log as such.
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

    /// About a checkpoint that was refused.
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
    /// Oldest first; lines that cannot be read are left out.
    pub list: Vec<Alarm>,
    /// True if no more are kept, or if a line cannot be read.
    pub full_or_damaged: bool,
}

/// Reads them all.
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

/// Writes one more, unless it says what an earlier one says. To be called within a change.
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
    // One line more than the bound fits, so that the last one is never cut.
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
