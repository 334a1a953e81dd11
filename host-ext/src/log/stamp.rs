//! Reads the clocks for the log: Unix time for people, CLOCK_BOOTTIME for order.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use sudare_protocol::evidence::{Id, Stamp};

/// The moment of the call.
pub fn now(boot_id: Id) -> Stamp {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let millis = u64::try_from(boot.tv_nsec / 1_000_000).unwrap_or(0);
    // A clock before 1970 shows as 0; the verifier reports it as set back.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
    Stamp { wall_ms, boot_ms: seconds.saturating_mul(1000).saturating_add(millis), boot_id }
}
