//! A real log with an alarm of each kind.

use std::path::{Path, PathBuf};

use sudare_evidence::log::{Draft, LogKeys, LogWriter};
use sudare_evidence::store::OsDisk;
use sudare_protocol::SigningKey;
use sudare_protocol::evidence::event::{
    Approval, BlobId, Cover, Gap, HostKeyChange, IncidentComplete, IncidentOpen, LogStart, Note,
    RecorderStart, Tombstone, Uncover, View,
};
use sudare_protocol::evidence::{BlobRef, Event, Label, Stamp};
use sudare_protocol::reason::Reason;

pub(crate) const ORIGIN: &str = "sudare.example/log/vdi-0042";
const WALL_MS: u64 = 1_795_341_600_123;

/// A log that is being written, and the folders around it.
pub(crate) struct Log {
    folder: tempfile::TempDir,
    writer: LogWriter<OsDisk>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("sudare-siem-").tempdir().unwrap();
        let host_key = SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
        let keys = LogKeys { origin: ORIGIN.into(), log: SigningKey::from_bytes(&[1; 32]), host_key };
        std::fs::write(folder.path().join("log.vkey"), format!("{}\n", keys.verifier().unwrap())).unwrap();
        let (writer, _) = LogWriter::open(OsDisk, &folder.path().join("store"), keys, [3; 16]).unwrap();
        let mut log = Self { folder, writer };
        let log_key = log.writer.log_key().to_bytes();
        log.append(Draft::of(Event::LogStart(LogStart { host_key, log_key, host_record: vec![] })));
        log
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn append(&mut self, draft: Draft) -> u64 {
        let ms = self.writer.size();
        let stamp = Stamp { wall_ms: WALL_MS + ms, boot_ms: ms, boot_id: [7; 16] };
        self.writer.append(draft, stamp).unwrap()
    }

    /// Incidents, each between entries that raise no alarm, under one checkpoint; returns the ids of the events.
    pub(crate) fn incidents(&mut self, count: u64) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let ms = self.writer.size();
            let incident_id = Some(u128::from(ms).to_be_bytes());
            let of = |event| Draft { incident_id, reason: Some(Reason::Stranger), ..Draft::of(event) };
            ids.push(self.append(of(Event::IncidentOpen(IncidentOpen { boot_ms: ms }))));
            self.append(Draft::of(Event::Uncover(Uncover { boot_ms: ms })));
            ids.push(self.append(of(Event::IncidentComplete(IncidentComplete { missing: 0 }))));
        }
        self.writer.checkpoint().unwrap();
        ids.iter().map(|leaf| format!("{ORIGIN}#{leaf}")).collect()
    }

    /// One alarm of each kind; returns the ids of the events.
    pub(crate) fn one_of_each(&mut self) -> Vec<String> {
        let blob = |n: u8| BlobRef {
            blob_id: [n; 16],
            label: Label::CameraAt.number(),
            media: 0,
            sha256: [n; 32],
            size: 300_000,
            commitment: [n; 32],
            header_size: None,
        };
        let cover = |confirmed| {
            Event::Cover(Cover { asked_boot_ms: 1, effective_boot_ms: 9, confirmed, cause_seq: None })
        };
        let note = |code| (Event::Note(Note { code, value: 3 }), None);
        let mut events = vec![
            (Event::IncidentOpen(IncidentOpen { boot_ms: 1 }), Some(Reason::Phone)),
            (Event::IncidentComplete(IncidentComplete { missing: 2 }), Some(Reason::Phone)),
            (cover(false), Some(Reason::CoverFault)),
            (cover(true), Some(Reason::EvidenceNotKept)),
            (Event::Gap(Gap { from_boot_ms: 1, to_boot_ms: 7 }), Some(Reason::LinkLost)),
            (Event::HostKeyChange(HostKeyChange { host_key: [8; 32], host_record: vec![] }), None),
            (
                Event::RecorderStart(RecorderStart { torn_bytes: 1, recovered_entries: 0, wal_behind: 2 }),
                None,
            ),
            (
                Event::Tombstone(Tombstone {
                    blobs: vec![BlobId([1; 16])],
                    cause: 1,
                    approvals_sha256: None,
                }),
                None,
            ),
            (Event::Approval(Approval { signed: vec![1, 2, 3] }), None),
            (Event::View(View { purpose: 1, blob_id: [4; 16], viewer: [5; 8] }), None),
            (Event::Unknown { kind: 4000, body: vec![0xa0] }, None),
        ];
        events.extend([1, 2, 3, 4, 16, 17, 18, 19, 20, 21, 900].map(note));
        let mut ids = Vec::new();
        for (event, reason) in events {
            let blobs =
                if matches!(event, Event::IncidentComplete(_)) { vec![blob(1), blob(2)] } else { vec![] };
            let of =
                Draft { session_id: Some([6; 16]), incident_id: Some([9; 16]), reason, ..Draft::of(event) };
            ids.push(self.append(Draft { blobs, ..of }));
        }
        self.writer.checkpoint().unwrap();
        ids.iter().map(|leaf| format!("{ORIGIN}#{leaf}")).collect()
    }
}
