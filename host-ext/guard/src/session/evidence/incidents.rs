//! What each open incident still waits for. Pure.

use std::collections::BTreeMap;

use sudare_evidence::report::wire::NewEntry;
use sudare_protocol::evidence::{BlobRef, Id};
use sudare_protocol::reason::Reason;

use super::{Job, What, entries};

/// Pictures that an auditor may expect of an incident that a client announced.
const PICTURES_DUE: u16 = 6;

/// Incidents that are not complete yet: the current one of each session, and those whose pictures the client
/// still owes.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: BTreeMap<Id, Open>,
}

#[derive(Debug, Clone, Default)]
struct Open {
    session_id: Id,
    reason: Option<Reason>,
    blobs: Vec<BlobRef>,
    /// Screenshots that were not kept and are lost.
    missing: u16,
    /// The client's pictures are still to come.
    due: bool,
}

/// What an incident has so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) blobs: Vec<BlobRef>,
    pub(super) missing: u16,
}

impl Incidents {
    /// What the job's incident has so far.
    pub(super) fn known(&self, job: &Job) -> Known {
        let open = job.incident_id.and_then(|id| self.open.get(&id));
        open.map(|open| Known { blobs: open.blobs.clone(), missing: open.missing }).unwrap_or_default()
    }

    /// Completions that this job brings about: of incidents that wait for nothing when the desktop is shown
    /// again, and of all the session's incidents when it ends.
    pub(super) fn completions(&self, job: &Job) -> Vec<NewEntry> {
        let complete = |(id, open): (&Id, &Open)| {
            let missing = open.missing.saturating_add(if open.due { PICTURES_DUE } else { 0 });
            entries::completion(open.session_id, *id, open.reason, open.blobs.clone(), missing)
        };
        self.open.iter().filter(|(_, open)| open.ends_with(job)).map(complete).collect()
    }

    /// Only the job's note is durable: the incidents that the job ends have ended all the same.
    pub(super) fn settle_refused(&mut self, job: &Job) {
        self.open.retain(|_, open| !open.ends_with(job));
    }

    /// The job is durable: remembers what belongs to its incident.
    pub(super) fn settle(&mut self, job: &Job, blobs: Vec<BlobRef>) {
        self.settle_refused(job);
        let Some(id) = job.incident_id else { return };
        match &job.what {
            What::Incident { reason, shots, dropped, .. } => {
                let missing = usize::from(*dropped) + shots.len().saturating_sub(blobs.len());
                let open = self.open.entry(id).or_default();
                (open.session_id, open.reason) = (job.session_id, Some(*reason));
                open.missing = open.missing.saturating_add(u16::try_from(missing).unwrap_or(u16::MAX));
                open.blobs.extend(blobs);
            }
            What::ClientMessage { pictures_due: true, .. } => {
                let open = self.open.entry(id).or_default();
                (open.session_id, open.due) = (job.session_id, true);
            }
            What::Pictures { .. } => {
                self.open.remove(&id);
            }
            _ => {}
        }
    }
}

impl Open {
    fn ends_with(&self, job: &Job) -> bool {
        let over = match job.what {
            What::Uncover { .. } => !self.due,
            What::SessionEnd { .. } => true,
            _ => false,
        };
        over && self.session_id == job.session_id
    }
}
