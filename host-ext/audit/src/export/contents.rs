//! Reads the files of an export, verifying each against what the log's key signed.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use sudare_protocol::evidence::{BlobRef, Entry, Id};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::tlog::inclusion::{self, PROOF_MAX_HASHES};
use sudare_protocol::tlog::merkle::leaf_hash;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey};

use super::bundle::Bundle;
use super::proof::{ENTRIES_MAX, Facts, PictureFact, VERSION};
use crate::incidents::{Incident, Incidents};
use crate::summary::sessions::Sessions;

/// The part of the check that failed, and why.
pub(super) type Failure = (&'static str, String);

/// An export whose every part is covered by the log's signature. Only [`read`] makes one.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) facts: Facts,
    pub(super) checkpoint: SignedCheckpoint,
    /// In log order.
    pub(super) entries: Vec<Entry>,
    pub(super) sessions: Sessions,
    pub(super) incident: Incident,
    /// What the log says about each picture, and what the export holds of it.
    pub(super) pictures: Vec<(BlobRef, PictureFact)>,
}

/// Verifies everything but the page and the list, which are not evidence.
pub(super) fn read(bundle: &Bundle, verifier: &VerifierKey) -> Result<Contents, Failure> {
    let note = bundle.get("checkpoint").unwrap_or_default();
    let checkpoint =
        SignedCheckpoint::open(note, verifier).map_err(|error| ("checkpoint", error.to_string()))?;
    let facts = facts(bundle, &checkpoint).map_err(|why| ("facts", why))?;
    let entries = entries(bundle, &facts, verifier, &checkpoint).map_err(|why| ("entries", why))?;
    let incident_id =
        unhex(&facts.incident).ok_or(("facts", "the incident's id is not in hex".to_owned()))?;
    let (sessions, incident) = incident(&entries, incident_id, verifier).map_err(|why| ("sessions", why))?;
    let pictures = pictures(bundle, &facts, &incident).map_err(|why| ("pictures", why))?;
    Ok(Contents { facts, checkpoint, entries, sessions, incident, pictures })
}

fn facts(bundle: &Bundle, checkpoint: &SignedCheckpoint) -> Result<Facts, String> {
    let json = bundle.get("proof.json").ok_or("proof.json is missing")?;
    let facts: Facts = serde_json::from_slice(json).map_err(|error| format!("proof.json: {error}"))?;
    let same = facts.origin == checkpoint.checkpoint().origin && facts.size == checkpoint.size();
    if facts.version != VERSION || !same {
        return Err("proof.json belongs to another version, log or checkpoint".to_owned());
    }
    if !facts.has_own_words_only() {
        return Err("proof.json has words that no export has".to_owned());
    }
    if facts.entries.len() > ENTRIES_MAX {
        return Err(format!("it lists more than {ENTRIES_MAX} entries"));
    }
    Ok(facts)
}

/// Each entry is signed by the log, states its own index, and is included at that index under the checkpoint.
fn entries(
    bundle: &Bundle,
    facts: &Facts,
    verifier: &VerifierKey,
    checkpoint: &SignedCheckpoint,
) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for fact in &facts.entries {
        let name = format!("entries/{}.cose", fact.index);
        let leaf = bundle.get(&name).ok_or_else(|| format!("{name} is missing"))?;
        let proof: Option<Vec<[u8; 32]>> =
            fact.proof.iter().take(PROOF_MAX_HASHES + 1).map(|hash| unhex(hash)).collect();
        let proof = proof.ok_or_else(|| format!("{name}: its proof is not in hex"))?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        if !inclusion::verify(&leaf_hash(leaf), fact.index, size, &proof, &root) {
            return Err(format!("{name} is not under the checkpoint"));
        }
        let entry = Entry::open(leaf, verifier.key()).map_err(|error| format!("{name}: {error}"))?;
        if entry.seq != fact.index || entries.last().is_some_and(|last| last.seq >= entry.seq) {
            return Err(format!("{name} is not at the index that it states, or is there twice"));
        }
        entries.push(entry);
    }
    let files = bundle.names().filter(|name| name.starts_with("entries/")).count();
    if files == entries.len() { Ok(entries) } else { Err("there are entries without a proof".to_owned()) }
}

fn incident(
    entries: &[Entry],
    incident_id: Id,
    verifier: &VerifierKey,
) -> Result<(Sessions, Incident), String> {
    let mut sessions = Sessions::default();
    let mut incidents = Incidents::default();
    for entry in entries {
        let event = entry.event().map_err(|error| format!("entry {}: {error}", entry.seq))?;
        let added = sessions.add(entry, &event, verifier.key());
        added.map_err(|why| format!("entry {}: {why}", entry.seq))?;
        if entry.incident_id == Some(incident_id) {
            incidents.add(entry.seq, entry);
        }
    }
    let incident = incidents.into_list().pop().ok_or("no entry belongs to the incident")?;
    Ok((sessions, incident))
}

fn pictures(
    bundle: &Bundle,
    facts: &Facts,
    incident: &Incident,
) -> Result<Vec<(BlobRef, PictureFact)>, String> {
    let vouched = incident.blobs.iter().map(|blob| hex(&blob.blob_id));
    if !vouched.eq(facts.pictures.iter().map(|fact| fact.blob.clone())) {
        return Err("proof.json and the entries list different pictures".to_owned());
    }
    let mut named = BTreeSet::new();
    let pairs: Vec<_> = incident.blobs.iter().cloned().zip(facts.pictures.iter().cloned()).collect();
    for (blob, fact) in &pairs {
        if let Some(name) = &fact.sealed {
            let bytes = bundle.get(name).ok_or_else(|| format!("{name} is missing"))?;
            if sha256(bytes) != blob.sha256 || bytes.len() as u64 != blob.size {
                return Err(format!("{name} is not the picture in the log"));
            }
            named.insert(name.as_str());
        }
        if let Some(name) = &fact.opened {
            let bytes = bundle.get(name).ok_or_else(|| format!("{name} is missing"))?;
            if sha256(bytes) != blob.commitment {
                return Err(format!("{name} is not the picture that the log committed to"));
            }
            named.insert(name.as_str());
        }
    }
    let files = bundle.names().filter(|name| name.starts_with("sealed/") || name.starts_with("opened/"));
    if files.eq(named) {
        Ok(pairs)
    } else {
        Err("there are pictures that proof.json does not list".to_owned())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
