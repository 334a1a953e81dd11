//! The lines that a guard writes to its standard output.
//!
//! ```text
//! beat …                                     see `sudare_base::heartbeat`
//! disconnect <reason, for people>
//! covered <ticket of the order to cover>
//! ```

pub(crate) use sudare_base::heartbeat::Heartbeat;

/// Longer than any line; a guard that exceeds it malfunctions.
pub(crate) const LINE_MAX_BYTES: usize = 512;
/// How much of the guard's message a log line needs.
const MESSAGE_MAX_CHARS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Heartbeat(Heartbeat),
    /// The guard cannot do its job and asks for the client to be disconnected.
    Disconnect(String),
    /// The cover that was ordered with this ticket was read back from the screen.
    Covered(u64),
}

/// Parses a line; `None` if no guard of this build writes such a line.
pub(crate) fn parse(line: &[u8]) -> Option<Line> {
    if line.len() > LINE_MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    match text.split_once(' ')? {
        ("beat", _) => Heartbeat::parse(text).map(Line::Heartbeat),
        ("covered", ticket) => ticket.parse().ok().map(Line::Covered),
        ("disconnect", message) => Some(Line::Disconnect(printable(message))),
        _ => None,
    }
}

/// A log line stays one line, whatever the message contains.
fn printable(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_guard_are_read() {
        let heartbeat = Heartbeat { covered: true, unconfirmed_ms: 120, client: false, blanker_pid: 41 };
        assert_eq!(parse(b"beat covered 120 0 41"), Some(Line::Heartbeat(heartbeat)));
        let heartbeat = Heartbeat { covered: false, unconfirmed_ms: 0, client: true, blanker_pid: 0 };
        assert_eq!(parse(b"beat visible 0 1 0"), Some(Line::Heartbeat(heartbeat)));
        let said = Line::Disconnect("the cover fell. Look".into());
        assert_eq!(parse(b"covered 7"), Some(Line::Covered(7)));
        assert_eq!(parse(b"disconnect the cover\x1b fell. Look"), Some(said));
    }

    #[test]
    fn everything_else_is_a_fault() {
        let long = [b"disconnect ".as_slice(), &[b'x'; LINE_MAX_BYTES]].concat();
        let lines: [&[u8]; 12] = [
            b"",
            b"beat",
            b"beat covered",
            b"beat covered 1 1",
            b"beat covered -1 1 4",
            b"beat covered 1 2 4",
            b"beat covered 1 1 4 more",
            b"beat hidden 1 1 4",
            b"covered",
            b"covered 7 8",
            b"disconnect \xff",
            &long,
        ];
        for line in lines {
            assert_eq!(parse(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
