//! Writes the evidence log: acknowledged entries are never lost, checkpoints never go back.
//!
//! ```text
//! Recorder ── put_blob ──► headers/ blobs/                       (store)
//!          ── append ────► LogWriter ── wal: pwrite + fdatasync ──► leaf index
//!          ── checkpoint ► LogWriter ── tiles, then checkpoint ───► signed note = receipt
//! ```
//! - [`recorder`]: what the session calls, from one thread of its own.
//! - [`writer`]: leaf by leaf, with recovery.
//! - [`wal`]: the form of the write-ahead file, pure.

#[cfg(test)]
mod crash_tests;
pub mod recorder;
pub mod wal;
pub mod writer;

pub use recorder::{Recorder, Settings};
pub use writer::{BATCH_MAX_ENTRIES, Draft, LogKeys, LogWriter, Opened};
