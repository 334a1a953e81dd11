//! One job after the other, each tried until it is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use sudare_evidence::report::wire::{ENTRIES_MAX, NewEntry, Recorded, State};
use sudare_evidence::report::{Keep, NewBlob, NewEntries};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{BlobRef, Id};
use sudare_protocol::message::Ack;
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::{VerifyingKey, keyfile};

use super::incidents::Incidents;
use super::{Health, Job, OpenKeep, What, entries, pictures};

/// Between two attempts at the same job.
const RETRY: Duration = Duration::from_millis(500);
/// How often the recorder is asked whether it is still there.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Evidence that the remote store does not have after this time is not kept.
const REMOTE_LATE_MS: u64 = 60_000;

pub(super) struct Keeper {
    keep: Option<Box<dyn Keep>>,
    open: OpenKeep,
    source: Id,
    /// Number of the last entry of ours that is in the log.
    last_serial: u64,
    /// A job was given up whose entries may be in the log or not.
    is_unsure: bool,
    rules: EvidenceRules,
    incidents: Incidents,
    /// Whose session it is, for quotas: all that are going on.
    devices: BTreeMap<Id, Device>,
    /// Acknowledgements that wait for the remote store.
    awaiting: VecDeque<Awaiting>,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

struct Device {
    id: Id,
    has_room: bool,
    /// Its session could not be recorded, and nothing is shown that the log does not know of.
    is_refused: bool,
    /// The log says of this session that its device has had its day.
    is_noted: bool,
}

struct Awaiting {
    size: u64,
    ack: Ack,
    reply: Sender<Ack>,
}

/// How far a job has come.
#[derive(Default)]
struct Attempt {
    pictures: Option<Vec<NewBlob>>,
    stored: usize,
    /// Why pictures of this job are not kept, or nothing of it.
    refused: Option<Refused>,
    /// Entries that are in the log.
    recorded: usize,
}

/// What can never be stored, and the note that says so.
#[derive(Clone, Copy)]
enum Refused {
    Pictures(NoteCode),
    Entries(NoteCode),
}

impl Attempt {
    /// Pictures of this job that are kept.
    fn in_store(&self) -> Vec<BlobRef> {
        let pictures = self.pictures.iter().flatten().take(self.stored);
        pictures.map(|picture| picture.blob.clone()).collect()
    }

    fn may_shrink(&self) -> bool {
        !matches!(self.refused, Some(Refused::Entries(_)))
    }

    /// The job can never be kept as it is: next time without its pictures, then the note alone.
    fn shrink(&mut self) {
        let entries_are_at_fault = self.refused.is_some() || self.recorded > 0;
        let how = if entries_are_at_fault { Refused::Entries } else { Refused::Pictures };
        self.refused = Some(how(NoteCode::EvidenceRefused));
        self.recorded = 0;
    }
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
            is_unsure: false,
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
            // It stays covered until its device is known to have room.
            let mut is_new = false;
            match queue.recv_timeout(LOOK_EVERY) {
                Ok(job) => {
                    self.keep(&job);
                    self.health.waiting.fetch_sub(1, Ordering::Relaxed);
                    is_new = matches!(job.what, What::SessionStart(_));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if is_new || looked.elapsed() >= LOOK_EVERY {
                self.look();
                looked = Instant::now();
            }
        }
    }

    /// Tries until the job is durable, cannot ever be, or the program ends.
    fn keep(&mut self, job: &Job) {
        self.learn_device(job);
        if self.belongs_to_no_session(job) {
            return;
        }
        let mut attempt = Attempt::default();
        loop {
            match self.advance(job, &mut attempt) {
                Ok(()) => {
                    self.learn_refused(job, &attempt);
                    return self.works();
                }
                Err(StoreError::Quota) if attempt.refused.is_none() => {
                    tracing::error!("{}", StoreError::Quota);
                    self.health.without_room().insert(job.session_id);
                    attempt.refused = Some(Refused::Pictures(NoteCode::Quota));
                }
                Err(error) if error.is_contents_fault() && attempt.may_shrink() => {
                    tracing::error!(%error, "evidence is refused; the incident stays incomplete");
                    attempt.shrink();
                }
                Err(error) => {
                    self.fails(&error);
                    if self.stop.load(Ordering::Relaxed) {
                        self.is_unsure = true;
                        return;
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    /// Whether the recorder is still there, how far the remote store is, and who may store more.
    fn look(&mut self) {
        match self.ask() {
            Ok(state) => {
                self.works();
                self.judge_remote(state);
                self.acknowledge_remote(state.shipped.unwrap_or(0));
            }
            Err(error) => self.fails(&error),
        }
    }

    fn ask(&mut self) -> Result<State, StoreError> {
        let keep = reach(&mut self.keep, &self.open, self.source)?;
        for (session_id, device) in &mut self.devices {
            let has_room = keep.has_room(&device.id)?;
            if has_room && !device.is_refused {
                self.health.without_room().remove(session_id);
            } else {
                self.health.without_room().insert(*session_id);
            }
            if device.has_room && !has_room {
                tracing::error!("{}", StoreError::Quota);
            }
            device.has_room = has_room;
        }
        keep.state()
    }

    /// Whether the remote store has evidence in time; nothing else says that it is late, or not any more.
    fn judge_remote(&self, state: State) {
        // Without a shipper it is never there.
        let is_late = self.rules.durable == Durable::Remote
            && state.behind_ms.is_none_or(|behind_ms| behind_ms > REMOTE_LATE_MS);
        let was_late = self.health.remote_late.swap(is_late, Ordering::Relaxed);
        match (was_late, is_late) {
            (false, true) => tracing::error!(
                "the remote store does not have the evidence yet. See whether `sudare-host ship` runs, and set \
                 `ship_state_dir`"
            ),
            (true, false) => tracing::info!("the remote store has the evidence"),
            _ => {}
        }
    }

    /// Goes on where the last attempt stopped; what was done already is not done twice.
    fn advance(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        if attempt.refused.is_none() {
            self.put_pictures(job, attempt)?;
        }
        let (note, is_alone) = match attempt.refused {
            None => (None, false),
            // Not acknowledged, so that the client keeps its pictures.
            Some(Refused::Pictures(code)) => (Some(code), matches!(job.what, What::Pictures { .. })),
            Some(Refused::Entries(code)) => (Some(code), true),
        };
        // A client may go on sending; that its day is over is said once.
        let is_noted = self.devices.get(&job.session_id).is_some_and(|device| device.is_noted);
        let note =
            note.filter(|code| *code != NoteCode::Quota || !is_noted).map(|code| entries::note(job, code));
        if is_alone {
            self.record_all(note.as_slice(), None, attempt)?;
            self.incidents.settle_refused(job);
            return Ok(());
        }
        let stored = attempt.in_store();
        let mut new = entries::of(job, stored.clone(), self.incidents.known(job));
        new.extend(note);
        new.extend(self.incidents.completions(job));
        let once = match &job.what {
            What::Pictures { complete, .. } => Some(complete.manifest.incident_id),
            _ => None,
        };
        let recorded = self.record_all(&new, once, attempt)?;
        self.incidents.settle(job, stored);
        self.acknowledge(job, recorded);
        Ok(())
    }

    fn put_pictures(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        let device = self.devices.get(&job.session_id).map(|device| device.id);
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
        Ok(())
    }

    /// In as many reports as it takes.
    fn record_all(
        &mut self,
        new: &[NewEntry],
        once: Option<Id>,
        attempt: &mut Attempt,
    ) -> Result<Option<Recorded>, StoreError> {
        let mut last = None;
        for some in new.get(attempt.recorded..).unwrap_or_default().chunks(ENTRIES_MAX) {
            last = Some(self.record(some.to_vec(), once)?);
            attempt.recorded += some.len();
        }
        Ok(last)
    }

    fn record(&mut self, entries: Vec<NewEntry>, once: Option<Id>) -> Result<Recorded, StoreError> {
        if self.is_unsure {
            // With the number of what was given up, the next job would pass for it.
            let source = self.source;
            self.last_serial = self.reach()?.last_serial(&source);
            self.is_unsure = false;
        }
        let serial = self.last_serial.saturating_add(1);
        let new = NewEntries { source: self.source, serial, entries, receipt: once.is_some(), once };
        let recorded = self.reach()?.record(&new)?;
        self.last_serial = recorded.last_serial;
        Ok(recorded)
    }

    /// Tells the client that its pictures are kept, or remembers to tell it.
    fn acknowledge(&mut self, job: &Job, recorded: Option<Recorded>) {
        let What::Pictures { complete, reply } = &job.what else { return };
        let Some(Recorded { leaf_index, receipt: Some(receipt), .. }) = recorded else {
            return;
        };
        let incident_id = complete.manifest.incident_id;
        let ack = Ack { incident_id, leaf_index, checkpoint: receipt.note };
        match self.rules.durable {
            Durable::Local => tell(reply, ack),
            Durable::Remote => {
                self.awaiting.push_back(Awaiting { size: receipt.size, ack, reply: reply.clone() });
            }
        }
    }

    fn acknowledge_remote(&mut self, shipped: u64) {
        while let Some(first) = self.awaiting.pop_front_if(|first| first.size <= shipped) {
            tell(&first.reply, first.ack);
        }
    }

    fn learn_device(&mut self, job: &Job) {
        match &job.what {
            What::SessionStart(start) => {
                if let Ok(key) = VerifyingKey::from_bytes(&start.device_key) {
                    let device = Device {
                        id: keyfile::device_id(&key),
                        has_room: true,
                        is_refused: false,
                        is_noted: false,
                    };
                    self.devices.insert(job.session_id, device);
                }
            }
            What::SessionEnd { .. } => {
                self.devices.remove(&job.session_id);
                self.health.without_room().remove(&job.session_id);
            }
            _ => {}
        }
    }

    /// What was refused of the session, now that the log says so.
    fn learn_refused(&mut self, job: &Job, attempt: &Attempt) {
        let Some(device) = self.devices.get_mut(&job.session_id) else { return };
        match attempt.refused {
            Some(Refused::Pictures(NoteCode::Quota)) => device.is_noted = true,
            Some(Refused::Entries(_)) if matches!(job.what, What::SessionStart(_)) => {
                device.is_refused = true;
            }
            _ => {}
        }
    }

    /// What the client of a session says whose beginning is not in the log. Nobody could check it, and the
    /// whole log would count as forged. It is not acknowledged, so the client keeps its pictures.
    fn belongs_to_no_session(&self, job: &Job) -> bool {
        let is_clients = matches!(job.what, What::ClientMessage { .. } | What::Pictures { .. });
        is_clients && self.devices.get(&job.session_id).is_some_and(|device| device.is_refused)
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
