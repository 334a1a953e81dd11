//! ArcSight Common Event Format, version 0.
//!
//! ```text
//! CEF:0|vendor|product|version|signature id|name|severity 0-10|key=value key=value …
//! ```
//! The header escapes `\` and `|`, a value `\`, `=` and line breaks. Source: "Implementing ArcSight Common Event Format
//! (CEF)", version 25.

use sudare_protocol::evidence::{BlobRef, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Severity;

use crate::alert::{Alert, Proof, host_name};

/// The event as one line.
pub fn event(alert: &Alert, proof: &Proof) -> String {
    let header = ["Sudare", "sudare-host", env!("CARGO_PKG_VERSION"), alert.kind, alert.title];
    let header = header.map(header_field).join("|");
    format!("CEF:0|{header}|{}|{}", severity(alert.severity), extension(alert, proof))
}

fn extension(alert: &Alert, proof: &Proof) -> String {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut field = |key: &str, value: String| fields.push((key.to_owned(), value));
    field("rt", alert.wall_ms.to_string());
    field("externalId", alert.uid(&proof.origin));
    field("dvchost", host_name(&proof.origin));
    field("deviceExternalId", proof.origin.clone());
    field("msg", alert.description.clone());
    if let Some(reason) = alert.reason {
        field("reason", reason.as_str().to_owned());
    }
    let mut custom = |key: &str, label: &str, value: String| {
        field(key, value);
        field(&format!("{key}Label"), label.to_owned());
    };
    custom("cn1", "leafIndex", alert.leaf_index.to_string());
    custom("cn2", "checkpointSize", proof.size.to_string());
    custom("cs1", "checkpointRoot", hex(&proof.root));
    if let Some(id) = &alert.incident_id {
        custom("cs2", "incidentId", hex(id));
    }
    if let Some(id) = &alert.session_id {
        custom("cs3", "sessionId", hex(id));
    }
    if !alert.blobs.is_empty() {
        custom("cs4", "sealedPictures", alert.blobs.iter().map(blob).collect::<Vec<_>>().join(" "));
    }
    let numbers = alert.numbers.iter().map(|(name, value)| format!("{name}:{value}"));
    let details: Vec<String> =
        numbers.chain(alert.ids.iter().map(|(name, id)| format!("{name}:{id}"))).collect();
    if !details.is_empty() {
        custom("cs5", "details", details.join(" "));
    }
    let fields = fields.iter().map(|(key, value)| format!("{key}={}", extension_value(value)));
    fields.collect::<Vec<_>>().join(" ")
}

/// `label:id:sha256`, short enough for 16 of them in one of CEF's custom strings (4,000 characters).
fn blob(blob: &BlobRef) -> String {
    let label = Label::from_number(blob.label).map_or("unknown", Label::as_str);
    format!("{label}:{}:{}", hex(&blob.blob_id), hex(&blob.sha256))
}

fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

fn header_field(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn extension_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{alert, proof};

    #[test]
    fn the_line_has_its_parts_in_order() {
        let line = event(&alert(1), &proof());
        let version = env!("CARGO_PKG_VERSION");
        assert!(
            line.starts_with(&format!("CEF:0|Sudare|sudare-host|{version}|incident-complete|")),
            "{line}"
        );
        assert_eq!(line.split('|').nth(6), Some("5"));
        assert!(line.contains(" externalId=sudare.example/log/vdi-0042#7 "));
        assert!(line.contains(" cn1=7 cn1Label=leafIndex "));
        assert!(line.contains(" cs5=missing_pictures:1 cs5Label=details"));
    }

    #[test]
    fn characters_that_would_end_a_field_are_escaped() {
        assert_eq!(header_field("a|b\\c\nd=e"), "a\\|b\\\\c d=e");
        assert_eq!(extension_value("a|b\\c\r\nd=e"), "a|b\\\\c\\r\\nd\\=e");
        let hostile = Proof { origin: "x=1 msg\\\nCEF:0|".into(), ..proof() };
        let line = event(&alert(0), &hostile);
        assert!(!line.contains('\n') && line.contains("deviceExternalId=x\\=1 msg\\\\\\nCEF:0|"), "{line}");
    }
}
