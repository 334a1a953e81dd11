//! The system calls that the store makes, one method each.
//!
//! They are a trait so that tests can run the same code on a disk that fails at any step and loses whatever was not
//! synced; killing a process cannot reveal a missing sync.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::thread::ScopedJoinHandle;

use rustix::fs::OFlags;

/// A file system, call by call. Files are private to the owner, or readable by the group of a folder that is marked as
/// shared (see [`OsDisk`]).
pub trait Disk {
    /// An open file.
    type File;
    /// Held while the store is open.
    type Lock;

    /// `open(O_RDWR|O_CREAT|O_TRUNC, 0600)`, 0640 in a shared folder.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// `open(O_RDWR)`.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// `pwrite` until everything is written.
    fn write_at(&self, file: &mut Self::File, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// `ftruncate`.
    fn set_len(&self, file: &mut Self::File, len: u64) -> io::Result<()>;
    /// `fdatasync`: content and length survive a power cut once this returns.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;
    /// `sync` on each, in any order; the first error with its index.
    fn sync_each(&self, files: &mut [Self::File]) -> Result<(), (usize, io::Error)> {
        files.iter_mut().enumerate().try_for_each(|(at, file)| self.sync(file).map_err(|error| (at, error)))
    }
    /// `rename`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// `fsync` on a folder: its names survive a power cut once this returns.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// `sync_dir` on each, in any order; the first error with its index.
    fn sync_dirs(&self, paths: &[&Path]) -> Result<(), (usize, io::Error)> {
        paths.iter().enumerate().try_for_each(|(at, path)| self.sync_dir(path).map_err(|error| (at, error)))
    }
    /// `mkdir(0700)`, 0750 in a shared folder; a folder that exists is no error.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and its content.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Reads a file of at most `max_bytes`; a longer one is an error.
    fn read(&self, path: &Path, max_bytes: usize) -> io::Result<Vec<u8>>;
    /// Takes the lock, or fails with `WouldBlock`.
    fn lock(&self, path: &Path) -> io::Result<Self::Lock>;
}

/// The real one.
///
/// A folder with the set-group-id bit is shared with its group. The installer sets it on the recorder's store, which the
/// shipper and the forwarder read as users of their own. Folders made in it inherit group and bit from the kernel.
/// Anywhere else only the owner reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    type File = File;
    type Lock = FileLock;

    fn create(&self, path: &Path) -> io::Result<File> {
        let group = shared(path) & 0o040;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600 | group)
            .open(path)?;
        widen(&file, group)?;
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    fn write_at(&self, file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    fn set_len(&self, file: &mut File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_each(&self, files: &mut [File]) -> Result<(), (usize, io::Error)> {
        at_once(files, File::sync_data)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_dirs(&self, paths: &[&Path]) -> Result<(), (usize, io::Error)> {
        at_once(paths, |path| self.sync_dir(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let group = shared(path) & 0o050;
        match fs::DirBuilder::new().mode(0o700 | group).create(path) {
            Ok(()) => widen(&File::open(path)?, group),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn read(&self, path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
        read_bounded(path, max_bytes)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        FileLock::take(path)
    }
}

/// A file's lock ([flock(2)]), held while this lives; the kernel releases it when the process ends, however it ends.
///
/// [flock(2)]: https://man7.org/linux/man-pages/man2/flock.2.html
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Makes the file if need be; fails with `WouldBlock` while another process holds the lock.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    /// Closing is not enough: a child that was just forked holds the same open file until it runs its program.
    fn drop(&mut self) {
        self.0.unlock().ok();
    }
}

/// Waits for the disk once for all of them: the kernel combines concurrent syncs into one commit.
fn at_once<T: Sync>(
    items: &[T],
    sync: impl Fn(&T) -> io::Result<()> + Sync,
) -> Result<(), (usize, io::Error)> {
    let sync = &sync;
    let Some((last, items)) = items.split_last() else { return Ok(()) };
    let here = items.len();
    std::thread::scope(|scope| {
        let others: Vec<_> = items
            .iter()
            .map(|item| {
                let thread = std::thread::Builder::new().name("sync".into());
                // If no thread can be started, it is synced below.
                (item, thread.spawn_scoped(scope, move || sync(item)).ok())
            })
            .collect();
        let own = sync(last).map_err(|error| (here, error));
        let died = |_| Err(io::Error::other("the thread that synced it died"));
        let wait = |(item, thread): (_, Option<ScopedJoinHandle<'_, io::Result<()>>>)| match thread {
            Some(thread) => thread.join().unwrap_or_else(died),
            None => sync(item),
        };
        // Waits for all, whatever the first of them returned.
        let waited = others.into_iter().map(wait).enumerate();
        let results: Vec<_> = waited.map(|(at, result)| result.map_err(|error| (at, error))).collect();
        results.into_iter().chain([own]).collect()
    })
}

/// Gives the group its rights although a strict umask (077 on hardened hosts) took them.
fn widen(made: &File, group: u32) -> io::Result<()> {
    let mode = made.metadata()?.permissions().mode();
    if mode & group == group {
        Ok(())
    } else {
        made.set_permissions(fs::Permissions::from_mode(mode | group))
    }
}

/// Rights of the group in the folder of this path, if the folder is marked as shared.
fn shared(path: &Path) -> u32 {
    const SET_GROUP_ID: u32 = 0o2000;
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    match folder.map(|folder| folder.permissions().mode()) {
        Some(mode) if mode & SET_GROUP_ID != 0 => mode & 0o050,
        _ => 0,
    }
}

/// Opens a regular file for reading. Anything else under its name is an error of the kind `InvalidData`: a pipe would
/// make the reader wait for ever, and a link lead out of the store.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let regular = |about: fs::Metadata| {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file");
        about.is_file().then_some(()).ok_or_else(wrong)
    };
    // Looked at first, because opening a device may already do something.
    regular(fs::symlink_metadata(path)?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `max_bytes`; a longer one is an error, so that no file can fill the memory.
pub fn read_bounded(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    open_regular(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_is_read_and_nothing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), b"content").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(read_bounded(&path("file"), 7).unwrap(), b"content");
        for odd in [path("link"), path("pipe"), path("socket"), path("."), "/dev/zero".into()] {
            let error = read_bounded(&odd, 7).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}", odd.display());
        }
    }

    #[test]
    fn only_the_group_of_a_folder_marked_as_shared_reads_what_is_made_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, expected) in [(0o700, (0o600, 0o700)), (0o750, (0o600, 0o700)), (0o2750, (0o640, 0o2750))]
        {
            let store = dir.path().join(format!("{mode:o}"));
            fs::create_dir(&store).unwrap();
            fs::set_permissions(&store, fs::Permissions::from_mode(mode)).unwrap();
            let made = store.join("tile");
            OsDisk.make_dir(&made).unwrap();
            OsDisk.create(&store.join("checkpoint")).unwrap();
            OsDisk.create(&made.join("000")).unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode(&store.join("checkpoint")), mode(&made)), expected);
            assert_eq!(mode(&made.join("000")), expected.0);
        }
    }

    #[test]
    fn a_lock_is_free_at_once_though_a_child_still_has_the_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::take(&path).unwrap();
        assert_eq!(FileLock::take(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let of_the_child = lock.0.try_clone().unwrap();
        drop(lock);
        drop(FileLock::take(&path).unwrap());
        drop(of_the_child);
    }
}
