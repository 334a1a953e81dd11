//! The thread that keeps evidence: sealing and disk work, away from the session's task.
//!
//! ```text
//!  session ──Job──► queue ──► EvidenceThread ──► Recorder (log, blobs)
//!     ▲                            │
//!     └── Reply::Stored, health ───┘   a job is dropped only after it is durable
//! ```
//! When the store fails (full disk, read-only), the job is tried again until it works;
//! meanwhile `Health` says that evidence is not kept, and sessions that need it stay covered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sudare_protocol::evidence::event::{
    ClientMessage, Cover, Gap, IncidentComplete, IncidentOpen, SessionStart,
};
use sudare_protocol::evidence::event::{Note, PicturesStored, SessionEnd, Uncover};
use sudare_protocol::evidence::{BlobRef, Event, Label, Media};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::{Ack, Id, Moment};
use sudare_protocol::reason::Reason;
use sudare_protocol::seal::{self, Recipients, Sealed};

use crate::channel::Picture;
use crate::clock;
use crate::log::{Draft, Recorder, Settings};
use crate::screenshot;
use crate::store::StoreError;

/// More waiting jobs than this mean that evidence is not kept up with: sessions cover.
pub const QUEUE_MAX: usize = 64;
/// `Note::code`: a client's evidence was refused, because it can never be stored.
const NOTE_EVIDENCE_REFUSED: u16 = 1;
/// `Note::code`: the operator says that a cover was wrong; the value is its reason's number.
pub const NOTE_WRONG_BLOCK: u16 = 2;
const RETRY: Duration = Duration::from_millis(500);

/// One thing to keep, of one session.
#[derive(Debug)]
pub struct Job {
    pub session_id: Id,
    pub incident_id: Option<Id>,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    SessionStart(SessionStart),
    SessionEnd {
        reason: Reason,
        boot_ms: u64,
    },
    /// `pictures_due`: it announces an incident, whose pictures follow.
    ClientMessage {
        message: Vec<u8>,
        pictures_due: bool,
    },
    Cover {
        reason: Reason,
        cover: Cover,
    },
    Uncover {
        boot_ms: u64,
    },
    Gap {
        reason: Reason,
        gap: Gap,
    },
    Incident {
        reason: Reason,
        boot_ms: u64,
        shots: Vec<(Label, Picture)>,
        recipients: Recipients,
    },
    Note(Note),
    /// The client's pictures, and where to tell that they are kept.
    Pictures {
        complete: Box<Complete>,
        reply: Sender<Ack>,
    },
}

/// Whether evidence is being kept, for every session to see.
#[derive(Debug, Default)]
pub struct Health {
    failing: AtomicBool,
    waiting: AtomicUsize,
}

impl Health {
    /// Whether a client may cause another entry. A session that is covered causes few, so that a
    /// queue this long means a client that floods.
    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < 4 * QUEUE_MAX
    }

    pub fn is_kept(&self) -> bool {
        !self.failing.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) < QUEUE_MAX
    }
}

/// Where sessions hand their jobs in.
#[derive(Debug, Clone)]
pub struct Evidence {
    jobs: Sender<Job>,
    health: Arc<Health>,
}

impl Evidence {
    /// Queues a job. The queue is bounded: sessions cover when it is long, and a client that goes on
    /// causing entries is refused (`Health::has_room`).
    pub fn keep(&self, job: Job) {
        self.health.waiting.fetch_add(1, Ordering::Relaxed);
        if self.jobs.send(job).is_err() {
            // The thread is gone: nothing can be kept any more, and every session covers.
            self.health.failing.store(true, Ordering::Relaxed);
        }
    }

    pub fn health(&self) -> &Health {
        &self.health
    }
}

/// The running thread; dropping it (after all `Evidence`) waits for the queue to be empty.
#[derive(Debug)]
pub struct EvidenceThread {
    handle: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Opens the store; called again when it has failed.
pub type OpenStore = Box<dyn Fn() -> Settings + Send>;

impl EvidenceThread {
    /// Opens the store, so that a fault is known before the first session.
    pub fn start(open: OpenStore) -> Result<(Self, Evidence), StoreError> {
        let recorder = Recorder::open(open())?;
        let (jobs, queue) = channel();
        let health = Arc::new(Health::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut keeper = Keeper {
            recorder: Some(recorder),
            open,
            incidents: BTreeMap::new(),
            health: health.clone(),
            stop: stop.clone(),
        };
        let handle = thread::Builder::new()
            .name("evidence".into())
            .spawn(move || keeper.run(&queue))
            .map_err(|e| StoreError::io(std::path::Path::new("evidence thread"), "started", e))?;
        Ok((EvidenceThread { handle: Some(handle), stop }, Evidence { jobs, health }))
    }
}

impl Drop for EvidenceThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the evidence thread panicked; the log is recovered at the next start");
        }
    }
}

/// Pictures that an auditor may expect of an incident that the client announced.
const PICTURES_DUE: u16 = 3;

/// An incident that is not complete yet.
#[derive(Debug, Clone, Default)]
struct OpenIncident {
    session_id: Id,
    reason: Option<Reason>,
    blobs: Vec<BlobRef>,
    /// The client's pictures are still to come.
    due: bool,
}

struct Keeper {
    recorder: Option<Recorder>,
    open: OpenStore,
    /// Incidents under way. Bounded by the sessions, each of which has one at a time.
    incidents: BTreeMap<Id, OpenIncident>,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

impl Keeper {
    fn run(&mut self, queue: &Receiver<Job>) {
        while let Ok(job) = queue.recv() {
            self.keep(&job);
            self.health.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tries until the job is durable, cannot ever be, or the program ends.
    fn keep(&mut self, job: &Job) {
        let mut attempt = Attempt::default();
        loop {
            match self.advance(job, &mut attempt) {
                Ok(()) => {
                    self.health.failing.store(false, Ordering::Relaxed);
                    return;
                }
                Err(error) if is_senders_fault(&error) && self.note_refusal(job).is_ok() => {
                    tracing::error!(%error, "evidence is refused; the incident stays incomplete");
                    // The note proved that the store works. Left failing, a covered session, which
                    // makes no more jobs, would stay covered for ever.
                    self.health.failing.store(false, Ordering::Relaxed);
                    return;
                }
                Err(error) => {
                    if !self.health.failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "evidence cannot be kept; sessions that need it stay covered");
                    }
                    // What the disk holds is only known after reading it back.
                    self.recorder = None;
                    if self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    /// Leaves a trace of evidence that can never be stored.
    fn note_refusal(&mut self, job: &Job) -> Result<(), StoreError> {
        let recorder = self.recorder.as_mut().ok_or(StoreError::Poisoned)?;
        let event = Event::Note(Note { code: NOTE_EVIDENCE_REFUSED, value: 0 });
        let (session_id, incident_id) = (Some(job.session_id), job.incident_id);
        recorder.append(Draft { session_id, incident_id, reason: None, blobs: Vec::new(), event })?;
        recorder.checkpoint().map(|_| ())
    }

    /// Goes on where the last attempt stopped, so that nothing is written twice.
    fn advance(&mut self, job: &Job, attempt: &mut Attempt) -> Result<(), StoreError> {
        let reopened = self.recorder.is_none();
        let recorder = match &mut self.recorder {
            Some(recorder) => recorder,
            none => none.insert(Recorder::open((self.open)())?),
        };
        let blobs = match &attempt.blobs {
            Some(blobs) => blobs.clone(),
            None => attempt.blobs.insert(store_pictures(recorder, &job.what)?).clone(),
        };
        let last = match attempt.last_leaf {
            Some(leaf) => leaf,
            None => {
                let known =
                    job.incident_id.and_then(|id| self.incidents.get(&id)).cloned().unwrap_or_default();
                let mut all = drafts(job, blobs.clone(), known.blobs);
                all.extend(ended(&self.incidents, job).map(|(id, incident)| completion(*id, incident)));
                let size_after = attempt.size_after(recorder.size(), all.len());
                // A sync that failed may have kept the entries all the same; reopening read them
                // back and added one entry of its own.
                let kept = reopened && recorder.size() == size_after + 1;
                let last = if kept { size_after - 1 } else { recorder.append_all(all)? };
                *attempt.last_leaf.insert(last)
            }
        };
        let checkpoint = recorder.checkpoint()?;
        self.settle(job, blobs, last, checkpoint.note());
        Ok(())
    }

    /// The job is durable: remember what belongs to its incident, and tell the client.
    fn settle(&mut self, job: &Job, blobs: Vec<BlobRef>, leaf_index: u64, checkpoint: &str) {
        let over: Vec<Id> = ended(&self.incidents, job).map(|(id, _)| *id).collect();
        over.iter().for_each(|id| drop(self.incidents.remove(id)));
        match (&job.what, job.incident_id) {
            (What::Incident { reason, .. }, Some(id)) => {
                let incident = self.incidents.entry(id).or_default();
                (incident.session_id, incident.reason) = (job.session_id, Some(*reason));
                incident.blobs.extend(blobs);
            }
            (What::ClientMessage { pictures_due: true, .. }, Some(id)) => {
                let incident = self.incidents.entry(id).or_default();
                (incident.session_id, incident.due) = (job.session_id, true);
            }
            (What::Pictures { complete, reply }, id) => {
                if let Some(id) = id {
                    self.incidents.remove(&id);
                }
                let incident_id = complete.manifest.incident_id;
                if reply.send(Ack { incident_id, leaf_index, checkpoint: checkpoint.to_owned() }).is_err() {
                    tracing::info!(
                        "the session ended before its evidence was acknowledged; it will be sent again"
                    );
                }
            }
            _ => {}
        }
    }
}

/// The incidents that a job ends: those that wait for nothing when the desktop is shown again,
/// and all of a session when it ends.
fn ended<'a>(
    incidents: &'a BTreeMap<Id, OpenIncident>,
    job: &'a Job,
) -> impl Iterator<Item = (&'a Id, &'a OpenIncident)> {
    incidents.iter().filter(|(_, incident)| {
        let over = match job.what {
            What::Uncover { .. } => !incident.due,
            What::SessionEnd { .. } => true,
            _ => false,
        };
        over && incident.session_id == job.session_id
    })
}

fn completion(incident_id: Id, incident: &OpenIncident) -> Draft {
    let missing = if incident.due { PICTURES_DUE } else { 0 };
    Draft {
        session_id: Some(incident.session_id),
        incident_id: Some(incident_id),
        reason: incident.reason,
        blobs: incident.blobs.clone(),
        event: Event::IncidentComplete(IncidentComplete { missing }),
    }
}

/// How far a job has come.
#[derive(Debug, Default)]
struct Attempt {
    blobs: Option<Vec<BlobRef>>,
    /// The log's size once the entries of this job are in it, as of the first attempt.
    size_after: Option<u64>,
    last_leaf: Option<u64>,
}

impl Attempt {
    fn size_after(&mut self, size: u64, entries: usize) -> u64 {
        *self.size_after.get_or_insert(size + entries as u64)
    }
}

/// Trying again would not help: what came from the client can never be stored.
fn is_senders_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::Entry(_) | StoreError::Seal(_) | StoreError::BlobExists(_))
}

/// The entries of a job, in their order. `known` are the pictures that its incident already has.
fn drafts(job: &Job, blobs: Vec<BlobRef>, known: Vec<BlobRef>) -> Vec<Draft> {
    let draft = |reason: Option<Reason>, blobs: Vec<BlobRef>, event: Event| Draft {
        session_id: Some(job.session_id),
        incident_id: job.incident_id,
        reason,
        blobs,
        event,
    };
    let plain = |reason: Reason, event: Event| vec![draft(Some(reason), vec![], event)];
    match &job.what {
        What::SessionStart(start) => plain(Reason::Starting, Event::SessionStart(start.clone())),
        What::SessionEnd { reason, boot_ms } => {
            plain(*reason, Event::SessionEnd(SessionEnd { boot_ms: *boot_ms }))
        }
        What::ClientMessage { message, .. } => {
            let message = ClientMessage { message: message.clone() };
            vec![draft(None, vec![], Event::ClientMessage(message))]
        }
        What::Cover { reason, cover } => plain(*reason, Event::Cover(*cover)),
        What::Uncover { boot_ms } => plain(Reason::None, Event::Uncover(Uncover { boot_ms: *boot_ms })),
        What::Note(note) => vec![draft(None, vec![], Event::Note(*note))],
        What::Gap { reason, gap } => plain(*reason, Event::Gap(*gap)),
        What::Incident { reason, boot_ms, .. } => {
            let opened = Event::IncidentOpen(IncidentOpen { boot_ms: *boot_ms });
            let stored = Event::PicturesStored(PicturesStored {});
            vec![draft(Some(*reason), vec![], opened), draft(Some(*reason), blobs, stored)]
        }
        What::Pictures { complete, .. } => {
            let message = ClientMessage { message: complete.message.clone() };
            let done = Event::IncidentComplete(IncidentComplete { missing: 0 });
            let all = [blobs, known].concat();
            vec![
                draft(None, vec![], Event::ClientMessage(message)),
                draft(Some(complete.manifest.reason), all, done),
            ]
        }
    }
}

fn store_pictures(recorder: &mut Recorder, what: &What) -> Result<Vec<BlobRef>, StoreError> {
    match what {
        What::Incident { shots, recipients, .. } => store_shots(recorder, shots, recipients),
        What::Pictures { complete, .. } => store_pieces(recorder, complete),
        _ => Ok(Vec::new()),
    }
}

/// Screenshots are sealed here, to the auditors of the signed policy.
fn store_shots(
    recorder: &mut Recorder,
    shots: &[(Label, Picture)],
    recipients: &Recipients,
) -> Result<Vec<BlobRef>, StoreError> {
    let mut blobs = Vec::new();
    for (label, picture) in shots {
        let png = screenshot::encode_png(picture)
            .map_err(|e| StoreError::io(std::path::Path::new("screenshot"), "encoded", e))?;
        let sealed = seal::seal(&png, &fresh()?, recipients).map_err(StoreError::Seal)?;
        blobs.push(recorder.put_blob(fresh()?, *label, Media::Png, &sealed)?);
    }
    Ok(blobs)
}

/// Camera pictures come sealed; their blob ids are the client's, so that its manifest names them.
fn store_pieces(recorder: &mut Recorder, complete: &Complete) -> Result<Vec<BlobRef>, StoreError> {
    let mut blobs = Vec::new();
    for (piece, ciphertext) in complete.manifest.pieces.iter().zip(&complete.pieces) {
        let label = match piece.moment {
            Moment::Before => Label::CameraBefore,
            Moment::At => Label::CameraAt,
            Moment::After => Label::CameraAfter,
        };
        let media = Media::from_number(piece.media).unwrap_or(Media::Jpeg);
        let sealed = Sealed::received(ciphertext.clone(), piece.commitment);
        blobs.push(recorder.put_blob(piece.blob_id, label, media, &sealed)?);
    }
    Ok(blobs)
}

fn fresh<const N: usize>() -> Result<[u8; N], StoreError> {
    clock::random().map_err(|e| {
        StoreError::io(std::path::Path::new("/dev/urandom"), "read", std::io::Error::other(e.to_string()))
    })
}
