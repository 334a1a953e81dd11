//! Reports in, durable entries and receipts out.
//!
//! The reports of many guards become one batch: one frame in the write-ahead file, one sync, and one checkpoint over all
//! of them if anybody waits for a receipt. Times are milliseconds of [`sudare_base::clock::monotonic_ms`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sudare_evidence::log::{BATCH_MAX_ENTRIES, Draft, LogStore, Settings};
use sudare_evidence::proofs;
use sudare_evidence::reader::Store;
use sudare_evidence::report::NewEntries;
use sudare_evidence::report::wire::{NewEntry, Receipt, Recorded, State};
use sudare_evidence::shipped;
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::{Event, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::tlog::SignedCheckpoint;

use crate::completed::Completed;
use crate::disposition::{self, Disposition};
use crate::metrics::{LogSize, Metrics, Sessions};
use crate::replication_lag::ReplicationLag;
use crate::tail::{self, Last};

/// Sources whose last entry is remembered. Each is one guard process since the recorder started.
const SOURCES_MAX: usize = 65_536;
/// Others can verify an entry after this time at the latest, also if nobody waits for a receipt.
const CHECKPOINT_EVERY_MS: u64 = 1_000;

// A report that was never answered is in the last batch, so that a restarted recorder finds it in the tail.
const _: () = assert!((BATCH_MAX_ENTRIES as u64) < tail::ENTRIES);

/// The log, and the last entry of each source that reports to it.
#[derive(Debug)]
pub struct Ledger {
    log: LogStore,
    sources: BTreeMap<Id, Last>,
    completed: Completed,
    last_checkpoint: SignedCheckpoint,
    checkpointed_ms: u64,
    ship_state: Option<PathBuf>,
    lag: ReplicationLag,
    /// Who counts what is recorded.
    metrics: Option<Metrics>,
    /// The sessions that the end of the log tells of.
    sessions: Sessions,
}

impl Ledger {
    /// Opens the log, or makes it. `ship_state` is the shipper's folder, where a shipper is set up.
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
            sessions: tail.sessions,
            metrics: None,
            completed,
            last_checkpoint,
            checkpointed_ms: now_ms,
            ship_state,
            lag: ReplicationLag::default(),
        })
    }

    /// Counts what is recorded from here on.
    pub fn count(&mut self, metrics: &Metrics) {
        metrics.tally().opened(std::mem::take(&mut self.sessions));
        self.metrics = Some(metrics.clone());
    }

    /// The public line of the log, which auditors receive out of band.
    pub fn log_vkey(&self) -> String {
        self.log.verifier().to_string()
    }

    pub fn dir(&self) -> &Path {
        self.log.dir()
    }

    /// Records all of them under one sync; one answer each, in the same order.
    ///
    /// # Errors
    /// If the store failed. Then none of them is recorded, or it is unknown which: open the ledger again.
    pub fn record(
        &mut self,
        batch: &[&NewEntries],
        now_ms: u64,
    ) -> Result<Vec<Result<Recorded, StoreError>>, StoreError> {
        let completed = |id: &Id| self.completed.find(id);
        let dispositions = disposition::decide(batch, self.log.size(), &self.sources, completed);
        let drafts: Vec<Draft> = batch
            .iter()
            .zip(&dispositions)
            .filter(|(_, disposition)| disposition.is_new())
            .flat_map(|(new, _)| drafts(new))
            .collect();
        match self.append(drafts) {
            Ok(()) => {}
            // One report that can never be recorded must not keep the others out.
            Err(StoreError::Entry(_)) if batch.len() > 1 => return self.one_by_one(batch, now_ms),
            Err(error @ StoreError::Entry(_)) => return Ok(vec![Err(error)]),
            Err(error) => return Err(error),
        }
        if let Some(metrics) = &self.metrics {
            let new = batch.iter().zip(&dispositions).filter(|(_, disposition)| disposition.is_new());
            new.for_each(|(new, _)| metrics.tally().take(new));
        }
        let wants_receipt = batch.iter().any(|new| new.receipt);
        if wants_receipt {
            self.checkpoint(now_ms)?;
        }
        Ok(batch.iter().zip(dispositions).map(|(new, disposition)| self.answer(new, disposition)).collect())
    }

    /// Puts new entries under a checkpoint, if it is time.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), StoreError> {
        self.lag.grown(self.log.size(), now_ms);
        let is_behind = self.log.size() > self.last_checkpoint.size();
        let is_time = now_ms.saturating_sub(self.checkpointed_ms) >= CHECKPOINT_EVERY_MS;
        if is_behind && is_time { self.checkpoint(now_ms) } else { Ok(()) }
    }

    /// Puts all entries under a checkpoint, so that others can verify them.
    pub fn checkpoint(&mut self, now_ms: u64) -> Result<(), StoreError> {
        self.last_checkpoint = self.log.checkpoint()?;
        self.checkpointed_ms = now_ms;
        Ok(())
    }

    pub fn state(&mut self, now_ms: u64) -> State {
        let size = self.log.size();
        self.lag.grown(size, now_ms);
        let shipped = self.ship_state.as_deref().map(|dir| shipped::shipped_size(dir).unwrap_or(0));
        // A copy that is ahead is of another past: this store was put back. It has nothing of what follows.
        let shipped = shipped.filter(|shipped| *shipped <= size);
        let behind_ms = shipped.map(|shipped| self.lag.behind_ms(shipped, now_ms));
        State { size, shipped, behind_ms }
    }

    /// How far the log and its copy are, for figures.
    pub(crate) fn log_size(&mut self, now_ms: u64) -> LogSize {
        let State { size, shipped, behind_ms } = self.state(now_ms);
        let shipped = self.ship_state.is_some().then(|| (shipped.unwrap_or(0), behind_ms.unwrap_or(0)));
        LogSize { entries: size, signed: self.last_checkpoint.size(), shipped }
    }

    /// Serial number of the source's last entry in the log; 0 if it has none.
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
        let receipt = new.receipt.then(|| self.receipt(last.leaf_index));
        Ok(Recorded { leaf_index: last.leaf_index, last_serial: last.serial, receipt })
    }

    /// The newest checkpoint with the proof that it covers an entry. Where the proof cannot be made, the client may keep
    /// its evidence, which is sent again.
    fn receipt(&self, leaf_index: u64) -> Receipt {
        let (size, note) = (self.last_checkpoint.size(), self.last_checkpoint.note().to_owned());
        let proven = Store::open(self.log.dir()).ok().and_then(|store| {
            let entry = proofs::entry(&store, leaf_index, size).ok()??;
            let proof = proofs::include(&store, leaf_index, size).ok()?;
            Some((entry, proof.iter().map(|hash| hash.to_vec().into()).collect()))
        });
        if proven.is_none() {
            tracing::warn!(leaf_index, "a receipt has no proof; the client may send its evidence again");
        }
        let (entry, proof) = proven.unzip();
        Receipt { size, note, entry, proof }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.sources.iter().min_by_key(|(_, last)| last.leaf_index).map(|(source, _)| *source);
        oldest.map(|source| self.sources.remove(&source));
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
