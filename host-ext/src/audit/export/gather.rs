//! Collects the files of an export from a store.
//!
//! Two walks: one that audits the whole log and finds the incident, and one that takes the bytes of the
//! entries and all leaf hashes, from which the proofs are made (64 bytes of memory a leaf).

use std::collections::{BTreeMap, BTreeSet};

use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Label};
use sudare_protocol::tlog::inclusion::Prover;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{SignedCheckpoint, Tree, VerifierKey, tiles};

use super::bundle::{Bundle, LIST};
use super::{AuditFact, ENTRIES_MAX, EntryFact, ExportError, Facts, PictureFact, README, VERIFY_PY, VERSION};
use super::{contents, page};
use crate::audit::erase::survey;
use crate::audit::open::{self, file_name, sealed};
use crate::audit::retention::is_full;
use crate::audit::{AuditError, Incident, Report, Store};
use crate::store::blobs::hex;

/// Of the same session, what happened so long before an incident belongs to its story.
const BEFORE_MS: u64 = 10_000;
/// And so long after its first entry.
const AFTER_MS: u64 = 120_000;

/// What is to be exported.
#[derive(Debug)]
pub struct Request<'a> {
    /// Secrets; without them nothing is opened.
    pub open: Option<open::Request<'a>>,
    /// Also sealed pictures on which bystanders can be recognised.
    pub full: bool,
    /// A (cosigned) checkpoint in the place of the store's.
    pub checkpoint: Option<Vec<u8>>,
    /// Unix time.
    pub now_ms: u64,
}

/// Makes an export. `report` is what the audit of the whole log said.
pub fn gather(
    store: &Store,
    verifier: &VerifierKey,
    report: &Report,
    incident: &Incident,
    request: &Request<'_>,
) -> Result<Bundle, ExportError> {
    let note = match &request.checkpoint {
        Some(note) => note.clone(),
        None => store.checkpoint()?.ok_or(ExportError::NotIntact)?,
    };
    let checkpoint = SignedCheckpoint::open(&note, verifier)?;
    let (incident_id, _) = survey::ids_of(incident);
    let wanted = Wanted::find(store, checkpoint.size(), incident_id)?;
    if wanted.first.is_none() {
        return Err(ExportError::TooOld(checkpoint.size()));
    }
    let taken = take(store, checkpoint.size(), &wanted)?;
    if taken.tree.root() != checkpoint.root() {
        return Err(ExportError::NotIntact);
    }
    let mut bundle = Bundle::default();
    bundle.put("README.txt", README.as_bytes().to_vec());
    bundle.put("verify.py", VERIFY_PY.as_bytes().to_vec());
    bundle.put("checkpoint", note);
    let mut entries = Vec::new();
    for (index, leaf) in taken.leaves {
        let proof = taken.prover.proof(index).unwrap_or_default().iter().map(|hash| hex(hash)).collect();
        entries.push(EntryFact { index, proof });
        bundle.put(&format!("entries/{index}.cose"), leaf);
    }
    let pictures = pictures(store, incident, request, &mut bundle)?;
    let facts = Facts {
        version: VERSION,
        made_by: made_by(),
        made_ms: request.now_ms,
        origin: verifier.name().to_owned(),
        size: checkpoint.size(),
        incident: incident.id.clone(),
        entries,
        pictures,
        audit: AuditFact {
            ok: report.ok,
            integrity: report.integrity,
            entries: report.entries,
            findings: report.findings.iter().map(AuditFact::named).collect(),
        },
    };
    let json = serde_json::to_vec_pretty(&facts).map_err(|e| ExportError::Refused(e.to_string()))?;
    bundle.put("proof.json", json);
    let contents = contents::read(&bundle, verifier).map_err(|(_, why)| ExportError::Refused(why))?;
    bundle.put("index.html", page::render(&bundle, &contents).into_bytes());
    let list = bundle.list();
    bundle.put(LIST, list.into_bytes());
    Ok(bundle)
}

/// Name and version of this program.
pub fn made_by() -> String {
    format!("sudare-audit {}", env!("CARGO_PKG_VERSION"))
}

/// Which entries belong to the story of an incident.
struct Wanted {
    incident_id: Id,
    /// Last entry of the incident itself.
    last: u64,
    /// Whose handshakes are needed to check its messages.
    sessions: BTreeSet<Id>,
    /// The first entry of the incident.
    first: Option<Entry>,
}

impl Wanted {
    fn find(store: &Store, size: u64, incident_id: Id) -> Result<Self, ExportError> {
        let mut wanted = Self { incident_id, last: 0, sessions: BTreeSet::new(), first: None };
        each_leaf(store, size, |index, leaf| {
            let entry = Entry::open_unverified(leaf).ok();
            let Some(entry) = entry.filter(|entry| entry.incident_id == Some(incident_id)) else { return };
            wanted.last = index;
            wanted.sessions.extend(entry.session_id);
            wanted.first.get_or_insert(entry);
        })?;
        Ok(wanted)
    }

    fn has(&self, entry: &Entry) -> bool {
        match entry.event() {
            Ok(Event::LogStart(_) | Event::HostKeyChange(_)) => entry.seq <= self.last,
            Ok(Event::SessionStart(_)) => {
                entry.seq <= self.last && entry.session_id.is_some_and(|id| self.sessions.contains(&id))
            }
            _ if entry.incident_id == Some(self.incident_id) => true,
            // Another incident of the same time is another story.
            _ if entry.incident_id.is_some() => false,
            _ => self.first.as_ref().is_some_and(|first| is_near(entry, first)),
        }
    }
}

/// What happened in the same session around the first entry of an incident.
fn is_near(entry: &Entry, first: &Entry) -> bool {
    let from_ms = first.boot_ms.saturating_sub(BEFORE_MS);
    let to_ms = first.boot_ms.saturating_add(AFTER_MS);
    entry.session_id.is_some()
        && entry.session_id == first.session_id
        && entry.boot_id == first.boot_id
        && (from_ms..=to_ms).contains(&entry.boot_ms)
}

#[derive(Default)]
struct Taken {
    leaves: BTreeMap<u64, Vec<u8>>,
    prover: Prover,
    tree: Tree,
}

fn take(store: &Store, size: u64, wanted: &Wanted) -> Result<Taken, ExportError> {
    let mut taken = Taken::default();
    each_leaf(store, size, |index, leaf| {
        let hash = leaf_hash(leaf);
        taken.prover.push(hash);
        taken.tree.push(hash);
        let room = taken.leaves.len() <= ENTRIES_MAX;
        if room && Entry::open_unverified(leaf).is_ok_and(|entry| wanted.has(&entry)) {
            taken.leaves.insert(index, leaf.to_vec());
        }
    })?;
    if taken.leaves.len() > ENTRIES_MAX { Err(ExportError::TooLarge("512 entries")) } else { Ok(taken) }
}

/// Calls `visit` with each leaf under a checkpoint of `size` entries.
fn each_leaf(store: &Store, size: u64, mut visit: impl FnMut(u64, &[u8])) -> Result<(), ExportError> {
    let mut index = 0;
    for path in tiles::bundles(size) {
        let bytes = store.tile(path)?.ok_or(ExportError::NotIntact)?;
        for leaf in tiles::entries(&bytes).take(path.width) {
            visit(index, leaf.map_err(|_| ExportError::NotIntact)?);
            index += 1;
        }
    }
    if index == size { Ok(()) } else { Err(ExportError::NotIntact) }
}

/// Adds the files of the pictures, and says of each what became of it.
fn pictures(
    store: &Store,
    incident: &Incident,
    request: &Request<'_>,
    bundle: &mut Bundle,
) -> Result<Vec<PictureFact>, ExportError> {
    let mut facts = Vec::new();
    for (blob, number) in incident.blobs.iter().zip(1..) {
        let blob_id = hex(&blob.blob_id);
        let mut fact = PictureFact { blob: blob_id.clone(), sealed: None, opened: None, problem: None };
        if !request.full && is_full(Label::from_number(blob.label)) {
            fact.problem = Some("not-chosen".to_owned());
        } else {
            match sealed(store, blob)? {
                Ok(bytes) => {
                    let name = format!("sealed/{blob_id}.age");
                    bundle.put(&name, bytes);
                    fact.sealed = Some(name);
                    add_opened(store, blob, number, request, bundle, &mut fact)?;
                }
                Err(_) => fact.problem = Some("not-in-store".to_owned()),
            }
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn add_opened(
    store: &Store,
    blob: &BlobRef,
    number: usize,
    request: &Request<'_>,
    bundle: &mut Bundle,
    fact: &mut PictureFact,
) -> Result<(), AuditError> {
    let Some(keys) = &request.open else { return Ok(()) };
    match open::open_salted(store, blob, keys)? {
        Ok(bytes) => {
            let name = format!("opened/{}", file_name(number, blob));
            bundle.put(&name, bytes.to_vec());
            fact.opened = Some(name);
        }
        Err(problem) => fact.problem = Some(problem),
    }
    Ok(())
}
