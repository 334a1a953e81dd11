//! Windows, as far as the standard library goes. Not built or tested by CI yet.
//!
//! Missing, and what happens instead:
//! - GetTickCount64: `boottime_ms` counts from the process's first call. QueryPerformanceCounter, which `Instant`
//!   reads, keeps counting while the machine sleeps, so intervals are right; the origin is not the boot.
//! - GetProcessTimes: `cpu_ms` is 0.
//! - an access list on files: they inherit that of the user's profile, which other users cannot read.
//! - GetSystemPowerStatus: whether the PC runs on its battery is not known, and counts as no.
//! - named pipes: there is no seat socket, so windows see no connection and `sudare cover` finds none.
//! - notifications: [`notify`] is an error, which the log tells.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

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

/// Sockets would be named pipes, which are not in a folder.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    None
}

pub(crate) fn private_folder(path: &Path) -> io::Result<bool> {
    create_private_folder(path)?;
    Ok(true)
}

pub(crate) fn is_private_folder(path: &Path) -> bool {
    path.is_dir()
}

pub(crate) fn is_alive(_: u32) -> bool {
    true
}

/// No value of it can be made.
pub(crate) enum SeatListener {}

impl SeatListener {
    pub(crate) fn bind(_: &Path) -> io::Result<Self> {
        Err(no_pipes())
    }

    pub(crate) fn accept(&self) -> io::Result<SeatStream> {
        match *self {}
    }
}

/// No value of it can be made.
#[derive(Debug)]
pub(crate) enum SeatStream {}

impl SeatStream {
    pub(crate) fn connect(_: &Path) -> io::Result<Self> {
        Err(no_pipes())
    }

    pub(crate) fn is_own_user(&self) -> bool {
        match *self {}
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match *self {}
    }

    pub(crate) fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn shutdown(&self) {
        match *self {}
    }
}

impl io::Read for SeatStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

impl io::Write for &SeatStream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match **self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match **self {}
    }
}

fn no_pipes() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "named pipes are not implemented")
}

pub(crate) fn notify(_: &str, _: &str) -> Result<(), String> {
    Err("notifications are not implemented on Windows".to_owned())
}
