//! The clocks and the randomness of the host. Nothing else on this side reads either: whatever decides is
//! given [`Now`] and a [`RandomSource`] by the thread or task that runs it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use getrandom::Error as NoRandomness;
use rustix::time::{ClockId, clock_gettime};

/// What the clocks said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_BOOTTIME in milliseconds: never goes back, counts suspend.
    pub boot_ms: u64,
    /// Unix time in milliseconds.
    pub wall_ms: u64,
}

/// Reads both clocks.
pub fn now() -> Now {
    Now { boot_ms: boot_ms(), wall_ms: wall_ms() }
}

/// CLOCK_BOOTTIME in milliseconds: never goes back, counts suspend.
pub fn boot_ms() -> u64 {
    in_ms(read(ClockId::Boottime))
}

/// CLOCK_MONOTONIC, for how long something takes: never goes back and stands still during suspend, so that a
/// pause of the whole machine is not taken for the slowness of a peer.
pub fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// [`monotonic`] in milliseconds.
pub fn monotonic_ms() -> u64 {
    in_ms(monotonic())
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    Duration::from_secs(part(time.tv_sec)).saturating_add(Duration::from_nanos(part(time.tv_nsec)))
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Unix time in milliseconds; a clock before 1970 shows as 0, which makes every record invalid.
pub fn wall_ms() -> u64 {
    in_ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The same as [`wall_ms`], to compare with the times of files.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(wall_ms())
}

/// The kernel's random id of this boot, or a random one if the kernel provides none.
pub fn boot_id() -> Result<[u8; 16], NoRandomness> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(id) if digits.len() == 32 => Ok(id.to_be_bytes()),
        _ => random(),
    }
}

/// Where random bytes come from: the operating system, or a seed in a simulation.
pub trait RandomSource: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

impl dyn RandomSource + '_ {
    /// Fresh bytes, such as a nonce or an id.
    pub fn fresh<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes)
    }
}

/// Fresh bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let source: &dyn RandomSource = &SystemRandom;
    source.fresh()
}
