//! Consistency and inclusion proofs from the tiles of a store folder, ours or a copy.
//!
//! The hashes are not trusted: whoever receives the proof folds it into two signed roots.

use std::path::PathBuf;

use sudare_protocol::tlog::consistency::{self, ProveError};
use sudare_protocol::tlog::merkle::Hash;
use sudare_protocol::tlog::{SignedCheckpoint, TilePath, inclusion, tiles};
use thiserror::Error;

use crate::reader::{ReadError, Store};

/// A tile is missing or unreadable.
#[derive(Debug, Error)]
pub enum TileError {
    /// It does not exist.
    #[error("{0} is missing. Copy the whole store, tiles before `checkpoint`")]
    Missing(PathBuf),
    /// It exists and cannot be read.
    #[error("{0}")]
    Unreadable(#[from] ReadError),
}

/// Proof that the first `old` entries are unchanged in the tree of `new`.
pub fn prove(store: &Store, old: u64, new: u64) -> Result<Vec<Hash>, ProveError<TileError>> {
    consistency::prove(old, new, |path| tile(store, path))
}

/// Proof that entry `index` is in the tree of `size`.
pub fn include(store: &Store, index: u64, size: u64) -> Result<Vec<Hash>, ProveError<TileError>> {
    inclusion::prove(index, size, |path| tile(store, path))
}

/// An entry as it lies in its bundle, if the bundle is there and holds it.
pub fn entry(store: &Store, index: u64, size: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(path) = tiles::bundles_from(index, size).next() else { return Ok(None) };
    let bundle = store.tile(path)?.unwrap_or_default();
    let mut leaves = tiles::leaves(path, &bundle).map_while(Result::ok);
    Ok(leaves.find(|(at, _)| *at == index).map(|(_, leaf)| leaf.to_vec()))
}

/// Whether the stored tiles lead to the signed root.
pub fn tiles_agree(store: &Store, checkpoint: &SignedCheckpoint) -> bool {
    let size = checkpoint.size();
    consistency::root_from_tiles(size, size, |path| tile(store, path))
        .is_ok_and(|root| root == checkpoint.root())
}

fn tile(store: &Store, path: TilePath) -> Result<Vec<Hash>, TileError> {
    let bytes = store.tile(path)?.ok_or_else(|| TileError::Missing(store.dir().join(path.to_string())))?;
    Ok(bytes.as_chunks::<32>().0.iter().take(path.width).copied().collect())
}
