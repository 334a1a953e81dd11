//! The first line of a guard's standard output, and the heartbeat that it writes there at every tick of its loop,
//! every 50 ms.
//!
//! ```text
//! guard <build>
//! beat covered|visible <unconfirmed_ms> <client 0|1> <blanker pid>
//! ```

use crate::BUILD;

/// The first line of a guard. The supervisor ends a guard whose first line differs: two builds may not agree on the
/// meaning of the lines after it.
pub fn greeting() -> String {
    format!("guard {BUILD}")
}

/// How a guarded session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    pub covered: bool,
    /// Time since the cover was last read back from the screen; 0 while visible.
    pub unconfirmed_ms: u64,
    /// Whether an RDP client is connected.
    pub client: bool,
    /// 0 while no blanker runs.
    pub blanker_pid: u32,
}

impl Heartbeat {
    /// Parses the line; `None` if no guard of this build writes such a line.
    pub fn parse(line: &str) -> Option<Heartbeat> {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        let ["beat", shown @ ("covered" | "visible"), unconfirmed_ms, client @ ("0" | "1"), blanker_pid] =
            words[..]
        else {
            return None;
        };
        Some(Heartbeat {
            covered: shown == "covered",
            unconfirmed_ms: unconfirmed_ms.parse().ok()?,
            client: client == "1",
            blanker_pid: blanker_pid.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = if self.covered { "covered" } else { "visible" };
        let Heartbeat { unconfirmed_ms, client, blanker_pid, .. } = self;
        write!(f, "beat {shown} {unconfirmed_ms} {} {blanker_pid}", u8::from(*client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_reads_what_its_guard_writes() {
        for covered in [true, false] {
            let heartbeat =
                Heartbeat { covered, unconfirmed_ms: 3_600_000, client: !covered, blanker_pid: 7 };
            assert_eq!(Heartbeat::parse(&heartbeat.to_string()), Some(heartbeat));
        }
        for line in
            ["beat covered 1 2 3", "beat covered 1 0", "beat black 1 0 1", "beat covered 1 0 1 1", "x"]
        {
            assert_eq!(Heartbeat::parse(line), None, "{line}");
        }
    }
}
