//! Keeps evidence: sealing and storing, away from the session's task.
//!
//! ```text
//!  session ──Job──► queue ──► Worker ──► EvidenceSink: the recorder's process, or one in here
//!     ▲                         │
//!     └─ acknowledgement, health┘   a job is dropped only after it is durable
//! ```
//! When the store fails (full disk, read-only, no recorder), the job is tried again until it succeeds;
//! meanwhile `Health` says that evidence is not kept, and sessions that need it stay covered.
//!
//! [`EvidenceThread`] is the edge, with a thread and a clock; the rest is pure.
//! - [`worker`]: one job after the other. [`entries`]: what the log says of each.
//! - [`pictures`]: sealing and labels. [`incidents`]: which incident waits for what.

mod entries;
mod incidents;
mod pictures;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sudare_base::clock::{self, SystemRandom};
use sudare_evidence::report::EvidenceSink;
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::Label;
use sudare_protocol::evidence::event::{Cover, Gap, Liveness, Note, PresenceInterval, SessionStart};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::{Ack, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::rules::EvidenceRules;
use sudare_protocol::seal::Recipients;
pub use worker::{REMOTE_LATE_MS, RETRY_MS, Turn, Worker};

use crate::screen::Screenshot;

/// With more waiting jobs than this, the store does not keep up: sessions cover.
pub const QUEUE_MAX: usize = 64;
/// While nothing can be stored, no pictures join a longer queue than this: uncompressed screenshots take
/// megabytes each.
const PICTURES_WAIT_MAX: usize = 16;
/// The queue's limit where sessions go on without evidence: many hours of jobs, without pictures.
const BEST_EFFORT_MAX: usize = 16 * 1024;

/// One thing to keep of one session.
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
    /// `pictures_due`: it announces an incident whose pictures follow.
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
    Presence(PresenceInterval),
    Liveness(Liveness),
    Incident {
        reason: Reason,
        boot_ms: u64,
        shots: Vec<(Label, Screenshot)>,
        /// Screenshots that were taken but could not wait in the queue.
        dropped: u16,
        recipients: Recipients,
    },
    Note(Note),
    /// The client's pictures, and where to acknowledge them.
    Pictures {
        complete: Box<Complete>,
        reply: Sender<Ack>,
    },
}

/// Whether evidence is being kept; every session looks at it.
#[derive(Debug, Default)]
pub struct Health {
    /// The last attempt to keep something failed.
    failing: AtomicBool,
    /// Evidence counts as kept once the remote store has it, and the remote store is late.
    remote_late: AtomicBool,
    waiting: AtomicUsize,
    /// Sessions whose device may store no more today, or whose quota is not known yet.
    without_room: Mutex<BTreeSet<Id>>,
}

impl Health {
    /// Whether a client may cause another entry. A covered session causes few, so a queue this long means
    /// that a client floods; a session that need not be covered may cause more.
    pub fn has_room(&self, is_required: bool) -> bool {
        let most = if is_required { 4 * QUEUE_MAX } else { BEST_EFFORT_MAX };
        self.waiting.load(Ordering::Relaxed) < most
    }

    /// Whether pictures can be stored soon, or may wait in the queue.
    pub fn takes_pictures(&self) -> bool {
        let fails = self.failing.load(Ordering::Relaxed);
        self.waiting.load(Ordering::Relaxed) < if fails { PICTURES_WAIT_MAX } else { QUEUE_MAX }
    }

    /// Whether evidence of this session is kept.
    pub fn is_kept(&self, session_id: &Id) -> bool {
        let fails = self.failing.load(Ordering::Relaxed) || self.remote_late.load(Ordering::Relaxed);
        let keeps_up = self.waiting.load(Ordering::Relaxed) < QUEUE_MAX;
        !fails && keeps_up && !self.without_room().contains(session_id)
    }

    /// The set is consistent after every statement, so a thread that panics while holding it does no harm.
    fn without_room(&self) -> MutexGuard<'_, BTreeSet<Id>> {
        self.without_room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where sessions hand in their jobs.
#[derive(Debug, Clone)]
pub struct Evidence {
    jobs: Sender<Job>,
    health: Arc<Health>,
}

impl Evidence {
    /// Queues a job. The queue is bounded: sessions cover when it is long, and a client that keeps
    /// causing entries is refused (`Health::has_room`).
    pub fn keep(&self, job: Job) {
        self.health.waiting.fetch_add(1, Ordering::Relaxed);
        if matches!(job.what, What::SessionStart(_)) {
            // Before anything of it can be shown: an earlier session may have exhausted its device's daily quota.
            self.health.without_room().insert(job.session_id);
        }
        if self.jobs.send(job).is_err() {
            // The worker is gone: nothing can be kept any more, and every session covers.
            self.health.failing.store(true, Ordering::Relaxed);
        }
    }

    pub fn health(&self) -> &Health {
        &self.health
    }
}

/// The worker's thread. Dropping it (after every `Evidence`) waits until the queue is empty.
#[derive(Debug)]
pub struct EvidenceThread {
    handle: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Opens the store, or connects to the recorder, as the source with this id; called again when it failed.
pub type OpenSink = Box<dyn Fn(Id) -> Result<Box<dyn EvidenceSink>, StoreError> + Send>;

impl EvidenceThread {
    /// Opens the store at once, so that a fault shows before the first session. `source` is random.
    pub fn start(open: OpenSink, source: Id, rules: EvidenceRules) -> Result<(Self, Evidence), StoreError> {
        let sink = open(source)?;
        Self::begin(Worker::new(Some(sink), open, source, rules, Arc::new(SystemRandom)))
    }

    /// As `start`, but begins without a store: everything stays covered until there is one.
    pub fn start_without(
        open: OpenSink,
        source: Id,
        rules: EvidenceRules,
    ) -> Result<(Self, Evidence), StoreError> {
        Self::begin(Worker::new(None, open, source, rules, Arc::new(SystemRandom)))
    }

    #[allow(clippy::disallowed_methods, reason = "the edge: a thread")]
    fn begin((worker, evidence): (Worker, Evidence)) -> Result<(Self, Evidence), StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let handle = thread::Builder::new()
            .name("evidence".into())
            .spawn(move || run(worker, &stopped))
            .map_err(|e| StoreError::io(std::path::Path::new("evidence thread"), "started", e))?;
        Ok((EvidenceThread { handle: Some(handle), stop }, evidence))
    }
}

/// Gives the worker its turns until nobody can hand in jobs any more.
#[allow(clippy::disallowed_methods, reason = "the edge: a thread with its clock")]
fn run(mut worker: Worker, stop: &AtomicBool) {
    loop {
        match worker.turn(clock::monotonic_ms()) {
            Turn::Done => {}
            Turn::Idle => worker.wait(),
            Turn::Failing if stop.load(Ordering::Relaxed) => worker.give_up(),
            Turn::Failing => thread::sleep(Duration::from_millis(RETRY_MS)),
            Turn::Ended => return,
        }
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
