//! Reads the log behind its recorder: only what a signed checkpoint covers, and only if it fits.
//!
//! ```text
//! entries  0 ───────────── read ────────────────── head          (not yet under a checkpoint)
//!          told already     │ to be told            │
//!                           tree of what was read   tree of what the checkpoint vouches for
//! ```
//! [`Tail::refresh`] hashes what a new checkpoint adds and compares the root; only then is anything
//! told of it. [`Tail::next`] reads the entries themselves. Both trees are a right edge each, so a log of any
//! size needs some kilobytes. Stored hashes are never read.

use std::path::Path;

use sudare_evidence::reader::{ReadError, Store};
use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{NoteError, SignedCheckpoint, Tree, VerifierKey};

use crate::alert::{Alert, Proof};

/// Leaves that one call of [`Tail::next`] reads at most, so that its caller is never gone for long.
const STEP_MAX_LEAVES: u64 = 16 * TILE_WIDTH as u64;

/// Why the log cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The files cannot be read.
    #[error(transparent)]
    Store(#[from] ReadError),
    /// There is a checkpoint, and it is not by the given key; nothing has been read yet.
    #[error("{0}. Compare --key with the line that `sudare-host` printed when the log was made")]
    Key(NoteError),
    /// What is there cannot follow what was read before.
    #[error("{0}. Keep a copy of the store and run `sudare-audit verify` on it")]
    Contradiction(String),
}

/// What [`Tail::next`] read.
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
    /// Goes on behind `read`.
    pub fn new(dir: &Path, verifier: VerifierKey, read: Tree) -> Result<Self, ReadError> {
        Ok(Self { store: Store::open(dir)?, verifier, head: read.clone(), read })
    }

    /// Looks at the checkpoint and verifies what it adds.
    pub fn refresh(&mut self) -> Result<(), TailError> {
        let Some(note) = self.store.checkpoint()? else {
            // A recorder that has not started yet has no checkpoint.
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

    /// Entries under the newest checkpoint that was verified.
    pub fn verified(&self) -> u64 {
        self.head.size()
    }

    /// Entries read so far.
    pub fn read(&self) -> &Tree {
        &self.read
    }

    /// What everything told now can be proved with.
    pub fn proof(&self) -> Proof {
        Proof { origin: self.verifier.name().to_owned(), size: self.head.size(), root: self.head.root() }
    }

    /// Reads on until there are `alerts_max` alarms, or the end of what is verified.
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

/// The alarm that a leaf is. Its signature is checked too, so that an alarm is the recorder's word even if a file
/// was exchanged between verifying and reading it.
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
