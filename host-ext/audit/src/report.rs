//! The result of an audit. The JSON names are stable; fields may be added.

use serde::Serialize;
use sudare_protocol::verify::{Finding, Findings};

use crate::uncovered::Uncovered;

/// Result of an audit.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// True if there are no findings at all.
    pub ok: bool,
    /// True if nothing was changed, removed or forged; findings may still look odd.
    pub integrity: bool,
    /// True if nothing looks odd either.
    pub plausibility: bool,
    /// Number of entries under the checkpoint.
    pub entries: u64,
    /// Number of incidents among them.
    pub incidents: u64,
    /// Number of checkpoints whose signature is right: the store's, and each receipt.
    pub checkpoints: usize,
    /// False if only hashes were checked, and no signatures except those of checkpoints.
    pub signatures: bool,
    /// Number of missing pictures that have a tombstone.
    pub erased: u64,
    /// The newest cosignature of each required witness.
    pub cosignatures: Vec<Cosignature>,
    /// What time-stamp tokens vouch for, if there are valid ones.
    pub timestamps: Option<Stamped>,
    /// Everything that is not as it should be.
    pub findings: Vec<FindingRow>,
    /// Number of findings beyond those listed.
    pub unlisted_findings: u64,
    /// Files that the audit does not vouch for, relative to the store: a change in them would not be noticed. The
    /// recorder's own, those that another option would check, and unknown ones. Empty where only the log was read.
    pub not_evidence: Vec<String>,
    /// Number of such files beyond those listed.
    pub unlisted_not_evidence: u64,
}

/// The counts of one walk.
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

/// What time-stamp tokens vouch for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stamped {
    /// Number of valid tokens.
    pub tokens: usize,
    /// Entries under the checkpoint of the newest token.
    pub entries: u64,
    /// Time of the newest token by the service's clock (RFC 3339, UTC).
    pub time: String,
}

/// What a witness vouches for.
#[derive(Clone, Debug, Serialize)]
pub struct Cosignature {
    /// Name of the witness.
    pub witness: String,
    /// Number of entries that it vouches for; whoever holds the log's key could still change later ones.
    pub entries: u64,
    /// When it cosigned them, by its own clock (Unix time in seconds).
    pub time_s: u64,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub struct FindingRow {
    /// Stable name, see `sudare_protocol::verify::FindingKind`.
    pub kind: &'static str,
    /// `integrity` or `plausibility`.
    pub class: &'static str,
    /// Index of the entry, if the finding is about one.
    pub entry: Option<u64>,
    /// The finding in words.
    pub detail: String,
}

impl Report {
    /// Makes the report of one walk.
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
            not_evidence: Vec::new(),
            unlisted_not_evidence: 0,
        }
    }

    pub(super) fn with_uncovered(self, Uncovered { paths, unlisted }: Uncovered) -> Self {
        Self { not_evidence: paths, unlisted_not_evidence: unlisted, ..self }
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
