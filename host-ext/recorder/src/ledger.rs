//! Reports in, durable entries and receipts out.
//!
//! Many reports of many guards become one batch: one frame in the write-ahead file, one sync, and if
//! anybody waits for a receipt, one checkpoint over all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sudare_base::clock;
use sudare_evidence::log::writer::BATCH_MAX_ENTRIES;
use sudare_evidence::log::{Draft, LogStore, Settings};
use sudare_evidence::report::wire::{NewEntry, Receipt, Recorded, State};
use sudare_evidence::report::{Keep, NewBlob, NewEntries};
use sudare_evidence::shipped;
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::SignedCheckpoint;

use super::blob_intake::BlobIntake;
use super::completed::Completed;
use super::replication_lag::ReplicationLag;
use super::tail::{self, Last};

/// Guards whose place is remembered; each is one process since the recorder started.
const SOURCES_MAX: usize = 65_536;
/// Everything is verifiable by others after this time, also without a receipt.
const CHECKPOINT_EVERY_MS: u64 = 1_000;

// A report that had no answer is among the last batch, and found again after a restart.
const _: () = assert!((BATCH_MAX_ENTRIES as u64) < tail::ENTRIES);

/// The log, and what is known of those who report to it.
#[derive(Debug)]
pub struct Ledger {
    log: LogStore,
    sources: BTreeMap<Id, Last>,
    completed: Completed,
    last_checkpoint: SignedCheckpoint,
    checkpointed_ms: u64,
    ship_state: Option<PathBuf>,
    lag: ReplicationLag,
}

impl Ledger {
    /// Opens the log, or makes it. `ship_state` is the shipper's folder, if there is a shipper.
    pub fn open(settings: Settings, ship_state: Option<PathBuf>, now_ms: u64) -> Result<Self, StoreError> {
        let mut log = LogStore::open(settings)?;
        let last_checkpoint = log.checkpoint()?;
        let dir = log.dir().to_owned();
        let mut completed = Completed::open(&dir).map_err(|e| StoreError::io(&dir, "made", e))?;
        let tail = tail::read(&dir, last_checkpoint.size())?;
        tail.completed.iter().for_each(|(id, leaf)| completed.remember(id, *leaf));
        Ok(Ledger {
            log,
            sources: tail.sources,
            completed,
            last_checkpoint,
            checkpointed_ms: now_ms,
            ship_state,
            lag: ReplicationLag::default(),
        })
    }

    /// The line that auditors are given out of band.
    pub fn log_vkey(&self) -> String {
        self.log.verifier().to_string()
    }

    pub fn dir(&self) -> &Path {
        self.log.dir()
    }

    /// Records all of them under one sync; one answer for each, in their order.
    ///
    /// # Errors
    /// If the store keeps nothing: then none of them is recorded, or nobody knows. Open it again.
    pub fn record(
        &mut self,
        batch: &[&NewEntries],
        now_ms: u64,
    ) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        let dispositions: Vec<Disposition> = self.dispositions(batch);
        let drafts: Vec<Draft> = batch
            .iter()
            .zip(&dispositions)
            .filter(|(_, disposition)| disposition.is_new())
            .flat_map(|(new, _)| drafts(new))
            .collect();
        match self.append(drafts) {
            Ok(()) => {}
            // One that can never be recorded must not keep the others out.
            Err(StoreError::Entry(_)) if batch.len() > 1 => return self.one_by_one(batch, now_ms),
            Err(error @ StoreError::Entry(_)) => return Ok(vec![Err(error)]),
            Err(error) => return Err(error),
        }
        let wants_receipt = batch.iter().any(|new| new.receipt);
        if wants_receipt {
            self.checkpoint(now_ms)?;
        }
        Ok(batch.iter().zip(dispositions).map(|(new, disposition)| self.answer(new, disposition)).collect())
    }

    /// Makes what is new verifiable by others, if it is time.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), StoreError> {
        self.lag.grown(self.log.size(), now_ms);
        let is_behind = self.log.size() > self.last_checkpoint.size();
        let is_time = now_ms.saturating_sub(self.checkpointed_ms) >= CHECKPOINT_EVERY_MS;
        if is_behind && is_time { self.checkpoint(now_ms) } else { Ok(()) }
    }

    /// Makes everything verifiable by others.
    pub fn checkpoint(&mut self, now_ms: u64) -> Result<(), StoreError> {
        self.last_checkpoint = self.log.checkpoint()?;
        self.checkpointed_ms = now_ms;
        Ok(())
    }

    pub fn state(&mut self, now_ms: u64) -> State {
        let size = self.log.size();
        self.lag.grown(size, now_ms);
        let shipped = self.ship_state.as_deref().map(|dir| shipped::shipped_size(dir).unwrap_or(0));
        let behind_ms = shipped.map(|shipped| self.lag.behind_ms(shipped, now_ms));
        State { size, shipped, behind_ms }
    }

    /// The last of a source that is in the log, 0 for none.
    pub fn last_serial(&self, source: &Id) -> u64 {
        self.sources.get(source).map_or(0, |last| last.serial)
    }

    fn one_by_one(
        &mut self,
        batch: &[&NewEntries],
        now_ms: u64,
    ) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        batch.iter().map(|new| Ok(self.record(&[*new], now_ms)?.remove(0))).collect()
    }

    /// What becomes of each report, and where its last entry will stand.
    fn dispositions(&self, batch: &[&NewEntries]) -> Vec<Disposition> {
        let mut next_leaf = self.log.size();
        let mut last: BTreeMap<Id, Last> = BTreeMap::new();
        let mut completing: BTreeMap<Id, u64> = BTreeMap::new();
        let mut dispositions = Vec::with_capacity(batch.len());
        for new in batch {
            let known = last.get(&new.source).or_else(|| self.sources.get(&new.source)).copied();
            let last_serial = new.serial + new.entries.len() as u64 - 1;
            let done =
                new.once.and_then(|id| completing.get(&id).copied().or_else(|| self.completed.find(&id)));
            let disposition = match (known, done) {
                (Some(known), _) if known.serial == last_serial => Disposition::Known(known),
                (Some(known), _) if known.serial + 1 != new.serial => Disposition::OutOfOrder,
                // Nothing is recorded, so the source goes on with the same number.
                (_, Some(leaf_index)) => Disposition::Known(Last { serial: new.serial - 1, leaf_index }),
                (_, None) => {
                    next_leaf += new.entries.len() as u64;
                    Disposition::New(Last { serial: last_serial, leaf_index: next_leaf - 1 })
                }
            };
            if let Disposition::New(at) = disposition {
                last.insert(new.source, at);
                completing.extend(new.once.map(|id| (id, at.leaf_index)));
            }
            dispositions.push(disposition);
        }
        dispositions
    }

    fn append(&mut self, drafts: Vec<Draft>) -> Result<(), StoreError> {
        if !drafts.is_empty() {
            self.log.append_all(drafts)?;
        }
        Ok(())
    }

    fn answer(&mut self, new: &NewEntries, disposition: Disposition) -> Result<Recorded, StoreError> {
        let last = match disposition {
            Disposition::OutOfOrder => return Err(StoreError::OutOfOrder),
            Disposition::Known(last) => last,
            Disposition::New(last) => {
                if self.sources.len() >= SOURCES_MAX {
                    self.forget_oldest();
                }
                self.sources.insert(new.source, last);
                if let Some(id) = &new.once {
                    self.completed.remember(id, last.leaf_index);
                }
                last
            }
        };
        let checkpoint = &self.last_checkpoint;
        let receipt =
            new.receipt.then(|| Receipt { size: checkpoint.size(), note: checkpoint.note().to_owned() });
        Ok(Recorded { leaf_index: last.leaf_index, last_serial: last.serial, receipt })
    }

    fn forget_oldest(&mut self) {
        let oldest = self.sources.iter().min_by_key(|(_, last)| last.leaf_index).map(|(source, _)| *source);
        oldest.map(|source| self.sources.remove(&source));
    }
}

#[derive(Debug, Clone, Copy)]
enum Disposition {
    New(Last),
    /// It is in the log already.
    Known(Last),
    /// The source skips a number, or goes back.
    OutOfOrder,
}

impl Disposition {
    fn is_new(self) -> bool {
        matches!(self, Disposition::New(_))
    }
}

fn drafts(new: &NewEntries) -> impl Iterator<Item = Draft> {
    (new.serial..).zip(&new.entries).map(|(serial, entry)| draft(new.source, serial, entry))
}

fn draft(source: Id, serial: u64, entry: &NewEntry) -> Draft {
    Draft {
        session_id: entry.session_id,
        incident_id: entry.incident_id,
        reason: entry.reason.and_then(Reason::from_number),
        blobs: entry.blobs.clone(),
        event: Event::decode(entry.kind, &entry.body)
            .unwrap_or(Event::Unknown { kind: entry.kind, body: entry.body.clone() }),
        source: Some(source),
        serial: Some(serial),
    }
}

/// A recorder within this process, for the embedded host.
#[derive(Debug)]
pub struct Local {
    ledger: Ledger,
    intake: BlobIntake,
}

impl Local {
    /// As `Ledger::open`.
    pub fn open(settings: Settings, ship_state: Option<PathBuf>) -> Result<Self, StoreError> {
        let ledger = Ledger::open(settings, ship_state, clock::monotonic_ms())?;
        let intake = BlobIntake::open(ledger.dir());
        Ok(Local { ledger, intake })
    }
}

impl Drop for Local {
    /// Everything verifiable, as the recorder's process does at its end.
    fn drop(&mut self) {
        if let Err(error) = self.ledger.checkpoint(clock::monotonic_ms()) {
            tracing::error!(%error, "the last entries become verifiable at the next start");
        }
    }
}

impl Keep for Local {
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
