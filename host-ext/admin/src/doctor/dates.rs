//! Until when something that the security team signed is valid, told before it ends.

const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Whoever signs is a person, in another office.
const SOON_DAYS: u64 = 30;

/// What to add to the line of something that is valid: nothing, or that it ends soon.
pub(super) fn soon(what: &str, until_ms: u64, now_ms: u64) -> String {
    match days_if_soon(until_ms, now_ms) {
        Some(days) => format!(". The {what} ends in {days} days: ask the security team for a new one"),
        None => String::new(),
    }
}

/// The days that are left, if somebody has to know by now.
pub(crate) fn days_if_soon(until_ms: u64, now_ms: u64) -> Option<u64> {
    let days = until_ms.saturating_sub(now_ms) / DAY_MS;
    (days < SOON_DAYS).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_told_and_what_ends_later_is_not() {
        let now_ms = 1_000 * DAY_MS;
        assert_eq!(soon("policy", now_ms + 30 * DAY_MS, now_ms), "");
        assert_eq!(soon("policy", u64::MAX, now_ms), "");
        let said = soon("policy", now_ms + 9 * DAY_MS + 1, now_ms);
        assert!(said.contains("policy ends in 9 days") && said.contains("security team"), "{said}");
    }
}
