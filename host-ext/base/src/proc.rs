//! What the kernel says about a process in /proc (proc(5)), read with bounds.
//!
//! Users choose the names and arguments of their processes, but not uids, parents or start times.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

const STATUS_MAX_BYTES: u64 = 16 * 1024;

/// Of /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat<'a> {
    /// One letter.
    pub state: &'a str,
    pub parent: i32,
    /// Start time in ticks since boot; together with the pid it identifies the process for good.
    pub started_ticks: u64,
}

impl<'a> Stat<'a> {
    /// The name before the fields may contain anything, even brackets.
    #[must_use]
    pub fn parse(stat: &'a str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        // Field 22 of the file is the 20th after the name.
        Some(Self { state, parent, started_ticks: fields.nth(17)?.parse().ok()? })
    }
}

/// Real, effective, saved and file system uid, of /proc/PID/status.
#[must_use]
pub fn uids(status: &str) -> Option<[u32; 4]> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut ids = line.split_ascii_whitespace().map(|id| id.parse().ok());
    Some([ids.next()??, ids.next()??, ids.next()??, ids.next()??])
}

/// The last part of the path that /proc/PID/exe leads to, also when an upgrade has removed the file.
#[must_use]
pub fn program_name(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()
}

/// One of the small files.
///
/// # Errors
/// If it cannot be read: the process has ended, or belongs to somebody else.
pub fn text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&bounded(path, STATUS_MAX_BYTES)?).into_owned())
}

/// The beginning of a file.
///
/// # Errors
/// As of [`text`].
pub fn bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was read is not what proc(5) describes.
#[must_use]
pub fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the kernel's description of this process has an unknown format",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pretend_to_be_another_parent_start_or_user() {
        let stat = "77 (x) S 1 (y)) R 12 77 77 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4711 1 1";
        assert_eq!(Stat::parse(stat), Some(Stat { state: "R", parent: 12, started_ticks: 4711 }));
        assert_eq!(Stat::parse("77 (x) S"), None);
        assert_eq!(uids("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5"), Some([1, 2, 3, 4]));
        assert_eq!(uids("Name:\tUid: 0"), None);
        assert_eq!(program_name(Path::new("/usr/sbin/xrdp (deleted)")), "xrdp");
    }

    #[test]
    fn this_process_is_described() {
        let status = text(Path::new("/proc/self/status")).unwrap();
        assert!(uids(&status).is_some());
        let stat = text(Path::new("/proc/self/stat")).unwrap();
        assert!(Stat::parse(&stat).is_some_and(|stat| stat.started_ticks > 0));
    }
}
