//! Times on the host's wall, for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// "21:05" in the host's time zone; empty for a time that no calendar holds.
pub fn hour_and_minute(wall_ms: u64) -> String {
    let time = i64::try_from(wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.to_zoned(TimeZone::system()).strftime("%H:%M").to_string()).unwrap_or_default()
}
