//! A small real log for the tests of this crate.

use std::fs;
use std::path::PathBuf;

use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::OsDisk;
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{IncidentOpen, LogStart, Note, Uncover};
use sudare_protocol::evidence::{Event, Stamp};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::VerifierKey;
use tempfile::TempDir;

use crate::format::Format;
use crate::forwarder::{Forwarder, Settings};
use crate::receiver::Receiver;

pub(crate) const ORIGIN: &str = "sudare.example/log/test";

/// A folder with a store, a forwarder's state and the events it delivered.
pub(crate) struct TestLog {
    pub(crate) folder: TempDir,
    writer: LogWriter<OsDisk>,
}

fn keys() -> LogKeys {
    let host_key = SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
    LogKeys { origin: ORIGIN.into(), log: SigningKey::from_bytes(&[1; 32]), host_key }
}

fn stamp(ms: u64) -> Stamp {
    Stamp { wall_ms: ms, boot_ms: ms, boot_id: [0; 16] }
}

impl TestLog {
    /// A log with only its first entry.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (mut writer, _) = LogWriter::open(OsDisk, &folder.path().join("store"), keys(), [3; 16]).unwrap();
        let (host_key, log_key) = (keys().host_key, writer.log_key().to_bytes());
        let start = LogStart { host_key, log_key, host_record: vec![] };
        writer.append(Draft::of(Event::LogStart(start)), stamp(0)).unwrap();
        writer.checkpoint().unwrap();
        Self { folder, writer }
    }

    /// Adds entries that are not alarms.
    pub(crate) fn quiet(&mut self, entries: u64) {
        for _ in 0..entries {
            let ms = self.writer.size();
            self.writer.append(Draft::of(Event::Uncover(Uncover { boot_ms: ms })), stamp(ms)).unwrap();
        }
    }

    /// Adds alarms; returns their ids.
    pub(crate) fn alarms(&mut self, entries: u64) -> Vec<String> {
        let add = |_| {
            let ms = self.writer.size();
            let opened = Draft::of(Event::IncidentOpen(IncidentOpen { boot_ms: ms }));
            let opened = Draft { reason: Some(Reason::Stranger), incident_id: Some([9; 16]), ..opened };
            self.writer.append(opened, stamp(ms)).unwrap();
            format!("{ORIGIN}#{ms}")
        };
        (0..entries).map(add).collect()
    }

    pub(crate) fn note(&mut self, value: u64) {
        let ms = self.writer.size();
        self.writer.append(Draft::of(Event::Note(Note { code: 1, value })), stamp(ms)).unwrap();
    }

    pub(crate) fn checkpoint(&mut self) {
        self.writer.checkpoint().unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path("store").join(name);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn verifier() -> VerifierKey {
        keys().verifier().unwrap()
    }

    pub(crate) fn forwarder_to(&self, receiver: Receiver) -> Forwarder {
        Forwarder::open(Settings {
            store: self.path("store"),
            state: self.path("state"),
            verifier: Self::verifier(),
            format: Format::Ocsf,
            syslog: false,
            receiver,
            to: "test".into(),
        })
        .unwrap()
    }

    /// Forwards into the file `out`.
    pub(crate) fn forwarder(&self) -> Forwarder {
        self.forwarder_to(Receiver::File(self.path("out")))
    }

    /// Ids of the events in `out`, in order.
    pub(crate) fn delivered(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("out")).unwrap_or_default();
        let uid = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["metadata"]["uid"].clone();
        text.lines().map(|line| uid(line).as_str().unwrap().to_owned()).collect()
    }
}
