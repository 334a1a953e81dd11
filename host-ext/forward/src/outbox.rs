//! Events that were read from the log and that the receiver has not accepted yet, on disk.
//!
//! ```text
//! state/               0700, one per receiver
//!   cursor             everything up to here is accepted; which log and format this state belongs to
//!   outbox/<leaf>      a batch: encoded events, named by the first leaf it was read from
//!   status             see `status`
//!   lock               held by the one forwarder
//! ```
//! ```text
//! read    log ──► outbox/<leaf>: temp, fsync, rename, fsync folder
//! send    outbox/<leaf> ──► receiver
//! accept  cursor: the same steps, then outbox/<leaf> is deleted
//! ```
//! A batch holds the range of leaves it was read from, so the batches and the cursor together say what comes next. After
//! a kill at any step, the forwarder sends the oldest batch again, byte for byte: nothing is left out, and a duplicate
//! has the same event id. An unreadable batch is rebuilt from the log.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sudare_base::files::{self, FileError};
use sudare_evidence::store::FileLock;
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::tlog::Tree;

/// Batches queued while the receiver is unavailable. The log keeps the rest.
pub const BATCHES_MAX: usize = 16;
/// Events of a batch. Each has a few kilobytes, so one connection sends a fraction of a megabyte.
pub const BATCH_MAX_EVENTS: usize = 64;
/// A batch of the longest events as JSON strings, with the right edge of the largest tree.
const BATCH_MAX_BYTES: usize = 4 * 1024 * 1024;
const CURSOR_MAX_BYTES: usize = 1024 * 1024;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another forwarder uses the folder.
    #[error("another forwarder uses {0}. Each receiver has one forwarder, with a folder of its own")]
    Locked(PathBuf),
    /// The cursor or a batch is not readable.
    #[error(
        "{0} is damaged. Delete this folder: everything is sent again, and a receiver that drops duplicate event \
         ids keeps each event once"
    )]
    Damaged(PathBuf),
    /// The state belongs to another log or format.
    #[error(
        "{path} belongs to {found}, not to {expected}. Give each log and format a folder of its own with --state"
    )]
    Foreign {
        /// The cursor.
        path: PathBuf,
        /// The log and format it belongs to.
        found: String,
        /// The log and format of this forwarder.
        expected: String,
    },
}

/// A position in the log: how many leaves, and the right edge of the tree over them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    size: u64,
    edge: Vec<Vec<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cursor {
    /// Log and format.
    owner: String,
    accepted: Position,
    /// Events accepted so far.
    events: u64,
    /// Id of the last contradiction that was reported, so that it is reported once.
    told: Option<String>,
}

/// Events that are sent together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// First leaf that it was read from.
    from: u64,
    /// The position after its last leaf.
    to: Position,
    /// Id of a contradiction that this batch reports.
    told: Option<String>,
    /// As the receiver gets them, without framing.
    pub events: Vec<String>,
}

/// The state of one forwarder.
#[derive(Debug)]
pub struct Outbox {
    dir: PathBuf,
    cursor: Cursor,
    /// First leaves of the batches, oldest first.
    waiting: VecDeque<u64>,
    waiting_events: u64,
    read: Tree,
    told: Option<String>,
    _lock: FileLock,
}

impl Outbox {
    /// Opens the folder or makes it. `owner` names log and format.
    pub fn open(dir: &Path, owner: &str) -> Result<Self, OutboxError> {
        files::make_private_dir(&dir.join("outbox"))?;
        let lock = dir.join("lock");
        let _lock = FileLock::take(&lock).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OutboxError::Locked(dir.to_owned()),
            _ => FileError::new(&lock, "locked", error).into(),
        })?;
        let cursor = read_cursor(dir, owner)?;
        let read = cursor.accepted.tree().ok_or_else(|| OutboxError::Damaged(dir.join("cursor")))?;
        let told = cursor.told.clone();
        let (waiting, waiting_events) = (VecDeque::new(), 0);
        let mut outbox = Self { dir: dir.to_owned(), cursor, waiting, waiting_events, read, told, _lock };
        outbox.recover()?;
        Ok(outbox)
    }

    /// The position from which the log is read next.
    pub fn read(&self) -> &Tree {
        &self.read
    }

    /// Whether another batch may be read. Nothing is queued behind a waiting contradiction: a batch would begin at the
    /// same leaf.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < BATCHES_MAX && self.told == self.cursor.told
    }

    /// Events that wait for the receiver.
    pub fn waiting_events(&self) -> u64 {
        self.waiting_events
    }

    /// Leaves whose events are all accepted, as saved.
    pub fn accepted_leaves(&self) -> u64 {
        self.cursor.accepted.size
    }

    /// Events accepted so far.
    pub fn accepted_events(&self) -> u64 {
        self.cursor.events
    }

    /// Queues the events read up to `to`. Leaves without alarms need no batch: after a kill they are read again.
    pub fn push(&mut self, to: &Tree, events: Vec<String>) -> Result<(), OutboxError> {
        let position = Position::of(to);
        if !events.is_empty() {
            self.store(&Batch { from: self.read.size(), to: position, told: None, events })?;
        }
        self.read = to.clone();
        Ok(())
    }

    /// Saves the position up to which nothing is left to send, so that a restart continues there and can compare the log
    /// with it.
    pub fn remember(&mut self) -> Result<(), OutboxError> {
        if !self.waiting.is_empty() || self.read.size() == self.cursor.accepted.size {
            return Ok(());
        }
        self.save(Cursor { accepted: Position::of(&self.read), ..self.cursor.clone() })
    }

    /// Queues the alarm that the log contradicts itself, once.
    pub fn push_contradiction(&mut self, uid: &str, event: String) -> Result<(), OutboxError> {
        // A waiting batch may begin at the same leaf; it must be sent first.
        if self.told.as_deref() == Some(uid) || !self.waiting.is_empty() {
            return Ok(());
        }
        let to = Position::of(&self.read);
        self.store(&Batch { from: to.size, to, told: Some(uid.to_owned()), events: vec![event] })?;
        self.told = Some(uid.to_owned());
        Ok(())
    }

    /// The oldest batch.
    pub fn front(&mut self) -> Result<Option<Batch>, OutboxError> {
        let Some(from) = self.waiting.front().copied() else { return Ok(None) };
        let path = self.path(from);
        read_batch(&path)?.map(Some).ok_or(OutboxError::Damaged(path))
    }

    /// Removes this batch, the oldest, after the receiver has accepted it.
    pub fn accept(&mut self, batch: &Batch) -> Result<(), OutboxError> {
        let events = batch.events.len() as u64;
        let cursor = Cursor {
            accepted: batch.to.clone(),
            events: self.cursor.events.saturating_add(events),
            told: batch.told.clone().or_else(|| self.cursor.told.clone()),
            owner: self.cursor.owner.clone(),
        };
        self.save(cursor)?;
        self.waiting.pop_front();
        self.waiting_events = self.waiting_events.saturating_sub(events);
        remove(&self.path(batch.from))
    }

    /// Finds the batches that follow the cursor. Others are deleted, and read from the log again.
    fn recover(&mut self) -> Result<(), OutboxError> {
        let folder = self.dir.join("outbox");
        let failed = |error| FileError::new(&folder, "listed", error);
        let mut found = Vec::new();
        for file in fs::read_dir(&folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            match name.and_then(|name| name.parse::<u64>().ok()) {
                Some(from) => found.push(from),
                None => remove(&path)?,
            }
        }
        found.sort_unstable();
        for from in found {
            let path = self.path(from);
            let batch = read_batch(&path)?.filter(|batch| from == self.read.size() && batch.from == from);
            // A contradiction ends where it begins. If the forwarder was killed after it was accepted and before its file
            // was deleted, it would look new.
            let batch = batch.filter(|batch| batch.told.is_none() || batch.told != self.cursor.told);
            let next = batch.as_ref().and_then(|batch| batch.to.tree());
            if let (Some(batch), Some(next)) = (batch, next) {
                self.waiting.push_back(from);
                self.waiting_events = self.waiting_events.saturating_add(batch.events.len() as u64);
                self.told = batch.told.or(self.told.take());
                self.read = next;
            } else {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn store(&mut self, batch: &Batch) -> Result<(), OutboxError> {
        files::write_private(&self.path(batch.from), &json(batch))?;
        self.waiting.push_back(batch.from);
        self.waiting_events = self.waiting_events.saturating_add(batch.events.len() as u64);
        Ok(())
    }

    fn save(&mut self, cursor: Cursor) -> Result<(), OutboxError> {
        files::write_private(&self.dir.join("cursor"), &json(&cursor))?;
        self.cursor = cursor;
        Ok(())
    }

    fn path(&self, from: u64) -> PathBuf {
        self.dir.join("outbox").join(format!("{from:020}"))
    }
}

impl Position {
    fn of(tree: &Tree) -> Self {
        let mut edge = Vec::new();
        for tile in tree.partial_tiles() {
            edge.resize(usize::from(tile.level), Vec::new());
            edge.push(tile.hashes.iter().map(|hash| hex(hash)).collect());
        }
        Self { size: tree.size(), edge }
    }

    /// `None` if the hashes do not fit the size.
    fn tree(&self) -> Option<Tree> {
        let mut edge: Vec<Vec<[u8; 32]>> = Vec::new();
        for level in &self.edge {
            edge.push(level.iter().map(|hash| unhex(hash)).collect::<Option<_>>()?);
        }
        edge.resize(edge.len().max(levels(self.size)), Vec::new());
        Tree::restore(self.size, edge).ok()
    }
}

/// Levels of the tree over this many leaves; the highest may be empty at the right edge.
fn levels(size: u64) -> usize {
    sudare_protocol::tlog::merkle::edge_widths(size).len()
}

fn read_cursor(dir: &Path, owner: &str) -> Result<Cursor, OutboxError> {
    let path = dir.join("cursor");
    let Some(bytes) = files::read_bounded(&path, CURSOR_MAX_BYTES)? else {
        let accepted = Position { size: 0, edge: Vec::new() };
        return Ok(Cursor { owner: owner.to_owned(), accepted, events: 0, told: None });
    };
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| OutboxError::Damaged(path.clone()))?;
    if cursor.owner != owner {
        return Err(OutboxError::Foreign { path, found: cursor.owner, expected: owner.to_owned() });
    }
    Ok(cursor)
}

/// `None` if it does not exist or is not complete.
fn read_batch(path: &Path) -> Result<Option<Batch>, OutboxError> {
    match files::read_bounded(path, BATCH_MAX_BYTES) {
        Ok(bytes) => Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
        Err(FileError::TooLarge { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and numbers only, which JSON can always represent.
    serde_json::to_vec(value).unwrap_or_default()
}

fn remove(path: &Path) -> Result<(), OutboxError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new(path, "deleted", error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
