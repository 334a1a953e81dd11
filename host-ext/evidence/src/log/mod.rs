//! Writes the evidence log: acknowledged entries are never lost, checkpoints never go back.
//!
//! ```text
//! LogStore ── put_blob ──► headers/ blobs/                       (store)
//!          ── append ────► LogWriter ── wal: pwrite + fdatasync ──► leaf index
//!          ── checkpoint ► LogWriter ── tiles, then checkpoint ───► signed note = receipt
//! ```
//! | module | what |
//! |---|---|
//! | `log_store` | the open store, as its one owner calls it |
//! | `writer` | appends leaf by leaf, signs checkpoints |
//! | `recovery` | reads a log back after a crash, a power cut or a restored copy |
//! | `tail` | which host key the newest entries name |
//! | `wal_file` | the write-ahead file on the disk |
//! | `wal` | its format, pure |
//! | `draft` | an entry before it is written, and the keys that sign it |
//!
//! A module uses only modules after it in this list.

#[cfg(test)]
mod crash_tests;
mod draft;
mod log_store;
mod recovery;
mod tail;
pub mod wal;
mod wal_file;
mod writer;

pub use draft::{Draft, LogKeys};
pub use log_store::{LogStore, Settings};
pub use recovery::Opened;
pub use tail::TAIL_ENTRIES;
pub use wal::BATCH_MAX_ENTRIES;
pub use writer::LogWriter;
