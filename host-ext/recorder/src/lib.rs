//! The recorder: one process, under an account of its own, that keeps the evidence of all sessions of a host.
//!
//! ```text
//!  guard ── SOCK_SEQPACKET, SO_PEERCRED ──► server ─┬─ guard_connection, one thread each: pictures (blob_intake)
//!                                                   └─ committer: ledger, entries of all guards, one sync (log)
//!                                                        └─ once a second: checkpoint
//! ```
//! The session's user can reach none of it, and a guard can only add: nothing that it says removes or changes what is
//! there. Only root and the recorder's own user can report that evidence was erased or opened, with `sudare-audit`.
//!
//! - [`ledger`]: reports in, durable entries and receipts out; what was reported before is not recorded again.
//! - [`server`]: the socket and its threads; `role`: who may report what. - `lag`: how late the remote copy is, pure.
//! - [`quota`]: what one device may store in a day, pure; `accounting`: what entries cost, pure. - [`completed`]: incidents
//!   that are complete. - [`setup`], [`confine`]: how the program starts and what it gives up.

mod accounting;
pub mod blob_intake;
pub mod committer;
pub mod completed;
pub mod confine;
mod guard_connection;
pub mod ledger;
pub mod quota;
mod replication_lag;
mod role;
pub mod server;
pub mod setup;
mod tail;
#[cfg(test)]
mod tests;
