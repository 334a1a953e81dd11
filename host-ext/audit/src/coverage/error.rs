//! Why there is no report, or why one was refused.

use thiserror::Error;

/// Longest name of a site.
pub const SITE_MAX_BYTES: usize = 100;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoverageError {
    /// Not a month.
    #[error("`{0}` is not a month. Write it as 2026-11")]
    Month(String),
    /// Not a zone.
    #[error("`{0}` is not a time zone that this machine knows. Write it as Asia/Tokyo or UTC")]
    Zone(String),
    /// Empty or too long.
    #[error(
        "the site's name must have 1 to {SITE_MAX_BYTES} bytes without control characters. Choose another name"
    )]
    Site,
    /// Not a report, changed, or signed with another key.
    #[error("this is not a coverage report signed with that key: {0}. Ask for a new copy")]
    Refused(String),
}
