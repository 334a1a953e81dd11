//! Where an incident's pictures are and what they show, without opening any.

use std::collections::BTreeMap;

use serde::Serialize;
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::{BlobRef, Entry, Event, Id, Label, Media};

use super::messages::{self, Text};
use crate::error::AuditError;
use crate::incidents::{Incident, Picture, is_full};
use crate::open::sealed;

/// One picture of an incident.
#[derive(Clone, Debug, Serialize)]
pub struct PictureState {
    /// Which picture.
    #[serde(flatten)]
    pub picture: Picture,
    /// What it shows, in words.
    pub what: Text,
    /// How much can be seen on it.
    pub shows: Shows,
    /// Where it is.
    pub state: State,
    /// Index of the tombstone that names it.
    pub tombstone: Option<u64>,
}

/// How much can be seen on a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shows {
    /// Bystanders can be recognised.
    Full,
    /// Bystanders are pixelated.
    Pixelated,
    /// The session's screen.
    Screen,
    /// Nothing: there is only a hash, to recognise a picture that somebody else has.
    Hash,
}

/// Where a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// In the store, sealed to the auditors, as the log vouches.
    Sealed,
    /// In the store, sealed to the auditors and under the custodian's seal.
    Custodian,
    /// It has a tombstone, and its files are deleted.
    Erased,
    /// It has a tombstone, but its files are still there: the erasure must be run again.
    Erasing,
    /// It is not in the store, and there is no tombstone.
    Missing,
    /// The file in the store is not the one that the log vouches for.
    Differs,
}

impl State {
    /// Whether it needs an investigation.
    pub fn is_odd(self) -> bool {
        matches!(self, Self::Erasing | Self::Missing | Self::Differs)
    }
}

/// All pictures of an incident in log order; `entries` include its tombstones.
pub(super) fn pictures(
    store: &Store,
    incident: &Incident,
    entries: &[Entry],
) -> Result<Vec<PictureState>, AuditError> {
    let tombstones = tombstones(entries);
    let state = |blob: &BlobRef| {
        let tombstone = tombstones.get(&blob.blob_id).copied();
        let label = Label::from_number(blob.label);
        Ok(PictureState {
            picture: Picture::from(blob),
            what: messages::of_label(label),
            shows: shows(blob, label),
            state: find(store, blob, tombstone.is_some())?,
            tombstone,
        })
    };
    incident.blobs.iter().map(state).collect()
}

fn tombstones(entries: &[Entry]) -> BTreeMap<Id, u64> {
    let mut found = BTreeMap::new();
    for entry in entries {
        if let Ok(Event::Tombstone(tombstone)) = entry.event() {
            for blob in &tombstone.blobs {
                found.entry(blob.0).or_insert(entry.seq);
            }
        }
    }
    found
}

fn find(store: &Store, blob: &BlobRef, erased: bool) -> Result<State, AuditError> {
    let paths = store.blob(&blob.blob_id);
    let there = [paths.header.exists(), paths.body.exists()];
    Ok(match (erased, there) {
        (true, [false, false]) => State::Erased,
        (true, _) => State::Erasing,
        (false, [true, true]) if sealed(store, blob)?.is_err() => State::Differs,
        (false, [true, true]) if blob.header_size.is_some() => State::Custodian,
        (false, [true, true]) => State::Sealed,
        (false, _) => State::Missing,
    })
}

fn shows(blob: &BlobRef, label: Option<Label>) -> Shows {
    match label {
        _ if blob.media == Media::Salt.number() => Shows::Hash,
        label if is_full(label) => Shows::Full,
        Some(label) if label.is_camera() => Shows::Pixelated,
        _ => Shows::Screen,
    }
}
