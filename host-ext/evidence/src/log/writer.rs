//! The log writer: appends signed entries, and signs checkpoints over them.
//!
//! Life of a leaf: signed by the log key → one frame in the write-ahead file, fdatasync →
//! *acknowledged* → at the next checkpoint in a bundle and under tiles, each durable before
//! the checkpoint names them → *verifiable by others*. Memory holds the leaves since the last
//! checkpoint (at most [`PENDING_MAX_BYTES`]) and the right edge of the tree.

use std::path::{Path, PathBuf};

use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::Stamp;
use sudare_protocol::tlog::merkle::{HashTile, Tree, leaf_hash};
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{Checkpoint, SignedCheckpoint, TileContent, TilePath};

use super::draft::{Draft, LogKeys};
use super::recovery::{self, Opened, Recovered};
use super::tail;
use super::wal::{BATCH_MAX_ENTRIES, WalHeader};
use super::wal_file::{PENDING_MAX_BYTES, WAL_ROTATE_BYTES, WalFile};
use crate::store::{Disk, Durable, StoreError};

/// Files that wait for the disk together: two new tiles and the right edge of a log of a million entries.
const TILES_AT_ONCE: usize = 8;

/// An open log. A lock file makes sure that one process at a time has it.
#[derive(Debug)]
pub struct LogWriter<D: Disk> {
    dir: PathBuf,
    keys: LogKeys,
    durable: Durable<D>,
    wal: WalFile<D::File>,
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

impl<D: Disk> LogWriter<D> {
    /// Opens a log or makes a new one. `nonce` must be random.
    pub fn open(disk: D, dir: &Path, keys: LogKeys, nonce: [u8; 16]) -> Result<(Self, Opened), StoreError> {
        let Recovered { durable, last, tree, bundle, wal, entries, opened, lock } =
            recovery::recover(disk, dir, &keys, nonce)?;
        let mut writer = LogWriter {
            dir: dir.to_owned(),
            keys,
            durable,
            wal,
            tree,
            filled: Vec::new(),
            bundle,
            pending_bytes: 0,
            last,
            poisoned: false,
            _lock: lock,
        };
        for entry in &entries {
            writer.grow(entry)?;
        }
        if !entries.is_empty() {
            writer.checkpoint()?;
        }
        writer.start_wal(nonce)?;
        let host_key = tail::host_key(writer.durable.disk(), dir, writer.size())?;
        Ok((writer, Opened { recovered_entries: entries.len() as u64, host_key, ..opened }))
    }

    /// Number of acknowledged entries; the next one has this index.
    pub fn size(&self) -> u64 {
        self.tree.size()
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

    /// Appends up to [`BATCH_MAX_ENTRIES`] entries under one sync, all or none; returns the index of the first. Each has
    /// the time at which it was reported, which must not be before that of the previous one.
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
        let frame = self.wal.header.frame(first, &borrowed).map_err(StoreError::damaged)?;
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
    /// Order: full and partial tiles and bundles, each durable → checkpoint, durable → old partial tiles are deleted. If
    /// it fails, the last checkpoint is still valid and the entries stay in the write-ahead file; call again.
    pub fn checkpoint(&mut self) -> Result<SignedCheckpoint, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let size = self.tree.size();
        if let Some(last) = self.last.as_ref().filter(|last| last.size() == size) {
            return Ok(last.clone());
        }
        self.write_tiles()?;
        let checkpoint = Checkpoint { origin: self.keys.origin.clone(), size, root: self.tree.root() };
        let signed = checkpoint.sign(&self.keys.log).map_err(StoreError::Checkpoint)?;
        self.durable.replace(&self.dir.join("checkpoint"), signed.note().as_bytes())?;
        self.last = Some(signed.clone());
        self.pending_bytes = 0;
        for (path, _) in std::mem::take(&mut self.filled) {
            // Best effort: leftover partial tiles are correct, only superfluous.
            drop(self.durable.disk().remove_dir(&self.dir.join(path.partial_folder())));
        }
        if self.wal.end >= WAL_ROTATE_BYTES as u64 {
            self.start_wal(next_nonce(&self.wal.header, &signed))?;
        }
        Ok(signed)
    }

    /// Tiles and bundles in any order: readers know of them only by the checkpoint that comes after.
    fn write_tiles(&mut self) -> Result<(), StoreError> {
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

    /// Starts a new write-ahead file. Everything must be under a checkpoint.
    fn start_wal(&mut self, nonce: [u8; 16]) -> Result<(), StoreError> {
        // Until the new file is open it is unknown which of the two has the name.
        self.poisoned = true;
        let header = WalHeader { base: self.tree.size(), nonce };
        self.wal = WalFile::start(&mut self.durable, &self.wal.path, header)?;
        self.poisoned = false;
        Ok(())
    }

    /// Adds an acknowledged leaf to the bundle and the tree.
    fn grow(&mut self, leaf: &[u8]) -> Result<(), StoreError> {
        let index = self.tree.size() / TILE_WIDTH as u64;
        tiles::push_entry(&mut self.bundle, leaf).map_err(StoreError::damaged)?;
        self.pending_bytes += leaf.len();
        let filled = self.tree.push(leaf_hash(leaf));
        if !filled.is_empty() {
            let path = TilePath { content: TileContent::Entries, index, width: TILE_WIDTH };
            self.filled.push((path, std::mem::take(&mut self.bundle)));
        }
        self.filled.extend(filled.iter().map(hash_file));
        Ok(())
    }

    /// Files of the right edge: the bundle and the tile of each level that is not full.
    fn partial_files(&self) -> Vec<(TilePath, Vec<u8>)> {
        let mut files: Vec<_> = self.tree.partial_tiles().iter().map(hash_file).collect();
        let level_0 = files.iter().map(|(path, _)| *path).find(|p| p.content == TileContent::Hashes(0));
        if let Some(path) = level_0 {
            files.push((TilePath { content: TileContent::Entries, ..path }, self.bundle.clone()));
        }
        files
    }
}

/// Name and content of a tile of hashes.
fn hash_file(tile: &HashTile) -> (TilePath, Vec<u8>) {
    let path =
        TilePath { content: TileContent::Hashes(tile.level), index: tile.index, width: tile.hashes.len() };
    (path, tile.hashes.concat())
}

/// A fresh unpredictable nonce without new randomness: nobody outside knows the last one.
fn next_nonce(last: &WalHeader, checkpoint: &SignedCheckpoint) -> [u8; 16] {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::new().chain_update(last.nonce).chain_update(checkpoint.note()).finalize();
    let mut nonce = [0; 16];
    nonce.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    nonce
}
