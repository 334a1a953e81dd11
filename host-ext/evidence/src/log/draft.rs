//! An entry before it is written, and the keys that sign it.

use sudare_protocol::SigningKey;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Stamp, VERSION};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::{NoteError, VerifierKey};

/// The log's name and keys.
pub struct LogKeys {
    /// Name of the log, such as `sudare.example/log/vdi-0042`.
    pub origin: String,
    /// Signs entries and checkpoints.
    pub log: SigningKey,
    /// Public key of the host that the log is about; it signs HELLO.
    pub host_key: [u8; 32],
}

impl std::fmt::Debug for LogKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKeys({})", self.origin)
    }
}

impl LogKeys {
    /// The public line of the log, which auditors receive out of band.
    pub fn verifier(&self) -> Result<VerifierKey, NoteError> {
        VerifierKey::new(&self.origin, self.log.verifying_key())
    }
}

/// An entry before it has its position and time.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Session it belongs to.
    pub session_id: Option<Id>,
    /// Incident it belongs to.
    pub incident_id: Option<Id>,
    /// Why.
    pub reason: Option<Reason>,
    /// Pictures that are already in the store.
    pub blobs: Vec<BlobRef>,
    /// What happened.
    pub event: Event,
    /// The source that reported it; `None` for the recorder's own entries.
    pub source: Option<Id>,
    /// The source's number for it, counted from 1.
    pub serial: Option<u64>,
}

impl Draft {
    /// An entry about the log or the host itself.
    pub fn of(event: Event) -> Self {
        let (session_id, incident_id, reason, source, serial) = (None, None, None, None, None);
        Self { session_id, incident_id, reason, blobs: Vec::new(), event, source, serial }
    }

    pub(super) fn at(self, seq: u64, stamp: Stamp) -> Entry {
        let (kind, body) = self.event.encode();
        Entry {
            version: VERSION,
            seq,
            wall_ms: stamp.wall_ms,
            boot_ms: stamp.boot_ms,
            boot_id: stamp.boot_id,
            session_id: self.session_id,
            incident_id: self.incident_id,
            kind,
            reason: self.reason.map(Reason::number),
            blobs: self.blobs,
            body,
            source: self.source,
            serial: self.serial,
        }
    }
}
