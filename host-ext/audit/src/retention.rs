//! Which pictures have been kept long enough: full ones go first, the others later, by the policy that
//! each incident happened under. What is under legal hold stays.

use std::collections::BTreeSet;

use serde::Serialize;
use sudare_protocol::evidence::event::Erasure as Cause;
use sudare_protocol::evidence::{BlobRef, Id, Label};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::rules::EvidenceRules;
use thiserror::Error;

use super::Incident;
use super::erase::{Erasure, Survey, survey};

/// Longest file of legal holds, and so about 30,000 of them.
pub const HOLDS_MAX_BYTES: usize = 1024 * 1024;
const HOUR_MS: u64 = 3_600_000;

/// What would go, and what stays although its time is over.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Pictures whose time is over.
    pub due: Vec<Row>,
    /// Pictures that stay only because of a legal hold.
    pub held: Vec<Row>,
    /// Incidents whose policy is not known: nothing of them is touched.
    pub unknown: Vec<Unknown>,
    /// Pictures whose time is not over.
    pub kept: usize,
    /// For [`erase`](super::erase::erase).
    #[serde(skip)]
    pub erasures: Vec<Erasure>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Incident in hex.
    pub incident: String,
    /// Picture in hex.
    pub blob: String,
    /// What it shows.
    pub label: String,
    /// Bytes of the sealed file.
    pub size: u64,
    /// Since the incident, by the host's clock.
    pub age_hours: u64,
    /// What the policy allows.
    pub kept_hours: u32,
}

/// An incident that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// In hex.
    pub incident: String,
    /// Why.
    pub why: String,
}

/// A line of the file of holds is no incident.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "line {0} of the legal holds is no incident id (32 hex digits). Nothing is erased as long as a hold may be \
     missing: correct the line"
)]
pub struct HoldError(usize);

/// Reads a list of incidents under legal hold: one id a line, comments after `#`.
pub fn parse_holds(text: &str) -> Result<BTreeSet<Id>, HoldError> {
    let mut holds = BTreeSet::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            holds.insert(unhex(&line.to_ascii_lowercase()).ok_or(HoldError(number))?);
        }
    }
    Ok(holds)
}

/// Judges every picture that is still there at `now_ms` (Unix time).
pub fn plan(survey: &Survey, holds: &BTreeSet<Id>, now_ms: u64) -> Plan {
    let mut plan = Plan::default();
    let is_held = |incident: &&Incident| holds.contains(&survey::ids_of(incident).0);
    // Also what belongs to another incident.
    let held: BTreeSet<Id> =
        survey.incidents.iter().filter(is_held).flat_map(|i| &i.blobs).map(|blob| blob.blob_id).collect();
    for incident in &survey.incidents {
        let there: Vec<&BlobRef> =
            incident.own.iter().filter(|blob| !survey.is_erased(&blob.blob_id)).collect();
        if there.is_empty() {
            continue;
        }
        let (incident_id, session_id) = survey::ids_of(incident);
        match survey.rules(session_id.as_ref()) {
            Err(why) => plan.unknown.push(Unknown { incident: incident.id.clone(), why: why.to_owned() }),
            Ok(rules) => {
                let age_hours = now_ms.saturating_sub(incident.opened_wall_ms) / HOUR_MS;
                let over = over(incident, &there, rules, age_hours);
                plan.kept += there.len() - over.len();
                let (kept, due): (Vec<_>, Vec<_>) = over.into_iter().partition(|(id, _)| held.contains(id));
                plan.held.extend(kept.into_iter().map(|(_, row)| row));
                if !due.is_empty() {
                    let (pictures, rows): (Vec<Id>, Vec<Row>) = due.into_iter().unzip();
                    plan.due.extend(rows);
                    let (cause, approvals) = (Cause::Retention, Vec::new());
                    plan.erasures.push(Erasure { incident_id, session_id, pictures, cause, approvals });
                }
            }
        }
    }
    plan
}

/// The pictures of an incident whose time is over.
fn over(incident: &Incident, pictures: &[&BlobRef], rules: &EvidenceRules, age_hours: u64) -> Vec<(Id, Row)> {
    let row = |blob: &&BlobRef| {
        let label = Label::from_number(blob.label);
        let kept_hours = rules.kept_hours(label);
        let row = Row {
            incident: incident.id.clone(),
            blob: hex(&blob.blob_id),
            label: label.map_or("unknown", Label::as_str).to_owned(),
            size: blob.size,
            age_hours,
            kept_hours,
        };
        (age_hours >= u64::from(kept_hours)).then_some((blob.blob_id, row))
    };
    pictures.iter().filter_map(row).collect()
}

/// Whether faces of bystanders can be recognised. An unknown picture is taken for one that shows them.
pub fn is_full(label: Option<Label>) -> bool {
    label.is_none_or(Label::is_full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_read_and_a_doubtful_line_is_refused() {
        let text = format!("# case 12\n{}  # until March\n\n  {}\n", "AB".repeat(16), "01".repeat(16));
        assert_eq!(parse_holds(&text).unwrap(), BTreeSet::from([[0xab; 16], [1; 16]]));
        assert_eq!(parse_holds("# x\nabcd"), Err(HoldError(2)));
        assert_eq!(parse_holds(&format!("+{}", "a".repeat(31))), Err(HoldError(1)));
    }
}
