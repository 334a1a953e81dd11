//! Collects the files of an export from a store.
//!
//! Two walks: one that audits the whole log and finds the incident, and one that takes the bytes of the
//! entries and all leaf hashes, from which the proofs are made (64 bytes of memory a leaf).

use std::collections::BTreeMap;

use sudare_protocol::evidence::{BlobRef, Entry, Event, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::inclusion::Prover;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{SignedCheckpoint, Tree, VerifierKey};

use super::bundle::{Bundle, LIST};
use super::{AuditFact, ENTRIES_MAX, EntryFact, ExportError, Facts, PictureFact, README, VERIFY_PY, VERSION};
use super::{contents, page};
use crate::audit::erase::survey;
use crate::audit::open::{self, file_name, sealed};
use crate::audit::retention::is_full;
use crate::audit::story::select::{Wanted, each_leaf};
use crate::audit::{AuditError, Incident, Report, Store};

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
    let wanted = wanted.ok_or(ExportError::TooOld(checkpoint.size()))?;
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

#[derive(Default)]
struct Taken {
    leaves: BTreeMap<u64, Vec<u8>>,
    prover: Prover,
    tree: Tree,
}

fn take(store: &Store, size: u64, wanted: &Wanted) -> Result<Taken, ExportError> {
    let mut taken = Taken::default();
    let whole = each_leaf(store, size, |index, leaf| {
        let hash = leaf_hash(leaf);
        taken.prover.push(hash);
        taken.tree.push(hash);
        let room = taken.leaves.len() <= ENTRIES_MAX;
        if room && Entry::open_unverified(leaf).is_ok_and(|entry| is_handed_on(wanted, &entry)) {
            taken.leaves.insert(index, leaf.to_vec());
        }
    })?;
    match taken.leaves.len() {
        _ if !whole => Err(ExportError::NotIntact),
        ..=ENTRIES_MAX => Ok(taken),
        _ => Err(ExportError::TooLarge("512 entries")),
    }
}

/// Who has looked at the pictures since is no part of what happened.
fn is_handed_on(wanted: &Wanted, entry: &Entry) -> bool {
    wanted.has(entry) && !matches!(entry.event(), Ok(Event::View(_)))
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
