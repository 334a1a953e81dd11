//! The client's clocks. Everything else gets the time as an argument, or from here; what the operating system must
//! be asked for stands in `platform`.

#![allow(clippy::disallowed_methods, reason = "see above")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::platform;

/// Milliseconds of CLOCK_BOOTTIME: monotonic, and it keeps counting while the machine sleeps. Decisions and
/// attestations are timed by it.
#[must_use]
pub fn boottime_ms() -> u64 {
    platform::boottime_ms()
}

/// Unix time in milliseconds, for validity dates and for people. May jump.
#[must_use]
pub fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}

/// For waiting, and for intervals finer than a millisecond.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// How long ago that was.
#[must_use]
pub fn since(instant: Instant) -> std::time::Duration {
    instant.elapsed()
}

/// CPU time of this process so far, user and system.
#[must_use]
pub fn cpu_ms() -> u64 {
    platform::cpu_ms()
}
