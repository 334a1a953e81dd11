//! How much of a month a site's sessions were under enforcement: a signed report to show to a client company.
//!
//! ```text
//! entries ──account (session, month, class)──► Totals ──report──► Report ──signed──► note (C2SP signed-note)
//!                                                                                     └─► .json, or .html (page)
//! ```
//! The report is about a site, never about a person: it names no session, device, host or person, does not tell days
//! apart, and with fewer than [`DEVICES_MIN`] devices it omits even the hours, which would be somebody's working hours.
//! Durations are whole minutes.

mod account;
mod class;
mod error;
mod month;
mod page;
mod report;
mod session;
pub mod signed;

pub use account::{Account, Exceptions};
pub use class::Class;
pub use error::{CoverageError, SITE_MAX_BYTES};
pub use month::Month;
pub use report::{Basis, Covered, DEVICES_MIN, Report, Sums, report};
