//! The witness: another machine, under other people, that remembers what logs have said (C2SP tlog-witness).
//!
//! ```text
//! log's machine                              audit server (other people, another machine)
//! sudare-ship ── old size, proof, checkpoint ──► server ─┐
//!             ◄── cosignature ────────────────           ├─► submission ──► judge (pure)
//! store folder, or a copy ─────────────────────► pull ───┘     ├─► memory    last cosigned checkpoint, durable
//!                                              status ─────────┴─► alarms    alarms.jsonl
//! ```
//!
//! | module | what |
//! |---|---|
//! | judge | may this checkpoint follow the last cosigned one? Pure |
//! | submission | the witness at work: from one submission to its answer |
//! | server | submissions over HTTP |
//! | pull | cosigns a folder without a network |
//! | memory | what the witness remembers, in files that survive a crash |
//! | alarms | contradictions and silence, on record |
//! | status | which logs were heard when |
//! | error | why the witness could not work |
//! | testing | logs for the tests of this package and of those that talk to a witness |
//!
//! A log that was truncated or rewritten is consistent in itself: it only contradicts what somebody saw earlier. The
//! witness cosigns a checkpoint only if it is proven to continue the last one it cosigned, and remembers it durably
//! before it answers. Even somebody who holds both the log and its key can then change nothing that was cosigned, only
//! what comes after.
//!
//! Deliberately absent: the witness reads no entry and no picture, and has no key of a log.

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
pub use submission::{Answer, Witness};
