//! The witness: somebody else who remembers what a log has said (C2SP tlog-witness).
//!
//! ```text
//! log's machine                          audit server (other people, another machine)
//! submit ── old size, proof, checkpoint ──► server ─┐
//!        ◄── cosignature line ───────────           ├─► desk ──► judge (pure)
//! store folder or copy ──────────────────► pull ────┘    ├─► memory   last cosigned checkpoint, durable
//!                                          silence ──────┴─► alarms   alarms.jsonl
//! ```
//! A log that is cut back or rewritten is true in itself: it only contradicts what somebody saw
//! before. The witness signs a checkpoint only after it proved that it continues the last one it
//! signed, and remembers it durably before it answers. Whoever holds both the log and the log key
//! can therefore change nothing that was cosigned, only what comes after.
//!
//! Deliberately absent: the witness reads no entry and no picture, and holds no key of a log.
//! - [`judge`]: may this checkpoint follow that one?
//! - [`memory`]: its files. - [`alarms`]: what it noticed. - [`status`]: who is silent.
//! - [`submission`]: one submission, from its bytes to an answer. - [`server`]: the same over HTTP.
//! - [`pull`]: cosigns a folder without network.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod alarms;
#[cfg(test)]
mod crash_tests;
pub mod error;
pub mod judge;
pub mod memory;
pub mod pull;
pub mod server;
pub mod status;
pub mod submission;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::WitnessError;
pub use memory::Memory;
pub use submission::{Answer, Desk};
