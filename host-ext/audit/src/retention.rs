//! Decides which pictures have reached the end of their retention period, by the policy under which each incident
//! happened: full pictures first, the others later. Pictures under legal hold are kept.

use std::collections::BTreeSet;

use serde::Serialize;
use sudare_protocol::evidence::event::Erasure as Cause;
use sudare_protocol::evidence::{BlobRef, Id, Label};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::rules::EvidenceRules;
use thiserror::Error;

use crate::erase::{Erasure, Survey};
use crate::incidents::Incident;

/// Largest file of legal holds: about 30,000 of them.
pub const HOLDS_MAX_BYTES: usize = 1024 * 1024;
const HOUR_MS: u64 = 3_600_000;

/// Which pictures are due for erasure, and which are kept.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// Pictures at the end of their retention period.
    pub due: Vec<Row>,
    /// Pictures that would be due, but are kept because of a legal hold.
    pub held: Vec<Row>,
    /// Incidents whose policy is unknown: none of their pictures is erased.
    pub unknown: Vec<Unknown>,
    /// Number of pictures within their retention period.
    pub kept: usize,
    /// The due pictures, for [`erase`](crate::erase::erase).
    #[serde(skip)]
    pub erasures: Vec<Erasure>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Id of the incident in hex.
    pub incident: String,
    /// Id of the picture in hex.
    pub blob: String,
    /// What it shows.
    pub label: String,
    /// Size of the sealed file in bytes.
    pub size: u64,
    /// Time since the incident, by the host's clock.
    pub age_hours: u64,
    /// Retention period of the policy.
    pub kept_hours: u32,
}

/// An incident whose policy is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Id of the incident in hex.
    pub incident: String,
    /// Why its policy is unknown.
    pub why: String,
}

/// A line in the file of legal holds that is not an incident id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "line {0} of the legal holds is not an incident id (32 hex digits). Nothing is erased as long as a hold may be \
     missing: correct the line"
)]
pub struct HoldError(usize);

/// Reads a list of incidents under legal hold: one id per line, comments after `#`.
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

/// Decides about every picture that is not erased yet, at `now_ms` (Unix time).
pub fn plan(survey: &Survey, holds: &BTreeSet<Id>, now_ms: u64) -> Plan {
    let mut plan = Plan::default();
    let is_held = |incident: &&Incident| holds.contains(&incident.ids().0);
    // A held incident also protects pictures that belong to another one.
    let held: BTreeSet<Id> =
        survey.incidents.iter().filter(is_held).flat_map(|i| &i.blobs).map(|blob| blob.blob_id).collect();
    for incident in &survey.incidents {
        let there: Vec<&BlobRef> =
            incident.own.iter().filter(|blob| !survey.is_erased(&blob.blob_id)).collect();
        if there.is_empty() {
            continue;
        }
        let (incident_id, session_id) = incident.ids();
        match survey.rules(session_id.as_ref()) {
            Err(why) => plan.unknown.push(Unknown { incident: incident.id.clone(), why: why.to_owned() }),
            Ok(rules) => {
                let age_hours = now_ms.saturating_sub(incident.opened_wall_ms) / HOUR_MS;
                let expired = expired(incident, &there, rules, age_hours);
                plan.kept += there.len() - expired.len();
                let (kept, due): (Vec<_>, Vec<_>) =
                    expired.into_iter().partition(|(id, _)| held.contains(id));
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

/// The pictures of an incident that have reached the end of their retention period.
fn expired(
    incident: &Incident,
    pictures: &[&BlobRef],
    rules: &EvidenceRules,
    age_hours: u64,
) -> Vec<(Id, Row)> {
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
