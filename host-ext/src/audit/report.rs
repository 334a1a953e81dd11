//! What an audit tells. The JSON names are stable; fields may be added.

use serde::Serialize;
use sudare_protocol::verify::{Finding, Findings};

/// Result of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// True if there are no findings at all.
    pub ok: bool,
    /// True if nothing was changed, removed or forged; findings may still look odd.
    pub integrity: bool,
    /// Entries under the checkpoint.
    pub entries: u64,
    /// Different incidents among them.
    pub incidents: u64,
    /// Checkpoints whose signature is right: the store's, and each receipt.
    pub checkpoints: usize,
    /// What is not as it should be.
    pub findings: Vec<FindingRow>,
    /// Findings beyond those listed.
    pub unlisted_findings: u64,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct FindingRow {
    /// Stable name, see `sudare_protocol::verify::FindingKind`.
    pub kind: &'static str,
    /// `integrity` or `plausibility`.
    pub class: &'static str,
    /// Leaf index, where it concerns one entry.
    pub entry: Option<u64>,
    /// What exactly.
    pub detail: String,
}

impl Report {
    /// Counts and findings of one walk.
    pub fn new(entries: u64, incidents: u64, checkpoints: usize, findings: Findings) -> Self {
        Self {
            ok: findings.is_empty(),
            integrity: !findings.list().iter().any(|finding| finding.kind.is_integrity()),
            entries,
            incidents,
            checkpoints,
            findings: findings.list().iter().map(FindingRow::from).collect(),
            unlisted_findings: findings.unlisted(),
        }
    }
}

impl From<&Finding> for FindingRow {
    fn from(finding: &Finding) -> Self {
        Self {
            kind: finding.kind.as_str(),
            class: if finding.kind.is_integrity() { "integrity" } else { "plausibility" },
            entry: finding.entry,
            detail: finding.detail.clone(),
        }
    }
}
