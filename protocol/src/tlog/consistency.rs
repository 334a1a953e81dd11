//! Proof that a larger tree begins with a smaller one (RFC 6962, section 2.1.2).
//!
//! [`prove`] takes hashes from tiles wherever they lie; they need not be trusted, since
//! [`verify`] recomputes both roots from the proof and compares them with two signed ones
//! (the algorithm of RFC 9162, section 2.1.4.2). Sizes are numbers of leaves.

use std::ops::Range;

use thiserror::Error;

use super::merkle::{Hash, node_hash, root_of};
use super::tiles::{TILE_WIDTH, TileContent, TilePath};

/// Two hashes a level, less the root: no tree that a u64 counts needs more.
pub const MAX_PROOF_HASHES: usize = 63;

/// The trees are not shown to be one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConsistencyError {
    /// The larger one is not larger.
    #[error(
        "a tree of {new} entries cannot continue one of {old}. A log never shrinks: it was cut back, or restored from an old copy. Keep both checkpoints as evidence and look for the missing entries"
    )]
    Shrunk {
        /// Size before.
        old: u64,
        /// Size now.
        new: u64,
    },
    /// Same size, other content.
    #[error(
        "two different trees of {0} entries were signed. Somebody who holds the log's key rewrote the log: keep both checkpoints as evidence"
    )]
    Forked(u64),
    /// The hashes do not lead to both roots.
    #[error(
        "the proof does not lead from the tree of {old} entries to that of {new}. Either the log was rewritten before entry {old}, or the proof was made from damaged files: run `sudare-audit verify` on the store"
    )]
    Unproven {
        /// Size before.
        old: u64,
        /// Size now.
        new: u64,
    },
}

/// Why no proof could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProveError<E> {
    /// Asked for a tree before it had that size.
    #[error(
        "a proof cannot lead from {old} to {new} entries. Ask for one from an earlier checkpoint to a later one"
    )]
    Backwards {
        /// Size before.
        old: u64,
        /// Size now.
        new: u64,
    },
    /// A tile holds too few hashes.
    #[error("{0} holds fewer hashes than its name says. Restore it from another copy of the log")]
    Short(TilePath),
    /// A tile could not be read.
    #[error("{0}")]
    Tile(E),
}

/// Checks that the tree of `new` begins with that of `old`; each is its size and root.
pub fn verify(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> Result<(), ConsistencyError> {
    let ((old, old_root), (new, new_root)) = (old, new);
    let unproven = ConsistencyError::Unproven { old, new };
    if old > new {
        return Err(ConsistencyError::Shrunk { old, new });
    }
    if old == new && old_root != new_root {
        return Err(ConsistencyError::Forked(old));
    }
    if old == 0 || old == new {
        let empty_root = old != 0 || *old_root == root_of(&[]);
        return if proof.is_empty() && empty_root { Ok(()) } else { Err(unproven) };
    }
    let roots = roots_of_proof(old, old_root, new, proof).ok_or(unproven)?;
    if roots == (*old_root, *new_root) { Ok(()) } else { Err(unproven) }
}

/// Makes the proof from the tiles of the tree of `new` leaves, which `tile` reads.
pub fn prove<E>(
    old: u64,
    new: u64,
    mut tile: impl FnMut(TilePath) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if old > new {
        return Err(ProveError::Backwards { old, new });
    }
    proof_ranges(old, new).into_iter().map(|range| range_root(range, new, &mut tile)).collect()
}

/// The root of the first `size` leaves, from the tiles of the tree of `of` leaves.
pub fn root_from_tiles<E>(
    size: u64,
    of: u64,
    mut tile: impl FnMut(TilePath) -> Result<Vec<Hash>, E>,
) -> Result<Hash, ProveError<E>> {
    match size {
        0 => Ok(root_of(&[])),
        _ if size > of => Err(ProveError::Backwards { old: size, new: of }),
        _ => range_root(0..size, of, &mut tile),
    }
}

/// Folds the proof into the roots it stands for; `None` if it is too short or too long.
fn roots_of_proof(old: u64, old_root: &Hash, new: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    // A full subtree is a node of both trees, and its hash is known: it is the old root.
    let (first, rest) = if old.is_power_of_two() { (old_root, proof) } else { proof.split_first()? };
    let (mut old_node, mut new_node) = (old - 1, new - 1);
    let right_turns = old_node.trailing_ones();
    old_node = old_node.checked_shr(right_turns).unwrap_or(0);
    new_node = new_node.checked_shr(right_turns).unwrap_or(0);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in rest {
        if new_node == 0 {
            return None;
        }
        if old_node & 1 == 1 || old_node == new_node {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while old_node & 1 == 0 && old_node != 0 {
                old_node >>= 1;
                new_node >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        old_node >>= 1;
        new_node >>= 1;
    }
    (new_node == 0).then_some((old_hash, new_hash))
}

/// Leaves under each hash of the proof, in the order of the proof.
fn proof_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, new);
    while old != 0 && old != end {
        let middle = split_of(start..end);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    // The old tree itself needs no hash where it is one node of the new tree: its root is known.
    if start != 0 {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// Where RFC 6962 splits a tree of at least two leaves: at the largest power of two below its size.
pub(super) fn split_of(range: Range<u64>) -> u64 {
    let leaves = range.end - range.start;
    range.start + (1 << (leaves - 1).ilog2())
}

/// The root over a range that is a subtree of a tree of `size` leaves.
pub(super) fn range_root<E>(
    range: Range<u64>,
    size: u64,
    tile: &mut impl FnMut(TilePath) -> Result<Vec<Hash>, E>,
) -> Result<Hash, ProveError<E>> {
    let leaves = range.end - range.start;
    if leaves.is_power_of_two() {
        return full_subtree(range.start, leaves.ilog2(), size, tile);
    }
    let middle = split_of(range.clone());
    let left = range_root(range.start..middle, size, tile)?;
    Ok(node_hash(&left, &range_root(middle..range.end, size, tile)?))
}

/// The root over `2^height` leaves from `start`, from the one tile that holds the nodes below it.
fn full_subtree<E>(
    start: u64,
    height: u32,
    size: u64,
    tile: &mut impl FnMut(TilePath) -> Result<Vec<Hash>, E>,
) -> Result<Hash, ProveError<E>> {
    let width = TILE_WIDTH as u64;
    let level = height / 8;
    let first = start >> (8 * level);
    let index = first / width;
    let nodes = (size >> (8 * level)) - index * width;
    let path = TilePath {
        content: TileContent::Hashes(u8::try_from(level).unwrap_or(u8::MAX)),
        index,
        width: usize::try_from(nodes.min(width)).unwrap_or(TILE_WIDTH),
    };
    let hashes = tile(path).map_err(ProveError::Tile)?;
    let at = usize::try_from(first % width).unwrap_or(TILE_WIDTH);
    let below = hashes.get(at..at + (1 << (height % 8))).ok_or(ProveError::Short(path))?;
    Ok(root_of(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::{Tree, leaf_hash};
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// A tree with all its tiles, and its root at the sizes asked for.
    struct Grown {
        tree: Tree,
        tiles: HashMap<(u8, u64), Vec<Hash>>,
        roots: HashMap<u64, Hash>,
    }

    fn grow(leaves: u64, root_at: impl Fn(u64) -> bool) -> Grown {
        let roots = HashMap::from([(0, Tree::new().root())]);
        let mut grown = Grown { tree: Tree::new(), tiles: HashMap::new(), roots };
        for leaf in 0..leaves {
            for tile in grown.tree.push(leaf_hash(&leaf.to_be_bytes())) {
                grown.tiles.insert((tile.level, tile.index), tile.hashes);
            }
            if root_at(leaf + 1) {
                grown.roots.insert(leaf + 1, grown.tree.root());
            }
        }
        for tile in grown.tree.partial_tiles() {
            grown.tiles.insert((tile.level, tile.index), tile.hashes);
        }
        grown
    }

    impl Grown {
        fn tile(&self, path: TilePath) -> Result<Vec<Hash>, String> {
            let TileContent::Hashes(level) = path.content else { return Err("entries".into()) };
            let hashes = self.tiles.get(&(level, path.index)).ok_or(format!("no {path}"))?;
            assert!(hashes.len() >= path.width, "{path}");
            Ok(hashes[..path.width].to_vec())
        }

        fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
            prove(old, new, |path| self.tile(path)).unwrap()
        }

        fn verify(&self, old: u64, new: u64, proof: &[Hash]) -> Result<(), ConsistencyError> {
            verify((old, &self.roots[&old]), (new, &self.roots[&new]), proof)
        }
    }

    #[test]
    fn every_pair_of_small_sizes_is_proved_and_every_damaged_proof_is_refused() {
        let grown = grow(70, |_| true);
        for new in 0..=70 {
            for old in 0..=new {
                let proof = grown.proof(old, new);
                grown.verify(old, new, &proof).unwrap();
                for at in 0..proof.len() {
                    let mut damaged = proof.clone();
                    damaged[at][at % 32] ^= 1;
                    assert!(grown.verify(old, new, &damaged).is_err(), "{old} to {new}, hash {at}");
                    let mut shorter = proof.clone();
                    shorter.remove(at);
                    assert!(grown.verify(old, new, &shorter).is_err(), "{old} to {new} without {at}");
                }
                let longer = [&proof[..], &[[0; 32]]].concat();
                assert!(grown.verify(old, new, &longer).is_err(), "{old} to {new} and one more");
            }
        }
    }

    #[test]
    fn the_example_of_rfc_6962_takes_the_hashes_that_it_names() {
        // Section 2.1.3: from 3, 4 and 6 leaves to 7.
        assert_eq!(proof_ranges(3, 7), [2..3, 3..4, 0..2, 4..7]);
        assert_eq!(proof_ranges(4, 7).first(), Some(&(4..7)));
        assert_eq!(proof_ranges(6, 7), [4..6, 6..7, 0..4]);
    }

    #[test]
    fn a_changed_history_has_no_proof() {
        let honest = grow(300, |_| true);
        let mut other = Tree::new();
        for leaf in 0..400u64 {
            other.push(leaf_hash(&if leaf == 5 { [9; 8] } else { leaf.to_be_bytes() }));
        }
        let proof = grow(400, |_| false).proof(300, 400);
        let old = (300, &honest.roots[&300]);
        let error = verify(old, (400, &other.root()), &proof).unwrap_err();
        assert_eq!(error, ConsistencyError::Unproven { old: 300, new: 400 });
        assert_eq!(verify(old, (300, &other.root()), &[]).unwrap_err(), ConsistencyError::Forked(300));
        let shrunk = verify(old, (299, &honest.roots[&299]), &[]).unwrap_err();
        assert_eq!(shrunk, ConsistencyError::Shrunk { old: 300, new: 299 });
    }

    #[test]
    fn the_empty_tree_is_a_prefix_only_under_its_own_root() {
        let grown = grow(3, |_| true);
        grown.verify(0, 3, &[]).unwrap();
        assert!(verify((0, &[1; 32]), (3, &grown.roots[&3]), &[]).is_err());
    }

    #[test]
    fn the_largest_sizes_end() {
        for (old, new) in [(u64::MAX - 1, u64::MAX), (1, u64::MAX), (1 << 63, u64::MAX)] {
            assert!(proof_ranges(old, new).len() <= MAX_PROOF_HASHES + 1, "{old} {new}");
            assert!(verify((old, &[1; 32]), (new, &[2; 32]), &[[3; 32]; 63]).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn proofs_of_large_trees_come_from_tiles_of_all_levels(new in 60_000u64..70_000, old in 0u64..70_000) {
            let old = old.min(new);
            let grown = grow(new, |size| size == old || size == new);
            let proof = grown.proof(old, new);
            prop_assert!(proof.len() <= MAX_PROOF_HASHES);
            prop_assert_eq!(grown.verify(old, new, &proof), Ok(()));
            let root = root_from_tiles(old, new, |path| grown.tile(path)).unwrap();
            prop_assert_eq!(root, grown.roots[&old]);
        }

        #[test]
        fn garbage_never_panics(
            old in any::<u64>(), new in any::<u64>(), proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            prop_assert!(verify((old, &[1; 32]), (new, &[2; 32]), &proof).is_err());
        }
    }
}
