//! What a guard says on its standard output, one line each.
//!
//! ```text
//! beat covered|visible <unconfirmed_ms> <client 0|1> <blanker pid>     about every 100 ms
//! disconnect <why, in words>
//! covered <ticket of the order to cover>
//! ```

pub(super) use sudare_base::heartbeat::Beat;

/// Longer than any line; a guard that writes on is out of its mind.
pub(super) const LINE_MAX_BYTES: usize = 512;
/// As much of the guard's words as a log line needs.
const ADVICE_MAX_CHARS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Beat(Beat),
    /// The guard cannot do its job and asks that nobody looks.
    Disconnect(String),
    /// The cover that was ordered with this ticket was read back from the screen.
    Covered(u64),
}

/// Reads a line; `None` if no guard of this version says that.
pub(super) fn parse(line: &[u8]) -> Option<Line> {
    if line.len() > LINE_MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    match text.split_once(' ')? {
        ("beat", _) => Beat::parse(text).map(Line::Beat),
        ("covered", ticket) => ticket.parse().ok().map(Line::Covered),
        ("disconnect", words) => Some(Line::Disconnect(printable(words))),
        _ => None,
    }
}

/// A line of the log stays one line, whatever the words are.
fn printable(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(ADVICE_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_guard_are_read() {
        let beat = Beat { covered: true, unconfirmed_ms: 120, client: false, blanker_pid: 41 };
        assert_eq!(parse(b"beat covered 120 0 41"), Some(Line::Beat(beat)));
        let beat = Beat { covered: false, unconfirmed_ms: 0, client: true, blanker_pid: 0 };
        assert_eq!(parse(b"beat visible 0 1 0"), Some(Line::Beat(beat)));
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
