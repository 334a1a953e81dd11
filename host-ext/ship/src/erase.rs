//! Erases at the destination what the log says is erased: headers always, bodies where the destination allows it.
//!
//! It happens after the checkpoint with the tombstone has arrived, so that nothing is ever missing without a reason.
//! While it fails, shipping continues. Progress is saved, so that a kill in between leaves nothing behind.

use sudare_evidence::store::blobs::{BODIES, HEADERS};
use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::tiles;

use crate::error::ShipError;
use crate::shipper::Shipper;

impl Shipper {
    /// Carries out the tombstones among the shipped entries, from where the last run stopped.
    pub(super) async fn erase(&mut self) -> Result<(), ShipError> {
        let size = self.tree.size();
        let from = self.state.progress.erased_to;
        for path in tiles::bundles_from(from, size) {
            let bundle = self.source.bundle(path)?;
            for (index, leaf) in bundle.entries().filter(|(index, _)| *index >= from) {
                let entry =
                    Entry::open_unverified(leaf).map_err(|source| ShipError::Entry { index, source })?;
                let event = entry.event().map_err(|source| ShipError::Entry { index, source })?;
                if let Event::Tombstone(tombstone) = event {
                    for blob in &tombstone.blobs {
                        self.erase_one(&hex(&blob.0)).await?;
                    }
                }
            }
        }
        if from != size {
            self.state.progress.erased_to = size;
            self.state.save()?;
        }
        Ok(())
    }

    async fn erase_one(&self, name: &str) -> Result<(), ShipError> {
        self.places.headers.remove(&format!("{HEADERS}/{name}")).await?;
        if self.places.main.keeps().is_none() {
            self.places.main.remove(&format!("{BODIES}/{name}")).await?;
        }
        Ok(())
    }
}
