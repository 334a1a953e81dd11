//! The log entries of each job. Pure.

use sudare_evidence::report::wire::NewEntry;
use sudare_protocol::evidence::event::{
    ClientMessage, IncidentComplete, IncidentOpen, PicturesStored, SessionEnd, Uncover,
};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{BlobRef, Event, Id};
use sudare_protocol::reason::Reason;

use super::incidents::Known;
use super::{Job, What};

/// The entries of a job, in order. `known` is what its incident has so far.
pub(super) fn of(job: &Job, blobs: Vec<BlobRef>, known: Known) -> Vec<NewEntry> {
    let plain = |reason: Reason, event: Event| vec![entry(job, Some(reason), vec![], &event)];
    match &job.what {
        What::SessionStart(start) => plain(Reason::Starting, Event::SessionStart(start.clone())),
        What::SessionEnd { reason, boot_ms } => {
            plain(*reason, Event::SessionEnd(SessionEnd { boot_ms: *boot_ms }))
        }
        What::ClientMessage { message, .. } => {
            let message = ClientMessage { message: message.clone() };
            vec![entry(job, None, vec![], &Event::ClientMessage(message))]
        }
        What::Cover { reason, cover } => plain(*reason, Event::Cover(*cover)),
        What::Uncover { boot_ms } => plain(Reason::None, Event::Uncover(Uncover { boot_ms: *boot_ms })),
        What::Note(note) => vec![entry(job, None, vec![], &Event::Note(*note))],
        What::Gap { reason, gap } => plain(*reason, Event::Gap(*gap)),
        What::Liveness(check) => vec![entry(job, None, vec![], &Event::Liveness(*check))],
        What::Presence(interval) => vec![entry(job, None, vec![], &Event::PresenceInterval(*interval))],
        What::Incident { reason, boot_ms, .. } => {
            let opened = Event::IncidentOpen(IncidentOpen { boot_ms: *boot_ms });
            let stored = Event::PicturesStored(PicturesStored {});
            vec![entry(job, Some(*reason), vec![], &opened), entry(job, Some(*reason), blobs, &stored)]
        }
        What::Pictures { complete, .. } => {
            let message = ClientMessage { message: complete.message.clone() };
            let done = Event::IncidentComplete(IncidentComplete { missing: known.missing });
            let all = [blobs, known.blobs].concat();
            vec![
                entry(job, None, vec![], &Event::ClientMessage(message)),
                entry(job, Some(complete.manifest.reason), all, &done),
            ]
        }
    }
}

/// A note that evidence of this job is not kept, and why.
pub(super) fn note(job: &Job, code: NoteCode) -> NewEntry {
    entry(job, None, vec![], &Event::Note(code.with(0)))
}

/// The completion of an incident that waits for nothing more.
pub(super) fn completion(
    session_id: Id,
    incident_id: Id,
    reason: Option<Reason>,
    blobs: Vec<BlobRef>,
    missing: u16,
) -> NewEntry {
    new(session_id, Some(incident_id), reason, blobs, &Event::IncidentComplete(IncidentComplete { missing }))
}

fn entry(job: &Job, reason: Option<Reason>, blobs: Vec<BlobRef>, event: &Event) -> NewEntry {
    new(job.session_id, job.incident_id, reason, blobs, event)
}

fn new(
    session_id: Id,
    incident_id: Option<Id>,
    reason: Option<Reason>,
    blobs: Vec<BlobRef>,
    event: &Event,
) -> NewEntry {
    let (kind, body) = event.encode();
    let (session_id, reason) = (Some(session_id), reason.map(Reason::number));
    NewEntry { session_id, incident_id, reason, blobs, kind, body }
}
