//! The thread that encodes and seals pictures: tens of milliseconds that must delay nothing.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::driver::wall_ms;
use crate::evidence::{self, Finder, Shots, Terms};
use crate::inbox::{Inbox, Input};
use crate::spool::HostKey;

/// Incidents that wait for the thread.
const WAITING_MAX: usize = 8;

/// To whom pictures are sealed, by which policy, and for which host.
#[derive(Debug, Clone)]
pub(crate) struct To {
    pub(crate) terms: Terms,
    pub(crate) host: HostKey,
}

pub(crate) struct Sealing {
    jobs: Option<SyncSender<(Shots, To)>>,
    thread: JoinHandle<()>,
}

impl Sealing {
    pub(crate) fn start(inbox: Inbox, finder: Option<Finder>) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(WAITING_MAX);
        let thread =
            std::thread::Builder::new().name("sealing".into()).spawn(move || work(&queue, &inbox, finder))?;
        Ok(Sealing { jobs: Some(jobs), thread })
    }

    /// Queues an incident; `Input::Sealed` follows.
    pub(crate) fn seal(&self, shots: Shots, to: Option<&To>) {
        let Some(to) = to else {
            tracing::warn!("an incident without auditors has no camera pictures");
            return;
        };
        let Some(jobs) = &self.jobs else { return };
        if jobs.try_send((shots, to.clone())).is_err() {
            tracing::error!("pictures cannot be sealed fast enough; an incident has no camera pictures");
        }
    }

    /// No more will come; what was queued is still sealed.
    pub(crate) fn finish(&mut self) {
        self.jobs = None;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }
}

fn work(queue: &Receiver<(Shots, To)>, inbox: &Inbox, mut finder: Option<Finder>) {
    for (shots, to) in queue {
        match evidence::build(&shots, &to.terms, finder.as_mut(), wall_ms()) {
            Ok(evidence) => {
                if !inbox.put(Input::Sealed(to.host, Box::new(evidence))) {
                    tracing::warn!("the client ended while pictures were sealed");
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "an incident has no camera pictures"),
        }
    }
}
