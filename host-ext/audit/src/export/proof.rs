//! `proof.json`: what an export holds and where it stands in the log.

use serde::{Deserialize, Serialize};
use sudare_protocol::verify::FindingKind;
use sudare_protocol::verify::findings::FINDINGS_MAX;

use crate::report::FindingRow;

/// The only version so far; a reader refuses others.
pub const VERSION: u16 = 1;
/// Entries of one export.
pub const ENTRIES_MAX: usize = 512;

/// `proof.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// [`VERSION`].
    pub version: u16,
    /// Name and version of the program that made it.
    pub made_by: String,
    /// Unix time at which it was made, by the exporter's clock.
    pub made_ms: u64,
    /// Name of the log.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// Id of the incident in hex.
    pub incident: String,
    /// In log order.
    pub entries: Vec<EntryFact>,
    /// All pictures of the incident, in log order.
    pub pictures: Vec<PictureFact>,
    /// Result of the exporter's audit of the whole log; a third party can only take the exporter's word for it.
    pub audit: AuditFact,
}

/// One entry, in `entries/<index>.cose`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFact {
    /// Index in the log.
    pub index: u64,
    /// Inclusion proof: the siblings from the leaf upwards, in hex.
    pub proof: Vec<String>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFact {
    /// Id in hex.
    pub blob: String,
    /// File of the sealed picture, if it is part of this export.
    pub sealed: Option<String>,
    /// File of the opened picture.
    pub opened: Option<String>,
    /// Why one of the two is missing.
    pub problem: Option<Problem>,
}

/// Why a picture is not in an export, or not opened. The page has words for each; an export chooses none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Bystanders can be recognised on it.
    NotChosen,
    /// Erased or removed.
    NotInStore,
    /// Under the custodian's seal, which was not taken off.
    Custodian,
    /// The exporter's key did not open it.
    NotOpened,
}

/// Result of the exporter's audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFact {
    /// True if there were no findings.
    pub ok: bool,
    /// True if nothing was changed, removed or forged.
    pub integrity: bool,
    /// Entries that were checked.
    pub entries: u64,
    /// Kinds of the findings, with the index of the entry.
    pub findings: Vec<String>,
}

impl AuditFact {
    pub(super) fn named(finding: &FindingRow) -> String {
        let entry = finding.entry.map(|entry| format!(" [{entry}]")).unwrap_or_default();
        format!("{}{entry}", finding.kind)
    }
}

impl Facts {
    /// Whether the texts that the page takes from here are of the few forms that this program writes: nothing signs
    /// them, so whoever changes them must not be able to say anything.
    pub(super) fn has_own_words_only(&self) -> bool {
        let version = self.made_by.strip_prefix(MADE_BY).unwrap_or_default();
        let is_version = (1..=40).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        is_version
            && self.audit.findings.len() <= FINDINGS_MAX * 2
            && self.audit.findings.iter().all(|finding| is_finding(finding))
    }
}

/// The name of a finding, perhaps with the number of an entry.
fn is_finding(text: &str) -> bool {
    let (kind, entry) = match text.split_once(" [") {
        Some((kind, entry)) => (kind, entry.strip_suffix(']')),
        None => (text, Some("0")),
    };
    let is_number = entry.is_some_and(|entry| entry.parse::<u64>().is_ok_and(|n| n.to_string() == entry));
    is_number && FindingKind::ALL.iter().any(|known| known.as_str() == kind)
}

const MADE_BY: &str = "sudare-audit ";

/// Name and version of this program.
pub(super) fn made_by() -> String {
    format!("{MADE_BY}{}", env!("CARGO_PKG_VERSION"))
}
