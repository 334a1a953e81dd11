//! Reads an evidence store, offline, and says what in it can be relied on.
//!
//! ```text
//! files ──► evidence::reader (bounded) ──► pool: hash and signature of each leaf, on all cores
//!                                          walk: each leaf in order through protocol's LogCheck,
//!                                          each stored tile compared with what the entries give
//!                                            ├─► timestamps   do the clocks fit time-stamp tokens
//!                                            ├─► blobs        are the sealed pictures there and unchanged
//!                                            └─► incidents ──► summary (`show`) · open · export · coverage
//!                                                              erase · retention ──► live_log ──► recorder
//! ```
//!
//! | module | what |
//! |---|---|
//! | walk, pool, blobs | the audit: reads a log from its first leaf to its checkpoint and collects findings |
//! | timestamps, authority | time-stamp tokens, and openssl, which verifies them |
//! | uncovered | the files of a store that an audit does not vouch for |
//! | report | the result of an audit |
//! | incidents | the incidents of a log, collected from its entries |
//! | consents | which device had agreed to which notice, and when |
//! | handshake | what the signed messages of a session's handshake say |
//! | summary | one incident in words: facts, timeline, pictures; the words in both languages |
//! | open | opens sealed pictures, and records each opening |
//! | export | one incident as a zip for offline verification, with its page |
//! | coverage | a signed report about a site and a month, with its page |
//! | html | what the two pages share |
//! | erase, retention | erases pictures with two approvals, or at the end of their retention period |
//! | live_log | writes entries about these actions through the running recorder |
//! | error | why an audit could not be done |
//!
//! Only `erase` writes to a store; openings and erasures are recorded in the log before they happen. Of the
//! log a few bundles of at most 256 entries are held in memory at a time, and of each picture that is kept its id. Keys and receipts come from outside the
//! store, because whoever changed the store could have changed them as well.
//!
//! Deliberately absent: a network client and any key of a host. An audit works on a copy, on another machine.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod authority;
pub mod blobs;
pub mod consents;
pub mod coverage;
pub mod erase;
pub mod error;
pub mod export;
mod handshake;
mod html;
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
mod uncovered;
#[cfg(test)]
mod uncovered_tests;
pub mod walk;

pub use consents::{Consent, Consents};
pub use error::AuditError;
pub use incidents::{Incident, Incidents};
pub use report::Report;
pub use timestamps::Timestamps;
pub use walk::{Walk, verify_store};
