//! The timings that decide when a session is covered: one table of defaults and ranges, within which a
//! policy may choose.
//!
//! `TABLE` is what the documents print and what a policy is checked against. An unknown name or a
//! value out of range is refused, never clamped.

pub(crate) const ATTESTATION_MIN_MS: u64 = 200;
pub(crate) const LEASE_MAX_MS: u64 = 10_000;

/// One row: everything a person or a program needs to know about one timing.
#[derive(Clone, Copy)]
pub struct Timing {
    pub name: &'static str,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    /// One sentence for the settings table.
    pub says: &'static str,
    pub get: fn(&Timings) -> u64,
    set: fn(&mut Timings, u64),
}

impl core::fmt::Debug for Timing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} = {} ({}..={})", self.name, self.default, self.min, self.max)
    }
}

/// The values in force, all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    pub attestation_interval_ms: u64,
    pub lease_ms: u64,
    pub hold_ms: u64,
    pub absence_ms: u64,
    pub undecided_ms: u64,
    pub undecided_refill_ms: u64,
    pub release_ms: u64,
    pub silence_ms: u64,
}

macro_rules! row {
    ($field:ident, $default:expr, $min:expr, $max:expr, $says:expr) => {
        Timing {
            name: stringify!($field),
            default: $default,
            min: $min,
            max: $max,
            says: $says,
            get: |n| n.$field,
            set: |n, v| n.$field = v,
        }
    };
}

pub const TABLE: [Timing; 8] = [
    row!(
        attestation_interval_ms,
        500,
        ATTESTATION_MIN_MS,
        2_000,
        "How often the client attests what it sees, and how often the host sends a new nonce."
    ),
    row!(
        lease_ms,
        3_000,
        2_000,
        LEASE_MAX_MS,
        "How long after issuing a nonce the host keeps sending desktop pixels because of an attestation that echoes it."
    ),
    row!(
        hold_ms,
        1_000,
        300,
        5_000,
        "How much exposure to another face is tolerated before the session is covered."
    ),
    row!(
        absence_ms,
        10_000,
        2_000,
        60_000,
        "How long the operator may be out of view before the session is covered."
    ),
    row!(
        undecided_ms,
        5_000,
        1_000,
        15_000,
        "How long in all it may be unclear who is in view before the session is covered."
    ),
    row!(
        undecided_refill_ms,
        2_000,
        1_000,
        30_000,
        "How long of unbroken clear view gives the undecided time back."
    ),
    row!(
        release_ms,
        2_000,
        1_000,
        30_000,
        "How long the operator must be alone again before the desktop returns."
    ),
    row!(
        silence_ms,
        30_000,
        0,
        30_000,
        "The longest silence of the network after which an unbroken clear view uncovers at once, without an incident."
    ),
];

impl Default for Timings {
    fn default() -> Self {
        let mut timings = Timings {
            attestation_interval_ms: 0,
            lease_ms: 0,
            hold_ms: 0,
            absence_ms: 0,
            undecided_ms: 0,
            undecided_refill_ms: 0,
            release_ms: 0,
            silence_ms: 0,
        };
        for row in &TABLE {
            (row.set)(&mut timings, row.default);
        }
        timings
    }
}

/// A timing that a policy may not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    #[error(
        "the policy sets {0:?}, which is not a timing. Correct the name, or update Sudare if the policy is newer"
    )]
    Unknown(String),
    #[error("{name} = {value} is out of range. Choose a value from {min} to {max} in the policy")]
    OutOfRange { name: &'static str, value: u64, min: u64, max: u64 },
    #[error(
        "lease_ms = {lease_ms} is too short for an attestation every {attestation_interval_ms} ms. Choose a lease of at least three intervals"
    )]
    LeaseTooShort { lease_ms: u64, attestation_interval_ms: u64 },
}

impl Timings {
    /// Sets one timing by its name.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), TimingError> {
        let row = TABLE
            .iter()
            .find(|row| row.name == name)
            .ok_or_else(|| TimingError::Unknown(name.chars().take(64).collect()))?;
        if value < row.min || value > row.max {
            return Err(TimingError::OutOfRange { name: row.name, value, min: row.min, max: row.max });
        }
        (row.set)(self, value);
        Ok(())
    }

    /// Relations between timings, checked when all of them are set.
    pub fn check(&self) -> Result<(), TimingError> {
        if self.lease_ms < self.attestation_interval_ms * 3 {
            return Err(TimingError::LeaseTooShort {
                lease_ms: self.lease_ms,
                attestation_interval_ms: self.attestation_interval_ms,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_lie_in_their_ranges_and_fit_together() {
        let timings = Timings::default();
        for row in &TABLE {
            assert!(row.min <= row.default && row.default <= row.max, "{}", row.name);
            assert_eq!((row.get)(&timings), row.default, "{}", row.name);
        }
        timings.check().unwrap();
    }

    #[test]
    fn unknown_names_and_values_out_of_range_are_refused_and_change_nothing() {
        let mut timings = Timings::default();
        assert!(matches!(timings.set("hold", 1000), Err(TimingError::Unknown(_))));
        assert!(matches!(timings.set("hold_ms", 10), Err(TimingError::OutOfRange { .. })));
        assert_eq!(timings, Timings::default());
        timings.set("attestation_interval_ms", 2_000).unwrap();
        assert!(matches!(timings.check(), Err(TimingError::LeaseTooShort { .. })));
    }
}
