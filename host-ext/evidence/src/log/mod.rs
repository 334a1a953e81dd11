//! Writes the evidence log: acknowledged entries are never lost, checkpoints never go back.
//!
//! ```text
//! LogStore ── put_blob ──► headers/ blobs/                       (store)
//!          ── append ────► LogWriter ── wal: pwrite + fdatasync ──► leaf index
//!          ── checkpoint ► LogWriter ── tiles, then checkpoint ───► signed note = receipt
//! ```
//! - [`log_store`]: the open store, as its one owner calls it.
//! - [`writer`]: leaf by leaf, with recovery.
//! - [`wal`]: the format of the write-ahead file, pure.

#[cfg(test)]
mod crash_tests;
pub mod log_store;
pub mod wal;
pub mod writer;

pub use log_store::{LogStore, Settings};
pub use writer::{BATCH_MAX_ENTRIES, Draft, LogKeys, LogWriter, Opened};
