//! The log writer: appends signed entries, and signs checkpoints over them.
//!
//! Life of a leaf: signed by the log key → one frame in the write-ahead file, fdatasync →
//! *acknowledged* → at the next checkpoint in a bundle and under tiles, each durable before
//! the checkpoint names them → *verifiable by others*. Memory holds the leaves since the last
//! checkpoint (at most [`PENDING_MAX_BYTES`]) and the right edge of the tree.

use std::path::{Path, PathBuf};

use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Stamp, VERSION};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::merkle::{HashTile, Tree, leaf_hash};
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{Checkpoint, NoteError, SignedCheckpoint, TileContent, TilePath, VerifierKey};
use sudare_protocol::{SigningKey, VerifyingKey};

use super::wal::WalHeader;
use crate::store::{Disk, Durable, StoreError};

mod recovery;
mod tail;

/// Entries not yet under a checkpoint are checkpointed at the latest when they reach this.
pub const PENDING_MAX_BYTES: usize = 8 * 1024 * 1024;
/// The write-ahead file is started anew at the first checkpoint after it reaches this.
const WAL_ROTATE_BYTES: usize = 4 * 1024 * 1024;
/// Files that wait for the disk together: two new tiles and the right edge of a log of a million.
const TILES_AT_ONCE: usize = 8;
pub use super::wal::BATCH_MAX_ENTRIES;
/// Newest entries that are looked at when a log is opened.
pub const TAIL_ENTRIES: u64 = 4096;

/// The log's name and key, and the host it is about.
pub struct LogKeys {
    /// Name of the log, such as `sudare.example/log/vdi-0042`.
    pub origin: String,
    /// Signs entries and checkpoints.
    pub log: SigningKey,
    /// Public key of the host, which signs HELLO.
    pub host_key: [u8; 32],
}

impl std::fmt::Debug for LogKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKeys({})", self.origin)
    }
}

impl LogKeys {
    /// The line that auditors are given out of band.
    pub fn verifier(&self) -> Result<VerifierKey, NoteError> {
        VerifierKey::new(&self.origin, self.log.verifying_key())
    }
}

/// An entry before it has its place and time.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Session it belongs to.
    pub session_id: Option<Id>,
    /// Incident it belongs to.
    pub incident_id: Option<Id>,
    /// Why.
    pub reason: Option<Reason>,
    /// Pictures that are already in the store.
    pub blobs: Vec<BlobRef>,
    /// What happened.
    pub event: Event,
    /// Who reported it to the recorder; `None` for the recorder's own entries.
    pub source: Option<Id>,
    /// That one's count of its reports, from 1.
    pub serial: Option<u64>,
}

impl Draft {
    /// An entry about the log or the host itself.
    pub fn of(event: Event) -> Self {
        let (session_id, incident_id, reason, source, serial) = (None, None, None, None, None);
        Self { session_id, incident_id, reason, blobs: Vec::new(), event, source, serial }
    }

    fn at(self, seq: u64, stamp: Stamp) -> Entry {
        let (kind, body) = self.event.encode();
        Entry {
            version: VERSION,
            seq,
            wall_ms: stamp.wall_ms,
            boot_ms: stamp.boot_ms,
            boot_id: stamp.boot_id,
            session_id: self.session_id,
            incident_id: self.incident_id,
            kind,
            reason: self.reason.map(Reason::number),
            blobs: self.blobs,
            body,
            source: self.source,
            serial: self.serial,
        }
    }
}

/// What opening a log found; the recorder writes it into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Acknowledged entries that were not yet under a checkpoint; now they are.
    pub recovered_entries: u64,
    /// Bytes at the end of the write-ahead file that were never acknowledged, kept in `wal.torn`.
    pub torn_bytes: u64,
    /// Entries under the checkpoint that the write-ahead file should have held too.
    pub wal_behind: u64,
    /// Host key that the newest entry about it names, if that is among the newest [`TAIL_ENTRIES`].
    pub host_key: Option<[u8; 32]>,
}

/// An open log. One process at a time has it (a lock file sees to that).
#[derive(Debug)]
pub struct LogWriter<D: Disk> {
    dir: PathBuf,
    keys: LogKeys,
    durable: Durable<D>,
    wal: Wal<D::File>,
    /// Over all acknowledged entries.
    tree: Tree,
    /// Full tiles and bundles since the last checkpoint.
    filled: Vec<(TilePath, Vec<u8>)>,
    /// The bundle at the right edge.
    bundle: Vec<u8>,
    pending_bytes: usize,
    last: Option<SignedCheckpoint>,
    poisoned: bool,
    /// Never read: it is held. Last, so that it is released after everything else.
    _lock: D::Lock,
}

#[derive(Debug)]
struct Wal<F> {
    path: PathBuf,
    file: F,
    header: WalHeader,
    end: u64,
}

impl<D: Disk> LogWriter<D> {
    /// Opens a log or makes a new one. `nonce` must be random.
    pub fn open(disk: D, dir: &Path, keys: LogKeys, nonce: [u8; 16]) -> Result<(Self, Opened), StoreError> {
        recovery::open(disk, dir, keys, nonce)
    }

    /// Number of acknowledged entries; the next one has this index.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The last checkpoint, if there is one.
    pub fn last_checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.last.as_ref()
    }

    /// Public key of the host, as given when the log was opened.
    pub fn host_key(&self) -> [u8; 32] {
        self.keys.host_key
    }

    /// Public part of the key that signs entries and checkpoints.
    pub fn log_key(&self) -> VerifyingKey {
        self.keys.log.verifying_key()
    }

    /// The store's disk steps, for the files beside the log.
    pub fn durable(&mut self) -> &mut Durable<D> {
        &mut self.durable
    }

    /// Appends an entry; once this returns its index, a crash or power cut does not lose it.
    pub fn append(&mut self, draft: Draft, stamp: Stamp) -> Result<u64, StoreError> {
        self.append_all(vec![(draft, stamp)])?.ok_or(StoreError::Poisoned)
    }

    /// Appends up to [`BATCH_MAX_ENTRIES`] entries under one sync, all or none; returns the index of the
    /// first. Each has the time at which it was reported, which must not be before the last one's.
    pub fn append_all(&mut self, drafts: Vec<(Draft, Stamp)>) -> Result<Option<u64>, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        if drafts.len() > BATCH_MAX_ENTRIES {
            return Err(StoreError::Batch(drafts.len()));
        }
        if self.pending_bytes >= PENDING_MAX_BYTES {
            self.checkpoint()?;
        }
        let first = self.tree.size();
        let sign = |(seq, (draft, stamp)): (u64, (Draft, Stamp))| draft.at(seq, stamp).sign(&self.keys.log);
        let leaves: Vec<Vec<u8>> = (first..).zip(drafts).map(sign).collect::<Result<_, _>>()?;
        if leaves.is_empty() {
            return Ok(None);
        }
        let borrowed: Vec<&[u8]> = leaves.iter().map(Vec::as_slice).collect();
        let frame = self.wal.header.frame(first, &borrowed).map_err(damaged)?;
        let appended = self.durable.append(&self.wal.path, &mut self.wal.file, self.wal.end, &frame);
        appended.map_err(|failure| {
            self.poisoned |= !failure.state_known;
            failure.error
        })?;
        self.wal.end += frame.len() as u64;
        for leaf in &leaves {
            self.grow(leaf)?;
        }
        Ok(Some(first))
    }

    /// Makes everything acknowledged so far verifiable, and returns the signed checkpoint.
    ///
    /// Order: full and partial tiles and bundles, each durable → checkpoint, durable → old
    /// partial tiles are deleted. If it fails, the last checkpoint still holds and the entries
    /// stay in the write-ahead file; call again.
    pub fn checkpoint(&mut self) -> Result<SignedCheckpoint, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let size = self.tree.size();
        if let Some(last) = self.last.as_ref().filter(|last| last.size() == size) {
            return Ok(last.clone());
        }
        self.make_tiles_last()?;
        let checkpoint = Checkpoint { origin: self.keys.origin.clone(), size, root: self.tree.root() };
        let signed = checkpoint.sign(&self.keys.log).map_err(StoreError::Checkpoint)?;
        self.durable.replace(&self.dir.join("checkpoint"), signed.note().as_bytes())?;
        self.last = Some(signed.clone());
        self.pending_bytes = 0;
        for (path, _) in std::mem::take(&mut self.filled) {
            // Best effort: leftover partial tiles are true, only superfluous.
            drop(self.durable.disk().remove_dir(&self.dir.join(path.partial_folder())));
        }
        if self.wal.end >= WAL_ROTATE_BYTES as u64 {
            self.start_wal(next_nonce(&self.wal.header, &signed))?;
        }
        Ok(signed)
    }

    /// Tiles and bundles in any order: readers know of them only by the checkpoint that comes after.
    fn make_tiles_last(&mut self) -> Result<(), StoreError> {
        let partial = self.partial_files();
        let tiles = self.filled.iter().chain(&partial);
        let tiles: Vec<_> =
            tiles.map(|(path, bytes)| (self.dir.join(path.to_string()), bytes.as_slice())).collect();
        for group in tiles.chunks(TILES_AT_ONCE) {
            let files: Vec<(&Path, &[u8])> =
                group.iter().map(|(path, bytes)| (path.as_path(), *bytes)).collect();
            self.durable.replace_all(&files)?;
        }
        Ok(())
    }

    /// Starts the write-ahead file anew. Everything must be under a checkpoint.
    fn start_wal(&mut self, nonce: [u8; 16]) -> Result<(), StoreError> {
        // Until the new file is open nobody knows which of the two has the name.
        self.poisoned = true;
        let header = WalHeader { base: self.tree.size(), nonce };
        self.wal = Wal::start(&mut self.durable, &self.wal.path, header)?;
        self.poisoned = false;
        Ok(())
    }

    /// Adds an acknowledged leaf to the bundle and the tree.
    fn grow(&mut self, leaf: &[u8]) -> Result<(), StoreError> {
        let index = self.tree.size() / TILE_WIDTH as u64;
        tiles::push_entry(&mut self.bundle, leaf).map_err(damaged)?;
        self.pending_bytes += leaf.len();
        let filled = self.tree.push(leaf_hash(leaf));
        if !filled.is_empty() {
            let path = TilePath { content: TileContent::Entries, index, width: TILE_WIDTH };
            self.filled.push((path, std::mem::take(&mut self.bundle)));
        }
        self.filled.extend(filled.iter().map(hash_file));
        Ok(())
    }

    /// Files of the right edge: the bundle and the tile of each level that are not full.
    fn partial_files(&self) -> Vec<(TilePath, Vec<u8>)> {
        let mut files: Vec<_> = self.tree.partial_tiles().iter().map(hash_file).collect();
        let level_0 = files.iter().map(|(path, _)| *path).find(|p| p.content == TileContent::Hashes(0));
        if let Some(path) = level_0 {
            files.push((TilePath { content: TileContent::Entries, ..path }, self.bundle.clone()));
        }
        files
    }
}

impl<F> Wal<F> {
    /// Starts a new, empty file in place of the old one.
    fn start<D: Disk<File = F>>(
        durable: &mut Durable<D>,
        path: &Path,
        header: WalHeader,
    ) -> Result<Self, StoreError> {
        let bytes = header.encode();
        durable.replace(path, &bytes)?;
        let file = durable.disk().open(path).map_err(|e| StoreError::io(path, "opened", e))?;
        Ok(Self { path: path.to_owned(), file, header, end: bytes.len() as u64 })
    }
}

/// Name and content of a tile of hashes.
fn hash_file(tile: &HashTile) -> (TilePath, Vec<u8>) {
    let path =
        TilePath { content: TileContent::Hashes(tile.level), index: tile.index, width: tile.hashes.len() };
    (path, tile.hashes.concat())
}

/// A fresh unpredictable nonce without asking for randomness: nobody outside knows the last one.
fn next_nonce(last: &WalHeader, checkpoint: &SignedCheckpoint) -> [u8; 16] {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::new().chain_update(last.nonce).chain_update(checkpoint.note()).finalize();
    let mut nonce = [0; 16];
    nonce.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    nonce
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(error.to_string())
}
