//! Files that are either whole or not there, as a list of steps: what is done in which order can be read, and
//! tested with a crash after each step.
//!
//! ```text
//! put     open(NAME.part, O_CREAT|O_TRUNC, 0600) write · fsync(NAME.part) · rename(NAME.part, NAME) · fsync(folder)
//! move    rename(A/NAME, B/NAME) · fsync(B) · fsync(A)
//! remove  unlink(NAME) · fsync(folder)
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Ends the name of a file that is being written; such a file counts as not there.
pub(crate) const PART: &str = "part";

/// One system call or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

pub(crate) fn put(path: &Path, bytes: Vec<u8>) -> Vec<Step> {
    let part = path.with_added_extension(PART);
    vec![
        Step::Write(part.clone(), bytes),
        Step::Sync(part.clone()),
        Step::Rename(part, path.to_owned()),
        Step::Sync(folder(path)),
    ]
}

pub(crate) fn relocate(from: &Path, to: &Path) -> Vec<Step> {
    vec![Step::Rename(from.to_owned(), to.to_owned()), Step::Sync(folder(to)), Step::Sync(folder(from))]
}

pub(crate) fn remove(path: &Path) -> Vec<Step> {
    vec![Step::Remove(path.to_owned()), Step::Sync(folder(path))]
}

/// Does the steps in their order, up to the first that fails.
pub(crate) fn run(steps: &[Step]) -> io::Result<()> {
    steps.iter().try_for_each(Step::run)
}

impl Step {
    fn run(&self) -> io::Result<()> {
        match self {
            Step::Write(path, bytes) => {
                let mut options = OpenOptions::new();
                let written = options
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path)
                    .and_then(|mut file| file.write_all(bytes));
                if written.is_err() {
                    // A full disk gets its bytes back; the first error is the one to report.
                    fs::remove_file(path).ok();
                }
                written
            }
            Step::Sync(path) => File::open(path)?.sync_all(),
            Step::Rename(from, to) => fs::rename(from, to),
            // What is gone already needs no removing: another run got so far.
            Step::Remove(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// A private folder, and those above it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
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
}
