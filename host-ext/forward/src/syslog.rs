//! Syslog: the header of RFC 5424, framed as RFC 6587 says: by the number of octets (section 3.4.1, and RFC 5425), or by
//! the end of a line (section 3.4.2).
//!
//! ```text
//! 312 <106>1 2026-11-22T10:00:00.123Z vdi-0042 sudare - incident-open - CEF:0|…      octet
//! <106>1 2026-11-22T10:00:00.123Z vdi-0042 sudare - incident-open - CEF:0|…\n       newline
//! ```
//! No receiver can be asked which of them it reads: one that reads lines takes all events of a connection for one line
//! where octets are counted.
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

/// How messages are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Each is preceded by its length.
    #[default]
    Octet,
    /// Each is a line.
    Newline,
}

/// The messages one after the other.
pub fn frames(messages: &[String], framing: Framing) -> Vec<u8> {
    let frame = |message: &String| match framing {
        Framing::Octet => format!("{} {message}", message.len()),
        // Neither form of event has one in it; if one ever has, it must not become two.
        Framing::Newline => format!("{}\n", message.replace(['\r', '\n'], " ")),
    };
    messages.iter().flat_map(|message| frame(message).into_bytes()).collect()
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
        let messages = ["abc".into(), "de\n".into()];
        assert_eq!(frames(&messages, Framing::Octet), b"3 abc3 de\n");
        assert_eq!(frames(&messages, Framing::Newline), b"abc\nde \n");
    }
}
