//! Files of the evidence store: written so that they survive a crash, read with bounds.
//!
//! ```text
//! store/                       0700, owned by the recorder's uid
//!   checkpoint                 signed note over everything below tile/
//!   tile/0/… tile/entries/…    C2SP tlog-tiles, see sudare_protocol::tlog
//!   wal                        entries since some checkpoint, each acknowledged after fdatasync
//!   headers/<blob id in hex>   age header of a sealed picture (deleting it erases the picture)
//!   blobs/<blob id in hex>     the rest of the age file
//!   erased/<blob id in hex>    empty: the picture was erased, and is not stored again
//!   lock                       held by the one recorder
//! ```
//! | module | what |
//! |---|---|
//! | `blobs` | sealed pictures |
//! | `durable` | the order of system calls that makes something durable |
//! | `disk` | the system calls, as a trait |
//! | `simulated` | its second implementation, for tests: a disk that loses whatever was not synced |
//! | `error` | why something could not be stored, and what to do |

pub mod blobs;
pub mod disk;
pub mod durable;
pub mod error;
#[cfg(any(test, feature = "simulated-disk"))]
pub mod simulated;

pub use blobs::BlobStore;
pub use disk::{Disk, FileLock, OsDisk};
pub use durable::Durable;
pub use error::StoreError;
