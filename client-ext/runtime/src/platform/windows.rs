//! Windows, as far as the standard library goes. Not built or tested by CI yet.
//!
//! Missing, and what happens instead:
//! - GetTickCount64: `boottime_ms` counts from the process's first call. QueryPerformanceCounter, which `Instant`
//!   reads, keeps counting while the machine sleeps, so intervals are right; the origin is not the boot.
//! - GetProcessTimes: `cpu_ms` is 0.
//! - an access list on files: they inherit that of the user's profile, which other users cannot read.
//! - GetSystemPowerStatus: whether the PC runs on its battery is not known, and counts as no.
//! - notifications: [`notify`] is an error, which the log tells.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use sudare_protocol::message::Id;

#[allow(clippy::disallowed_methods, reason = "the clock of this system")]
pub(crate) fn boottime_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn cpu_ms() -> u64 {
    0
}

/// Windows does not name its boots; the caller makes one up.
pub(crate) fn boot_id() -> Option<Id> {
    None
}

pub(crate) fn config_folder() -> Option<PathBuf> {
    let local = std::env::var_os("LOCALAPPDATA").filter(|value| !value.is_empty())?;
    Some(PathBuf::from(local).join("sudare"))
}

/// Not told as files; nothing is spared here.
pub(crate) fn power_supplies() -> Option<PathBuf> {
    None
}

pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// NTFS journals what happens to names; a folder cannot be opened for this through the standard library.
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn notify(_: &str, _: &str) -> Result<(), String> {
    Err("notifications are not implemented on Windows".to_owned())
}
