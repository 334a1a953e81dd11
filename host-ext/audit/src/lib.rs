//! Reads an evidence store and says what can be relied on. Only erasing writes into it, and looking at
//! pictures where a recorder is told of it; the log says so first.
//!
//! ```text
//! files ──► store (bounded reading) ──► pool: hash and signature of each leaf, on all cores
//!                                        walk: each leaf in order through protocol's LogCheck,
//!                                        each tile compared with what the entries give
//!                                          ├─► timestamps: do the clocks fit tokens from outside
//!                                          ├─► blobs: are the sealed pictures there and whole
//!                                          └─► incidents: what `list` tells; summary: what `show` does
//! ```
//! A few bundles of at most 256 entries are in memory at a time. The verifier key and receipts
//! come from outside the store: whoever changed the store could have changed them too.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod authority;
pub mod blobs;
pub mod coverage;
pub mod erase;
pub mod error;
pub mod export;
pub mod incidents;
pub mod live_log;
pub mod open;
mod pool;
pub mod report;
pub mod retention;
pub mod summary;
#[cfg(test)]
mod tamper_tests;

pub mod timestamps;
pub mod walk;

pub use error::AuditError;
pub use incidents::{Incident, Incidents};
pub use report::Report;
pub use timestamps::Timestamps;
pub use walk::{Walk, verify_store};
