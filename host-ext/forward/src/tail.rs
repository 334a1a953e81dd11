//! Reads the log behind its recorder: only entries that a signed checkpoint covers, and only if they lead to its root.
//!
//! ```text
//! entries  0 ───────────── read ────────────────── head          (not yet under a checkpoint)
//!          queued already   │ verified, unread      │
//!                           tree of read entries    tree under the checkpoint
//! ```
//! [`Tail::refresh`] hashes the entries that a new checkpoint adds and compares the root; only then does
//! [`Tail::next`] read them. Both trees are a right edge each, so a log of any size needs a few kilobytes. Stored hashes
//! are never read.

use std::path::Path;

use sudare_evidence::reader::{ReadError, Store};
use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, Tree, VerifierKey};

use crate::alert::{Alert, Proof};

/// Most leaves that one call of [`Tail::next`] reads, so that it returns soon.
const STEP_MAX_LEAVES: u64 = 16 * TILE_WIDTH as u64;

/// Why the log cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The files cannot be read.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// The first checkpoint is not by the given key; nothing has been read yet.
    #[error("{0}. Compare --key with the line that `sudare-recorder --print-key` prints")]
    Key(NoteError),
    /// The log contradicts itself, or what was read before.
    #[error("{0}. Keep a copy of the store and run `sudare-audit verify` on it")]
    Contradiction(String),
}

/// The result of [`Tail::next`].
#[derive(Debug)]
pub struct Step {
    /// Alarms in the order of the log.
    pub alerts: Vec<Alert>,
    /// Everything up to here has been read.
    pub position: Tree,
}

/// A log that is being read.
#[derive(Debug)]
pub struct Tail {
    store: Store,
    verifier: VerifierKey,
    read: Tree,
    head: Tree,
}

impl Tail {
    /// Continues after `read`.
    pub fn new(dir: &Path, verifier: VerifierKey, read: Tree) -> Result<Self, ReadError> {
        Ok(Self { store: Store::open(dir)?, verifier, head: read.clone(), read })
    }

    /// Reads the checkpoint and verifies the entries that it adds.
    pub fn refresh(&mut self) -> Result<(), TailError> {
        let Some(note) = self.store.checkpoint()? else {
            // There is no checkpoint before the recorder's first start.
            return if self.head.size() == 0 {
                Ok(())
            } else {
                contradiction("the log's checkpoint is gone")
            };
        };
        let checkpoint = match SignedCheckpoint::open(&note, &self.verifier) {
            Ok(checkpoint) => checkpoint,
            Err(error) if self.head.size() == 0 => return Err(TailError::Key(error)),
            Err(error) => return contradiction(&format!("the log's checkpoint is refused: {error}")),
        };
        if checkpoint.size() < self.head.size() {
            let (before, now) = (self.head.size(), checkpoint.size());
            return contradiction(&format!(
                "the log had {before} entries and now has {now}: it was rolled back"
            ));
        }
        let mut head = self.head.clone();
        while head.size() < checkpoint.size() {
            self.each_leaf(head.size(), checkpoint.size(), |leaf| {
                head.push(leaf_hash(leaf));
                Ok(true)
            })?;
        }
        if head.root() != checkpoint.root() {
            let size = checkpoint.size();
            return contradiction(&format!(
                "the first {size} entries do not lead to the root that was signed"
            ));
        }
        self.head = head;
        Ok(())
    }

    /// Entries that are verified and not yet read.
    pub fn unread(&self) -> u64 {
        self.head.size().saturating_sub(self.read.size())
    }

    /// Entries under the newest verified checkpoint.
    pub fn verified(&self) -> u64 {
        self.head.size()
    }

    /// Entries read so far.
    pub fn read(&self) -> &Tree {
        &self.read
    }

    /// The checkpoint that covers everything read now.
    pub fn proof(&self) -> Proof {
        Proof { origin: self.verifier.name().to_owned(), size: self.head.size(), root: self.head.root() }
    }

    /// Reads until there are `alerts_max` alarms, or the end of the verified entries.
    pub fn next(&mut self, alerts_max: usize) -> Result<Step, TailError> {
        let size = self.head.size();
        let end = size.min(self.read.size().saturating_add(STEP_MAX_LEAVES));
        let mut read = self.read.clone();
        let mut alerts = Vec::new();
        let key = *self.verifier.key();
        while read.size() < end && alerts.len() < alerts_max {
            self.each_leaf(read.size(), size, |leaf| {
                let index = read.size();
                read.push(leaf_hash(leaf));
                if let Some(alert) = alert_of(index, leaf, &key)? {
                    alerts.push(alert);
                }
                Ok(alerts.len() < alerts_max && read.size() < end)
            })?;
        }
        // The files may have been changed since they were verified.
        if read.size() == size && read.root() != self.head.root() {
            return contradiction("entries were changed while they were read");
        }
        self.read = read;
        Ok(Step { alerts, position: self.read.clone() })
    }

    /// Calls `visit` with the leaves of one bundle of a log of `size` entries, from `from` on, until it says false.
    fn each_leaf(
        &self,
        from: u64,
        size: u64,
        mut visit: impl FnMut(&[u8]) -> Result<bool, TailError>,
    ) -> Result<(), TailError> {
        let Some(path) = tiles::bundles_from(from, size).next() else { return Ok(()) };
        let Some(bytes) = self.store.tile(path)? else {
            return contradiction(&format!("the bundle {path} is gone"));
        };
        for leaf in tiles::leaves(path, &bytes) {
            let (index, leaf) = leaf.or_else(|error| contradiction(&format!("{path}: {error}")))?;
            if index >= from && !visit(leaf)? {
                break;
            }
        }
        Ok(())
    }
}

fn contradiction<T>(what: &str) -> Result<T, TailError> {
    Err(TailError::Contradiction(what.to_owned()))
}

/// The alarm for a leaf, if it is one. Its signature is checked too, so that an alarm is the recorder's word even if a
/// file was swapped between verifying and reading it.
fn alert_of(index: u64, leaf: &[u8], key: &VerifyingKey) -> Result<Option<Alert>, TailError> {
    let Ok(entry) = Entry::open_unverified(leaf) else {
        return contradiction(&format!("entry {index} cannot be read: it is damaged, or of a later version"));
    };
    let Some(alert) = Alert::of(index, &entry) else { return Ok(None) };
    if entry.seq != index {
        return contradiction(&format!("entry {index} says that it is number {}", entry.seq));
    }
    match Entry::open(leaf, key) {
        Ok(_) => Ok(Some(alert)),
        Err(error) => contradiction(&format!("entry {index}: {error}")),
    }
}
