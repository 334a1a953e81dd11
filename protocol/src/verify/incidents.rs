//! Incidents: what was announced must be in the entry that completes it, or be declared missing.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{FindingKind, Findings};
use crate::evidence::{BlobRef, Entry, Event, Id, Label};
use crate::message::Manifest;

/// Pictures of one incident that are followed; a log with more is a fault by itself.
const PICTURES_MAX: usize = 64;

/// Incidents under way, and the ids of all.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: BTreeMap<Id, Incident>,
    opened: BTreeSet<Id>,
}

#[derive(Debug)]
struct Incident {
    since: u64,
    stored: Vec<Picture>,
    announced: Vec<Picture>,
    /// Entry of the last manifest.
    announced_at: Option<u64>,
}

/// What identifies a sealed picture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    blob_id: Id,
    sha256: [u8; 32],
    commitment: [u8; 32],
    size: u64,
    header_size: Option<u32>,
}

impl From<&BlobRef> for Picture {
    fn from(blob: &BlobRef) -> Self {
        let BlobRef { blob_id, sha256, commitment, size, header_size, .. } = *blob;
        Self { blob_id, sha256, commitment, size, header_size }
    }
}

impl Incidents {
    pub(super) fn count(&self) -> u64 {
        self.opened.len() as u64
    }

    pub(super) fn check(
        &mut self,
        index: u64,
        entry: &Entry,
        event: &Event,
        manifest: Option<Manifest>,
        findings: &mut Findings,
    ) {
        if let Some(manifest) = manifest {
            // The host may have named the incident before the client did.
            let incident_id = entry.incident_id.unwrap_or(manifest.incident_id);
            self.announce(index, incident_id, &manifest, findings);
        }
        let Some(incident_id) = entry.incident_id else { return };
        match event {
            Event::IncidentOpen(_) => {
                self.opened.insert(incident_id);
                self.follow(incident_id, index);
            }
            Event::IncidentComplete(complete) => {
                self.complete(index, incident_id, entry, usize::from(complete.missing), findings);
            }
            _ if !entry.blobs.is_empty() => {
                let incident = self.follow(incident_id, index);
                let room = PICTURES_MAX.saturating_sub(incident.stored.len());
                incident.stored.extend(entry.blobs.iter().take(room).map(Picture::from));
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, findings: &mut Findings) {
        for incident in std::mem::take(&mut self.open).into_values() {
            let detail = "the host ended in the middle of it, or it is still going on";
            findings.add(FindingKind::IncidentIncomplete, Some(incident.since), detail);
            if let Some(announced_at) = incident.announced_at {
                let detail = format!("{} pictures were announced", incident.announced.len());
                findings.add(FindingKind::ManifestUncompleted, Some(announced_at), detail);
            }
        }
    }

    fn follow(&mut self, incident_id: Id, since: u64) -> &mut Incident {
        let new = || Incident { since, stored: Vec::new(), announced: Vec::new(), announced_at: None };
        self.open.entry(incident_id).or_insert_with(new)
    }

    /// A client may announce an incident again after a reconnect; the last manifest counts,
    /// but it must not leave out a picture of the one before.
    ///
    /// It also begins the incident: pictures that were sealed while the host was away come to a guard
    /// that did not see it.
    fn announce(&mut self, index: u64, incident_id: Id, manifest: &Manifest, findings: &mut Findings) {
        self.opened.insert(incident_id);
        let pictures: Vec<Picture> = manifest
            .pieces
            .iter()
            .map(|piece| Picture {
                blob_id: piece.blob_id,
                sha256: piece.sha256,
                commitment: piece.commitment,
                size: piece.size,
                header_size: piece.header_size,
            })
            .collect();
        let incident = self.follow(incident_id, index);
        if incident.announced.iter().any(|before| !pictures.contains(before)) {
            let detail = "a second manifest leaves out a picture of the first";
            findings.add(FindingKind::ManifestIncomplete, Some(index), detail);
        }
        (incident.announced, incident.announced_at) = (pictures, Some(index));
    }

    fn complete(
        &mut self,
        index: u64,
        incident_id: Id,
        entry: &Entry,
        missing: usize,
        findings: &mut Findings,
    ) {
        if !self.opened.contains(&incident_id) {
            findings.add(
                FindingKind::IncidentUnopened,
                Some(index),
                "neither incident-open nor a manifest before it",
            );
            self.opened.insert(incident_id);
        }
        let Some(incident) = self.open.remove(&incident_id) else { return };
        let listed: Vec<Picture> = entry.blobs.iter().map(Picture::from).collect();
        let lost = incident.stored.iter().filter(|picture| !listed.contains(picture)).count();
        if lost > 0 {
            let detail = format!("{lost} stored pictures are not in its list");
            findings.add(FindingKind::PictureUnlisted, Some(index), detail);
        }
        let absent = incident.announced.iter().filter(|picture| !listed.contains(picture)).count();
        if absent > missing {
            let detail =
                format!("{absent} announced pictures are not in its list, {missing} are declared missing");
            findings.add(FindingKind::ManifestIncomplete, Some(index), detail);
        }
        incident.check_camera(index, &entry.blobs, findings);
    }
}

impl Incident {
    /// Camera pictures come from the client only, and all of them are in its signed manifest.
    fn check_camera(&self, index: u64, listed: &[BlobRef], findings: &mut Findings) {
        let is_camera = |blob: &&BlobRef| Label::from_number(blob.label).is_some_and(Label::is_camera);
        let foreign = |blob: &&BlobRef| !self.announced.contains(&Picture::from(*blob));
        let count = listed.iter().filter(is_camera).filter(foreign).count();
        if count > 0 {
            let detail = format!("{count} camera pictures in its list are in no manifest");
            findings.add(FindingKind::ManifestExceeded, Some(index), detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{IncidentComplete, IncidentOpen, PicturesStored};
    use crate::message::{Moment, Piece};
    use crate::reason::Reason;
    use crate::verify::testing;

    const INCIDENT: Id = [1; 16];

    /// Camera pictures, and screenshots from 5.
    fn blob(n: u8) -> BlobRef {
        let label = if n < 5 { Label::CameraAt } else { Label::ScreenshotAtCover };
        BlobRef {
            blob_id: [n; 16],
            label: label.number(),
            media: 0,
            sha256: [n; 32],
            size: 1,
            commitment: [n; 32],
            header_size: None,
        }
    }

    fn manifest(numbers: &[u8]) -> Manifest {
        let piece = |n: &u8| Piece {
            blob_id: [*n; 16],
            moment: Moment::At,
            size: 1,
            sha256: [*n; 32],
            commitment: [*n; 32],
            chunks: vec![],
            boot_ms: 0,
            media: 0,
            header_size: None,
            pixelated: None,
        };
        Manifest {
            incident_id: INCIDENT,
            reason: Reason::Stranger,
            pieces: numbers.iter().map(piece).collect(),
            policy_digest: [0; 32],
            decided_boot_ms: 0,
            wall_ms: 0,
            cosine_milli: None,
            basis: None,
        }
    }

    fn opened() -> (Event, Vec<BlobRef>, Option<Manifest>) {
        (Event::IncidentOpen(IncidentOpen { boot_ms: 0 }), vec![], None)
    }

    fn stored(n: u8) -> (Event, Vec<BlobRef>, Option<Manifest>) {
        (Event::PicturesStored(PicturesStored {}), vec![blob(n)], None)
    }

    /// Completed with these pictures, right after a manifest of those.
    fn completed(listed: &[u8], missing: u16, announced: &[u8]) -> (Event, Vec<BlobRef>, Option<Manifest>) {
        let event = Event::IncidentComplete(IncidentComplete { missing });
        let manifest = (!announced.is_empty()).then(|| manifest(announced));
        (event, listed.iter().map(|n| blob(*n)).collect(), manifest)
    }

    fn check(steps: Vec<(Event, Vec<BlobRef>, Option<Manifest>)>) -> Vec<&'static str> {
        let (mut incidents, mut findings) = (Incidents::default(), Findings::default());
        for ((event, blobs, manifest), seq) in steps.into_iter().zip(0..) {
            let entry = Entry { seq, incident_id: Some(INCIDENT), blobs, ..testing::entry(&event) };
            incidents.check(seq, &entry, &event, manifest, &mut findings);
        }
        incidents.finish(&mut findings);
        findings.list().iter().map(|finding| finding.kind.as_str()).collect()
    }

    #[test]
    fn a_whole_incident_is_accepted() {
        assert!(check(vec![opened(), stored(5), completed(&[5, 1, 2], 0, &[1, 2])]).is_empty());
    }

    #[test]
    fn an_announced_picture_must_come_or_be_declared_missing() {
        assert_eq!(check(vec![opened(), completed(&[1], 0, &[1, 2])]), ["manifest-incomplete"]);
        assert!(check(vec![opened(), completed(&[1], 1, &[1, 2])]).is_empty());
        // Completed without it first, and again when the client came back with it.
        assert!(check(vec![opened(), completed(&[], 1, &[]), completed(&[1], 0, &[1])]).is_empty());
    }

    #[test]
    fn a_camera_picture_must_have_been_announced() {
        assert_eq!(check(vec![opened(), completed(&[5, 1, 2], 0, &[1])]), ["manifest-exceeded"]);
        assert_eq!(check(vec![opened(), completed(&[1], 0, &[])]), ["manifest-exceeded"]);
        let mut larger = completed(&[1], 0, &[1]);
        larger.1[0].size += 1;
        assert_eq!(check(vec![opened(), larger]), ["manifest-incomplete", "manifest-exceeded"]);
    }

    #[test]
    fn a_manifest_that_is_never_completed_is_remarked() {
        let (open, _, _) = opened();
        let steps = vec![(open, vec![], Some(manifest(&[1])))];
        assert_eq!(check(steps), ["incident-incomplete", "manifest-uncompleted"]);
    }

    #[test]
    fn what_only_looks_odd_is_remarked() {
        assert_eq!(check(vec![opened()]), ["incident-incomplete"]);
        assert_eq!(check(vec![completed(&[], 0, &[])]), ["incident-unopened"]);
        assert_eq!(check(vec![opened(), stored(5), completed(&[1], 0, &[1])]), ["picture-unlisted"]);
    }
}
