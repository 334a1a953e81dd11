//! Finds and deletes sealed pictures that no entry lists: their guard was killed between storing the picture and
//! recording it, or the device's daily quota was exhausted in the middle of an incident. The log does not mention
//! them, so they need no tombstone, and nothing else would ever delete them.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sudare_evidence::reader::ReadError;
use sudare_evidence::store::blobs::{BODIES, HEADERS};
use sudare_evidence::store::{Disk as _, OsDisk, StoreError};
use sudare_protocol::evidence::Id;
use sudare_protocol::hex::unhex;

use super::error::EraseError;
use super::survey::Survey;
use crate::error::AuditError;

/// As long as full pictures are kept by default. A guard records a picture as soon as it is stored; if its recorder is
/// unavailable for longer, the session has been covered all that time.
const LEFT_AFTER: Duration = Duration::from_secs(72 * 60 * 60);

/// Names of such files within the store; headers come first.
pub fn find(dir: &Path, survey: &Survey, now: SystemTime) -> Result<Vec<String>, EraseError> {
    let mut found = Vec::new();
    for folder in [HEADERS, BODIES] {
        let path = dir.join(folder);
        let files = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            files => files.map_err(|source| AuditError::Read(ReadError::Unreadable { path, source }))?,
        };
        let names = files.flatten().filter_map(|file| file.file_name().into_string().ok());
        let unlisted = names.filter(|name| is_unlisted(name, |id| survey.is_listed(id)));
        let mut names: Vec<String> = unlisted.map(|name| format!("{folder}/{name}")).collect();
        names.retain(|name| is_old(&dir.join(name), now));
        names.sort_unstable();
        found.extend(names);
    }
    Ok(found)
}

/// Deletes what [`find`] found and returns the number of files. A picture that was stored again meanwhile is new, and
/// is kept.
pub fn remove(dir: &Path, found: &[String], now: SystemTime) -> Result<usize, EraseError> {
    let mut removed = 0;
    for path in found.iter().map(|name| dir.join(name)).filter(|path| is_old(path, now)) {
        OsDisk.remove(&path).map_err(|error| StoreError::io(&path, "deleted", error))?;
        removed += 1;
    }
    Ok(removed)
}

/// Also true of a partly written picture. Other files in the folder are not ours.
fn is_unlisted(name: &str, is_listed: impl Fn(&Id) -> bool) -> bool {
    let whole = name.strip_suffix(".tmp");
    let id: Option<Id> = unhex(whole.unwrap_or(name));
    id.is_some_and(|id| whole.is_some() || !is_listed(&id))
}

fn is_old(path: &Path, now: SystemTime) -> bool {
    let written = path.metadata().and_then(|about| about.modified());
    written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > LEFT_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_that_no_entry_lists_and_halves_of_files_are_left_over() {
        let (listed, other) = ("ab".repeat(16), "cd".repeat(16));
        let is_left = |name: &str| is_unlisted(name, |id| *id == [0xab; 16]);
        assert!(!is_left(&listed) && is_left(&other));
        assert!(is_left(&format!("{listed}.tmp")) && is_left(&format!("{other}.tmp")));
        assert!(!is_left("readme") && !is_left(".tmp") && !is_left(&other[..30]));
    }

    #[test]
    fn what_is_new_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(HEADERS)).unwrap();
        let names = ["a", "b"].map(|name| format!("{HEADERS}/{name}"));
        let now = SystemTime::now();
        for (name, age) in names.iter().zip([LEFT_AFTER + Duration::from_secs(1), Duration::ZERO]) {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(now - age).unwrap();
        }
        assert_eq!(remove(dir.path(), &names, now).unwrap(), 1);
        assert_eq!(names.map(|name| dir.path().join(name).exists()), [false, true]);
    }
}
