//! The Merkle tree of RFC 6962, section 2, grown from the left one leaf at a time.
//!
//! [`Tree`] keeps the not yet full tile of each level (at most 256 hashes per level), which
//! is enough to compute the root and to hand out every tile as it fills. The recorder and
//! the auditor both grow their tree with it, so a log of any size needs about 8 KiB a level.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::tiles::TILE_WIDTH;

/// A SHA-256 hash: a leaf, a node or a root.
pub type Hash = [u8; 32];

/// Hash of an entry as a leaf: `SHA-256(0x00 ‖ entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Hash of two subtrees: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root over `nodes`, each the root of an equally large full subtree (the last one may be smaller).
///
/// Shape: any number of nodes; none at all is the empty tree, `SHA-256("")`.
pub fn root_of(nodes: &[Hash]) -> Hash {
    match nodes {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            // The largest power of two below the number of nodes (RFC 6962, section 2.1).
            let half = (nodes.len() / 2 + nodes.len() % 2).next_power_of_two();
            let (left, right) = nodes.split_at(half.min(nodes.len() - 1));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// A tile of hashes: 1 to 256 of them, at a level, at an index within the level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashTile {
    /// 0 holds leaves; level `l` holds the roots of full tiles of level `l - 1`.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
    /// 256 hashes when full.
    pub hashes: Vec<Hash>,
}

/// The tree was restored from tiles that do not fit its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a tree of {size} leaves needs {expected} hashes in its last tile of level {level}, but {got} were found. The store was changed by hand or restored in part: restore it whole"
)]
pub struct RestoreError {
    /// Leaves of the tree.
    pub size: u64,
    /// Level that does not fit.
    pub level: u8,
    /// Hashes that belong there.
    pub expected: usize,
    /// Hashes that were given.
    pub got: usize,
}

/// A growing tree that remembers only its right edge.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// `edge[l]` holds the hashes of the last, not yet full tile of level `l` (0 to 255 of them).
    edge: Vec<Vec<Hash>>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree of `size` leaves from the hashes of its partial tiles, lowest level first.
    pub fn restore(size: u64, edge: Vec<Vec<Hash>>) -> Result<Self, RestoreError> {
        let widths = edge_widths(size);
        for level in 0..edge.len().max(widths.len()) {
            let expected = widths.get(level).copied().unwrap_or(0);
            let got = edge.get(level).map_or(0, Vec::len);
            if got != expected {
                let level = u8::try_from(level).unwrap_or(u8::MAX);
                return Err(RestoreError { size, level, expected, got });
            }
        }
        Ok(Self { size, edge })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and returns the tiles that it filled, lowest level first.
    pub fn push(&mut self, leaf: Hash) -> Vec<HashTile> {
        self.size += 1;
        let mut filled = Vec::new();
        let mut carry = Some(leaf);
        let mut level = 0;
        while let Some(hash) = carry.take() {
            if self.edge.len() == level {
                self.edge.push(Vec::new());
            }
            let Some(tile) = self.edge.get_mut(level) else { break };
            tile.push(hash);
            if tile.len() == TILE_WIDTH {
                let hashes = std::mem::take(tile);
                carry = Some(root_of(&hashes));
                filled.push(HashTile {
                    index: tile_index(self.size - 1, level),
                    level: level_u8(level),
                    hashes,
                });
            }
            level += 1;
        }
        filled
    }

    /// The partial tiles of the right edge, lowest level first, empty ones left out.
    pub fn partial_tiles(&self) -> Vec<HashTile> {
        let tiles = self.edge.iter().enumerate().filter(|(_, hashes)| !hashes.is_empty());
        tiles
            .map(|(level, hashes)| HashTile {
                level: level_u8(level),
                index: tile_index(self.size, level),
                hashes: hashes.clone(),
            })
            .collect()
    }

    /// The root hash over all leaves.
    pub fn root(&self) -> Hash {
        let mut below: Option<Hash> = None;
        for hashes in &self.edge {
            let mut nodes = hashes.clone();
            nodes.extend(below);
            if !nodes.is_empty() {
                below = Some(root_of(&nodes));
            }
        }
        below.unwrap_or_else(|| root_of(&[]))
    }
}

/// Hashes in the partial tile of each level of a tree of `size` leaves, lowest level first.
pub fn edge_widths(size: u64) -> Vec<usize> {
    let mut widths = Vec::new();
    let mut nodes = size;
    while nodes > 0 {
        widths.push(usize::try_from(nodes % TILE_WIDTH as u64).unwrap_or(0));
        nodes /= TILE_WIDTH as u64;
    }
    widths
}

/// Index of the tile of `level` that covers leaf `leaf`.
fn tile_index(leaf: u64, level: usize) -> u64 {
    u32::try_from(level).ok().and_then(|level| leaf.checked_shr(8 * (level + 1))).unwrap_or(0)
}

/// Levels never pass 8: 256^8 leaves are all that a u64 counts.
fn level_u8(level: usize) -> u8 {
    u8::try_from(level).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962 word for word, as the oracle.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Sha256::digest([]).into(),
            1 => leaves[0],
            n => {
                let mut k = 1;
                while k * 2 < n {
                    k *= 2;
                }
                node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
            }
        }
    }

    fn leaves(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn root_of_matches_the_rfc_for_all_small_sizes() {
        for n in 0..=520 {
            assert_eq!(root_of(&leaves(n)), naive_root(&leaves(n)), "{n} leaves");
        }
    }

    #[test]
    fn known_vectors_of_rfc_6962() {
        // The same values appear in the test data of certificate-transparency-go.
        let hex = |h: Hash| crate::hex::hex(&h);
        assert_eq!(hex(root_of(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let two = node_hash(&leaf_hash(b""), &leaf_hash(&[0]));
        assert_eq!(hex(two), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_growing_tree_has_the_naive_root(n in 0usize..70_000) {
            let all = leaves(n);
            let mut tree = Tree::new();
            let mut filled = Vec::new();
            for leaf in &all {
                filled.extend(tree.push(*leaf));
            }
            prop_assert_eq!(tree.size(), n as u64);
            prop_assert_eq!(tree.root(), naive_root(&all));
            for tile in filled.iter().filter(|tile| tile.level == 0) {
                let start = usize::try_from(tile.index).unwrap() * TILE_WIDTH;
                prop_assert_eq!(&tile.hashes[..], &all[start..start + TILE_WIDTH]);
            }
            let edge = (0..edge_widths(n as u64).len()).map(|level| {
                tree.partial_tiles().into_iter().find(|t| usize::from(t.level) == level).map_or(vec![], |t| t.hashes)
            });
            let restored = Tree::restore(n as u64, edge.collect()).unwrap();
            prop_assert_eq!(restored.root(), tree.root());
        }
    }

    #[test]
    fn tiles_of_higher_levels_have_their_own_index() {
        let mut tree = Tree::new();
        let mut filled = Vec::new();
        for leaf in leaves(65_536 + 256) {
            filled.extend(tree.push(leaf).into_iter().map(|t| (t.level, t.index)));
        }
        assert_eq!(filled.len(), 258);
        assert_eq!(&filled[254..], &[(0, 254), (0, 255), (1, 0), (0, 256)]);
        let edge: Vec<_> = tree.partial_tiles().iter().map(|t| (t.level, t.index, t.hashes.len())).collect();
        assert_eq!(edge, [(1, 1, 1), (2, 0, 1)]);
    }

    #[test]
    fn restoring_with_a_missing_hash_is_refused() {
        let error = Tree::restore(3, vec![leaves(2)]).unwrap_err();
        assert_eq!((error.expected, error.got), (3, 2));
    }
}
