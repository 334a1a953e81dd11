//! Detects a camera that repeats the same picture.
//!
//! v4l2loopback with a time-out, some drivers and some programs that replace the camera keep sending the last
//! picture after their feed ended. A sensor's noise makes two identical pictures in a row practically impossible.

use std::hash::{DefaultHasher, Hasher as _};

/// The same picture for longer than this is a frozen camera.
pub const FROZEN_MS: u64 = 2_000;

/// Remembers the last picture by its hash. The time is an argument.
#[derive(Debug, Default)]
pub struct FreezeWatch {
    last: Option<(u64, u64)>,
}

impl FreezeWatch {
    /// Notes a picture and returns how long it has been the same.
    pub fn same_for_ms(&mut self, encoded: &[u8], t_ms: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(encoded);
        let hash = hasher.finish();
        match self.last {
            Some((last, since_ms)) if last == hash => t_ms.saturating_sub(since_ms),
            _ => {
                self.last = Some((hash, t_ms));
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_timed_and_change_resets_it() {
        let mut watch = FreezeWatch::default();
        assert_eq!(watch.same_for_ms(b"a", 1000), 0);
        assert_eq!(watch.same_for_ms(b"a", 3500), 2500);
        assert_eq!(watch.same_for_ms(b"b", 3600), 0);
        assert_eq!(watch.same_for_ms(b"a", 3700), 0);
    }
}
