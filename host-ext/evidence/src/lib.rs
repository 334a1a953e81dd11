//! The evidence of a host as files and as messages: how it is written, reported and read.
//!
//! ```text
//!  guard ── report ──► recorder ── log, store ──► files ── reader ──► ship, forward, witness, audit
//!           (wire, remote)         (one writer)            proofs, timetoken, shipped, status
//! ```
//! | module | what |
//! |---|---|
//! | `report` | the messages between guards and the recorder, and the guards' end of the connection |
//! | `log` | the write-ahead file, tiles and checkpoints: one writer |
//! | `proofs` | consistency proofs from tiles |
//! | `reader` | the files of a store, read with bounds |
//! | `store` | files that survive a crash; sealed pictures |
//! | `timetoken` | answers of time-stamp services (RFC 3161), pure |
//! | `shipped`, `status` | how far the shipper and the forwarder have come, in their own files |
//!
//! A module uses only modules after it in this list; `log` uses only `store`.
//!
//! Deliberately absent: decisions about sessions, network, and keys that open a picture.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod log;
pub mod proofs;
pub mod reader;
pub mod report;
pub mod shipped;
pub mod status;
pub mod store;
pub mod timetoken;
