//! How much one device may store in a day, so that none fills the store for the others. Pure.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_protocol::evidence::Id;
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::limits::DEVICE_DAY_MAX_BYTES;
use sudare_protocol::seal::CIPHERTEXT_MAX_BYTES;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// More devices than one host sees in a day; a further one has to wait until tomorrow.
const DEVICES_MAX: usize = 10_000;
/// The largest picture, and an allowance for what is charged beside it.
const ROOM_BYTES: u64 = CIPHERTEXT_MAX_BYTES as u64 + 256 * 1024;

/// Bytes stored by each device since midnight (UTC).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Quota {
    day: u64,
    used: BTreeMap<Id, u64>,
}

/// The device has used up its quota for today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaReached;

impl Quota {
    /// Charges bytes that are about to be stored, or refuses them.
    pub fn take(&mut self, device: &Id, bytes: u64, wall_ms: u64) -> Result<(), QuotaReached> {
        self.begin_day(wall_ms);
        let used = self.used.get(device).copied().unwrap_or(0);
        let is_new = !self.used.contains_key(device);
        let sum = used.saturating_add(bytes);
        if sum > DEVICE_DAY_MAX_BYTES || (is_new && self.used.len() >= DEVICES_MAX) {
            return Err(QuotaReached);
        }
        self.used.insert(*device, sum);
        Ok(())
    }

    /// Charges bytes that are stored already, also beyond the quota.
    pub fn charge(&mut self, device: &Id, bytes: u64, wall_ms: u64) {
        self.begin_day(wall_ms);
        if self.used.contains_key(device) || self.used.len() < DEVICES_MAX {
            let used = self.used.entry(*device).or_default();
            *used = used.saturating_add(bytes);
        }
    }

    /// Whether the next picture will be stored, however large. While one might be refused, a session should not do
    /// anything that requires one.
    pub fn has_room(&self, device: &Id, wall_ms: u64) -> bool {
        if self.is_over(wall_ms / DAY_MS) {
            return true;
        }
        match self.used.get(device) {
            Some(used) => used.saturating_add(ROOM_BYTES) <= DEVICE_DAY_MAX_BYTES,
            None => self.used.len() < DEVICES_MAX,
        }
    }

    /// Refunds bytes that were not stored after all.
    pub fn give_back(&mut self, device: &Id, bytes: u64) {
        if let Some(used) = self.used.get_mut(device) {
            *used = used.saturating_sub(bytes);
        }
    }

    fn begin_day(&mut self, wall_ms: u64) {
        let day = wall_ms / DAY_MS;
        if self.is_over(day) {
            *self = Quota { day, used: BTreeMap::new() };
        }
    }

    /// A clock that is set back does not grant a second quota for the day. One that was years ahead must not lock
    /// devices out for years: its count is dropped.
    fn is_over(&self, today: u64) -> bool {
        today > self.day || self.day > today.saturating_add(1)
    }

    /// The content of a file: the day, then a line for each device.
    pub fn to_text(&self) -> String {
        let lines = self.used.iter().map(|(device, bytes)| format!("{} {bytes}\n", hex(device)));
        std::iter::once(format!("{}\n", self.day)).chain(lines).collect()
    }

    /// Reads the result of `to_text`; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let day = lines.next()?.parse().ok()?;
        let device = |line: &str| {
            let (hex, bytes) = line.split_once(' ')?;
            Some((unhex(hex)?, bytes.parse().ok()?))
        };
        let used = lines.take(DEVICES_MAX).map(device).collect::<Option<_>>()?;
        Some(Quota { day, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_is_stopped_and_the_others_are_not() {
        let mut quota = Quota::default();
        assert_eq!(quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES, 5), Ok(()));
        assert_eq!(quota.take(&[1; 16], 1, 5), Err(QuotaReached));
        assert_eq!(quota.take(&[2; 16], 1, 5), Ok(()));
        quota.give_back(&[1; 16], 10);
        assert_eq!(quota.take(&[1; 16], 10, 5), Ok(()));
        assert_eq!(quota.take(&[1; 16], 1, DAY_MS), Ok(()), "a new day");
        assert_eq!(
            quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES, 5),
            Err(QuotaReached),
            "the clock was set back"
        );
    }

    #[test]
    fn a_clock_that_was_years_ahead_locks_nobody_out() {
        let mut quota = Quota::default();
        quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES, 3_650 * DAY_MS).unwrap();
        assert!(quota.has_room(&[1; 16], 5));
        assert_eq!(quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES, 5), Ok(()));
        assert!(!quota.has_room(&[1; 16], 5));
        quota.charge(&[1; 16], 1, 3_650 * DAY_MS);
        quota.charge(&[1; 16], 1, 5);
        assert_eq!(quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES - 1, 5), Ok(()));
    }

    #[test]
    fn what_is_stored_already_counts_and_is_never_refused() {
        let mut quota = Quota::default();
        quota.charge(&[1; 16], DEVICE_DAY_MAX_BYTES - 1, 5);
        assert_eq!(quota.take(&[1; 16], 1, 5), Ok(()));
        quota.charge(&[1; 16], u64::MAX, 5);
        assert_eq!(quota.take(&[1; 16], 1, 5), Err(QuotaReached));
        quota.charge(&[1; 16], 1, DAY_MS);
        assert_eq!(quota.take(&[1; 16], 1, DAY_MS), Ok(()), "a new day");
    }

    #[test]
    fn there_is_room_as_long_as_nothing_can_be_refused() {
        let mut quota = Quota::default();
        assert!(quota.has_room(&[1; 16], 5));
        quota.take(&[1; 16], DEVICE_DAY_MAX_BYTES - ROOM_BYTES, 5).unwrap();
        assert!(quota.has_room(&[1; 16], 5));
        quota.take(&[1; 16], 1, 5).unwrap();
        assert!(!quota.has_room(&[1; 16], 5));
        assert!(quota.has_room(&[2; 16], 5), "another device");
        assert!(quota.has_room(&[1; 16], DAY_MS), "a new day");
    }

    #[test]
    fn it_survives_a_restart() {
        let mut quota = Quota::default();
        quota.take(&[1; 16], 7, 3 * DAY_MS).unwrap();
        assert_eq!(Quota::from_text(&quota.to_text()), Some(quota));
        assert_eq!(Quota::from_text("today"), None);
    }
}
