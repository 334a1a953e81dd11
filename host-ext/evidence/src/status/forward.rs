//! The forwarder's status: one small file that is overwritten in place. Its keys are a stable format.
//!
//! In place, because a full disk must not prevent the status from saying so. The text is padded to one length with
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
/// An error is cut to this length.
const ERROR_MAX_CHARS: usize = 600;

/// What the forwarder is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has never run.
    #[default]
    New,
    /// The receiver has everything.
    Idle,
    /// It is sending.
    Sending,
    /// Something failed; it will retry.
    Waiting,
    /// The log contradicts itself; nothing more is read until it is consistent again.
    Contradiction,
}

/// The JSON of `sudare-forward --status --json`; fields may be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// True while a forwarder holds this folder's lock, whatever the file says.
    #[serde(default)]
    pub running: bool,
    /// Name of the log.
    pub origin: String,
    /// Where events go.
    pub to: String,
    /// Format of events.
    pub format: String,
    /// Entries under the newest verified checkpoint.
    pub verified_entries: u64,
    /// Entries read.
    pub read_entries: u64,
    /// The receiver has every event of the first so many entries.
    pub accepted_entries: u64,
    /// Leaf index of the last of them.
    pub last_leaf: Option<u64>,
    /// Events accepted by the receiver since this folder was made.
    pub accepted_events: u64,
    /// Events read and not yet accepted.
    pub waiting_events: u64,
    /// The last error; absent once forwarding works again.
    pub last_error: Option<String>,
    /// Failed tries in a row.
    pub failed_tries: u32,
    /// Unix time of this status.
    pub wall_ms: u64,
}

/// The open status file.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
}

impl StatusFile {
    /// Opens the file or makes it.
    pub fn open(dir: &Path) -> Result<Self, FileError> {
        let path = dir.join("status");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        Ok(Self { file: file.map_err(|error| FileError::new(&path, "opened", error))? })
    }

    /// Overwrites the file.
    pub fn write(&self, status: &Status) -> io::Result<()> {
        let mut status = status.clone();
        status.last_error = status.last_error.map(|text| text.chars().take(ERROR_MAX_CHARS).collect());
        let mut text = serde_json::to_vec(&status)?;
        // Names of logs and receivers are bounded where they are read; this is only a last resort.
        if text.len() > FILE_BYTES {
            (status.to, status.last_error) = (String::new(), None);
            text = serde_json::to_vec(&status)?;
        }
        text.resize(FILE_BYTES.max(text.len()), b' ');
        self.file.write_all_at(&text, 0)
    }
}

/// The status of the forwarder that uses this folder or used it last; `None` if none ever did.
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
