//! Which incidents are complete, and where in the log that stands: a small file for each.
//!
//! A client sends its pictures again until it hears that they are kept, also to a guard that knows
//! nothing of the first time. The log must then say it once.
//!
//! The files are written without a sync. After a power cut those of the last seconds can be missing, and
//! these are made again from the end of the log ([`Completed::remember`] at the start).

use std::fs;
use std::io;
use std::path::PathBuf;

use sudare_protocol::evidence::Id;

use crate::store::hex;

/// Folder within the store.
pub const FOLDER: &str = "completed";

/// The folder of these files.
#[derive(Debug, Clone)]
pub struct Completed {
    folder: PathBuf,
}

impl Completed {
    /// Makes the folder if it is missing.
    pub fn open(store: &std::path::Path) -> io::Result<Self> {
        let folder = store.join(FOLDER);
        crate::files::make_private_dir(&folder).map_err(io::Error::other)?;
        Ok(Completed { folder })
    }

    /// Leaf of the entry that completed the incident.
    pub fn find(&self, incident_id: &Id) -> Option<u64> {
        let text = crate::store::disk::read_bounded(&self.path(incident_id), 32).ok()?;
        String::from_utf8(text).ok()?.trim().parse().ok()
    }

    /// Best effort: without the file an incident may be recorded twice, and nothing is lost.
    pub fn remember(&self, incident_id: &Id, leaf_index: u64) {
        let path = self.path(incident_id);
        let temporary = path.with_extension("tmp");
        let written =
            fs::write(&temporary, leaf_index.to_string()).and_then(|()| fs::rename(&temporary, &path));
        if let Err(error) = written {
            tracing::warn!(%error, "a completed incident cannot be noted; it may be recorded again");
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
        let completed = Completed::open(dir.path()).unwrap();
        assert_eq!(completed.find(&[1; 16]), None);
        completed.remember(&[1; 16], 42);
        assert_eq!(Completed::open(dir.path()).unwrap().find(&[1; 16]), Some(42));
        fs::write(dir.path().join(FOLDER).join(hex(&[1; 16])), "").unwrap();
        assert_eq!(completed.find(&[1; 16]), None);
    }
}
