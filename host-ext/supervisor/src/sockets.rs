//! X sockets: notices new ones, and finds the process behind each.
//!
//! An X server listens at a path in /tmp/.X11-unix and at the same name in the abstract namespace. Another process of
//! the same user can replace the path, but not the abstract name while the server lives; so both are tried.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, getpeername, socket_with, sockopt,
};
use rustix::process::Pid;

/// Where X servers put their sockets.
pub const X_SOCKETS: &str = "/tmp/.X11-unix";
/// Displays beyond this would have no port (5900 + number) either.
pub const DISPLAY_MAX: u32 = 59_635;
/// The rest of a folder with more names is not read.
const NAMES_MAX: usize = 65_536;
const EVENTS_BYTES: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{path}: {source}. Run `systemd-tmpfiles --create`, which Debian runs at each start")]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "{0} does not belong to root or lets users rename each other's sockets. Make it with `install -d -o root -m 1777`"
    )]
    NotRoots(PathBuf),
    #[error("the kernel does not report new X sockets: {0}. Check the sysctl fs.inotify.max_user_instances")]
    Inotify(io::Error),
    #[error("{0} was removed, so new displays cannot be noticed. The service restarts by itself")]
    Removed(PathBuf),
}

/// Reports new sockets.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    inotify: OwnedFd,
}

impl Watch {
    /// Makes the folder if it is missing: xrdp may start later.
    pub fn new(folder: &Path) -> Result<Self, SocketError> {
        let error = |source| SocketError::Folder { path: folder.to_owned(), source };
        match std::fs::DirBuilder::new().mode(0o1777).create(folder) {
            Ok(()) => {
                // The umask removed some bits of the mode.
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
                std::fs::set_permissions(folder, mode).map_err(error)?;
                tracing::warn!("{} was missing and was made", folder.display());
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(error(e)),
        }
        let meta = std::fs::symlink_metadata(folder).map_err(error)?;
        let sticky_or_private = meta.mode() & 0o1000 != 0 || meta.mode() & 0o022 == 0;
        if !meta.is_dir() || meta.uid() != 0 || !sticky_or_private {
            return Err(SocketError::NotRoots(folder.to_owned()));
        }
        let inotify = inotify::init(CreateFlags::CLOEXEC).map_err(|e| SocketError::Inotify(e.into()))?;
        let what = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR | WatchFlags::DELETE_SELF;
        inotify::add_watch(&inotify, folder, what).map_err(|e| SocketError::Inotify(e.into()))?;
        Ok(Watch { folder: folder.to_owned(), inotify })
    }

    /// The displays that have a socket now.
    pub fn present(&self) -> Result<Vec<u32>, SocketError> {
        let error = |source| SocketError::Folder { path: self.folder.clone(), source };
        let entries = std::fs::read_dir(&self.folder).map_err(error)?.take(NAMES_MAX);
        Ok(entries.filter_map(|entry| display_of(entry.ok()?.file_name().as_bytes())).collect())
    }

    /// Waits until new ones appear.
    pub fn wait(&self) -> Result<Vec<u32>, SocketError> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut found = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(SocketError::Inotify(e.into())),
            };
            if event.events().contains(ReadFlags::IGNORED) {
                return Err(SocketError::Removed(self.folder.clone()));
            }
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // The folder is flooded; list all of it instead.
                return self.present();
            }
            found.extend(event.file_name().and_then(|name| display_of(name.to_bytes())));
            if reader.is_buffer_empty() {
                return Ok(found);
            }
        }
    }
}

/// The processes that listen for this display; usually one, more under an attack.
pub fn servers(folder: &Path, display: u32) -> Vec<Pid> {
    let path = folder.join(format!("X{display}"));
    let bytes = path.as_os_str().as_bytes();
    let addresses = [SocketAddrUnix::new_abstract_name(bytes), SocketAddrUnix::new(path.as_path())];
    let mut found: Vec<Pid> = addresses.into_iter().flatten().filter_map(|a| listener(&a)).collect();
    found.dedup();
    found
}

/// The process that made the socket listen. Never blocks: a full queue is reported at once.
fn listener(address: &SocketAddrUnix) -> Option<Pid> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    connect(&socket, address).ok()?;
    // A link may lead to a socket that was bound under another name, which is another display.
    let made_as = SocketAddrUnix::try_from(getpeername(&socket).ok()??).ok()?;
    let same =
        made_as.path_bytes() == address.path_bytes() && made_as.abstract_name() == address.abstract_name();
    same.then(|| sockopt::socket_peercred(&socket).ok().map(|credentials| credentials.pid)).flatten()
}

/// The number in `X<number>`, in its canonical form only.
fn display_of(name: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(name.strip_prefix(b"X")?).ok()?;
    let number: u32 = digits.parse().ok()?;
    (number <= DISPLAY_MAX && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_names_of_displays_count() {
        assert_eq!(display_of(b"X10"), Some(10));
        for name in [b"X".as_slice(), b"X010", b"X+1", b"X1_", b"x1", b"X59636", b"X99999999999", b"X\xff"] {
            assert_eq!(display_of(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_new_socket_is_reported_with_its_process_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let Ok(watch) = Watch::new(dir.path()) else { return };
        let _x10 = UnixListener::bind(dir.path().join("X10")).unwrap();
        assert_eq!(watch.wait().unwrap(), [10]);
        assert_eq!(servers(dir.path(), 10), [rustix::process::getpid()]);
        std::os::unix::fs::symlink(dir.path().join("X10"), dir.path().join("X11")).unwrap();
        assert_eq!(watch.wait().unwrap(), [11]);
        assert_eq!(servers(dir.path(), 11), []);
        let mut present = watch.present().unwrap();
        present.sort_unstable();
        assert_eq!(present, [10, 11]);
    }

    #[test]
    fn a_removed_folder_is_an_error_and_not_silence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let Ok(watch) = Watch::new(&path) else { return };
        std::fs::remove_dir(&path).unwrap();
        assert!(matches!(watch.wait(), Err(SocketError::Removed(_))));
    }
}
