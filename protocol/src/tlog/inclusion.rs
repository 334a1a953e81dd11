//! Inclusion proofs (RFC 6962, section 2.1.1): that one leaf stands at its place under a root.
//!
//! ```text
//! proof = siblings from the leaf up      [hash of 2 leaves] [hash of 4] … at most 64 of them
//! ```
//! A proof is short, so one incident can be handed to somebody who never sees the rest of the log.

use super::consistency::{ProveError, range_root, split_of};
use super::merkle::{Hash, node_hash};
use super::tiles::TilePath;

/// Siblings in the longest proof: a u64 counts no more leaves.
pub const PROOF_MAX_HASHES: usize = 64;

/// Whether `leaf` is number `index` of the `size` leaves that lead to `root`.
pub fn verify(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    computed_root(leaf, index, size, proof).as_ref() == Some(root)
}

/// The root that a proof leads to, or nothing if it has another length than the place asks for
/// (RFC 9162, section 2.1.3.2).
fn computed_root(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    let (mut node, mut last) = (index, size.checked_sub(1)?);
    if index > last {
        return None;
    }
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // The right edge has no sibling on levels where it is the left one: they are skipped.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Makes the proof for a leaf from the tiles of the tree of `size` leaves, which `tile` reads.
pub fn prove<E>(
    index: u64,
    size: u64,
    mut tile: impl FnMut(TilePath) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if index >= size {
        return Err(ProveError::Backwards { old: index.saturating_add(1), new: size });
    }
    let (mut range, mut siblings) = (0..size, Vec::new());
    while range.end - range.start > 1 {
        let middle = split_of(range.clone());
        let (inside, beside) = if index < middle {
            (range.start..middle, middle..range.end)
        } else {
            (middle..range.end, range.start..middle)
        };
        siblings.push(range_root(beside, size, &mut tile)?);
        range = inside;
    }
    siblings.reverse();
    Ok(siblings)
}

/// All hashes of a log's full subtrees, to make proofs from: 64 bytes a leaf.
#[derive(Clone, Debug, Default)]
pub struct Prover {
    /// `levels[l][i]` is the root over the leaves `i · 2^l` to `(i + 1) · 2^l`.
    levels: Vec<Vec<Hash>>,
}

impl Prover {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else { return };
            nodes.push(hash);
            let [.., left, right] = nodes.as_slice() else { return };
            if nodes.len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
        }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The proof for a leaf among all leaves so far, or nothing if there is no such leaf.
    pub fn proof(&self, index: u64) -> Option<Vec<Hash>> {
        let mut siblings = Vec::new();
        let (mut from, mut to) = (0, self.size());
        if index >= to {
            return None;
        }
        while to - from > 1 {
            let half = ((to - from) / 2 + (to - from) % 2).next_power_of_two();
            let middle = from + half.min(to - from - 1);
            if index < middle {
                siblings.push(self.node(middle, to)?);
                to = middle;
            } else {
                siblings.push(self.node(from, middle)?);
                from = middle;
            }
        }
        siblings.reverse();
        Some(siblings)
    }

    /// The root over the leaves `from` to `to`.
    fn node(&self, from: u64, to: u64) -> Option<Hash> {
        let count = to.checked_sub(from)?;
        if count.is_power_of_two() && from.is_multiple_of(count) {
            let level = usize::try_from(count.trailing_zeros()).ok()?;
            return self.levels.get(level)?.get(usize::try_from(from / count).ok()?).copied();
        }
        let half = (count / 2 + count % 2).next_power_of_two();
        let middle = from + half.min(count.checked_sub(1)?);
        Some(node_hash(&self.node(from, middle)?, &self.node(middle, to)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::merkle::{leaf_hash, root_of};
    use proptest::prelude::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn prover(leaves: &[Hash]) -> Prover {
        let mut prover = Prover::default();
        leaves.iter().for_each(|leaf| prover.push(*leaf));
        prover
    }

    #[test]
    fn every_leaf_of_every_size_is_proved_and_no_other_place_is() {
        for size in 0..40 {
            let leaves = leaves(size);
            let (prover, root) = (prover(&leaves), root_of(&leaves));
            assert_eq!(prover.proof(size), None);
            for (leaf, index) in leaves.iter().zip(0..) {
                let proof = prover.proof(index).unwrap();
                for other in 0..size + 2 {
                    assert_eq!(verify(leaf, other, size, &proof, &root), other == index, "{index} of {size}");
                }
                assert!(!verify(&[0; 32], index, size, &proof, &root));
                let mut long = proof.clone();
                long.push([0; 32]);
                assert!(!verify(leaf, index, size, &long, &root));
                assert!(proof.is_empty() || !verify(leaf, index, size, &proof[1..], &root));
            }
        }
    }

    #[test]
    fn the_tree_of_rfc_6962_section_2_1_3_has_its_proofs() {
        // Seven leaves: the proof of d3 is [c, g, l] = d2, (d0 d1), ((d4 d5) d6).
        let d = leaves(7);
        let g = node_hash(&d[0], &d[1]);
        let l = node_hash(&node_hash(&d[4], &d[5]), &d[6]);
        assert_eq!(prover(&d).proof(3).unwrap(), [d[2], g, l]);
        // The proof of d6 is [i, k]: the right edge skips the level where it has no sibling.
        let (i, k) = (node_hash(&d[4], &d[5]), node_hash(&g, &node_hash(&d[2], &d[3])));
        assert_eq!(prover(&d).proof(6).unwrap(), [i, k]);
    }

    proptest! {
        #[test]
        fn garbage_is_refused(index in any::<u64>(), size in any::<u64>(), count in 0..70usize) {
            let proof = vec![[7; 32]; count];
            prop_assert!(!verify(&[1; 32], index, size, &proof, &[2; 32]));
        }
    }
}
