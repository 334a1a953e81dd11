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
    /// True if nothing looks odd either.
    pub plausibility: bool,
    /// Entries under the checkpoint.
    pub entries: u64,
    /// Different incidents among them.
    pub incidents: u64,
    /// Checkpoints whose signature is right: the store's, and each receipt.
    pub checkpoints: usize,
    /// False if only hashes were checked, and no signature but those of checkpoints.
    pub signatures: bool,
    /// Pictures that are gone and have a tombstone.
    pub erased: u64,
    /// The newest cosignature of each witness that was asked for.
    pub cosignatures: Vec<Cosignature>,
    /// What time tokens vouch for, if some were given and are in order.
    pub timestamps: Option<Stamped>,
    /// What is not as it should be.
    pub findings: Vec<FindingRow>,
    /// Findings beyond those listed.
    pub unlisted_findings: u64,
}

/// What a walk counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub entries: u64,
    pub incidents: u64,
    pub checkpoints: usize,
    pub signatures: bool,
    pub erased: u64,
    pub cosignatures: Vec<Cosignature>,
    pub timestamps: Option<Stamped>,
}

/// What time tokens vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stamped {
    /// How many are in order.
    pub tokens: usize,
    /// Entries under the newest one's checkpoint.
    pub entries: u64,
    /// When it was made by the clock of the service, in RFC 3339, UTC.
    pub time: String,
}

/// What a witness vouches for.
#[derive(Clone, Debug, Serialize)]
pub struct Cosignature {
    /// Name of the witness.
    pub witness: String,
    /// Entries that it vouches for; whoever holds the log key could still change what comes after.
    pub entries: u64,
    /// When it saw them, its own Unix time in seconds.
    pub time_s: u64,
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
    pub(super) fn new(counts: Counts, findings: &Findings) -> Self {
        let Counts { entries, incidents, checkpoints, signatures, erased, cosignatures, timestamps } = counts;
        Self {
            ok: findings.is_empty(),
            integrity: findings.integrity() == 0,
            plausibility: findings.plausibility() == 0,
            entries,
            incidents,
            checkpoints,
            signatures,
            erased,
            cosignatures,
            timestamps,
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
