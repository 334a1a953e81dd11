//! Checks a log offline, entry by entry, from nothing but the entries and the log's public key.
//!
//! ```text
//! leaf ──► tree (root, tiles)            recomputed, never read
//!      ──► signature of the log key      which is given out of band
//!      ──► order, clocks, and the count of each source
//!      ──► sessions: handshake under the host key that the log names, then each client message under its transcript
//!      └─► incidents: each manifest is complete
//! ```
//! Pure and streaming: the caller reads the files, examines each [`Leaf`] on any number of threads, and
//! pushes them in order into a [`LogCheck`]. Memory grows with open sessions and incidents, not with
//! entries. The ids of all incidents are kept to the end, and with the organisation's key also those of all
//! pictures, since a tombstone may name any of them: about 100 bytes each.
//!
//! *Integrity* findings report that something was changed, removed or forged. *Plausibility*
//! findings report that something genuine looks odd: a clock set back, an incident never completed.

mod authority;
mod clocks;
mod erasures;
pub mod findings;
mod incidents;
mod leaf;
mod log;
mod sessions;
mod sources;
#[cfg(test)]
pub(crate) mod testing;

pub use findings::{Finding, FindingKind, Findings};
pub use leaf::{Depth, Leaf};
pub use log::LogCheck;
