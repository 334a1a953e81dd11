//! One job after the other, each tried until it is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::{BlobRef, Id};
use sudare_protocol::keyfile;
use sudare_protocol::message::Ack;
use sudare_protocol::rules::{Durable, EvidenceRules};

use super::incidents::Incidents;
use super::{Health, Job, NOTE_EVIDENCE_REFUSED, NOTE_QUOTA, OpenKeep, What, entries, pictures};
use crate::recorder::wire::{NewEntry, Recorded};
use crate::recorder::{Keep, NewBlob, NewEntries};
use crate::store::StoreError;

/// Between two attempts at the same job.
const RETRY: Duration = Duration::from_millis(500);
/// How often the recorder is asked whether it is still there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Evidence that the remote store does not have after this time is not kept.
const REMOTE_LATE: Duration = Duration::from_secs(60);

pub(super) struct Keeper {
    keep: Option<Box<dyn Keep>>,
    open: OpenKeep,
    source: Id,
    /// Number of the last entry of ours that is in the log.
    last_serial: u64,
    rules: EvidenceRules,
    incidents: Incidents,
    /// Whose session it is, for quotas.
    devices: BTreeMap<Id, Id>,
    /// Acknowledgements that wait for the remote store.
    awaiting: VecDeque<Awaiting>,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

struct Awaiting {
    size: u64,
    ack: Ack,
    reply: Sender<Ack>,
    since: Instant,
}

/// How far a job has come.
#[derive(Default)]
struct Attempt {
    pictures: Option<Vec<NewBlob>>,
    stored: usize,
    /// The note that says why pictures of this job are not kept.
    note: Option<u16>,
}

impl Keeper {
    pub(super) fn new(
        keep: Option<Box<dyn Keep>>,
        open: OpenKeep,
        source: Id,
        rules: EvidenceRules,
        health: Arc<Health>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Keeper {
            keep,
            open,
            source,
            last_serial: 0,
            rules,
            incidents: Incidents::default(),
            devices: BTreeMap::new(),
            awaiting: VecDeque::new(),
            health,
            stop,
        }
    }

    pub(super) fn run(&mut self, queue: &Receiver<Job>) {
        let mut looked = Instant::now();
        loop {
            match queue.recv_timeout(LOOK_EVERY) {
                Ok(job) => {
                    self.keep(&job);
                    self.health.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if looked.elapsed() >= LOOK_EVERY {
                self.look();
                looked = Instant::now();
            }
        }
    }

    /// Tries until the job is durable, cannot ever be, or the program ends.
    fn keep(&mut self, job: &Job) {
        self.learn_device(job);
        let mut attempt = Attempt::default();
        loop {
            match self.advance(job, &mut attempt) {
                Ok(()) => return self.works(),
                Err(StoreError::Quota) if attempt.note.is_none() => {
                    tracing::error!("{}", StoreError::Quota);
                    self.health.over_quota().insert(job.session_id);
                    attempt.note = Some(NOTE_QUOTA);
                }
                Err(error) if error.is_contents_fault() && attempt.note.is_none() => {
                    tracing::error!(%error, "evidence is refused; the incident stays incomplete");
                    attempt.note = Some(NOTE_EVIDENCE_REFUSED);
                }
                Err(error) => {
                    self.fails(&error);
                    if self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    /// Whether the recorder is still there, and how far the remote store is.
    fn look(&mut self) {
        match self.reach().and_then(|keep| keep.state()) {
            Ok(state) => self.acknowledge_remote(state.shipped.unwrap_or(0)),
            Err(error) => self.fails(&error),
        }
    }

    /// Goes on where the last attempt stopped; what was done already is not done twice.
    fn advance(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        let blobs = match attempt.note {
            None => self.put_pictures(job, attempt)?,
            Some(_) => Vec::new(),
        };
        let (new, once) = match (attempt.note, &job.what) {
            // Not acknowledged, so that the client keeps its pictures.
            (Some(code), What::Pictures { .. }) => (vec![entries::note(job, code)], None),
            (None, What::Pictures { complete, .. }) => (
                entries::of(job, blobs.clone(), self.incidents.known(job)),
                Some(complete.manifest.incident_id),
            ),
            (note, _) => {
                let mut new = entries::of(job, blobs.clone(), self.incidents.known(job));
                new.extend(note.map(|code| entries::note(job, code)));
                new.extend(self.incidents.completions(job));
                (new, None)
            }
        };
        let recorded = self.record(new, once)?;
        if attempt.note.is_none() || !matches!(job.what, What::Pictures { .. }) {
            self.incidents.settle(job, blobs);
            self.acknowledge(job, &recorded);
        }
        Ok(())
    }

    fn put_pictures(&mut self, job: &Job, attempt: &mut Attempt) -> Result<Vec<BlobRef>, StoreError> {
        let device = self.devices.get(&job.session_id).copied();
        let pictures = match &mut attempt.pictures {
            Some(pictures) => pictures,
            none => none.insert(match &job.what {
                What::Incident { shots, recipients, .. } => {
                    pictures::seal_shots(shots, recipients, self.rules.screenshot, device)?
                }
                What::Pictures { complete, .. } => pictures::pieces(complete, device),
                _ => Vec::new(),
            }),
        };
        let keep = reach(&mut self.keep, &self.open, self.source)?;
        for picture in pictures.iter().skip(attempt.stored) {
            keep.put_blob(picture)?;
            attempt.stored += 1;
        }
        Ok(pictures.iter().map(|picture| picture.blob.clone()).collect())
    }

    fn record(&mut self, entries: Vec<NewEntry>, once: Option<Id>) -> Result<Recorded, StoreError> {
        let serial = self.last_serial.saturating_add(1);
        let new = NewEntries { source: self.source, serial, entries, receipt: once.is_some(), once };
        let recorded = self.reach()?.record(&new)?;
        self.last_serial = recorded.last_serial;
        Ok(recorded)
    }

    /// Tells the client that its pictures are kept, or remembers to tell it.
    fn acknowledge(&mut self, job: &Job, recorded: &Recorded) {
        let (What::Pictures { complete, reply }, Some(receipt)) = (&job.what, &recorded.receipt) else {
            return;
        };
        let incident_id = complete.manifest.incident_id;
        let ack = Ack { incident_id, leaf_index: recorded.leaf_index, checkpoint: receipt.note.clone() };
        match self.rules.durable {
            Durable::Local => tell(reply, ack),
            Durable::Remote => {
                let (size, reply, since) = (receipt.size, reply.clone(), Instant::now());
                self.awaiting.push_back(Awaiting { size, ack, reply, since });
            }
        }
    }

    fn acknowledge_remote(&mut self, shipped: u64) {
        while let Some(first) = self.awaiting.pop_front_if(|first| first.size <= shipped) {
            tell(&first.reply, first.ack);
        }
        if self.awaiting.front().is_none_or(|first| first.since.elapsed() <= REMOTE_LATE) {
            self.works();
        } else if !self.health.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the remote store does not have the evidence yet. See whether `sudare-host ship` runs"
            );
        }
    }

    fn learn_device(&mut self, job: &Job) {
        match &job.what {
            What::SessionStart(start) => {
                if let Ok(key) = VerifyingKey::from_bytes(&start.device_key) {
                    self.devices.insert(job.session_id, keyfile::device_id(&key));
                }
            }
            What::SessionEnd { .. } => {
                self.devices.remove(&job.session_id);
                self.health.over_quota().remove(&job.session_id);
            }
            _ => {}
        }
    }

    fn reach(&mut self) -> Result<&mut Box<dyn Keep>, StoreError> {
        reach(&mut self.keep, &self.open, self.source)
    }

    fn works(&self) {
        if self.health.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("evidence is kept again");
        }
    }

    fn fails(&mut self, error: &StoreError) {
        if !self.health.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "evidence cannot be kept; sessions that need it stay covered");
        }
        // What the store holds is only known after asking again.
        self.keep = None;
    }
}

fn reach<'k>(
    keep: &'k mut Option<Box<dyn Keep>>,
    open: &OpenKeep,
    source: Id,
) -> Result<&'k mut Box<dyn Keep>, StoreError> {
    match keep {
        Some(keep) => Ok(keep),
        none => Ok(none.insert(open(source)?)),
    }
}

fn tell(reply: &Sender<Ack>, ack: Ack) {
    if reply.send(ack).is_err() {
        tracing::info!("the session ended before its evidence was acknowledged; it will be sent again");
    }
}
