//! How forwarding goes, for whoever asks: one small file that is overwritten in place.
//!
//! In place, because a disk without room must not hide that it has none. The text is padded to one length with
//! spaces, which JSON allows, and written with one call.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sudare_base::files::{self, FileError};

use crate::store::disk::{Disk as _, OsDisk};

/// Length of the file.
const FILE_BYTES: usize = 4096;
/// What is kept of an error.
const ERROR_MAX_CHARS: usize = 600;

/// What the forwarder is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has never run.
    #[default]
    New,
    /// Everything is with the receiver.
    Idle,
    /// It is sending.
    Sending,
    /// Something failed; it tries again.
    Waiting,
    /// The log contradicts itself; nothing more is read until it does not.
    Contradiction,
}

/// The JSON of `sudare-forward --status --json`; fields may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is about.
    pub state: State,
    /// True while a forwarder holds this folder. Not kept in the file.
    #[serde(default)]
    pub running: bool,
    /// Name of the log.
    pub origin: String,
    /// Where events go.
    pub to: String,
    /// Form of events.
    pub format: String,
    /// Entries under the newest checkpoint that was verified.
    pub verified_entries: u64,
    /// Entries read.
    pub read_entries: u64,
    /// Entries up to which everything is with the receiver.
    pub accepted_entries: u64,
    /// Last leaf up to which everything is with the receiver.
    pub last_leaf: Option<u64>,
    /// Events with the receiver since this folder was made.
    pub accepted_events: u64,
    /// Events read and not yet with the receiver.
    pub waiting_events: u64,
    /// What failed last; absent once all is well again.
    pub last_error: Option<String>,
    /// Tries that failed in a row.
    pub failed_tries: u32,
    /// Unix time of this status.
    pub wall_ms: u64,
}

/// Keeps the status.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
}

impl StatusFile {
    /// Takes its room on the disk.
    pub fn open(dir: &Path) -> Result<Self, FileError> {
        let path = dir.join("status");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        Ok(Self { file: file.map_err(|error| FileError::new(&path, "opened", error))? })
    }

    /// Writes over what was there.
    pub fn write(&self, status: &Status) -> io::Result<()> {
        let mut status = status.clone();
        status.last_error = status.last_error.map(|text| text.chars().take(ERROR_MAX_CHARS).collect());
        let mut text = serde_json::to_vec(&status)?;
        // Names of logs and receivers are bounded where they are read; this is the last line of defence.
        if text.len() > FILE_BYTES {
            (status.to, status.last_error) = (String::new(), None);
            text = serde_json::to_vec(&status)?;
        }
        text.resize(FILE_BYTES.max(text.len()), b' ');
        self.file.write_all_at(&text, 0)
    }
}

/// The status of the forwarder that uses this folder, or used it last; `None` if none ever did.
pub fn read(dir: &Path) -> Result<Option<Status>, FileError> {
    let Some(bytes) = files::read_bounded(&dir.join("status"), 2 * FILE_BYTES)? else { return Ok(None) };
    let status = serde_json::from_slice::<Status>(&bytes).unwrap_or_default();
    let held = OsDisk.lock(&dir.join("lock")).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    Ok(Some(Status { running: held, ..status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_keeps_its_length_and_the_newest_status() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let file = StatusFile::open(dir.path()).unwrap();
        let long = Status { last_error: Some("\"".repeat(9_000)), ..Status::default() };
        file.write(&long).unwrap();
        assert_eq!(read(dir.path()).unwrap().unwrap().last_error.unwrap().len(), ERROR_MAX_CHARS);
        let short = Status { state: State::Idle, last_leaf: Some(9), ..Status::default() };
        file.write(&short).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(short));
        assert_eq!(std::fs::metadata(dir.path().join("status")).unwrap().len(), FILE_BYTES as u64);
    }
}
