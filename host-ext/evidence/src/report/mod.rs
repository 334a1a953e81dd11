//! How guards report to the recorder: the messages, the socket, and the guards' end of the connection.
//!
//! ```text
//!  guard ─ Remote ──┐  SOCK_SEQPACKET, SO_PEERCRED
//!  guard ─ Remote ──┼────────────────────────────► sudare-recorder
//!  embedded host ─ Local (of the recorder) ─► the same ledger, in this process
//! ```
//! Every request may be repeated, so that a guard whose answer was lost asks again.
//!
//! | module | what |
//! |---|---|
//! | `remote` | the guard's end |
//! | `socket` | packets over a Unix socket |
//! | `wire` | the messages, pure |

pub mod remote;
pub mod socket;
pub mod wire;

use sudare_protocol::evidence::{BlobRef, Id};

use crate::store::StoreError;
pub use remote::Remote;
use wire::{NewEntry, Recorded, State};

/// A sealed picture on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// Its id, its kind, and the hash of its bytes.
    pub blob: BlobRef,
    /// The device whose quota is charged.
    pub device: Option<Id>,
    /// All bytes: header and body.
    pub bytes: Vec<u8>,
}

/// Entries that go into the log together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntries {
    /// Random id of the process that reports them.
    pub source: Id,
    /// The source's number of the first entry.
    pub serial: u64,
    pub entries: Vec<NewEntry>,
    /// Whether the answer must hold a checkpoint over them.
    pub receipt: bool,
    /// The incident that they complete: recorded once, whoever reports it.
    pub once: Option<Id>,
}

/// Where evidence is kept: in this process, or by the recorder's.
pub trait EvidenceSink: Send {
    /// Stores a sealed picture; repeating it is harmless.
    fn put_blob(&mut self, blob: &NewBlob) -> Result<(), StoreError>;
    /// Records entries; repeated ones are not recorded twice.
    fn record(&mut self, entries: &NewEntries) -> Result<Recorded, StoreError>;
    /// The number of this source's last entry in the log.
    fn last_serial(&self, source: &Id) -> u64;
    /// Whether this device may store another incident today.
    fn has_room(&mut self, device: &Id) -> Result<bool, StoreError>;
    /// Whether it is still there, and its progress.
    fn state(&mut self) -> Result<State, StoreError>;
}
