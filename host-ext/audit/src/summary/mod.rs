//! Summarises one incident from its entries, without any secret: what is known, what happened when, and where its
//! pictures are. Nothing is opened.
//!
//! ```text
//! log ──select──► entries ──sessions (handshakes, messages verified)──► facts, timeline ─┬─► Summary: `show`
//! store ──────────────────────────────────────────────────────────────► pictures ────────┘
//!                                                           facts, timeline ──► page of an export
//! ```

mod facts;
pub mod messages;
mod pictures;
pub(crate) mod select;
pub(crate) mod sessions;
mod timeline;

use serde::Serialize;
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};

use crate::error::AuditError;
use crate::incidents::Incident;
use select::{Wanted, each_leaf};
use sessions::Sessions;

pub use facts::Fact;
pub(crate) use facts::facts;
pub use messages::Text;
pub use pictures::{PictureState, Shows, State};
pub use timeline::Moment;
pub(crate) use timeline::timeline;

/// Entries in a timeline; an incident has far fewer unless its pictures were opened very often.
const ENTRIES_MAX: usize = 4096;

/// What is known about an incident. The JSON names are stable; fields may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Statements about the incident.
    pub facts: Vec<Fact>,
    /// What happened when, in log order.
    pub timeline: Vec<Moment>,
    /// Number of entries beyond those listed.
    pub unlisted_entries: u64,
    /// Where each of its pictures is.
    pub pictures: Vec<PictureState>,
    /// What does not verify and is therefore left out.
    pub problems: Vec<String>,
}

/// Summarises an incident under the store's checkpoint. An entry or message whose signature is wrong is left out and
/// listed as a problem.
pub fn summarise(store: &Store, verifier: &VerifierKey, incident: &Incident) -> Result<Summary, AuditError> {
    let note = store.checkpoint()?.unwrap_or_default();
    let checkpoint = SignedCheckpoint::open(&note, verifier).map_err(AuditError::Checkpoint)?;
    let (incident_id, _) = incident.ids();
    let mut problems = Vec::new();
    let (mut entries, mut unlisted_entries) = (Vec::new(), 0);
    if let Some(wanted) = Wanted::find(store, checkpoint.size(), incident_id)? {
        each_leaf(store, checkpoint.size(), |index, leaf| {
            let is_wanted = Entry::open_unverified(leaf).is_ok_and(|entry| wanted.has(&entry));
            match is_wanted.then(|| Entry::open(leaf, verifier.key())) {
                None => {}
                Some(Ok(_)) if entries.len() >= ENTRIES_MAX => unlisted_entries += 1,
                Some(Ok(entry)) => entries.push(entry),
                Some(Err(error)) => problems.push(format!("entry {index}: {error}")),
            }
        })?;
    }
    let sessions = verified_sessions(&entries, verifier, &mut problems);
    Ok(Summary {
        facts: facts(incident, &sessions, &checkpoint),
        timeline: timeline(&entries, incident_id),
        unlisted_entries,
        pictures: pictures::pictures(store, incident, &entries)?,
        problems,
    })
}

/// The handshakes and messages whose signatures are right.
fn verified_sessions(entries: &[Entry], verifier: &VerifierKey, problems: &mut Vec<String>) -> Sessions {
    let mut sessions = Sessions::default();
    for entry in entries {
        let event = entry.event().map_err(|error| error.to_string());
        if let Err(why) = event.and_then(|event| sessions.add(entry, &event, verifier.key())) {
            problems.push(format!("entry {}: {why}", entry.seq));
        }
    }
    sessions
}
