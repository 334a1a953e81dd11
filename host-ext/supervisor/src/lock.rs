//! One supervisor on a machine: two would start two guards for each display.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

const NAME: &str = "supervisor.lock";

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{path}: {source}. Correct `run_dir`, or make the folder (docs/guide/vdi-admin.md)")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the supervisor's folder {0} can be written by other users than root, who could put another lock there. Make it with `install -d -o root -m 755`"
    )]
    Unsafe(PathBuf),
    #[error("another supervisor runs already, as process {holder}. Stop it first, or leave it running")]
    Held { holder: String },
}

/// Held as long as it exists; the kernel releases it when the process ends, however that ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(NAME);
        let error = |source: io::Error| LockError::Io { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(error)?;
        let meta = fs::metadata(dir).map_err(error)?;
        if meta.mode() & 0o022 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(LockError::Unsafe(dir.to_owned()));
        }
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644).custom_flags(flags);
        let mut file = options.open(&path).map_err(error)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                (&mut file).take(16).read_to_string(&mut holder).map_err(error)?;
                return Err(LockError::Held { holder: holder.trim().to_owned() });
            }
            Err(e) => return Err(error(e.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(error)?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    /// Closing is not enough: a guard that was just forked shares the open file until it executes its program.
    fn drop(&mut self) {
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// The pid of the running supervisor, if there is one.
pub fn holder(dir: &Path) -> Option<String> {
    let mut file = File::open(dir.join(NAME)).ok()?;
    let free = flock(&file, FlockOperation::NonBlockingLockShared);
    if free != Err(rustix::io::Errno::WOULDBLOCK) {
        return None;
    }
    let mut text = String::new();
    (&mut file).take(16).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_supervisor_learns_the_pid_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("sudare");
        let first = Lock::take(&run).unwrap();
        let second = Lock::take(&run).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}.", std::process::id())), "{second}");
        assert_eq!(holder(&run), Some(std::process::id().to_string()));
        drop(first);
        assert_eq!(holder(&run), None);
        drop(Lock::take(&run).unwrap());
    }

    #[test]
    fn a_world_writable_folder_is_no_place_for_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Unsafe(_))));
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(NAME)).unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(LockError::Io { .. })));
    }
}
