//! The story of one incident, told from its entries without any secret: what is known, what happened
//! when, and what there is of its pictures. Nothing is opened.
//!
//! ```text
//! log ──select──► entries ──sessions (handshakes, messages checked)──► facts, timeline ─┬─► Summary: `show`
//! store ─────────────────────────────────────────────────────────► pictures ────────────┘
//!                                                       facts, timeline ──► page of an export
//! ```

mod facts;
pub mod messages;
mod pictures;
pub(super) mod select;
pub(super) mod sessions;
mod timeline;

pub use facts::Fact;
pub(super) use facts::facts;
pub use messages::Text;
pub use pictures::{PictureState, Shows, State};
use select::{Wanted, each_leaf};
use serde::Serialize;
use sessions::Sessions;
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::Entry;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};
pub use timeline::Moment;
pub(super) use timeline::timeline;

use super::erase::survey;
use super::{AuditError, Incident};

/// Entries that are told; an incident that Sudare records has far fewer, unless it was looked at very often.
const ENTRIES_MAX: usize = 4096;

/// What is told of an incident. The JSON names are stable; fields may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What is known.
    pub facts: Vec<Fact>,
    /// What happened when, in log order.
    pub timeline: Vec<Moment>,
    /// Entries beyond those listed.
    pub unlisted_entries: u64,
    /// What there is of its pictures.
    pub pictures: Vec<PictureState>,
    /// What of it could not be believed, and is left out.
    pub problems: Vec<String>,
}

/// Tells the story of an incident under the store's checkpoint. An entry or a message whose signature is
/// wrong is left out and named.
pub fn tell(store: &Store, verifier: &VerifierKey, incident: &Incident) -> Result<Summary, AuditError> {
    let note = store.checkpoint()?.unwrap_or_default();
    let checkpoint = SignedCheckpoint::open(&note, verifier).map_err(AuditError::Checkpoint)?;
    let (incident_id, _) = survey::ids_of(incident);
    let mut problems = Vec::new();
    let (mut entries, mut unlisted_entries) = (Vec::new(), 0);
    if let Some(wanted) = Wanted::find(store, checkpoint.size(), incident_id)? {
        each_leaf(store, checkpoint.size(), |index, leaf| {
            let told = Entry::open_unverified(leaf).is_ok_and(|entry| wanted.has(&entry));
            match told.then(|| Entry::open(leaf, verifier.key())) {
                None => {}
                Some(Ok(_)) if entries.len() >= ENTRIES_MAX => unlisted_entries += 1,
                Some(Ok(entry)) => entries.push(entry),
                Some(Err(error)) => problems.push(format!("entry {index}: {error}")),
            }
        })?;
    }
    let sessions = believed(&entries, verifier, &mut problems);
    Ok(Summary {
        facts: facts(incident, &sessions, &checkpoint),
        timeline: timeline(&entries, incident_id),
        unlisted_entries,
        pictures: pictures::pictures(store, incident, &entries)?,
        problems,
    })
}

/// The handshakes and messages whose signatures are right.
fn believed(entries: &[Entry], verifier: &VerifierKey, problems: &mut Vec<String>) -> Sessions {
    let mut sessions = Sessions::default();
    for entry in entries {
        let event = entry.event().map_err(|error| error.to_string());
        if let Err(why) = event.and_then(|event| sessions.add(entry, &event, verifier.key())) {
            problems.push(format!("entry {}: {why}", entry.seq));
        }
    }
    sessions
}
