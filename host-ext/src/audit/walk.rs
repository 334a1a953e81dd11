//! Walks a log from its first leaf to its checkpoint and collects findings.

use std::path::Path;

use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::merkle::HashTile;
use sudare_protocol::tlog::tiles;
use sudare_protocol::tlog::{SignedCheckpoint, TileContent, TilePath, VerifierKey};
use sudare_protocol::verify::{FindingKind, Findings, LogCheck};

use super::blobs::BlobCheck;
use super::report::Report;
use super::store::{AuditError, Store};

/// What an audit starts from; none of it may come out of the store.
#[derive(Debug)]
pub struct Walk<'a> {
    store: &'a Store,
    verifier: VerifierKey,
    receipts: Vec<SignedCheckpoint>,
    findings: Findings,
}

/// Everything that can be checked offline: log, signatures, sessions, incidents, sealed pictures.
pub fn verify_store(dir: &Path, verifier: &VerifierKey, receipts: &[Vec<u8>]) -> Result<Report, AuditError> {
    let store = Store::open(dir)?;
    let mut blobs = BlobCheck::new(&store);
    Walk::new(&store, verifier, receipts).run(|_, entry, findings| blobs.check(entry, findings))
}

impl<'a> Walk<'a> {
    /// `receipts` are notes of earlier checkpoints that were kept elsewhere.
    pub fn new(store: &'a Store, verifier: &VerifierKey, receipts: &[Vec<u8>]) -> Self {
        let mut findings = Findings::default();
        let mut accepted = Vec::new();
        for note in receipts {
            match SignedCheckpoint::open(note, verifier) {
                Ok(receipt) => accepted.push(receipt),
                Err(error) => findings.add(FindingKind::ReceiptRefused, None, error.to_string()),
            }
        }
        Self { store, verifier: verifier.clone(), receipts: accepted, findings }
    }

    /// Calls `visit` with each entry that can be read, and returns what was found.
    pub fn run(
        mut self,
        mut visit: impl FnMut(u64, &Entry, &mut Findings) -> Result<(), AuditError>,
    ) -> Result<Report, AuditError> {
        let Some(checkpoint) = self.read_checkpoint()? else {
            return Ok(Report::new(0, 0, self.receipts.len(), self.findings));
        };
        let receipts = std::mem::take(&mut self.receipts);
        let checkpoints = receipts.len() + 1;
        let mut check = LogCheck::new(self.verifier.clone(), receipts);
        for path in tiles::bundles(checkpoint.size()) {
            self.bundle(path, &mut check, &mut visit)?;
        }
        for tile in check.partial_tiles() {
            self.compare_tile(&tile)?;
        }
        check.finish(&checkpoint, &mut self.findings);
        self.look_beyond(&checkpoint)?;
        Ok(Report::new(check.entries(), check.incidents(), checkpoints, self.findings))
    }

    fn read_checkpoint(&mut self) -> Result<Option<SignedCheckpoint>, AuditError> {
        let Some(note) = self.store.checkpoint()? else {
            self.findings.add(FindingKind::CheckpointMissing, None, "there is no file `checkpoint`");
            return Ok(None);
        };
        match SignedCheckpoint::open(&note, &self.verifier) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => {
                self.findings.add(FindingKind::CheckpointRefused, None, error.to_string());
                Ok(None)
            }
        }
    }

    fn bundle(
        &mut self,
        path: TilePath,
        check: &mut LogCheck,
        visit: &mut impl FnMut(u64, &Entry, &mut Findings) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let Some(bytes) = self.store.tile(path)? else {
            self.findings.add(FindingKind::BundleMissing, Some(check.entries()), path.to_string());
            check.skip(path.width as u64);
            return Ok(());
        };
        let mut seen = 0;
        for leaf in tiles::entries(&bytes).take(path.width) {
            let leaf = match leaf {
                Ok(leaf) => leaf,
                Err(error) => {
                    let detail = format!("{path}: {error}");
                    self.findings.add(FindingKind::BundleDamaged, Some(check.entries()), detail);
                    break;
                }
            };
            seen += 1;
            let index = check.entries();
            let (entry, filled) = check.leaf(leaf, &mut self.findings);
            if let Some(entry) = entry {
                visit(index, &entry, &mut self.findings)?;
            }
            for tile in filled {
                self.compare_tile(&tile)?;
            }
        }
        self.count_entries(path, &bytes, seen, check);
        Ok(())
    }

    /// A bundle must hold as many entries as its name says.
    fn count_entries(&mut self, path: TilePath, bytes: &[u8], seen: usize, check: &mut LogCheck) {
        if seen < path.width {
            let detail = format!("{path}: {seen} of {} entries", path.width);
            self.findings.add(FindingKind::BundleDamaged, Some(check.entries()), detail);
            check.skip((path.width - seen) as u64);
        }
        // A partial bundle may have been read from the full one, which holds more.
        if !path.is_partial() && tiles::entries(bytes).count() > path.width {
            let detail = format!("{path}: more than {} entries", path.width);
            self.findings.add(FindingKind::BundleDamaged, Some(check.entries()), detail);
        }
    }

    /// Stored hashes serve other readers, so they must be those of the entries.
    fn compare_tile(&mut self, tile: &HashTile) -> Result<(), AuditError> {
        let content = TileContent::Hashes(tile.level);
        let path = TilePath { content, index: tile.index, width: tile.hashes.len() };
        let Some(stored) = self.store.tile(path)? else {
            self.findings.add(FindingKind::TileMissing, None, path.to_string());
            return Ok(());
        };
        let stored: Vec<&[u8]> = stored.chunks(32).collect();
        let hashes = tile.hashes.iter().map(<[u8; 32]>::as_slice);
        let differs = hashes.enumerate().find(|(at, hash)| stored.get(*at) != Some(hash));
        let too_long = !path.is_partial() && stored.len() > tile.hashes.len();
        if let Some((at, _)) = differs {
            let leaf = (tile.level == 0).then(|| tile.index * tiles::TILE_WIDTH as u64 + at as u64);
            let detail = format!("{path}: hash {at} is not that of the entries");
            self.findings.add(FindingKind::TileDiffers, leaf, detail);
        } else if too_long {
            self.findings.add(FindingKind::TileDiffers, None, format!("{path}: it is too long"));
        }
        Ok(())
    }

    /// An older checkpoint put back leaves the newer entries behind. A recorder that went on
    /// meanwhile does too, so the checkpoint is looked at again first.
    fn look_beyond(&mut self, checkpoint: &SignedCheckpoint) -> Result<(), AuditError> {
        if !self.store.has_entries_after(checkpoint.size()) {
            return Ok(());
        }
        let now = self.store.checkpoint()?;
        if now.as_deref() == Some(checkpoint.note().as_bytes()) {
            let detail = format!("the checkpoint covers {} entries, the files hold more", checkpoint.size());
            self.findings.add(FindingKind::BeyondCheckpoint, None, detail);
        }
        Ok(())
    }
}
