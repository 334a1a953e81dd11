//! Open Cybersecurity Schema Framework 1.4: class Detection Finding (2004) of category Findings (2).
//!
//! `finding_info.uid` is the incident, the same for all its events; `metadata.uid` is the event, the same each time it is
//! sent. Source: <https://schema.ocsf.io/1.4.0/classes/detection_finding>.

use serde_json::{Map, Value, json};
use sudare_protocol::evidence::{BlobRef, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Severity;
use sudare_protocol::utc::utc_ms;

use crate::alert::{Activity, Alert, Proof, host_name};

/// Version of the schema.
pub const SCHEMA_VERSION: &str = "1.4.0";
const CATEGORY: u32 = 2;
const CLASS: u32 = 2004;

/// The event as an object.
pub fn event(alert: &Alert, proof: &Proof) -> Value {
    let uid = alert.uid(&proof.origin);
    let activity = alert.activity as u32;
    let incident = alert.incident_id.as_ref().map(|id| hex(id));
    let mut event = json!({
        "activity_id": activity,
        "activity_name": match alert.activity { Activity::Create => "Create", Activity::Update => "Update" },
        "category_name": "Findings",
        "category_uid": CATEGORY,
        "class_name": "Detection Finding",
        "class_uid": CLASS,
        "finding_info": {
            "title": alert.title,
            "desc": alert.description,
            "uid": incident.unwrap_or_else(|| uid.clone()),
            "types": [alert.kind],
        },
        "is_alert": true,
        "message": alert.description,
        "metadata": {
            "event_code": alert.kind,
            "log_name": proof.origin,
            "original_time": utc_ms(alert.wall_ms),
            "product": { "name": "Sudare", "vendor_name": "Sudare", "version": env!("CARGO_PKG_VERSION") },
            "sequence": alert.leaf_index,
            "uid": uid,
            "version": SCHEMA_VERSION,
        },
        "resources": [{ "type": "host", "name": host_name(&proof.origin), "uid": proof.origin }],
        "severity": severity_name(alert.severity),
        "severity_id": alert.severity as u32,
        "status": "New",
        "status_id": 1,
        "time": alert.wall_ms,
        "type_name": match alert.activity {
            Activity::Create => "Detection Finding: Create",
            Activity::Update => "Detection Finding: Update",
        },
        "type_uid": CLASS * 100 + activity,
        "unmapped": unmapped(alert, proof),
    });
    if !alert.blobs.is_empty() {
        event["evidences"] = alert.blobs.iter().map(evidence).collect();
    }
    event
}

/// The same in the envelope of Splunk's HTTP Event Collector.
pub fn hec_event(alert: &Alert, proof: &Proof) -> Value {
    json!({
        // Seconds with three decimals, from the digits: a float would round.
        "time": format!("{}.{:03}", alert.wall_ms / 1000, alert.wall_ms % 1000),
        "host": host_name(&proof.origin),
        "source": proof.origin,
        "sourcetype": "sudare:ocsf",
        "event": event(alert, proof),
    })
}

/// Values that the schema has no field for: the leaf's index, and the checkpoint that covers it.
fn unmapped(alert: &Alert, proof: &Proof) -> Value {
    let mut all = Map::new();
    all.insert("leaf_index".into(), alert.leaf_index.into());
    all.insert("checkpoint_size".into(), proof.size.into());
    all.insert("checkpoint_root".into(), hex(&proof.root).into());
    if let Some(reason) = alert.reason {
        all.insert("reason".into(), reason.as_str().into());
    }
    if let Some(session_id) = &alert.session_id {
        all.insert("session_id".into(), hex(session_id).into());
    }
    for (name, value) in &alert.numbers {
        all.insert((*name).into(), (*value).into());
    }
    for (name, id) in &alert.ids {
        all.insert((*name).into(), id.as_str().into());
    }
    all.into()
}

/// A sealed picture: auditors find it by these ids and hashes, which reveal nothing of it.
fn evidence(blob: &BlobRef) -> Value {
    let label = Label::from_number(blob.label).map_or("unknown", Label::as_str);
    json!({ "data": {
        "blob_id": hex(&blob.blob_id),
        "label": label,
        "sha256": hex(&blob.sha256),
        "size": blob.size,
    }})
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{alert, proof};

    #[test]
    fn the_event_is_a_detection_finding_of_the_incident() {
        let event = event(&alert(2), &proof());
        assert_eq!(event["class_uid"], 2004);
        assert_eq!(event["type_uid"], 200_402);
        assert_eq!(event["finding_info"]["uid"], "ab".repeat(16));
        assert_eq!(event["metadata"]["uid"], "sudare.example/log/vdi-0042#7");
        assert_eq!(event["metadata"]["sequence"], 7);
        assert_eq!(event["evidences"][1]["data"]["blob_id"], "01".repeat(16));
        assert_eq!(event["unmapped"]["reason"], "onlooker");
        assert_eq!(event["unmapped"]["missing_pictures"], 1);
        assert_eq!(event["time"], 1_795_341_600_123_u64);
        assert!(super::event(&alert(0), &proof()).get("evidences").is_none());
    }

    #[test]
    fn the_collector_gets_the_same_event_and_its_time_unrounded() {
        let wrapped = hec_event(&alert(1), &proof());
        assert_eq!(wrapped["event"], event(&alert(1), &proof()));
        assert_eq!(wrapped["time"], "1795341600.123");
        assert_eq!(wrapped["host"], "vdi-0042");
    }
}
