//! Incidents as the security team sees them: when, why, which pictures, complete or not.

use std::collections::BTreeMap;

use serde::Serialize;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Label, Media};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::reason::Reason;
use sudare_protocol::utc::utc;

/// One incident, collected from its entries.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// Random id in hex.
    pub id: String,
    /// Index of its first entry.
    pub entry: u64,
    /// Time of that entry by the host's clock (Unix time).
    pub wall_ms: u64,
    /// The same time as text, UTC.
    pub time: String,
    /// Stable name of the reason, or its number if this program does not know it.
    pub reason: String,
    /// Id of the session in hex.
    pub session: Option<String>,
    /// True if the incident was closed and no picture is missing.
    pub complete: bool,
    /// Pictures that were announced but never arrived; known once the incident is closed.
    pub missing: Option<u16>,
    /// Time from the host's decision until the screen was covered.
    pub cover_ms: Option<u64>,
    /// Sealed pictures in the order they were logged.
    pub pictures: Vec<Picture>,
    /// The reason, unless this program does not know it.
    #[serde(skip)]
    pub reason_known: Option<Reason>,
    /// What the log says about each picture, in the order of [`Self::pictures`].
    #[serde(skip)]
    pub blobs: Vec<BlobRef>,
    /// The pictures that no other incident listed earlier, each as it was first listed. Only these may be erased with
    /// the incident.
    #[serde(skip)]
    pub own: Vec<BlobRef>,
    /// When it was last opened; the retention period starts here, because an old incident may be opened again and
    /// receive new pictures.
    #[serde(skip)]
    pub opened_wall_ms: u64,
}

/// A sealed picture.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// Random id in hex; the name of its files in the store.
    pub blob: String,
    /// What it shows and when it was taken.
    pub label: String,
    /// Media type.
    pub media: String,
    /// Size of the sealed file in bytes.
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
    /// For each picture, the incident that listed it first.
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

    /// All incidents, oldest first.
    pub fn into_list(self) -> Vec<Incident> {
        let mut list: Vec<Incident> = self.by_id.into_values().collect();
        list.sort_by_key(|incident| incident.entry);
        list
    }
}

impl Incident {
    /// Ids of the incident and its session, which the fields hold as hex.
    pub fn ids(&self) -> (Id, Option<Id>) {
        (unhex(&self.id).unwrap_or_default(), self.session.as_deref().and_then(unhex))
    }

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

/// Whether bystanders can be recognised on a picture. One of an unknown kind is treated as if they could.
pub fn is_full(label: Option<Label>) -> bool {
    label.is_none_or(Label::is_full)
}

/// A duration as text. The clocks count whole milliseconds, so 0 does not mean that no time passed.
pub fn took(ms: u64) -> String {
    if ms == 0 { "< 1 ms".to_owned() } else { format!("{ms} ms") }
}
