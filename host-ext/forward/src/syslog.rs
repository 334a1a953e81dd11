//! Syslog: the header of RFC 5424, with the octet counting of RFC 6587 (section 3.4.1) and RFC 5425.
//!
//! ```text
//! 312 <106>1 2026-11-22T10:00:00.123Z vdi-0042 sudare - incident-open - CEF:0|…
//! ```
//! The message is ASCII and carries no byte order mark, which CEF parsers trip over. There is no structured data, whose
//! names would need an enterprise number of our own.

use sudare_protocol::reason::Severity;
use sudare_protocol::utc::utc_ms;

use crate::alert::{Alert, host_name};

/// Facility "log audit".
const FACILITY: u8 = 13;

/// A message with its header, not yet framed.
pub fn message(alert: &Alert, origin: &str, text: &str) -> String {
    let priority = FACILITY * 8 + severity(alert.severity);
    let (time, host) = (utc_ms(alert.wall_ms), host_name(origin));
    // MSGID has at most 32 characters; the names of kinds are shorter.
    format!("<{priority}>1 {time} {host} sudare - {} - {text}", alert.kind)
}

/// The messages one after the other, each preceded by its length.
pub fn frames(messages: &[String]) -> Vec<u8> {
    messages.iter().flat_map(|message| format!("{} {message}", message.len()).into_bytes()).collect()
}

fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::alert;

    #[test]
    fn header_and_frame_follow_the_rfcs() {
        let message = message(&alert(0), "sudare.example/log/vdi-0042", "text");
        assert_eq!(message, "<108>1 2026-11-22T10:00:00.123Z vdi-0042 sudare - incident-complete - text");
        assert_eq!(frames(&["abc".into(), "de\n".into()]), b"3 abc3 de\n");
    }
}
