//! Compares what clients were promised with what the log holds.

use std::collections::{BTreeMap, BTreeSet};

use sudare_audit::{self, Walk};
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{Entry, Event};
use sudare_protocol::hex::hex;
use sudare_protocol::{cose, message};

use super::notes::{Note, Notes};
use super::place::Place;

/// What is wrong, in words, and counted.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Incidents that a spool promised to keep, and those that the host did.
    pub stored: usize,
    pub acknowledged: usize,
    /// Entries of the log.
    pub entries: usize,
    /// Promised incidents that the log does not hold with all their pictures, at the place that was told.
    pub lost: Vec<String>,
    /// Incidents completed twice, and reports that are there twice.
    pub duplicated: Vec<String>,
    /// What `sudare-audit verify` finds broken.
    pub broken: Vec<String>,
    /// Findings that only look odd, by name: incidents without an end are expected here.
    pub odd: BTreeMap<String, usize>,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.broken.is_empty()
    }
}

/// Reads notes and log; nobody may write any more.
pub(super) fn judge(place: &Place, pairs: usize) -> anyhow::Result<Verdict> {
    let mut notes = Vec::new();
    for number in 0..pairs {
        notes.extend(Notes::read(&place.client(number))?);
    }
    let mut verdict = Verdict::default();
    verify(place, &notes, &mut verdict)?;
    let log = read(place, &mut verdict)?;
    let promised = Promised::of(&notes);
    (verdict.stored, verdict.acknowledged) = (promised.pictures.len(), promised.leaves.len());
    for (incident, pictures) in &promised.pictures {
        for picture in pictures.iter().filter(|picture| !log.completed.contains_key(*picture)) {
            verdict.lost.push(format!("picture {picture} of {incident}, which the spool had"));
        }
    }
    for (incident, leaves) in &promised.leaves {
        let pictures = promised.pictures.get(incident).copied().unwrap_or_default();
        let is_at =
            |leaf: &u64| pictures.iter().all(|p| log.completed.get(p).is_some_and(|at| at.contains(leaf)));
        if pictures.is_empty() || !leaves.iter().all(is_at) {
            let there: Vec<&str> = log.about(incident, leaves).collect();
            verdict.lost.push(format!("{incident}, acknowledged at {leaves:?}; the log has {there:?}"));
        }
    }
    let twice = log.completed.iter().filter(|(_, at)| at.len() > 1);
    verdict.duplicated.extend(twice.map(|(picture, at)| format!("picture {picture} at {at:?}")));
    Ok(verdict)
}

/// The whole audit, with all receipts that clients have.
fn verify(place: &Place, notes: &[Note], verdict: &mut Verdict) -> anyhow::Result<()> {
    let receipts: Vec<Vec<u8>> = notes
        .iter()
        .filter_map(|note| match note {
            Note::Acknowledged { checkpoint, .. } => Some(checkpoint.clone().into_bytes()),
            Note::Stored { .. } => None,
        })
        .collect();
    let report = sudare_audit::verify_store(&place.evidence()?, &place.verifier()?, &receipts)?;
    for finding in &report.findings {
        if finding.class == "integrity" {
            verdict.broken.push(format!("{finding:?}"));
        } else {
            *verdict.odd.entry(finding.kind.to_owned()).or_default() += 1;
        }
    }
    if !report.integrity && verdict.broken.is_empty() {
        verdict.broken.push("unlisted findings".to_owned());
    }
    Ok(())
}

/// What the log says.
#[derive(Default)]
struct Log {
    /// Picture in hexadecimal → leaves of the entries that complete an incident with it.
    completed: BTreeMap<String, Vec<u64>>,
    /// Who reported which number.
    reported: BTreeSet<([u8; 16], u64)>,
    /// Each entry in words, for the message about one that is missing.
    told: Vec<(u64, String)>,
}

impl Log {
    /// What it says of an incident, and around these leaves.
    fn about<'l>(&'l self, incident: &'l str, leaves: &'l BTreeSet<u64>) -> impl Iterator<Item = &'l str> {
        let is_near = |index: u64| leaves.iter().any(|leaf| leaf.abs_diff(index) <= 2);
        self.told
            .iter()
            .filter(move |(index, told)| is_near(*index) || told.contains(incident))
            .map(|(_, told)| told.as_str())
    }
}

fn read(place: &Place, verdict: &mut Verdict) -> anyhow::Result<Log> {
    let mut log = Log::default();
    let (store, verifier) = (Store::open(&place.evidence()?)?, place.verifier()?);
    Walk::new(&store, &verifier, &[]).run(|index, entry, _| {
        verdict.entries += 1;
        note(&mut log, index, entry, verdict);
        Ok(())
    })?;
    Ok(log)
}

fn note(log: &mut Log, index: u64, entry: &Entry, verdict: &mut Verdict) {
    log.told.push((index, in_words(index, entry)));
    if let (Some(source), Some(serial)) = (entry.source, entry.serial)
        && !log.reported.insert((source, serial))
    {
        verdict.duplicated.push(format!("report {serial} of {} at {index}", hex(&source)));
    }
    if matches!(entry.event(), Ok(Event::IncidentComplete(_))) {
        for blob in &entry.blobs {
            log.completed.entry(hex(&blob.blob_id)).or_default().push(index);
        }
    }
}

fn in_words(index: u64, entry: &Entry) -> String {
    let incident = entry.incident_id.map(|id| hex(&id)).unwrap_or_default();
    let session = entry.session_id.map(|id| hex(&id)).unwrap_or_default();
    let what = match entry.event() {
        Ok(Event::IncidentComplete(complete)) => format!("complete, {} missing", complete.missing),
        Ok(Event::ClientMessage(client)) => match message_kind(&client.message) {
            Some(kind) => format!("message 0x{kind:02x}"),
            None => "message".to_owned(),
        },
        Ok(event) => format!("{event:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
        Err(error) => error.to_string(),
    };
    let blobs = entry.blobs.len();
    format!("{index}: {what} of {incident} in {session}, {blobs} pictures, serial {:?}", entry.serial)
}

fn message_kind(message: &[u8]) -> Option<u8> {
    message::split(cose::unverified_payload(message).ok()?).ok().map(|(kind, ..)| kind)
}

/// All notes, each incident once.
#[derive(Default)]
struct Promised<'n> {
    pictures: BTreeMap<&'n str, &'n [String]>,
    /// Where an incident was said to be; more than one place is one too many.
    leaves: BTreeMap<&'n str, BTreeSet<u64>>,
}

impl<'n> Promised<'n> {
    fn of(notes: &'n [Note]) -> Self {
        let mut promised = Promised::default();
        for note in notes {
            match note {
                Note::Stored { incident, pictures } => {
                    promised.pictures.insert(incident, pictures);
                }
                Note::Acknowledged { incident, leaf_index, .. } => {
                    promised.leaves.entry(incident).or_default().insert(*leaf_index);
                }
            }
        }
        promised
    }
}
