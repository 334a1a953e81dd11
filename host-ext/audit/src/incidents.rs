//! Incidents as the security team sees them: when, why, which pictures, complete or not.

use std::collections::BTreeMap;

use serde::Serialize;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Label, Media};
use sudare_protocol::hex::hex;
use sudare_protocol::reason::Reason;
use sudare_protocol::utc::utc;

/// One incident, put together from its entries.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// Random id in hex.
    pub id: String,
    /// Index of its first entry.
    pub entry: u64,
    /// Host's Unix time of that entry.
    pub wall_ms: u64,
    /// The same in words, UTC.
    pub time: String,
    /// Stable name of the reason, or its number if this program does not know it.
    pub reason: String,
    /// Session in hex.
    pub session: Option<String>,
    /// True once nothing more is expected and nothing is missing.
    pub complete: bool,
    /// Pictures that were due and did not come; known when the incident is closed.
    pub missing: Option<u16>,
    /// From the host's decision to the cover on the screen.
    pub cover_ms: Option<u64>,
    /// Sealed pictures in the order they were logged.
    pub pictures: Vec<Picture>,
    /// For words in both languages.
    #[serde(skip)]
    pub reason_known: Option<Reason>,
    /// What the log vouches for, for opening.
    #[serde(skip)]
    pub blobs: Vec<BlobRef>,
    /// Of those the ones that no other incident listed before, each as it was listed first: what may be
    /// erased with it.
    #[serde(skip)]
    pub own: Vec<BlobRef>,
    /// When it was opened last, for retention: what is filed under an old incident by opening it again
    /// is not old.
    #[serde(skip)]
    pub opened_wall_ms: u64,
}

/// A sealed picture.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// Random id in hex; names the files in the store.
    pub blob: String,
    /// What it shows and when it was taken.
    pub label: String,
    /// Form of the picture.
    pub media: String,
    /// Bytes of the sealed file.
    pub size: u64,
}

/// Incidents whose id begins with `prefix`.
pub fn find<'a>(incidents: &'a [Incident], prefix: &str) -> Vec<&'a Incident> {
    let prefix = prefix.trim().to_ascii_lowercase();
    incidents.iter().filter(|incident| !prefix.is_empty() && incident.id.starts_with(&prefix)).collect()
}

/// Collects incidents from entries in log order.
#[derive(Debug, Default)]
pub struct Incidents {
    by_id: BTreeMap<Id, Incident>,
    /// The incident that listed a picture first.
    owners: BTreeMap<Id, Id>,
}

impl Incidents {
    /// Takes in one entry.
    pub fn add(&mut self, index: u64, entry: &Entry) {
        let Some(incident_id) = entry.incident_id else { return };
        let Ok(event) = entry.event() else { return };
        let incident = self.by_id.entry(incident_id).or_insert_with(|| Incident::start(index, entry));
        if incident.reason_known.is_none_or(|reason| reason == Reason::None) {
            incident.set_reason(entry.reason);
        }
        for blob in &entry.blobs {
            self.owners.entry(blob.blob_id).or_insert_with(|| {
                incident.own.push(blob.clone());
                incident_id
            });
            if !incident.blobs.contains(blob) {
                incident.blobs.push(blob.clone());
                incident.pictures.push(Picture::from(blob));
            }
        }
        match event {
            Event::IncidentOpen(_) => incident.opened_wall_ms = entry.wall_ms,
            Event::Cover(cover) if incident.cover_ms.is_none() => {
                incident.cover_ms = Some(cover.effective_boot_ms.saturating_sub(cover.asked_boot_ms));
            }
            Event::IncidentComplete(complete) => {
                incident.missing = Some(complete.missing);
                incident.complete = complete.missing == 0;
            }
            _ => {}
        }
    }

    /// The incident that a picture belongs to.
    pub fn owner(&self, picture: &Id) -> Option<Id> {
        self.owners.get(picture).copied()
    }

    /// All of them, oldest first.
    pub fn into_list(self) -> Vec<Incident> {
        let mut list: Vec<Incident> = self.by_id.into_values().collect();
        list.sort_by_key(|incident| incident.entry);
        list
    }
}

impl Incident {
    fn start(index: u64, entry: &Entry) -> Self {
        Self {
            id: entry.incident_id.map(|id| hex(&id)).unwrap_or_default(),
            entry: index,
            wall_ms: entry.wall_ms,
            time: utc(entry.wall_ms),
            reason: String::from("unknown"),
            session: entry.session_id.map(|id| hex(&id)),
            complete: false,
            missing: None,
            cover_ms: None,
            pictures: Vec::new(),
            reason_known: None,
            blobs: Vec::new(),
            own: Vec::new(),
            opened_wall_ms: entry.wall_ms,
        }
    }

    fn set_reason(&mut self, number: Option<u8>) {
        let Some(number) = number else { return };
        self.reason_known = Reason::from_number(number);
        self.reason =
            self.reason_known.map_or_else(|| number.to_string(), |reason| reason.as_str().to_owned());
    }
}

impl From<&BlobRef> for Picture {
    fn from(blob: &BlobRef) -> Self {
        let label = Label::from_number(blob.label).map_or("unknown", Label::as_str);
        let media = Media::from_number(blob.media).map_or("unknown", Media::as_str);
        Self { blob: hex(&blob.blob_id), label: label.into(), media: media.into(), size: blob.size }
    }
}

/// How long something took. The clocks count whole milliseconds, so none does not mean no time.
pub fn took(ms: u64) -> String {
    if ms == 0 { "< 1 ms".to_owned() } else { format!("{ms} ms") }
}
