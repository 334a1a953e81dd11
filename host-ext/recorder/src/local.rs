//! A recorder within this process, for the embedded host: the same ledger and intake, called directly.

use std::path::PathBuf;

use sudare_base::clock;
use sudare_evidence::log::Settings;
use sudare_evidence::report::wire::{Recorded, State};
use sudare_evidence::report::{EvidenceSink, NewBlob, NewEntries};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::Id;

use crate::blob_intake::BlobIntake;
use crate::ledger::Ledger;

#[derive(Debug)]
pub struct Local {
    ledger: Ledger,
    intake: BlobIntake,
}

impl Local {
    /// See [`Ledger::open`].
    pub fn open(settings: Settings, ship_state: Option<PathBuf>) -> Result<Self, StoreError> {
        let ledger = Ledger::open(settings, ship_state, clock::monotonic_ms())?;
        let intake = BlobIntake::open(ledger.dir());
        Ok(Local { ledger, intake })
    }
}

impl Drop for Local {
    /// Puts everything under a checkpoint, as the recorder's process does at its end.
    fn drop(&mut self) {
        if let Err(error) = self.ledger.checkpoint(clock::monotonic_ms()) {
            tracing::error!(%error, "the last entries will become verifiable at the next start");
        }
    }
}

impl EvidenceSink for Local {
    fn put_blob(&mut self, blob: &NewBlob) -> Result<(), StoreError> {
        self.intake.put(blob)
    }

    fn record(&mut self, entries: &NewEntries) -> Result<Recorded, StoreError> {
        let bill = self.intake.bill(&entries.entries);
        let answers = self.ledger.record(&[entries], clock::monotonic_ms())?;
        let recorded = answers.into_iter().next().unwrap_or(Err(StoreError::Poisoned))?;
        self.intake.charge(&bill, entries.serial, &recorded);
        Ok(recorded)
    }

    fn last_serial(&self, source: &Id) -> u64 {
        self.ledger.last_serial(source)
    }

    fn has_room(&mut self, device: &Id) -> Result<bool, StoreError> {
        Ok(self.intake.has_room(device))
    }

    fn state(&mut self) -> Result<State, StoreError> {
        let now_ms = clock::monotonic_ms();
        self.ledger.tick(now_ms)?;
        Ok(self.ledger.state(now_ms))
    }
}
