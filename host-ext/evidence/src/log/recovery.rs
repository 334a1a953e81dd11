//! Reads a log back, whatever happened to it: a clean end, kill -9, a power cut, a restored copy.
//!
//! The checkpoint says how much is under tiles; the write-ahead file holds the entries acknowledged after it. Nothing is
//! changed on the disk before both fit together.
//!
//! Content that is read back may be in the kernel's memory only: an earlier run may have been killed before its sync, or
//! its sync may have failed. So nothing that was read is relied on later: the folder is synced first, so that the
//! checkpoint that is read is the durable one; the writer then puts the entries under a new checkpoint and starts a new
//! write-ahead file.

use std::io;
use std::path::Path;

use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::merkle::{Hash, Tree, edge_widths, leaf_hash};
use sudare_protocol::tlog::note::MAX_NOTE_BYTES;
use sudare_protocol::tlog::tiles::{self, MAX_BUNDLE_BYTES, TILE_WIDTH};
use sudare_protocol::tlog::{SignedCheckpoint, TileContent, TilePath};

use super::draft::LogKeys;
use super::wal::{self, FRAME_MAX_BYTES, WalHeader};
use super::wal_file::{PENDING_MAX_BYTES, WAL_ROTATE_BYTES, WalFile};
use crate::store::{Disk, Durable, StoreError};

/// Longer than a write-ahead file can become before a checkpoint starts a new one.
const WAL_MAX_BYTES: usize = 2 * PENDING_MAX_BYTES + WAL_ROTATE_BYTES + 2 * FRAME_MAX_BYTES;

/// What opening a log found; [`LogStore`](super::LogStore) writes it into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Acknowledged entries that no checkpoint covered; now one does.
    pub recovered_entries: u64,
    /// Bytes at the end of the write-ahead file that were never acknowledged; a copy is in `wal.torn`.
    pub torn_bytes: u64,
    /// Entries under the checkpoint that the write-ahead file should have held too.
    pub wal_behind: u64,
    /// Host key that the newest entry about it names, if that is among the newest [`TAIL_ENTRIES`](super::TAIL_ENTRIES).
    pub host_key: Option<[u8; 32]>,
}

/// What a log's folder held: everything that a writer continues from.
pub(super) struct Recovered<D: Disk> {
    pub(super) durable: Durable<D>,
    /// The checkpoint, if there is one.
    pub(super) last: Option<SignedCheckpoint>,
    /// Over the entries under the checkpoint.
    pub(super) tree: Tree,
    /// The bundle at the right edge.
    pub(super) bundle: Vec<u8>,
    pub(super) wal: WalFile<D::File>,
    /// Acknowledged after the checkpoint.
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) opened: Opened,
    pub(super) lock: D::Lock,
}

/// Takes the lock, reads everything back and checks that it fits together.
pub(super) fn recover<D: Disk>(
    disk: D,
    dir: &Path,
    keys: &LogKeys,
    nonce: [u8; 16],
) -> Result<Recovered<D>, StoreError> {
    let mut durable = Durable::new(disk, dir);
    durable.make_dirs(dir)?;
    let lock = take_lock(durable.disk(), &dir.join("lock"))?;
    durable.settle(dir)?;
    let last = read_checkpoint(durable.disk(), dir, keys)?;
    let Edge { tree, bundle, last_leaf } = read_edge(durable.disk(), dir, last.as_ref())?;
    let OpenedWal { wal, entries, opened } = open_wal(&mut durable, dir, last.as_ref(), nonce)?;
    check_log_key(keys, entries.last().or(last_leaf.as_ref()))?;
    Ok(Recovered { durable, last, tree, bundle, wal, entries, opened, lock })
}

fn take_lock<D: Disk>(disk: &D, path: &Path) -> Result<D::Lock, StoreError> {
    disk.lock(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::Locked { path: path.to_owned() },
        _ => StoreError::io(path, "locked", error),
    })
}

fn read_checkpoint<D: Disk>(
    disk: &D,
    dir: &Path,
    keys: &LogKeys,
) -> Result<Option<SignedCheckpoint>, StoreError> {
    let verifier = keys.verifier().map_err(StoreError::Checkpoint)?;
    let Some(note) = read_if_there(disk, &dir.join("checkpoint"), MAX_NOTE_BYTES)? else { return Ok(None) };
    SignedCheckpoint::open(&note, &verifier).map(Some).map_err(StoreError::Checkpoint)
}

/// The right edge of the tree under the last checkpoint.
#[derive(Default)]
struct Edge {
    tree: Tree,
    bundle: Vec<u8>,
    last_leaf: Option<Vec<u8>>,
}

/// Reads the edge back and compares its root with that of the checkpoint.
fn read_edge<D: Disk>(disk: &D, dir: &Path, last: Option<&SignedCheckpoint>) -> Result<Edge, StoreError> {
    let Some(last) = last.filter(|last| last.size() > 0) else { return Ok(Edge::default()) };
    let read = |path: TilePath| {
        let path = dir.join(path.to_string());
        disk.read(&path, MAX_BUNDLE_BYTES).map_err(|e| StoreError::io(&path, "read", e))
    };
    let newest = tiles::bundles_from(last.size().saturating_sub(1), last.size()).next();
    let newest = newest.ok_or_else(|| StoreError::damaged("the checkpoint is over nothing"))?;
    let bundle = read(newest)?;
    let leaves: Vec<&[u8]> =
        tiles::entries(&bundle).collect::<Result<_, _>>().map_err(StoreError::damaged)?;
    let last_leaf = leaves.last().map(|leaf| leaf.to_vec());
    let mut levels: Vec<Vec<Hash>> = Vec::new();
    for (level, width) in edge_widths(last.size()).into_iter().enumerate() {
        // The lowest level is computed from the entries themselves, not from stored hashes.
        levels.push(match (level, width) {
            (_, 0) => Vec::new(),
            (0, _) => leaves.iter().map(|leaf| leaf_hash(leaf)).collect(),
            _ => {
                let content = TileContent::Hashes(u8::try_from(level).unwrap_or(u8::MAX));
                let index = last.size() >> (8 * (level + 1));
                split_hashes(&read(TilePath { content, index, width })?)?
            }
        });
    }
    let tree = Tree::restore(last.size(), levels).map_err(StoreError::damaged)?;
    if tree.root() != last.root() {
        return Err(StoreError::damaged("the newest tiles do not lead to the root of the checkpoint"));
    }
    let bundle = if newest.width == TILE_WIDTH { Vec::new() } else { bundle };
    Ok(Edge { tree, bundle, last_leaf })
}

fn split_hashes(bytes: &[u8]) -> Result<Vec<Hash>, StoreError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if rest.is_empty() { Ok(hashes.to_vec()) } else { Err(StoreError::damaged("a tile ends inside a hash")) }
}

/// A write-ahead file and its content.
struct OpenedWal<F> {
    wal: WalFile<F>,
    /// Acknowledged after the checkpoint.
    entries: Vec<Vec<u8>>,
    opened: Opened,
}

/// Reads the write-ahead file, or starts it if the log is new.
fn open_wal<D: Disk>(
    durable: &mut Durable<D>,
    dir: &Path,
    last: Option<&SignedCheckpoint>,
    nonce: [u8; 16],
) -> Result<OpenedWal<D::File>, StoreError> {
    let path = dir.join("wal");
    let size = last.map_or(0, SignedCheckpoint::size);
    let Some(bytes) = read_if_there(durable.disk(), &path, WAL_MAX_BYTES)? else {
        if last.is_some() {
            return Err(StoreError::damaged(
                "the write-ahead file is missing, and with it what came after the checkpoint",
            ));
        }
        let wal = WalFile::start(durable, &path, WalHeader { base: 0, nonce })?;
        return Ok(OpenedWal { wal, entries: Vec::new(), opened: Opened::default() });
    };
    let recovered = wal::recover(&bytes).map_err(StoreError::damaged)?;
    let base = recovered.header.base;
    let end = base.saturating_add(recovered.entries.len() as u64);
    if base > size {
        return Err(StoreError::damaged(format_args!(
            "the checkpoint covers {size} entries, but the write-ahead file begins at {base}"
        )));
    }
    let torn = bytes.get(recovered.good_bytes..).unwrap_or_default();
    if !torn.is_empty() {
        durable.replace(&dir.join("wal.torn"), torn)?;
    }
    let file = durable.disk().open(&path).map_err(|e| StoreError::io(&path, "opened", e))?;
    let wal = WalFile { path, file, header: recovered.header, end: recovered.good_bytes as u64 };
    let known = usize::try_from(size - base).unwrap_or(usize::MAX);
    // A power cut after a sync that failed, or that a kill prevented, can leave the file behind the checkpoint. Nothing
    // is lost then, since tiles are synced by themselves; it is recorded because a file that somebody truncated looks
    // the same.
    let opened =
        Opened { torn_bytes: torn.len() as u64, wal_behind: size.saturating_sub(end), ..Opened::default() };
    let entries = recovered.entries.into_iter().skip(known).collect();
    Ok(OpenedWal { wal, entries, opened })
}

/// The configured log key must be the one that signed the last entry, also before the first checkpoint.
fn check_log_key(keys: &LogKeys, last_leaf: Option<&Vec<u8>>) -> Result<(), StoreError> {
    let Some(leaf) = last_leaf else { return Ok(()) };
    Entry::open(leaf, &keys.log.verifying_key()).map(|_| ()).map_err(StoreError::LastEntry)
}

fn read_if_there<D: Disk>(disk: &D, path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, StoreError> {
    match disk.read(path, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path, "read", error)),
    }
}
