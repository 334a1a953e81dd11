//! The one thread that owns the ledger: it takes all reports that wait and syncs once for all of them.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use sudare_base::clock;
use sudare_evidence::log::BATCH_MAX_ENTRIES;
use sudare_evidence::report::NewEntries;
use sudare_evidence::report::wire::{self, Answer, Why, refused};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::Id;

use crate::ledger::Ledger;
use crate::metrics::{LogSize, Metrics};

/// A store that failed is reopened after this time.
const REOPEN: Duration = Duration::from_millis(500);

/// How often figures look at the log and at the progress of its copy, which is a file.
const LOOK_EVERY_MS: u64 = 1_000;

/// Opens the ledger.
pub type OpenLedger = Box<dyn Fn() -> Result<Ledger, StoreError> + Send>;

/// What a guard's connection asks of the ledger, and where the answer goes.
#[derive(Debug)]
pub struct LogRequest {
    pub operation: Operation,
    pub reply: SyncSender<Answer>,
}

#[derive(Debug)]
pub enum Operation {
    LastSerial(Id),
    Record(NewEntries),
    State,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Committer({})", self.dir.display())
    }
}

/// The ledger while it works, and how to get it back.
pub struct Committer {
    ledger: Option<Ledger>,
    open: OpenLedger,
    log_vkey: String,
    dir: PathBuf,
    failed: Option<(Duration, String)>,
    metrics: Metrics,
    /// The log when figures looked last, and when that was.
    looked: Option<(u64, LogSize)>,
}

impl Committer {
    pub fn new(open: OpenLedger, metrics: Metrics) -> Result<Self, StoreError> {
        let mut ledger = open()?;
        ledger.count(&metrics);
        let (log_vkey, dir) = (ledger.log_vkey(), ledger.dir().to_owned());
        Ok(Committer { ledger: Some(ledger), open, log_vkey, dir, failed: None, metrics, looked: None })
    }

    pub fn log_vkey(&self) -> &str {
        &self.log_vkey
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Answers `first` and everything else that waits, up to one batch.
    pub fn commit(&mut self, first: LogRequest, queue: &Receiver<LogRequest>) {
        let mut reports = Vec::new();
        let mut entries = 0;
        let mut next = Some(first);
        while let Some(request) = next.take() {
            match request.operation {
                Operation::Record(new) => {
                    entries += new.entries.len();
                    reports.push((new, request.reply));
                }
                Operation::LastSerial(source) => self.last_serial(source, &request.reply),
                Operation::State => self.state(&request.reply),
            }
            if entries + wire::ENTRIES_MAX <= BATCH_MAX_ENTRIES {
                next = queue.try_recv().ok();
            }
        }
        if !reports.is_empty() {
            self.record(&reports);
        }
    }

    /// Writes a checkpoint when it is time, and reopens the log if it failed.
    pub fn tick(&mut self) {
        // A failure is kept, and every request is answered with it.
        drop(self.with_ledger(|ledger| ledger.tick(clock::monotonic_ms())));
        self.look(clock::monotonic_ms());
    }

    fn look(&mut self, now_ms: u64) {
        let is_time = |(when_ms, _): &(u64, LogSize)| now_ms.saturating_sub(*when_ms) >= LOOK_EVERY_MS;
        if self.looked.as_ref().is_none_or(is_time) {
            self.looked = self.ledger.as_mut().map(|ledger| (now_ms, ledger.log_size(now_ms)));
        }
        let log = self.looked.filter(|_| self.ledger.is_some());
        self.metrics.tally().turned(log.map(|(_, size)| size), now_ms);
    }

    /// Puts everything under a checkpoint before the end.
    pub fn finish(&mut self) {
        if let Some(ledger) = &mut self.ledger
            && let Err(error) = ledger.checkpoint(clock::monotonic_ms())
        {
            tracing::error!(%error, "the last entries will become verifiable at the next start");
        }
    }

    fn record(&mut self, reports: &[(NewEntries, SyncSender<Answer>)]) {
        let batch: Vec<&NewEntries> = reports.iter().map(|(new, _)| new).collect();
        let began_ms = clock::monotonic_ms();
        match self.with_ledger(|ledger| ledger.record(&batch, clock::monotonic_ms())) {
            Ok(answers) => {
                self.metrics.tally().recorded(clock::monotonic_ms().saturating_sub(began_ms));
                for ((_, to), recorded) in reports.iter().zip(answers) {
                    tell(
                        to,
                        recorded
                            .map_or_else(|error| refusal(&error), |recorded| Answer::Recorded { recorded }),
                    );
                }
            }
            Err(why) => {
                self.metrics.tally().not_recorded(began_ms);
                reports.iter().for_each(|(_, to)| tell(to, refused(Why::Store, &why)));
            }
        }
    }

    fn last_serial(&mut self, source: Id, to: &SyncSender<Answer>) {
        let version = wire::VERSION;
        let answer = match self.with_ledger(|ledger| Ok(ledger.last_serial(&source))) {
            Ok(last_serial) => Answer::Welcome { version, last_serial, log_vkey: self.log_vkey.clone() },
            Err(why) => refused(Why::Store, &why),
        };
        tell(to, answer);
    }

    fn state(&mut self, to: &SyncSender<Answer>) {
        let answer = match self.with_ledger(|ledger| Ok(ledger.state(clock::monotonic_ms()))) {
            Ok(state) => Answer::State { state },
            Err(why) => refused(Why::Store, &why),
        };
        tell(to, answer);
    }

    /// Does something with the ledger, reopened if it is time; otherwise returns why it cannot.
    fn with_ledger<T>(
        &mut self,
        act: impl FnOnce(&mut Ledger) -> Result<T, StoreError>,
    ) -> Result<T, String> {
        let ledger = match (&mut self.ledger, &self.failed) {
            (Some(ledger), _) => ledger,
            (None, Some((when, why))) if clock::monotonic().saturating_sub(*when) < REOPEN => {
                return Err(why.clone());
            }
            (none, _) => match (self.open)() {
                Ok(mut ledger) => {
                    ledger.count(&self.metrics);
                    tracing::info!("the evidence store works again");
                    self.failed = None;
                    none.insert(ledger)
                }
                Err(error) => return Err(self.fails(&error)),
            },
        };
        act(ledger).map_err(|error| self.fails(&error))
    }

    /// After a failure the content of the disk is unknown until it is read back.
    fn fails(&mut self, error: &StoreError) -> String {
        let why = error.to_string();
        if self.failed.as_ref().is_none_or(|(_, before)| *before != why) {
            tracing::error!(%why, "evidence cannot be kept; sessions that need it stay covered");
        }
        self.ledger = None;
        self.failed = Some((clock::monotonic(), why.clone()));
        why
    }
}

fn refusal(error: &StoreError) -> Answer {
    let why = match error {
        StoreError::Quota => Why::Quota,
        StoreError::OutOfOrder => Why::Packet,
        error if error.is_contents_fault() => Why::Content,
        _ => Why::Store,
    };
    refused(why, &error.to_string())
}

/// A guard that has left asks again when it is back.
fn tell(to: &SyncSender<Answer>, answer: Answer) {
    if to.try_send(answer).is_err() {
        tracing::debug!("a guard left before its answer");
    }
}

/// For the threads of connections, which meet the same errors.
pub(super) fn answer_to(error: &StoreError) -> Answer {
    refusal(error)
}
