//! Takes one job after the other and tries it until it is durable. Pure: time is an argument, and evidence goes to
//! an [`EvidenceSink`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Duration;

use sudare_base::clock::RandomSource;
use sudare_evidence::report::wire::{ENTRIES_MAX, NewEntry, Recorded, State};
use sudare_evidence::report::{EvidenceSink, NewBlob, NewEntries};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{BlobRef, Id};
use sudare_protocol::limits::ACK_ENTRY_MAX_BYTES;
use sudare_protocol::message::Ack;
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::{VerifyingKey, keyfile};

use super::incidents::Incidents;
use super::{Evidence, Health, Job, OpenSink, What, entries, pictures};

/// Between two attempts at the same job.
pub const RETRY_MS: u64 = 500;
/// How often the recorder is asked whether it still works.
const LOOK_EVERY_MS: u64 = 250;
const LOOK_EVERY: Duration = Duration::from_millis(LOOK_EVERY_MS);
/// Evidence that the remote store does not have after this time counts as not kept.
pub const REMOTE_LATE_MS: u64 = 60_000;

/// What a turn came to, and with it when the next one is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A job is done; another one may wait.
    Done,
    /// No job waits: come again with the next one, or a quarter of a second later.
    Idle,
    /// A job could not be kept: come again after [`RETRY_MS`].
    Failing,
    /// Nobody can hand in jobs any more, and none waits.
    Ended,
}

/// Takes the jobs of all sessions. A thread gives it its turns ([`super::EvidenceThread`]).
pub struct Worker {
    queue: Receiver<Job>,
    /// The job in hand, and how far it has come.
    current: Option<(Job, Attempt)>,
    looked_ms: Option<u64>,
    sink: Option<Box<dyn EvidenceSink>>,
    open: OpenSink,
    source: Id,
    /// Serial number of our last entry in the log.
    last_serial: u64,
    /// Index of the newest of our entries that the log is known to have.
    newest_leaf: Option<u64>,
    /// How often the log lost entries that it had: its disk was put back to an older state.
    times_set_back: u32,
    /// Beginnings of sessions that went with them, and have to be recorded again.
    lost_starts: VecDeque<NewEntry>,
    /// A job was abandoned whose entries may or may not be in the log.
    is_unsure: bool,
    rules: EvidenceRules,
    incidents: Incidents,
    /// The device of each session in progress, for quotas.
    devices: BTreeMap<Id, Device>,
    /// Acknowledgements that wait for the remote store.
    awaiting: VecDeque<Awaiting>,
    health: Arc<Health>,
    random: Arc<dyn RandomSource>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker")
    }
}

struct Device {
    id: Id,
    has_room: bool,
    /// The beginning of its session could not be recorded, so the desktop is not shown: the log must know of every
    /// session that is.
    is_refused: bool,
    /// The log says of this session that its device's daily quota is exhausted.
    is_noted: bool,
    /// The beginning of its session, and where the log has it: nothing of the session could be checked without.
    start: Option<(NewEntry, u64)>,
}

struct Awaiting {
    size: u64,
    ack: Ack,
    reply: Sender<Ack>,
}

/// How far a job has come.
#[derive(Default)]
struct Attempt {
    is_begun: bool,
    pictures: Option<Vec<NewBlob>>,
    stored: usize,
    /// Why pictures of this job, or all of it, can never be kept.
    refused: Option<Refused>,
    /// How many of its entries are in the log.
    recorded: usize,
    /// As the worker's, when that was so.
    times_set_back: u32,
}

/// What can never be stored, and the code of the note that says so.
#[derive(Clone, Copy)]
enum Refused {
    Pictures(NoteCode),
    Entries(NoteCode),
}

impl Attempt {
    /// Pictures of this job that are in the store.
    fn in_store(&self) -> Vec<BlobRef> {
        let pictures = self.pictures.iter().flatten().take(self.stored);
        pictures.map(|picture| picture.blob.clone()).collect()
    }

    fn may_shrink(&self) -> bool {
        !matches!(self.refused, Some(Refused::Entries(_)))
    }

    /// The job can never be kept as it is: the next attempt leaves out its pictures, and the one after records
    /// only the note.
    fn shrink(&mut self) {
        let entries_are_at_fault = self.refused.is_some() || self.recorded > 0;
        let how = if entries_are_at_fault { Refused::Entries } else { Refused::Pictures };
        self.refused = Some(how(NoteCode::EvidenceRefused));
        self.recorded = 0;
    }
}

impl Worker {
    /// `sink` is the store or the recorder, if it could be reached; `open` is called again when it failed.
    pub fn new(
        sink: Option<Box<dyn EvidenceSink>>,
        open: OpenSink,
        source: Id,
        rules: EvidenceRules,
        random: Arc<dyn RandomSource>,
    ) -> (Self, Evidence) {
        let (jobs, queue) = channel();
        let health = Arc::new(Health::default());
        health.failing.store(sink.is_none(), Ordering::Relaxed);
        // Until the recorder says how far the copy is.
        health.remote_late.store(rules.durable == Durable::Remote, Ordering::Relaxed);
        let worker = Worker {
            queue,
            current: None,
            looked_ms: None,
            sink,
            open,
            source,
            last_serial: 0,
            newest_leaf: None,
            times_set_back: 0,
            lost_starts: VecDeque::new(),
            is_unsure: false,
            rules,
            incidents: Incidents::default(),
            devices: BTreeMap::new(),
            awaiting: VecDeque::new(),
            health: health.clone(),
            random,
        };
        (worker, Evidence { jobs, health })
    }

    /// Tries one job, or looks after the recorder. `now_ms` is of a clock that never goes back.
    pub fn turn(&mut self, now_ms: u64) -> Turn {
        if self.current.is_none() {
            match self.queue.try_recv() {
                Ok(job) => self.current = Some((job, Attempt::default())),
                Err(TryRecvError::Empty) => {
                    self.look_if_due(now_ms);
                    return Turn::Idle;
                }
                Err(TryRecvError::Disconnected) => return Turn::Ended,
            }
        }
        let Some((job, mut attempt)) = self.current.take() else { return Turn::Idle };
        if !self.keep(&job, &mut attempt) {
            self.current = Some((job, attempt));
            return Turn::Failing;
        }
        self.health.waiting.fetch_sub(1, Ordering::Relaxed);
        if matches!(job.what, What::SessionStart(_)) {
            // It stays covered until its device is known to have room.
            self.look(now_ms);
        } else {
            self.look_if_due(now_ms);
        }
        Turn::Done
    }

    /// Waits for a job; for the thread only.
    pub(super) fn wait(&mut self) {
        if let Ok(job) = self.queue.recv_timeout(LOOK_EVERY) {
            self.current = Some((job, Attempt::default()));
        }
    }

    /// The program is ending and this job cannot be kept now.
    pub(super) fn give_up(&mut self) {
        if self.current.take().is_some() {
            self.is_unsure = true;
            self.health.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tries the job; true once it is durable, or can never be.
    fn keep(&mut self, job: &Job, attempt: &mut Attempt) -> bool {
        if !attempt.is_begun {
            attempt.is_begun = true;
            self.learn_device(job);
        }
        if self.belongs_to_no_session(job) {
            return true;
        }
        loop {
            match self.advance(job, attempt) {
                Ok(()) => {
                    self.learn_refused(job, attempt);
                    self.works();
                    return true;
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
                    return false;
                }
            }
        }
    }

    fn look_if_due(&mut self, now_ms: u64) {
        let looked_ms = *self.looked_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(looked_ms) >= LOOK_EVERY_MS {
            self.look(now_ms);
        }
    }

    /// Asks whether the recorder works, how far the remote store is, and which devices may store more.
    fn look(&mut self, now_ms: u64) {
        self.looked_ms = Some(now_ms);
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
        self.reach()?;
        let sink = reach(&mut self.sink, &self.open, self.source)?;
        for (session_id, device) in &mut self.devices {
            let has_room = sink.has_room(&device.id)?;
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
        sink.state()
    }

    /// Whether the remote store is late; nothing else sets or clears that.
    fn judge_remote(&self, state: State) {
        // Without a shipper it never gets anything.
        let is_late = self.rules.durable == Durable::Remote
            && state.behind_ms.is_none_or(|behind_ms| behind_ms > REMOTE_LATE_MS);
        let was_late = self.health.remote_late.swap(is_late, Ordering::Relaxed);
        match (was_late, is_late) {
            (false, true) => tracing::error!(
                "the remote store does not have the evidence yet. See whether sudare-ship runs, and set \
                 `ship_state_dir`"
            ),
            (true, false) => tracing::info!("the remote store has the evidence"),
            _ => {}
        }
    }

    /// Continues where the last attempt stopped; nothing is done twice.
    fn advance(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        self.reach()?;
        if attempt.times_set_back != self.times_set_back {
            (attempt.stored, attempt.recorded) = (0, 0);
            attempt.times_set_back = self.times_set_back;
        }
        if attempt.refused.is_none() {
            self.put_pictures(job, attempt)?;
        }
        let (note, is_alone) = match attempt.refused {
            None => (None, false),
            // Not acknowledged, so that the client keeps its pictures.
            Some(Refused::Pictures(code)) => (Some(code), matches!(job.what, What::Pictures { .. })),
            Some(Refused::Entries(code)) => (Some(code), true),
        };
        // The client may keep sending; the log says once that the quota is exhausted.
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
        self.learn_start(job, &new, recorded.as_ref());
        self.incidents.settle(job, stored);
        self.acknowledge(job, recorded);
        Ok(())
    }

    fn put_pictures(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        let device = self.devices.get(&job.session_id).map(|device| device.id);
        let pictures = match &mut attempt.pictures {
            Some(pictures) => pictures,
            none => none.insert(match &job.what {
                What::Incident { shots, recipients, .. } => pictures::seal_shots(
                    shots,
                    recipients,
                    self.rules.screenshot,
                    device,
                    self.random.as_ref(),
                )?,
                What::Pictures { complete, .. } => pictures::pieces(complete, device),
                _ => Vec::new(),
            }),
        };
        let sink = reach(&mut self.sink, &self.open, self.source)?;
        for picture in pictures.iter().skip(attempt.stored) {
            sink.put_blob(picture)?;
            attempt.stored += 1;
        }
        Ok(())
    }

    /// Records entries in as many reports as needed.
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
            // Under the serial number of the abandoned job, the next one would be taken for it.
            let source = self.source;
            self.last_serial = self.reach()?.last_serial(&source);
            self.is_unsure = false;
        }
        let serial = self.last_serial.saturating_add(1);
        let new = NewEntries { source: self.source, serial, entries, receipt: once.is_some(), once };
        let recorded = self.reach()?.record(&new)?;
        self.last_serial = recorded.last_serial;
        self.newest_leaf = self.newest_leaf.max(Some(recorded.leaf_index));
        Ok(recorded)
    }

    /// Acknowledges the client's pictures, now or once the remote store has them.
    fn acknowledge(&mut self, job: &Job, recorded: Option<Recorded>) {
        let What::Pictures { complete, reply } = &job.what else { return };
        let Some(Recorded { leaf_index, receipt: Some(receipt), .. }) = recorded else {
            return;
        };
        let incident_id = complete.manifest.incident_id;
        let entry = receipt.entry.filter(|entry| entry.len() <= ACK_ENTRY_MAX_BYTES);
        let ack = Ack { incident_id, leaf_index, checkpoint: receipt.note, entry, proof: receipt.proof };
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
                        start: None,
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

    fn learn_start(&mut self, job: &Job, entries: &[NewEntry], recorded: Option<&Recorded>) {
        if let (What::SessionStart(_), Some(start), Some(recorded)) = (&job.what, entries.first(), recorded)
            && let Some(device) = self.devices.get_mut(&job.session_id)
        {
            device.start = Some((start.clone(), recorded.leaf_index));
        }
    }

    /// Remembers what was refused, now that the log says so.
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

    /// Whether the job holds words of a client whose session's beginning is not in the log. Nobody could check
    /// them, and the whole log would count as forged. They are not acknowledged, so the client keeps its pictures.
    fn belongs_to_no_session(&self, job: &Job) -> bool {
        let is_clients = matches!(job.what, What::ClientMessage { .. } | What::Pictures { .. });
        is_clients && self.devices.get(&job.session_id).is_some_and(|device| device.is_refused)
    }

    fn reach(&mut self) -> Result<&mut Box<dyn EvidenceSink>, StoreError> {
        if self.sink.is_none() {
            let size = reach(&mut self.sink, &self.open, self.source)?.state()?.size;
            if self.newest_leaf.is_some_and(|newest| size <= newest) {
                self.sink = None;
                self.begin_anew(size)?;
            }
        }
        self.record_lost_starts()?;
        reach(&mut self.sink, &self.open, self.source)
    }

    /// The log has only `size` entries, and had more: it was put back to an older state. What was acknowledged is not
    /// here any more. This goes on as a source of its own, whose numbers nobody has seen, with the beginnings of the
    /// sessions that run.
    fn begin_anew(&mut self, size: u64) -> Result<(), StoreError> {
        tracing::error!(
            size,
            "the evidence log was put back to an older state, and entries that it had are gone. This gate goes on with \
             what the log has now. Tell the security team; the copy off this host has what is missing here"
        );
        self.source = self.random.fresh().map_err(|error| StoreError::Recorder(error.to_string()))?;
        (self.last_serial, self.is_unsure) = (0, false);
        let lost = self.devices.values().filter_map(|device| device.start.as_ref());
        let lost: Vec<NewEntry> =
            lost.filter(|(_, leaf)| *leaf >= size).map(|(start, _)| start.clone()).collect();
        self.newest_leaf = None;
        self.times_set_back += 1;
        self.lost_starts.extend(lost);
        Ok(())
    }

    /// Before anything else of these sessions.
    fn record_lost_starts(&mut self) -> Result<(), StoreError> {
        while let Some(start) = self.lost_starts.front().cloned() {
            let sink = reach(&mut self.sink, &self.open, self.source)?;
            let (source, serial) = (self.source, self.last_serial.saturating_add(1));
            let session_id = start.session_id;
            let new = NewEntries { source, serial, entries: vec![start.clone()], receipt: false, once: None };
            let recorded = sink.record(&new)?;
            self.last_serial = recorded.last_serial;
            self.newest_leaf = self.newest_leaf.max(Some(recorded.leaf_index));
            if let Some(device) = session_id.and_then(|id| self.devices.get_mut(&id)) {
                device.start = Some((start, recorded.leaf_index));
            }
            self.lost_starts.pop_front();
        }
        Ok(())
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
        // Only a new connection can tell what the store holds.
        self.sink = None;
    }
}

fn reach<'s>(
    sink: &'s mut Option<Box<dyn EvidenceSink>>,
    open: &OpenSink,
    source: Id,
) -> Result<&'s mut Box<dyn EvidenceSink>, StoreError> {
    match sink {
        Some(sink) => Ok(sink),
        none => Ok(none.insert(open(source)?)),
    }
}

fn tell(reply: &Sender<Ack>, ack: Ack) {
    if reply.send(ack).is_err() {
        tracing::info!("the session ended before its evidence was acknowledged; it will be sent again");
    }
}
