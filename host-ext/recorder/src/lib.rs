//! The recorder: one process, under an account of its own, that keeps the evidence of all sessions of a host.
//!
//! ```text
//!  guard ── SOCK_SEQPACKET, SO_PEERCRED ──► server ─┬─ guard_connection, one thread each ──► blob_intake ──► pictures
//!                                                   └─ committer, one thread ──► ledger ──► log, one sync a batch
//!                                                                                   └─ once a second: checkpoint
//! ```
//! The session's user reaches none of it, and a guard can only add: no report removes or changes an earlier one. Only
//! root and the recorder's own user, with `sudare-audit`, may report that evidence was erased or opened.
//!
//! | module | what |
//! |---|---|
//! | `server` | the socket and the threads |
//! | `guard_connection` | one guard: its packets, pictures and reports |
//! | `committer` | the thread that owns the ledger: batches what waits, reopens a failed log |
//! | `ledger` | reports in, durable entries and receipts out |
//! | `disposition` | which reports are new, known or out of order, pure |
//! | `tail` | the end of the log at the start: who reported last, which incidents are complete |
//! | `completed` | a small file for each complete incident, so that it is recorded once |
//! | `replication_lag` | how far behind the remote copy is, pure |
//! | `blob_intake` | pictures into the store, within a device's quota |
//! | `quota` | how much a device may store in a day, pure |
//! | `accounting` | what entries cost, and which device they are charged to, pure |
//! | `role` | who may report which kinds of entries, pure |
//! | `refusals` | how often refused connections are told, pure |
//! | `local` | the same within one process, for the embedded host |
//! | `metrics/` | figures for operators: counted from the entries, read over HTTP at a socket of this machine |
//! | `setup` | settings and keys into options |
//! | `confine` | what the process gives up once it runs |
//!
//! A module uses only modules after it in this order: setup, server, guard_connection, committer and local, ledger and
//! blob_intake, all others.
//!
//! Deliberately absent: other machines, keys that open a picture, and any way to delete an entry.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod accounting;
pub mod blob_intake;
pub mod committer;
pub mod completed;
pub mod confine;
mod disposition;
mod guard_connection;
pub mod ledger;
pub mod local;
pub mod metrics;
pub mod quota;
mod refusals;
mod replication_lag;
mod role;
pub mod server;
pub mod setup;
mod tail;
#[cfg(test)]
mod tests;
