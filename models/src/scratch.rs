//! A folder for downloads that only one process uses at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{ModelError, durable};

const LOCK_WAIT_S: u64 = 900;
const LOCK_POLL_MS: u64 = 200;

/// Holds the lock of a directory and an empty folder in it; both are given back on drop. The
/// operating system takes the lock back when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Waits until no other process fills `directory`; `waiting` is called once if it has to.
    pub(crate) fn take(directory: &Path, waiting: impl FnOnce()) -> Result<Self, ModelError> {
        durable::create_directory(directory).map_err(ModelError::io("create", directory))?;
        let lock = lock(directory, waiting)?;
        let folder = directory.join("downloading");
        // What a process that was killed has left behind.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(ModelError::io("clear", &folder))?;
        }
        durable::create_directory(&folder).map_err(ModelError::io("create", &folder))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If this fails, the next `take` clears it or says why it cannot.
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn lock(directory: &Path, waiting: impl FnOnce()) -> Result<File, ModelError> {
    let path = directory.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(ModelError::io("create", &path))?;
    let mut waiting = Some(waiting);
    for _ in 0..LOCK_WAIT_S * 1000 / LOCK_POLL_MS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(ModelError::io("lock", &path)(error)),
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
        std::thread::sleep(Duration::from_millis(LOCK_POLL_MS));
    }
    Err(ModelError::Busy { directory: directory.to_owned(), waited_s: LOCK_WAIT_S })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_waits_and_finds_the_folder_empty() {
        let directory = tempfile::tempdir().unwrap();
        let first = Scratch::take(directory.path(), || panic!("nobody to wait for")).unwrap();
        fs::write(first.folder().join("half"), b"half").unwrap();
        let path = directory.path();
        std::thread::scope(|threads| {
            let (sender, receiver) = std::sync::mpsc::channel();
            let second = threads.spawn(move || Scratch::take(path, || sender.send(()).unwrap()));
            receiver.recv().unwrap();
            drop(first);
            let second = second.join().unwrap().unwrap();
            assert_eq!(fs::read_dir(second.folder()).unwrap().count(), 0);
        });
    }
}
