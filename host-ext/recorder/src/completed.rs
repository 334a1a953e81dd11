//! A small file for each complete incident: the leaf of the log that says so.
//!
//! A client resends its pictures until it hears that they are stored, also to a guard that has never seen them. The log
//! must record the completion once.
//!
//! The files are written without a sync. A power cut can take those of the last seconds; the next start makes them again
//! from the end of the log ([`Completed::remember`]). Files that no client asks for any more are removed, so that the
//! folder does not grow for ever.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use sudare_base::{clock, files};
use sudare_protocol::evidence::Id;
use sudare_protocol::hex::hex;

/// Folder within the store.
pub const FOLDER: &str = "completed";

/// If a client stays away for longer and then resends an incident, it is recorded a second time.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const CLEAN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The folder of these files.
#[derive(Debug, Clone)]
pub struct Completed {
    folder: PathBuf,
    cleaned: SystemTime,
}

impl Completed {
    /// Makes the folder if it is missing.
    pub fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join(FOLDER);
        files::make_private_dir(&folder).map_err(io::Error::other)?;
        let mut completed = Completed { folder, cleaned: SystemTime::UNIX_EPOCH };
        completed.remove_old(clock::wall());
        Ok(completed)
    }

    /// Leaf of the entry that completed the incident.
    pub fn find(&self, incident_id: &Id) -> Option<u64> {
        let text = sudare_evidence::store::disk::read_bounded(&self.path(incident_id), 32).ok()?;
        String::from_utf8(text).ok()?.trim().parse().ok()
    }

    /// Best effort: without the file an incident may be recorded twice, and nothing is lost.
    pub fn remember(&mut self, incident_id: &Id, leaf_index: u64) {
        if let Err(error) =
            files::replace_unsynced(&self.path(incident_id), leaf_index.to_string().as_bytes())
        {
            tracing::warn!(%error, "cannot remember a complete incident; it may be recorded again");
        }
        self.remove_old(clock::wall());
    }

    /// Removes files that are older than clients keep incidents, once a day. A clock that is set back keeps more.
    fn remove_old(&mut self, now: SystemTime) {
        if now.duration_since(self.cleaned).is_ok_and(|passed| passed < CLEAN_EVERY) {
            return;
        }
        self.cleaned = now;
        let is_old = |file: &fs::DirEntry| {
            let written = file.metadata().and_then(|about| about.modified());
            written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEPT))
        };
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten().filter(is_old) {
            if let Err(error) = fs::remove_file(file.path()) {
                tracing::warn!(%error, "cannot remove the old file of a complete incident");
                return;
            }
        }
    }

    fn path(&self, incident_id: &Id) -> PathBuf {
        self.folder.join(hex(incident_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_found_and_a_broken_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut completed = Completed::open(dir.path()).unwrap();
        assert_eq!(completed.find(&[1; 16]), None);
        completed.remember(&[1; 16], 42);
        assert_eq!(Completed::open(dir.path()).unwrap().find(&[1; 16]), Some(42));
        fs::write(dir.path().join(FOLDER).join(hex(&[1; 16])), "").unwrap();
        assert_eq!(completed.find(&[1; 16]), None);
    }

    #[test]
    fn files_of_old_incidents_are_removed_and_all_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mut completed = Completed::open(dir.path()).unwrap();
        completed.remember(&[1; 16], 1);
        completed.remember(&[2; 16], 2);
        let old = fs::File::options().write(true).open(completed.path(&[1; 16])).unwrap();
        old.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).unwrap();
        completed.remember(&[2; 16], 2);
        assert_eq!(completed.find(&[1; 16]), Some(1), "only once a day");
        completed.cleaned -= CLEAN_EVERY;
        completed.remember(&[3; 16], 3);
        assert_eq!([1, 2, 3].map(|n| completed.find(&[n; 16])), [None, Some(2), Some(3)]);
        let mode = fs::metadata(completed.path(&[2; 16])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
