//! Collects the files of an export from a store.
//!
//! The log is read twice: once to audit it and find the incident, and once to take the bytes of the entries and all
//! leaf hashes, from which the proofs are made (64 bytes of memory per leaf).

use std::collections::BTreeMap;

use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Label};
use sudare_protocol::hex::hex;
use sudare_protocol::tlog::inclusion::Prover;
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{SignedCheckpoint, Tree, VerifierKey};

use super::bundle::{Bundle, LIST};
use super::error::ExportError;
use super::proof::{AuditFact, ENTRIES_MAX, EntryFact, Facts, PictureFact, Problem, VERSION, made_by};
use super::{contents, page};
use crate::error::AuditError;
use crate::incidents::{Incident, is_full};
use crate::open::{self, file_name, sealed};
use crate::report::Report;
use crate::summary::select::{Wanted, each_leaf};

/// What is the same in every export of this version: what the zip says about itself, and the independent implementation
/// of the check.
pub(super) const TOOLS: [(&str, &str); 2] =
    [("README.txt", include_str!("README.txt")), ("verify.py", include_str!("verify.py"))];

/// What to export.
#[derive(Debug)]
pub struct Request<'a> {
    /// The secrets that open pictures; without them all stay sealed.
    pub open: Option<open::Request<'a>>,
    /// Include pictures on which bystanders can be recognised.
    pub full: bool,
    /// A cosigned checkpoint that replaces the store's own.
    pub checkpoint: Option<Vec<u8>>,
    /// Unix time.
    pub now_ms: u64,
}

/// Makes an export. `report` is the result of auditing the whole log.
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
    let (incident_id, _) = incident.ids();
    let wanted = Wanted::find(store, checkpoint.size(), incident_id)?;
    let wanted = wanted.ok_or(ExportError::TooOld(checkpoint.size()))?;
    let taken = take(store, checkpoint.size(), &wanted)?;
    if taken.tree.root() != checkpoint.root() {
        return Err(ExportError::NotIntact);
    }
    let mut bundle = Bundle::default();
    for (name, text) in TOOLS {
        bundle.put(name, text.as_bytes().to_vec());
    }
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
        if room && Entry::open_unverified(leaf).is_ok_and(|entry| is_exported(wanted, &entry)) {
            taken.leaves.insert(index, leaf.to_vec());
        }
    })?;
    match taken.leaves.len() {
        _ if !whole => Err(ExportError::NotIntact),
        ..=ENTRIES_MAX => Ok(taken),
        _ => Err(ExportError::TooLarge("512 entries")),
    }
}

/// Who has opened the pictures since is not part of what happened.
fn is_exported(wanted: &Wanted, entry: &Entry) -> bool {
    wanted.has(entry) && !matches!(entry.event(), Ok(Event::View(_)))
}

/// Adds the files of the pictures, and says for each what became of it.
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
            fact.problem = Some(Problem::NotChosen);
        } else {
            match sealed(store, blob)? {
                Ok(bytes) => {
                    let name = format!("sealed/{blob_id}.age");
                    bundle.put(&name, bytes);
                    fact.sealed = Some(name);
                    add_opened(store, blob, number, request, bundle, &mut fact)?;
                }
                Err(_) => fact.problem = Some(Problem::NotInStore),
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
        Ok((bytes, viewer)) => {
            bundle.opened_by(blob.blob_id, viewer);
            let name = format!("opened/{}", file_name(number, blob));
            bundle.put(&name, bytes.to_vec());
            fact.opened = Some(name);
        }
        Err(_) if blob.header_size.is_some() => fact.problem = Some(Problem::Custodian),
        Err(_) => fact.problem = Some(Problem::NotOpened),
    }
    Ok(())
}
