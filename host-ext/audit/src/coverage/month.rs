//! A calendar month in a time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::error::CoverageError;

/// A calendar month in a time zone, as Unix times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    name: String,
    zone: String,
    from_ms: u64,
    to_ms: u64,
}

impl Month {
    /// Parses a month such as `2026-11` in a zone such as `Asia/Tokyo`.
    pub fn parse(month: &str, zone: &str) -> Result<Self, CoverageError> {
        let wrong = || CoverageError::Month(month.to_owned());
        let tz = if zone == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(zone) };
        let tz = tz.map_err(|_| CoverageError::Zone(zone.to_owned()))?;
        let (year, number) = month.split_once('-').ok_or_else(wrong)?;
        if (year.len(), number.len()) != (4, 2) {
            return Err(wrong());
        }
        let (year, number) = (year.parse().map_err(|_| wrong())?, number.parse().map_err(|_| wrong())?);
        let first = Date::new(year, number, 1).map_err(|_| wrong())?;
        let next = first.last_of_month().tomorrow().map_err(|_| wrong())?;
        let unix_ms = |date: Date| {
            let start = date.to_zoned(tz.clone()).map_err(|_| wrong())?;
            u64::try_from(start.timestamp().as_millisecond()).map_err(|_| wrong())
        };
        let (from_ms, to_ms) = (unix_ms(first)?, unix_ms(next)?);
        Ok(Self { name: month.to_owned(), zone: zone.to_owned(), from_ms, to_ms })
    }

    /// The month, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone, as it was given.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// First millisecond.
    pub fn from_ms(&self) -> u64 {
        self.from_ms
    }

    /// First millisecond after it.
    pub fn to_ms(&self) -> u64 {
        self.to_ms
    }

    /// Whether a Unix time lies in it.
    pub(super) fn has(&self, wall_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&wall_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_the_days_of_its_zone() {
        let utc = Month::parse("2026-11", "UTC").unwrap();
        assert_eq!((utc.from_ms(), utc.to_ms()), (1_793_491_200_000, 1_796_083_200_000));
        let tokyo = Month::parse("2026-11", "Asia/Tokyo").unwrap();
        assert_eq!(utc.from_ms() - tokyo.from_ms(), 9 * 3_600_000);
        for wrong in ["2026-13", "2026-1", "26-11", "2026-11-01", "", "2026/11"] {
            assert!(matches!(Month::parse(wrong, "UTC"), Err(CoverageError::Month(_))), "{wrong}");
        }
        assert!(matches!(Month::parse("2026-11", "Mars/Base"), Err(CoverageError::Zone(_))));
    }
}
