//! Evidence for one host that the host has not acknowledged yet.

use std::collections::VecDeque;

use sudare_protocol::client::Evidence;
use sudare_protocol::limits::SPOOL_MAX_BYTES;
use sudare_protocol::message::Id;

/// A host and its organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    pub organisation: [u8; 32],
    pub host_id: String,
}

/// There is no room: the host has not acknowledged for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the evidence spool is full, because the host has not acknowledged evidence for too long; this incident has no camera pictures. Tell the VDI administrator that the host does not keep evidence"
)]
pub struct SpoolFull;

/// Incidents of one host in the order in which they happened, at most `SPOOL_MAX_BYTES`.
#[derive(Default)]
pub struct Spool {
    waiting: VecDeque<Evidence>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spool({} incidents)", self.waiting.len())
    }
}

impl Spool {
    pub fn push(&mut self, evidence: Evidence) -> Result<&Evidence, SpoolFull> {
        let incident_id = evidence.manifest.incident_id;
        if let Some(at) = self.waiting.iter().position(|e| e.manifest.incident_id == incident_id) {
            return self.waiting.get(at).ok_or(SpoolFull);
        }
        if self.bytes() + evidence.bytes() > SPOOL_MAX_BYTES {
            return Err(SpoolFull);
        }
        self.waiting.push_back(evidence);
        self.waiting.back().ok_or(SpoolFull)
    }

    /// The host keeps this incident now.
    pub fn acknowledge(&mut self, incident_id: &Id) {
        self.waiting.retain(|evidence| evidence.manifest.incident_id != *incident_id);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Evidence> {
        self.waiting.iter()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Size of all pictures.
    pub fn bytes(&self) -> usize {
        self.waiting.iter().map(Evidence::bytes).sum()
    }
}

impl IntoIterator for Spool {
    type Item = Evidence;
    type IntoIter = std::collections::vec_deque::IntoIter<Evidence>;

    fn into_iter(self) -> Self::IntoIter {
        self.waiting.into_iter()
    }
}
