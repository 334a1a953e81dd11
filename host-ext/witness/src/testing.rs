//! A small log in memory that can be forked and written to a folder, for tests with a witness.

#![allow(clippy::unwrap_used, reason = "it is built for tests only, which fail by panicking")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use sudare_protocol::SigningKey;
use sudare_protocol::tlog::consistency::prove;
use sudare_protocol::tlog::merkle::{Hash, leaf_hash, root_of};
use sudare_protocol::tlog::submission::Submission;
use sudare_protocol::tlog::tiles::TILE_WIDTH;
use sudare_protocol::tlog::{
    Checkpoint, Cosigner, SignedCheckpoint, TileContent, TilePath, Tree, VerifierKey,
};

#[derive(Clone, Debug)]
pub struct TestLog {
    origin: &'static str,
    key: SigningKey,
    leaves: Vec<Hash>,
    flavour: u8,
}

impl TestLog {
    pub fn new(origin: &'static str) -> Self {
        Self { origin, key: SigningKey::from_bytes(&[7; 32]), leaves: Vec::new(), flavour: 0 }
    }

    /// The same log and key, rewritten from leaf `at`.
    pub fn fork_at(&self, at: usize) -> Self {
        let leaves = self.leaves[..at].to_vec();
        Self { leaves, flavour: self.flavour + 1, ..self.clone() }
    }

    pub fn verifier(&self) -> VerifierKey {
        VerifierKey::new(self.origin, self.key.verifying_key()).unwrap()
    }

    pub fn origin(&self) -> &'static str {
        self.origin
    }

    /// Adds leaves and signs the checkpoint.
    pub fn grow_to(&mut self, size: u64) -> SignedCheckpoint {
        while (self.leaves.len() as u64) < size {
            let mut leaf = self.leaves.len().to_be_bytes().to_vec();
            leaf.push(self.flavour);
            self.leaves.push(leaf_hash(&leaf));
        }
        let root = self.tree(size).root();
        Checkpoint { origin: self.origin.to_owned(), size, root }.sign(&self.key).unwrap()
    }

    pub fn proof(&self, old: u64, new: u64) -> Vec<Hash> {
        let tiles = self.tiles(new);
        prove(old, new, |path| Ok::<_, Infallible>(tiles[&path.to_string()].clone())).unwrap()
    }

    pub fn submission(&mut self, old: u64, new: u64) -> Submission {
        let note = self.grow_to(new).note().to_owned();
        Submission { old_size: old, proof: self.proof(old, new), note }
    }

    /// Writes tiles and checkpoint as in a store.
    pub fn write(&mut self, dir: &Path, size: u64) -> SignedCheckpoint {
        let checkpoint = self.grow_to(size);
        for (path, hashes) in self.tiles(size) {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, hashes.concat()).unwrap();
        }
        std::fs::write(dir.join("checkpoint"), checkpoint.note()).unwrap();
        checkpoint
    }

    fn tree(&self, size: u64) -> Tree {
        let mut tree = Tree::new();
        for leaf in &self.leaves[..usize::try_from(size).unwrap()] {
            tree.push(*leaf);
        }
        tree
    }

    fn tiles(&self, size: u64) -> BTreeMap<String, Vec<Hash>> {
        let mut tiles = BTreeMap::new();
        let mut nodes = self.leaves[..usize::try_from(size).unwrap()].to_vec();
        let mut level = 0;
        while !nodes.is_empty() {
            let chunks = nodes.chunks(TILE_WIDTH).zip(0..);
            tiles.extend(chunks.map(|(hashes, index)| {
                let path = TilePath { content: TileContent::Hashes(level), index, width: hashes.len() };
                (path.to_string(), hashes.to_vec())
            }));
            nodes = nodes.chunks_exact(TILE_WIDTH).map(root_of).collect();
            level += 1;
        }
        tiles
    }
}

pub fn cosigner() -> Cosigner {
    Cosigner::new("witness.example/audit", SigningKey::from_bytes(&[9; 32])).unwrap()
}
