//! The one way in which the client writes files: whole and private, or not at all.
//!
//! Each operation is a list of steps, so that their order can be read, and tested with a crash after each.
//!
//! ```text
//! put     open(NAME.X.part, O_CREAT|O_TRUNC, 0600) write · fsync · rename(NAME.X.part, NAME) · fsync(folder)
//! create  the same with link(NAME.X.part, NAME), which fails if NAME exists, and unlink(NAME.X.part)
//! move    rename(A/NAME, B/NAME) · fsync(B) · fsync(A)
//! remove  unlink(NAME) · fsync(folder)
//! ```
//! X is unique to this write, so that two programs that write the same file at once do not mix their bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform;

/// Ends the name of a file that is being written; such a file counts as absent.
pub(crate) const PART: &str = "part";

/// One system call or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Replaces the file, if there is one.
pub(crate) fn put(path: &Path, bytes: Vec<u8>) -> Vec<Step> {
    let part = part(path);
    vec![
        Step::Write(part.clone(), bytes),
        Step::Sync(part.clone()),
        Step::Rename(part, path.to_owned()),
        Step::SyncFolder(folder(path)),
    ]
}

pub(crate) fn relocate(from: &Path, to: &Path) -> Vec<Step> {
    vec![
        Step::Rename(from.to_owned(), to.to_owned()),
        Step::SyncFolder(folder(to)),
        Step::SyncFolder(folder(from)),
    ]
}

pub(crate) fn remove(path: &Path) -> Vec<Step> {
    vec![Step::Remove(path.to_owned()), Step::SyncFolder(folder(path))]
}

/// Carries out the steps in order, up to the first that fails.
pub(crate) fn run(steps: &[Step]) -> io::Result<()> {
    steps.iter().try_for_each(Step::run)
}

/// Writes a private file, or replaces it.
///
/// # Errors
/// The operating system refused; the file is as it was.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let steps = put(path, bytes.to_vec());
    let written = run(&steps);
    if written.is_err() {
        discard_part(&steps);
    }
    written
}

/// Writes a private file unless it exists: of two programs that do so at once, the first one wins.
///
/// # Errors
/// The operating system refused.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = part(path);
    let steps = [
        Step::Write(part.clone(), bytes.to_vec()),
        Step::Sync(part.clone()),
        Step::Link(part.clone(), path.to_owned()),
        Step::Remove(part),
        Step::SyncFolder(folder(path)),
    ];
    match run(&steps) {
        Err(error) => {
            discard_part(&steps);
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
        }
        Ok(()) => Ok(()),
    }
}

/// A private folder, and those above it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    platform::create_private_folder(path)
}

/// Opens a private file for locking, and creates it if necessary.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    platform::private(options.write(true).create(true).truncate(false)).open(path)
}

impl Step {
    fn run(&self) -> io::Result<()> {
        match self {
            Step::Write(path, bytes) => {
                let mut options = OpenOptions::new();
                let opened = platform::private(options.write(true).create(true).truncate(true)).open(path);
                let written = opened.and_then(|mut file| file.write_all(bytes));
                if written.is_err() {
                    // A full disk gets its bytes back; the first error is the one to report.
                    fs::remove_file(path).ok();
                }
                written
            }
            Step::Sync(path) => OpenOptions::new().write(true).open(path)?.sync_all(),
            Step::SyncFolder(path) => platform::sync_folder(path),
            Step::Rename(from, to) => fs::rename(from, to),
            Step::Link(from, to) => fs::hard_link(from, to),
            // A file that is gone already needs no removing: another run got so far.
            Step::Remove(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// A half-written file is of no use; if it cannot be removed either, the error at hand says enough.
fn discard_part(steps: &[Step]) {
    if let Some(Step::Write(part, _)) = steps.first() {
        fs::remove_file(part).ok();
    }
}

fn part(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    path.with_added_extension(format!("{}-{write}.{PART}", std::process::id()))
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_whole_and_private_or_not_there_whichever_step_is_the_last() {
        for done in 0..=4 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("name");
            run(&put(&path, b"whole".to_vec())[..done]).unwrap();
            match fs::read(&path) {
                Ok(bytes) => {
                    assert!(done >= 3);
                    assert_eq!(bytes, b"whole");
                    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
                }
                Err(_) => assert!(done < 3),
            }
            // Whatever was left does not disturb the next attempt.
            run(&put(&path, b"again".to_vec())).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"again");
            run(&remove(&path)).unwrap();
            run(&remove(&path)).unwrap();
        }
    }

    #[test]
    fn the_first_of_two_creators_wins_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("name");
        for bytes in [b"first", b"later"] {
            create(&path, bytes).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"first");
        write(&path, b"over").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"over");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(&dir.path().join("no/such/folder"), b"x").is_err());
    }
}
