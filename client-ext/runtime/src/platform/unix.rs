//! Linux and its relatives: rustix for clocks, mode bits for privacy, D-Bus for notifications.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_rust::{Notification, Urgency};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use rustix::time::{ClockId, clock_gettime};
use sudare_protocol::message::Id;

/// CLOCK_BOOTTIME, which keeps counting while the machine sleeps.
pub(crate) fn boottime_ms() -> u64 {
    read_ms(ClockId::Boottime)
}

/// CPU time of this process so far, user and system.
pub(crate) fn cpu_ms() -> u64 {
    read_ms(ClockId::ProcessCPUTime)
}

fn read_ms(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// The kernel's random id of this boot.
pub(crate) fn boot_id() -> Option<Id> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(id.to_be_bytes())
}

/// Where a program keeps its own files: `sudare` in the XDG configuration directory.
pub(crate) fn config_folder() -> Option<PathBuf> {
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let xdg = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    xdg.map(|xdg| xdg.join("sudare")).or_else(|| Some(path("HOME")?.join(".config/sudare")))
}

/// Folder in which the kernel tells about each supply of power.
#[allow(clippy::unnecessary_wraps, reason = "not every system has one")]
pub(crate) fn power_supplies() -> Option<PathBuf> {
    Some(PathBuf::from("/sys/class/power_supply"))
}

/// Has these options create files that only their owner can read (0600).
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// A folder that only its owner can enter (0700), and those above it.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes renames and removals in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // A file name without a folder is in the current one.
    let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    File::open(path)?.sync_all()
}

/// Where sockets of the user's session belong; the system empties it at the end of the last log-on.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)?;
    folder.is_absolute().then_some(folder)
}

/// Makes the folder private if it is new; whether it is.
pub(crate) fn private_folder(path: &Path) -> io::Result<bool> {
    create_private_folder(path)?;
    Ok(is_private_folder(path))
}

/// Whether it is this user's folder, and nobody else can enter it.
pub(crate) fn is_private_folder(path: &Path) -> bool {
    let Ok(found) = std::fs::symlink_metadata(path) else { return false };
    found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0
}

/// Whether there is a process of this number.
pub(crate) fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// A socket on which windows are waited for.
pub(crate) struct SeatListener(UnixListener);

impl SeatListener {
    /// In a private folder, so that nobody else comes in before its own mode is set.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(SeatListener(listener))
    }

    pub(crate) fn accept(&self) -> io::Result<SeatStream> {
        self.0.accept().map(|(stream, _)| SeatStream(stream))
    }
}

/// A conversation between the plugin and a window.
#[derive(Debug)]
pub(crate) struct SeatStream(UnixStream);

impl SeatStream {
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(SeatStream)
    }

    /// Whether the process at the other end is this user's.
    pub(crate) fn is_own_user(&self) -> bool {
        socket_peercred(&self.0).is_ok_and(|peer| peer.uid == geteuid())
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(SeatStream)
    }

    pub(crate) fn set_write_timeout(&self, at_most: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(at_most))
    }

    pub(crate) fn set_read_timeout(&self, at_most: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(at_most))
    }

    /// Ends both directions, also for clones. It may have ended before.
    pub(crate) fn shutdown(&self) {
        self.0.shutdown(Shutdown::Both).ok();
    }
}

impl io::Read for SeatStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl io::Write for &SeatStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows a notification of the desktop. Waits for its bus, which may take long.
///
/// # Errors
/// No notification service answered.
pub(crate) fn notify(title: &str, body: &str) -> Result<(), String> {
    let shown = Notification::new()
        .appname("Sudare")
        .summary(title)
        .body(body)
        .icon("security-high")
        .urgency(Urgency::Normal)
        .show();
    shown.map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_boot_has_an_id_and_its_clock_runs() {
        assert!(boottime_ms() > 0);
        if Path::new("/proc/sys/kernel/random/boot_id").exists() {
            assert_eq!(boot_id(), boot_id());
            assert_ne!(boot_id(), None);
        }
    }
}
