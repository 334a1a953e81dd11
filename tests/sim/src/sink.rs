//! The recorder of the simulation: keeps everything in memory, unless a fault has it keep nothing.

use std::sync::{Arc, Mutex, PoisonError};

use sudare_evidence::report::wire::{Receipt, Recorded, State};
use sudare_evidence::report::{EvidenceSink, NewBlob, NewEntries};
use sudare_evidence::store::StoreError;
use sudare_guard::session::evidence::OpenSink;
use sudare_protocol::evidence::{Event, Id};

#[derive(Debug, Clone, Default)]
pub(super) struct Sink(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    is_failing: bool,
    last_serial: u64,
    incidents: u64,
}

impl Sink {
    pub(super) fn open(&self) -> OpenSink {
        let sink = self.clone();
        Box::new(move |_| sink.working(|_| Box::new(sink.clone()) as Box<dyn EvidenceSink>))
    }

    pub(super) fn set_failing(&self, is_failing: bool) {
        self.lock().is_failing = is_failing;
    }

    /// Incidents that are in the log.
    pub(super) fn incidents(&self) -> u64 {
        self.lock().incidents
    }

    fn working<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        let mut kept = self.lock();
        if kept.is_failing { Err(StoreError::Full { path: "store".into() }) } else { Ok(act(&mut kept)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EvidenceSink for Sink {
    fn put_blob(&mut self, _: &NewBlob) -> Result<(), StoreError> {
        self.working(|_| ())
    }

    fn record(&mut self, new: &NewEntries) -> Result<Recorded, StoreError> {
        self.working(|kept| {
            let opens = |entry: &&_| is_incident_open(entry);
            kept.incidents += new.entries.iter().filter(opens).count() as u64;
            kept.last_serial = new.serial + new.entries.len() as u64 - 1;
            let (leaf_index, last_serial) = (kept.last_serial, kept.last_serial);
            let receipt = new.receipt.then(|| Receipt {
                size: last_serial + 1,
                note: "note".into(),
                entry: None,
                proof: None,
            });
            Recorded { leaf_index, last_serial, receipt }
        })
    }

    fn last_serial(&self, _: &Id) -> u64 {
        self.lock().last_serial
    }

    fn has_room(&mut self, _: &Id) -> Result<bool, StoreError> {
        self.working(|_| true)
    }

    fn state(&mut self) -> Result<State, StoreError> {
        self.working(|kept| State { size: kept.last_serial + 1, shipped: None, behind_ms: None })
    }
}

fn is_incident_open(entry: &sudare_evidence::report::wire::NewEntry) -> bool {
    matches!(Event::decode(entry.kind, &entry.body), Ok(Event::IncidentOpen(_)))
}
