//! The thread that seals pictures and stores them: the milliseconds and the disk must not delay the driver.
//!
//! ```text
//!  driver ─ Seal ──► pictures sealed ─► on disk ─► Input::Sealed ─► driver, which sends them
//!         ─ Adopt ─► evidence that dead processes left for this host ─► Input::Sealed
//!         ─ Acked ─► receipt on disk ─► incident's file removed
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use sudare_client_core::evidence::Shots;
use sudare_client_core::spool::HostKey;
use sudare_protocol::client::Evidence;
use sudare_protocol::message::Ack;
use sudare_vision::finder::Finder;

use crate::clock;
use crate::evidence::{self, Terms};
use crate::inbox::{Inbox, Input, Unsaved};
use crate::spool::Spools;

/// Jobs in the thread's queue; more wait behind it.
const WAITING_MAX: usize = 8;
/// Jobs that wait behind the queue. Pictures beyond that are dropped, and the log says so; the spool bounds receipts.
const LATER_MAX: usize = 64;

/// To whom pictures are sealed, by which policy, and for which host.
#[derive(Debug, Clone)]
pub(crate) struct Addressee {
    pub(crate) terms: Terms,
    pub(crate) host: HostKey,
}

enum Job {
    /// `Unsaved` counts it until it is on disk.
    Seal(Box<(Shots, Addressee, Unsaved)>),
    Adopt(HostKey),
    Acked(Ack),
}

pub(crate) struct Sealer {
    jobs: Option<SyncSender<Job>>,
    later: VecDeque<Job>,
    thread: JoinHandle<()>,
}

impl Sealer {
    pub(crate) fn start(inbox: Inbox, finder: Option<Finder>, spools: Arc<Spools>) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(WAITING_MAX);
        let mut worker = Worker { inbox, finder, spools };
        let thread = std::thread::Builder::new().name("sealer".into()).spawn(move || worker.run(&queue))?;
        Ok(Sealer { jobs: Some(jobs), later: VecDeque::new(), thread })
    }

    /// Queues an incident; `Input::Sealed` follows once it is on disk.
    pub(crate) fn seal(&mut self, shots: Shots, to: Option<&Addressee>, unsaved: Unsaved) {
        let Some(to) = to else {
            tracing::warn!("no host has named its auditors yet; an incident has no camera pictures");
            return;
        };
        if self.later.len() >= LATER_MAX {
            tracing::error!("pictures cannot be sealed fast enough; an incident has no camera pictures");
            return;
        }
        self.put(Job::Seal(Box::new((shots, to.clone(), unsaved))));
    }

    /// Looks for evidence that dead processes left for a host; one `Input::Sealed` follows for each incident.
    pub(crate) fn adopt(&mut self, host: HostKey) {
        self.put(Job::Adopt(host));
    }

    /// A host keeps an incident.
    pub(crate) fn acked(&mut self, ack: Ack) {
        self.put(Job::Acked(ack));
    }

    /// Passes on jobs for which there was no room before. Never waits.
    pub(crate) fn flush(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while let Some(job) = self.later.pop_front() {
            match jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => return self.later.push_front(job),
                // The thread has panicked; the log says why, and the host has its own evidence.
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }

    /// No more jobs will come; queued ones are still done while `flush` is called.
    pub(crate) fn finish(&mut self) {
        self.flush();
        if self.later.is_empty() {
            self.jobs = None;
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    fn put(&mut self, job: Job) {
        self.later.push_back(job);
        self.flush();
    }
}

/// What runs on the thread.
struct Worker {
    inbox: Inbox,
    finder: Option<Finder>,
    spools: Arc<Spools>,
}

impl Worker {
    fn run(&mut self, queue: &Receiver<Job>) {
        for job in queue {
            match job {
                Job::Seal(job) => {
                    let (shots, to, _unsaved) = *job;
                    self.seal(&shots, to);
                }
                Job::Adopt(host) => self.adopt(&host),
                Job::Acked(ack) => {
                    if let Err(error) = self.spools.delivered(&ack, clock::wall_ms()) {
                        tracing::error!("an incident has no receipt: {error}");
                    }
                }
            }
        }
    }

    fn seal(&mut self, shots: &Shots, to: Addressee) {
        match evidence::build(shots, &to.terms, self.finder.as_mut(), clock::wall_ms()) {
            Ok(evidence) => {
                if let Err(error) = self.spools.store(&to.host, &evidence) {
                    tracing::error!("{error}");
                }
                self.hand_over(to.host, evidence);
            }
            Err(error) => tracing::error!(%error, "an incident has no camera pictures"),
        }
    }

    fn adopt(&self, host: &HostKey) {
        match self.spools.adopt(host) {
            Ok(left) => left.into_iter().for_each(|evidence| self.hand_over(host.clone(), evidence)),
            Err(error) => tracing::error!("evidence of an earlier run cannot be sent: {error}"),
        }
    }

    fn hand_over(&self, host: HostKey, evidence: Evidence) {
        if !self.inbox.put(Input::Sealed(host, Box::new(evidence))) {
            tracing::warn!("the client ended while pictures were being sealed; they are kept on disk");
        }
    }
}
