//! The shipper's own folder: its progress, and what it tells others.
//!
//! | file | what | mode |
//! |---|---|---|
//! | `ship-state` | the checkpoint last uploaded, and progress on the next one (JSON) | 0600 |
//! | `shipped` | size of that checkpoint, in decimal, for the recorder | 0644 |
//! | `status.json` | how shipping goes, for `doctor` | 0644 |
//! | `lock` | held by the one shipper | 0600 |
//!
//! The folder is 0755 and two files are readable by everybody, since the recorder runs as another user; they hold sizes,
//! times, the name of the destination and the last error.

use std::collections::{BTreeSet, VecDeque};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use sudare_base::files::{self, FileError};
use sudare_evidence::status::ship::Status;
use sudare_evidence::store::FileLock;
use sudare_protocol::evidence::Id;

use crate::error::ShipError;

const MAX_BYTES: usize = 64 * 1024;
/// More than the pictures of one bundle, whose entries name a few each.
const UPLOADED_MAX: usize = 4096;

/// Progress of the upload; survives a kill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The destinations: main, and headers.
    pub(super) places: [String; 2],
    /// Size of the checkpoint last uploaded; the destination must not have less.
    pub(super) shipped: u64,
    /// Up to this entry, the pictures, full bundles and tiles of the next checkpoint are at the destination already.
    pub(super) uploaded_to: u64,
    /// Up to this entry, tombstones have been carried out at the destination.
    pub(super) erased_to: u64,
}

/// The ids of the pictures uploaded last: an incident lists its pictures again when it is complete, and an attempt that
/// failed in between goes on after them.
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    ids: BTreeSet<Id>,
    order: VecDeque<Id>,
    count: u64,
}

impl Uploaded {
    pub(super) fn has(&self, id: &Id) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn add(&mut self, id: Id) {
        self.count += 1;
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > UPLOADED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// The open folder.
#[derive(Debug)]
pub(super) struct State {
    dir: PathBuf,
    pub(super) progress: Progress,
    /// For this run; it is not saved.
    pub(super) uploaded: Uploaded,
    /// Never read: it is held.
    _lock: FileLock,
}

impl State {
    /// `places` are the main destination and that of the headers.
    pub(super) fn open(dir: &Path, places: [String; 2]) -> Result<Self, ShipError> {
        make_dir(dir)?;
        let lock = lock(&dir.join("lock"))?;
        let path = dir.join("ship-state");
        let progress: Progress = match files::read_bounded(&path, MAX_BYTES)? {
            None => Progress { places: places.clone(), ..Progress::default() },
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| FileError::new(&path, "read", e.into()))?
            }
        };
        if progress.places != places {
            return Err(ShipError::Moved { before: progress.places.join(" and ") });
        }
        Ok(Self { dir: dir.to_owned(), progress, uploaded: Uploaded::default(), _lock: lock })
    }

    /// Grows with everything that arrives.
    pub(super) fn moved(&self) -> u64 {
        self.uploaded.count + self.progress.uploaded_to + self.progress.erased_to
    }

    pub(super) fn save(&self) -> Result<(), ShipError> {
        let path = self.dir.join("ship-state");
        let bytes =
            serde_json::to_vec(&self.progress).map_err(|e| FileError::new(&path, "written", e.into()))?;
        Ok(files::write_private(&path, &bytes)?)
    }

    /// Call it when everything up to this size is at the destination.
    pub(super) fn publish_shipped(&self, size: u64) -> Result<(), ShipError> {
        Ok(files::write_public(&self.dir.join("shipped"), format!("{size}\n").as_bytes())?)
    }
}

/// Makes the folder if it is missing, readable by the recorder whatever the umask says.
pub(super) fn make_dir(dir: &Path) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
    let readable = || fs::set_permissions(dir, fs::Permissions::from_mode(0o755));
    made.and_then(|()| readable()).map_err(|e| FileError::new(dir, "made", e))
}

/// Writes the status for `doctor`.
pub(super) fn publish(dir: &Path, status: &Status) -> Result<(), FileError> {
    let path = dir.join("status.json");
    let bytes = serde_json::to_vec(status).map_err(|e| FileError::new(&path, "written", e.into()))?;
    files::write_public(&path, &bytes)
}

fn lock(path: &Path) -> Result<FileLock, ShipError> {
    FileLock::take(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => ShipError::StateLocked(path.display().to_string()),
        _ => FileError::new(path, "locked", error).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_evidence::shipped::shipped_size;

    fn here() -> [String; 2] {
        ["file:///a".into(), "file:///b".into()]
    }

    #[test]
    fn progress_and_the_shipped_size_survive_a_restart_and_one_shipper_holds_them() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("ship");
        assert_eq!(shipped_size(&dir).unwrap(), 0);
        let mut state = State::open(&dir, here()).unwrap();
        assert!(matches!(State::open(&dir, here()), Err(ShipError::StateLocked(_))));
        state.progress = Progress { places: here(), shipped: 7, uploaded_to: 9, erased_to: 3 };
        state.save().unwrap();
        state.publish_shipped(7).unwrap();
        let before = state.progress.clone();
        drop(state);
        assert_eq!(State::open(&dir, here()).unwrap().progress, before);
        assert_eq!(shipped_size(&dir).unwrap(), 7);
        let elsewhere = State::open(&dir, ["s3://other".into(), "s3://other".into()]);
        assert!(matches!(elsewhere, Err(ShipError::Moved { .. })));
        let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("shipped"), mode("ship-state")), (0o644, 0o600));
        fs::write(dir.join("shipped"), "many").unwrap();
        assert!(shipped_size(&dir).is_err());
    }

    #[test]
    fn the_status_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Status::read(dir.path()).unwrap(), None);
        let status = Status { destination: "s3://b/p".into(), attempts: 3, ..Status::default() };
        publish(dir.path(), &status).unwrap();
        assert_eq!(Status::read(dir.path()).unwrap(), Some(status));
    }
}
