//! The line that a guard gives its supervisor, ten times a second and more.
//!
//! `beat covered|visible UNCONFIRMED_MS CLIENT BLANKER_PID`, CLIENT being 0 or 1.

use crate::BUILD;

/// The first line of a guard. A supervisor ends a guard that says another one: they would not agree on what the
/// lines after it mean.
pub fn greeting() -> String {
    format!("guard {BUILD}")
}

/// How a guarded session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    pub covered: bool,
    /// For how long the cover has not been read back from the screen; 0 while visible.
    pub unconfirmed_ms: u64,
    /// Whether an RDP client is connected.
    pub client: bool,
    /// 0 while there is none.
    pub blanker_pid: u32,
}

impl Beat {
    /// Reads the line; `None` if no guard of this version says that.
    pub fn parse(line: &str) -> Option<Beat> {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        let ["beat", shown @ ("covered" | "visible"), unconfirmed_ms, client @ ("0" | "1"), blanker_pid] =
            words[..]
        else {
            return None;
        };
        Some(Beat {
            covered: shown == "covered",
            unconfirmed_ms: unconfirmed_ms.parse().ok()?,
            client: client == "1",
            blanker_pid: blanker_pid.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Beat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = if self.covered { "covered" } else { "visible" };
        let Beat { unconfirmed_ms, client, blanker_pid, .. } = self;
        write!(f, "beat {shown} {unconfirmed_ms} {} {blanker_pid}", u8::from(*client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guard_says_its_supervisor_reads() {
        for covered in [true, false] {
            let beat = Beat { covered, unconfirmed_ms: 3_600_000, client: !covered, blanker_pid: 7 };
            assert_eq!(Beat::parse(&beat.to_string()), Some(beat));
        }
        for line in
            ["beat covered 1 2 3", "beat covered 1 0", "beat black 1 0 1", "beat covered 1 0 1 1", "x"]
        {
            assert_eq!(Beat::parse(line), None, "{line}");
        }
    }
}
