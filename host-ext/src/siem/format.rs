//! Forms in which receivers want alarms, chosen with `--format`.

use super::alert::{Alert, Proof};
use super::{cef, ocsf};

/// The form of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OCSF Detection Finding as one line of JSON.
    Ocsf,
    /// ArcSight Common Event Format, which Microsoft Sentinel reads too.
    Cef,
    /// The OCSF object in the envelope of Splunk's HTTP Event Collector.
    Hec,
}

impl Format {
    /// One line without its newline; ASCII, at most [`EVENT_MAX_BYTES`].
    pub fn encode(self, alert: &Alert, proof: &Proof) -> String {
        match self {
            Self::Ocsf => ocsf::event(alert, proof).to_string(),
            Self::Cef => cef::event(alert, proof),
            Self::Hec => ocsf::hec_event(alert, proof).to_string(),
        }
    }

    /// The name in `--format`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Cef => "cef",
            Self::Hec => "hec",
        }
    }
}

/// Longest event. rsyslog cuts messages at 8 KiB unless told otherwise, its header included.
pub const EVENT_MAX_BYTES: usize = 7_900;

/// The host's own name, as the last part of the log's name says it.
pub(crate) fn host_name(origin: &str) -> String {
    let last = origin.rsplit('/').next().unwrap_or(origin);
    let name: String = last.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::alert::tests::entry;
    use super::*;
    use sudare_protocol::evidence::event::IncidentComplete;
    use sudare_protocol::evidence::{BLOBS_MAX, BlobRef, Event, Label};
    use sudare_protocol::reason::Reason;

    pub(crate) fn proof() -> Proof {
        Proof { origin: "sudare.example/log/vdi-0042".into(), size: 8, root: [6; 32] }
    }

    pub(crate) fn alert(blobs: usize) -> Alert {
        let blob = BlobRef {
            blob_id: [1; 16],
            label: Label::CameraBeforePixelated.number(),
            media: 0,
            sha256: [2; 32],
            size: u64::from(u32::MAX),
            commitment: [4; 32],
            header_size: None,
        };
        let mut entry =
            entry(&Event::IncidentComplete(IncidentComplete { missing: 1 }), Some(Reason::Onlooker));
        entry.blobs = vec![blob; blobs];
        Alert::of(7, &entry).unwrap()
    }

    #[test]
    fn every_form_is_one_short_line_of_ascii() {
        let proof = Proof { origin: "o".repeat(300), ..proof() };
        for format in [Format::Ocsf, Format::Cef, Format::Hec] {
            let text = format.encode(&alert(BLOBS_MAX), &proof);
            assert!(text.is_ascii() && !text.contains('\n'), "{format:?}");
            assert!(text.len() <= EVENT_MAX_BYTES, "{format:?}: {} bytes", text.len());
        }
    }

    #[test]
    fn hosts_are_named_as_their_logs_are() {
        assert_eq!(host_name("sudare.example/log/vdi-0042"), "vdi-0042");
        assert_eq!((host_name("a b/\u{7f}\u{e9} "), host_name("")), ("-".into(), "-".into()));
    }
}
