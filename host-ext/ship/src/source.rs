//! The recorder's store as the shipper reads it: for each size the root is recomputed and compared.

use std::path::Path;

use sudare_evidence::reader::Store;
use sudare_protocol::evidence::Id;
use sudare_protocol::seal::{CIPHERTEXT_MAX_BYTES, HEADER_MAX_BYTES};
use sudare_protocol::tlog::merkle::{Hash, Tree, edge_widths, leaf_hash};
use sudare_protocol::tlog::tiles::{self, TILE_WIDTH};
use sudare_protocol::tlog::{SignedCheckpoint, TileContent, TilePath, VerifierKey};

use crate::error::ShipError;

const WIDTH: u64 = TILE_WIDTH as u64;

/// A store folder and the key its checkpoints must be signed with.
#[derive(Debug)]
pub(super) struct Source {
    store: Store,
    key: VerifierKey,
}

/// Up to 256 entries of the log, in one file.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) path: TilePath,
    /// Exactly the entries that the path names.
    pub(super) bytes: Vec<u8>,
}

impl Bundle {
    /// (index in the log, entry); the bundle was parsed to its end when it was read.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        tiles::leaves(self.path, &self.bytes).map_while(Result::ok)
    }

    /// Size of a log that ends with this bundle.
    pub(super) fn end(&self) -> u64 {
        self.path.index * WIDTH + self.path.width as u64
    }
}

impl Source {
    pub(super) fn open(dir: &Path, key: VerifierKey) -> Result<Self, ShipError> {
        Ok(Self { store: Store::open(dir)?, key })
    }

    pub(super) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The newest checkpoint; `None` before the recorder's first.
    pub(super) fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, ShipError> {
        let note = self.store.checkpoint()?;
        note.map(|note| SignedCheckpoint::open(&note, &self.key))
            .transpose()
            .map_err(ShipError::LocalCheckpoint)
    }

    /// The tree under a checkpoint, from the stored hashes at its right edge. They are not trusted: unless they lead to
    /// the signed root, the checkpoint was made over other entries.
    pub(super) fn tree_at(&self, checkpoint: &SignedCheckpoint) -> Result<Tree, ShipError> {
        let size = checkpoint.size();
        let mut edge = Vec::new();
        let mut nodes = size;
        for (level, width) in (0u8..).zip(edge_widths(size)) {
            let index = nodes / WIDTH;
            nodes = index;
            let path = TilePath { content: TileContent::Hashes(level), index, width };
            edge.push(if width == 0 { Vec::new() } else { self.hashes(path)? });
        }
        let tree = Tree::restore(size, edge).map_err(|_| ShipError::Forked { size })?;
        if tree.root() == checkpoint.root() { Ok(tree) } else { Err(ShipError::Forked { size }) }
    }

    /// Reads all entries after `tree` up to the checkpoint and checks that they lead to its root, which means that the
    /// checkpoint continues `tree`.
    pub(super) fn check(&self, mut tree: Tree, to: &SignedCheckpoint) -> Result<(), ShipError> {
        for path in tiles::bundles_from(tree.size(), to.size()) {
            let from = tree.size();
            for (_, leaf) in self.bundle(path)?.entries().filter(|(index, _)| *index >= from) {
                tree.push(leaf_hash(leaf));
            }
        }
        reached(&tree, to)
    }

    /// The entries that a path names, taken out of the full file where the recorder has replaced it.
    pub(super) fn bundle(&self, path: TilePath) -> Result<Bundle, ShipError> {
        let missing = || ShipError::LocalMissing(path.to_string());
        let mut bytes = self.store.tile(path)?.ok_or_else(missing)?;
        let mut length = 0;
        for leaf in tiles::leaves(path, &bytes) {
            let (_, entry) = leaf.map_err(|_| missing())?;
            length += 2 + entry.len();
        }
        bytes.truncate(length);
        Ok(Bundle { path, bytes })
    }

    /// The two files of a sealed picture, as far as they exist: an erased one has neither.
    pub(super) fn blob(&self, blob_id: &Id) -> Result<Halves, ShipError> {
        let paths = self.store.blob(blob_id);
        // A file beyond its bound reads as empty: it cannot be the one that the log names, and is not shipped.
        let half = |path, max_bytes| -> Result<_, ShipError> {
            Ok(self.store.read(path, max_bytes)?.filter(|bytes| !bytes.is_empty()))
        };
        let header = half(&paths.header, HEADER_MAX_BYTES)?;
        Ok(Halves { header, body: half(&paths.body, CIPHERTEXT_MAX_BYTES)? })
    }

    fn hashes(&self, path: TilePath) -> Result<Vec<Hash>, ShipError> {
        let bytes = self.store.tile(path)?.ok_or_else(|| ShipError::LocalMissing(path.to_string()))?;
        let (hashes, _) = bytes.as_chunks::<32>();
        Ok(hashes.iter().take(path.width).copied().collect())
    }
}

/// A sealed picture as it is stored.
#[derive(Debug)]
pub(super) struct Halves {
    pub(super) header: Option<Vec<u8>>,
    pub(super) body: Option<Vec<u8>>,
}

/// Checks that the tree is the one that the checkpoint signs.
pub(super) fn reached(tree: &Tree, to: &SignedCheckpoint) -> Result<(), ShipError> {
    let same = tree.size() == to.size() && tree.root() == to.root();
    if same { Ok(()) } else { Err(ShipError::LocalRoot { size: to.size() }) }
}
