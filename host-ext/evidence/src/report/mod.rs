//! What guards report to the recorder, and how: the messages, the socket, and the guards' end of it.
//!
//! ```text
//!  guard ─ Remote ──┐  SOCK_SEQPACKET, SO_PEERCRED
//!  guard ─ Remote ──┼────────────────────────────► sudare-recorder
//!  embedded host ─ Local (of the recorder) ─► the same ledger, in this process
//! ```
//! Everything may be said twice, so that a guard that had no answer asks again.
//!
//! - [`wire`]: what guard and recorder say, pure. - [`socket`]: packets over a Unix socket.
//! - [`remote`]: the guard's end.

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
    /// Names it, says what it is, and vouches for its bytes.
    pub blob: BlobRef,
    /// Whose quota it counts for.
    pub device: Option<Id>,
    /// All bytes: header and body.
    pub bytes: Vec<u8>,
}

/// Entries that go into the log together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntries {
    /// Random id of the process that reports them.
    pub source: Id,
    /// Its number of the first of them.
    pub serial: u64,
    pub entries: Vec<NewEntry>,
    /// Whether a checkpoint over them is waited for.
    pub receipt: bool,
    /// The incident that they complete: recorded once, whoever reports it again.
    pub once: Option<Id>,
}

/// Where evidence is kept: in this process, or by the recorder's.
pub trait EvidenceSink: Send {
    /// Stores a sealed picture; the same one again is harmless.
    fn put_blob(&mut self, blob: &NewBlob) -> Result<(), StoreError>;
    /// Records entries; the same ones again are not recorded twice.
    fn record(&mut self, entries: &NewEntries) -> Result<Recorded, StoreError>;
    /// The number of this source's last entry that is in the log.
    fn last_serial(&self, source: &Id) -> u64;
    /// Whether this device may store another incident today.
    fn has_room(&mut self, device: &Id) -> Result<bool, StoreError>;
    /// Whether it is still there, and how far it is.
    fn state(&mut self) -> Result<State, StoreError>;
}
