//! The evidence of a host as files and as messages: who writes it, who reads it, and what both agree on.
//!
//! ```text
//!  guard ── report ──► recorder ── log, store ──► files ── reader ──► ship, forward, witness, audit
//!           (wire, remote)         (one writer)            proofs, timetoken, shipped, status
//! ```
//! - [`store`]: files that survive a crash; sealed pictures. - [`log`]: the write-ahead file, tiles and checkpoints.
//! - [`report`]: what guards say to the recorder, and the guards' end of it.
//! - [`reader`]: the same files, read with bounds. - [`proofs`]: consistency proofs from tiles.
//! - [`timetoken`]: answers of time-stamp services (RFC 3161), pure.
//! - [`shipped`], [`status`]: what the services that carry evidence elsewhere say of themselves.
//!
//! Deliberately absent: deciding anything, network, and keys that open a picture.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

pub mod log;
pub mod proofs;
pub mod reader;
pub mod report;
pub mod shipped;
pub mod status;
pub mod store;
pub mod timetoken;
