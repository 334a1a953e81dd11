//! Linux and its relatives: rustix for clocks, mode bits for privacy, D-Bus for notifications.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use notify_rust::{Notification, Urgency};
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
