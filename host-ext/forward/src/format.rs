//! The formats of alarms, chosen with `--format`.

use crate::alert::{Alert, Proof};
use crate::{cef, ocsf};

/// The format of an event.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{alert, proof};
    use sudare_protocol::evidence::BLOBS_MAX;

    #[test]
    fn every_format_is_one_short_line_of_ascii() {
        let proof = Proof { origin: "o".repeat(300), ..proof() };
        for format in [Format::Ocsf, Format::Cef, Format::Hec] {
            let text = format.encode(&alert(BLOBS_MAX), &proof);
            assert!(text.is_ascii() && !text.contains('\n'), "{format:?}");
            assert!(text.len() <= EVENT_MAX_BYTES, "{format:?}: {} bytes", text.len());
        }
    }
}
