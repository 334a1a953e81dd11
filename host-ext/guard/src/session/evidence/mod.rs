//! The thread that keeps evidence: sealing and storing, away from the session's task.
//!
//! ```text
//!  session ──Job──► queue ──► EvidenceThread ──► Keep: the recorder's process, or one in here
//!     ▲                            │
//!     └── acknowledgement, health ─┘   a job is dropped only after it is durable
//! ```
//! When the store fails (full disk, read-only, no recorder), the job is tried again until it works;
//! meanwhile `Health` says that evidence is not kept, and sessions that need it stay covered.
//!
//! - [`keeper`]: one job after the other. [`entries`]: what the log says of each, pure.
//! - [`pictures`]: sealing and labels. [`incidents`]: which incident waits for what, pure.

mod entries;
mod incidents;
mod keeper;
mod pictures;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use sudare_evidence::report::Keep;
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::Label;
use sudare_protocol::evidence::event::{Cover, Gap, Note, PresenceInterval, SessionStart};
use sudare_protocol::intake::Complete;
use sudare_protocol::message::{Ack, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::seal::Recipients;

use crate::transport::Picture;
use keeper::Keeper;

/// More waiting jobs than this mean that evidence is not kept up with: sessions cover.
pub const QUEUE_MAX: usize = 64;
/// More waiting jobs than this, and no pictures wait with them while nothing can be stored: uncompressed
/// screenshots take megabytes each.
const PICTURES_WAIT_MAX: usize = 16;
/// Waiting jobs where a session goes on without evidence: many hours of them, without pictures.
const BEST_EFFORT_MAX: usize = 16 * 1024;

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
    Presence(PresenceInterval),
    Incident {
        reason: Reason,
        boot_ms: u64,
        shots: Vec<(Label, Picture)>,
        /// Screenshots that were taken and could not wait.
        dropped: u16,
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
    /// The last attempt to keep something failed.
    failing: AtomicBool,
    /// Evidence counts as kept when the remote store has it, and it does not have it in time.
    remote_late: AtomicBool,
    waiting: AtomicUsize,
    /// Sessions of devices that may store no more today, or of which that is not known yet.
    without_room: Mutex<BTreeSet<Id>>,
}

impl Health {
    /// Whether a client may cause another entry. A session that is covered causes few, so that a
    /// queue this long means a client that floods; one that need not be covered may cause more.
    pub fn has_room(&self, is_required: bool) -> bool {
        let most = if is_required { 4 * QUEUE_MAX } else { BEST_EFFORT_MAX };
        self.waiting.load(Ordering::Relaxed) < most
    }

    /// Whether pictures can be stored soon, or have room to wait.
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

    /// A set is whole after every statement, so a panicked holder leaves nothing half done.
    fn without_room(&self) -> MutexGuard<'_, BTreeSet<Id>> {
        self.without_room.lock().unwrap_or_else(PoisonError::into_inner)
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
        if matches!(job.what, What::SessionStart(_)) {
            // Before anything of it can be shown: its device may have had its day in an earlier session.
            self.health.without_room().insert(job.session_id);
        }
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

/// Opens the store, or connects to the recorder, as the source with this id; called again when it failed.
pub type OpenKeep = Box<dyn Fn(Id) -> Result<Box<dyn Keep>, StoreError> + Send>;

impl EvidenceThread {
    /// Opens the store, so that a fault is known before the first session. `source` is random.
    pub fn start(open: OpenKeep, source: Id, rules: EvidenceRules) -> Result<(Self, Evidence), StoreError> {
        let keep = open(source)?;
        Self::begin(Some(keep), open, source, rules)
    }

    /// As `start`, but goes on without a store: everything stays covered until there is one.
    pub fn start_without(
        open: OpenKeep,
        source: Id,
        rules: EvidenceRules,
    ) -> Result<(Self, Evidence), StoreError> {
        Self::begin(None, open, source, rules)
    }

    fn begin(
        keep: Option<Box<dyn Keep>>,
        open: OpenKeep,
        source: Id,
        rules: EvidenceRules,
    ) -> Result<(Self, Evidence), StoreError> {
        let (jobs, queue) = channel();
        let health = Arc::new(Health::default());
        health.failing.store(keep.is_none(), Ordering::Relaxed);
        // Until the recorder says how far the copy is.
        health.remote_late.store(rules.durable == Durable::Remote, Ordering::Relaxed);
        let stop = Arc::new(AtomicBool::new(false));
        let mut keeper = Keeper::new(keep, open, source, rules, health.clone(), stop.clone());
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
