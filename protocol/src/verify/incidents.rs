//! Incidents: what was announced must be in the entry that completes it, or be declared missing.
//!
//! Host and client each name an incident; the host's name stands in the entries, the client's in its
//! messages. A client that sends pictures in a later session knows its own name only, so what it
//! completes then is also the end of the host's.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{FindingKind, Findings};
use super::sessions::Said;
use crate::evidence::{BlobRef, Entry, Event, Id, Label};
use crate::message::{Manifest, Piece};

/// Pictures of one incident that are followed; a log with more is a fault by itself.
const PICTURES_MAX: usize = 64;

/// Incidents under way, and the ids of all.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: BTreeMap<Id, Incident>,
    /// All that began, with the entry that opened it, if it was not only announced.
    begun: BTreeMap<Id, Option<u64>>,
    /// The host's name for what the client calls so.
    names: BTreeMap<Id, Id>,
    /// What the client called incidents of which all came.
    whole: BTreeSet<Id>,
    /// Completed without pictures that were due: entry and how many.
    missing: BTreeMap<Id, (u64, usize)>,
}

#[derive(Debug)]
struct Incident {
    since: u64,
    /// False if all that happened is that the client, which had no acknowledgement, announced again what
    /// had come. It may come again; nothing waits for it.
    is_due: bool,
    stored: Vec<Picture>,
    /// By the client's name: what happens while it is covered already is another incident to it.
    announced: BTreeMap<Id, Announced>,
}

/// The last manifest of that name.
#[derive(Debug)]
struct Announced {
    index: u64,
    is_due: bool,
    pictures: Vec<Picture>,
}

/// What identifies a sealed picture and says what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picture {
    blob_id: Id,
    label: u8,
    media: u8,
    sha256: [u8; 32],
    commitment: [u8; 32],
    size: u64,
    header_size: Option<u32>,
}

impl From<&BlobRef> for Picture {
    fn from(blob: &BlobRef) -> Self {
        let BlobRef { blob_id, label, media, sha256, commitment, size, header_size } = *blob;
        Self { blob_id, label, media, sha256, commitment, size, header_size }
    }
}

impl From<&Piece> for Picture {
    fn from(piece: &Piece) -> Self {
        let label = Label::of_camera(piece.moment, piece.pixelated == Some(true)).number();
        let Piece { blob_id, media, sha256, commitment, size, header_size, .. } = *piece;
        Self { blob_id, label, media, sha256, commitment, size, header_size }
    }
}

impl Incidents {
    pub(super) fn count(&self) -> u64 {
        self.begun.len() as u64
    }

    pub(super) fn check(
        &mut self,
        index: u64,
        entry: &Entry,
        event: &Event,
        said: Option<Said>,
        findings: &mut Findings,
    ) {
        match said {
            Some(Said::Lock(lock)) => {
                self.names.extend(entry.incident_id.map(|incident_id| (lock.incident_id, incident_id)));
            }
            Some(Said::Manifest(manifest)) => {
                let incident_id = entry.incident_id.unwrap_or(manifest.incident_id);
                // Sent in a later session it stands under the client's name, which is known already.
                if incident_id != manifest.incident_id {
                    self.names.insert(manifest.incident_id, incident_id);
                }
                self.announce(index, incident_id, &manifest, findings);
            }
            None => {}
        }
        let Some(incident_id) = entry.incident_id else { return };
        match event {
            Event::IncidentOpen(_) => {
                if let Some(before) = self.begun.insert(incident_id, Some(index)).flatten() {
                    let detail = format!("entry {before} opened it");
                    findings.add(FindingKind::IncidentReopened, Some(index), detail);
                }
                self.follow(incident_id, index).is_due = true;
            }
            Event::IncidentComplete(complete) => {
                self.complete(index, incident_id, entry, usize::from(complete.missing), findings);
            }
            _ if !entry.blobs.is_empty() => {
                let incident = self.follow(incident_id, index);
                incident.is_due = true;
                let room = PICTURES_MAX.saturating_sub(incident.stored.len());
                incident.stored.extend(entry.blobs.iter().take(room).map(Picture::from));
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, findings: &mut Findings) {
        for incident in std::mem::take(&mut self.open).into_values().filter(|incident| incident.is_due) {
            let detail = "the host ended in the middle of it, or it is still going on";
            findings.add(FindingKind::IncidentIncomplete, Some(incident.since), detail);
            for named in incident.announced.into_values().filter(|named| named.is_due) {
                let detail = format!("{} pictures were announced", named.pictures.len());
                findings.add(FindingKind::ManifestUncompleted, Some(named.index), detail);
            }
        }
        let missing: BTreeSet<(u64, usize)> = std::mem::take(&mut self.missing).into_values().collect();
        for (index, count) in missing {
            let detail = format!("{count} were due when it was closed");
            findings.add(FindingKind::PicturesMissing, Some(index), detail);
        }
    }

    fn follow(&mut self, incident_id: Id, since: u64) -> &mut Incident {
        self.open.entry(incident_id).or_insert_with(|| Incident::new(since))
    }

    /// A client may announce an incident again after a reconnect; the last manifest counts,
    /// but it must not leave out a picture of the one before.
    ///
    /// It also begins the incident: pictures that were sealed while the host was away come to a guard
    /// that did not see it.
    fn announce(&mut self, index: u64, incident_id: Id, manifest: &Manifest, findings: &mut Findings) {
        self.begun.entry(incident_id).or_default();
        let pictures: Vec<Picture> = manifest.pieces.iter().map(Picture::from).collect();
        let is_due = !self.whole.contains(&manifest.incident_id);
        let now = Announced { index, is_due, pictures: pictures.clone() };
        let incident = self.follow(incident_id, index);
        incident.is_due |= is_due;
        let before = incident.announced.insert(manifest.incident_id, now);
        if before.is_some_and(|before| before.pictures.iter().any(|one| !pictures.contains(one))) {
            let detail = "a second manifest leaves out a picture of the first";
            findings.add(FindingKind::ManifestIncomplete, Some(index), detail);
        }
    }

    fn complete(
        &mut self,
        index: u64,
        incident_id: Id,
        entry: &Entry,
        missing: usize,
        findings: &mut Findings,
    ) {
        self.begun.entry(incident_id).or_insert_with(|| {
            let detail = "neither incident-open nor a manifest before it";
            findings.add(FindingKind::IncidentUnopened, Some(index), detail);
            None
        });
        let incident = self.open.remove(&incident_id);
        if missing == 0 {
            self.missing.remove(&incident_id);
            self.names.get(&incident_id).and_then(|also| self.missing.remove(also));
        } else if incident.as_ref().is_none_or(|incident| incident.is_due) {
            self.missing.insert(incident_id, (index, missing));
        }
        // What ended before may end once more, by the same rules.
        let mut incident = incident.unwrap_or_else(|| Incident::new(index));
        let listed: Vec<Picture> = entry.blobs.iter().map(Picture::from).collect();
        incident.check_stored(index, &listed, findings);
        incident.check_camera(index, &listed, findings);
        let whole = incident.take_whole(&listed);
        let is_end = !whole.is_empty();
        self.whole.extend(whole);
        if missing > 0 && !is_end {
            return;
        }
        let lost = incident.take_lost(&listed, is_end);
        if lost > 0 && missing == 0 {
            let detail = format!("{lost} announced pictures are not in its list");
            findings.add(FindingKind::ManifestIncomplete, Some(index), detail);
        }
        if !incident.announced.is_empty() {
            // More was announced under another name; it has an end of its own.
            incident.stored.clear();
            incident.is_due = incident.announced.values().any(|named| named.is_due);
            self.open.insert(incident_id, incident);
        }
    }
}

impl Incident {
    fn new(since: u64) -> Self {
        Self { since, is_due: false, stored: Vec::new(), announced: BTreeMap::new() }
    }

    fn check_stored(&self, index: u64, listed: &[Picture], findings: &mut Findings) {
        let lost = self.stored.iter().filter(|picture| !listed.contains(picture)).count();
        if lost > 0 {
            let detail = format!("{lost} stored pictures are not in its list");
            findings.add(FindingKind::PictureUnlisted, Some(index), detail);
        }
    }

    /// Camera pictures come from the client only, and all of them are in a signed manifest, which also
    /// says what each shows.
    fn check_camera(&self, index: u64, listed: &[Picture], findings: &mut Findings) {
        let is_camera = |picture: &&Picture| Label::from_number(picture.label).is_some_and(Label::is_camera);
        let is_foreign =
            |picture: &&Picture| !self.announced.values().any(|named| named.pictures.contains(picture));
        let unlisted = self.stored.iter().filter(|picture| !listed.contains(picture));
        let count = listed.iter().chain(unlisted).filter(is_camera).filter(is_foreign).count();
        if count > 0 {
            let detail = format!("{count} camera pictures of it are in no manifest as they are");
            findings.add(FindingKind::ManifestExceeded, Some(index), detail);
        }
    }

    /// The names under which all that was announced is there.
    fn take_whole(&mut self, listed: &[Picture]) -> Vec<Id> {
        self.announced.extract_if(.., |_, named| named.absent(listed) == 0).map(|(name, _)| name).collect()
    }

    /// What else was announced comes whole as well, at an end of its own; `is_end`: this one was that of
    /// another name. Takes out and counts what cannot come any more.
    fn take_lost(&mut self, listed: &[Picture], is_end: bool) -> usize {
        let lost = self.announced.extract_if(.., |_, named| {
            let is_cut = named.absent(listed) < named.pictures.len();
            is_cut || (named.is_due && !is_end)
        });
        lost.map(|(_, named)| named.absent(listed)).sum()
    }
}

impl Announced {
    fn absent(&self, listed: &[Picture]) -> usize {
        self.pictures.iter().filter(|picture| !listed.contains(picture)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{ClientMessage, IncidentComplete, IncidentOpen, PicturesStored};
    use crate::message::{Lock, Moment};
    use crate::reason::Reason;
    use crate::verify::testing;

    const INCIDENT: Id = [1; 16];
    /// What the client calls it.
    const NAMED: Id = [2; 16];

    /// Camera pictures, and screenshots from 5.
    fn blob(n: u8) -> BlobRef {
        testing::blob(n, if n < 5 { Label::CameraAt } else { Label::ScreenshotAtCover })
    }

    fn manifest(incident_id: Id, numbers: &[u8]) -> Manifest {
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
            incident_id,
            reason: Reason::Stranger,
            pieces: numbers.iter().map(piece).collect(),
            policy_digest: [0; 32],
            decided_boot_ms: 0,
            wall_ms: 0,
            cosine_milli: None,
            basis: None,
        }
    }

    /// An entry of this incident, and what the client said in it.
    type Step = (Id, Event, Vec<BlobRef>, Option<Said>);

    fn opened() -> Step {
        (INCIDENT, Event::IncidentOpen(IncidentOpen { boot_ms: 0 }), vec![], None)
    }

    fn stored(n: u8) -> Step {
        (INCIDENT, Event::PicturesStored(PicturesStored {}), vec![blob(n)], None)
    }

    fn said(incident_id: Id, said: Said) -> Step {
        let message = Event::ClientMessage(ClientMessage { message: vec![] });
        (incident_id, message, vec![], Some(said))
    }

    fn locked(named: Id) -> Step {
        let lock = Lock { reason: Reason::Stranger, incident_id: named, boot_ms: 0 };
        said(INCIDENT, Said::Lock(lock))
    }

    fn announced(named: Id, numbers: &[u8]) -> Step {
        said(INCIDENT, Said::Manifest(manifest(named, numbers)))
    }

    fn ended(incident_id: Id, listed: &[u8], missing: u16) -> Step {
        let event = Event::IncidentComplete(IncidentComplete { missing });
        (incident_id, event, listed.iter().map(|n| blob(*n)).collect(), None)
    }

    /// Completed with these pictures, right after a manifest of those.
    fn completed(listed: &[u8], missing: u16, announced: &[u8]) -> Step {
        let (incident_id, event, blobs, _) = ended(INCIDENT, listed, missing);
        let said = (!announced.is_empty()).then(|| Said::Manifest(manifest(INCIDENT, announced)));
        (incident_id, event, blobs, said)
    }

    fn check(steps: Vec<Step>) -> Vec<&'static str> {
        let (mut incidents, mut findings) = (Incidents::default(), Findings::default());
        for ((incident_id, event, blobs, said), seq) in steps.into_iter().zip(0..) {
            let entry = Entry { seq, incident_id: Some(incident_id), blobs, ..testing::entry(&event) };
            incidents.check(seq, &entry, &event, said, &mut findings);
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
        assert_eq!(check(vec![opened(), completed(&[], 0, &[1, 2])]), ["manifest-incomplete"]);
        assert_eq!(check(vec![opened(), completed(&[1], 1, &[1, 2])]), ["pictures-missing"]);
    }

    #[test]
    fn pictures_that_never_come_are_remarked() {
        let withheld = || vec![opened(), locked(NAMED), stored(5), ended(INCIDENT, &[5], 6)];
        assert_eq!(check(withheld()), ["pictures-missing"]);
        let also_announced = vec![opened(), announced(NAMED, &[1]), ended(INCIDENT, &[], 6)];
        assert_eq!(check(also_announced), ["pictures-missing"]);
        // The client came back with them, in the same session or, under its own name, in another.
        let later = |name| vec![said(name, Said::Manifest(manifest(NAMED, &[1]))), ended(name, &[1], 0)];
        assert_eq!(check([withheld(), later(INCIDENT)].concat()), [""; 0]);
        assert_eq!(check([withheld(), later(NAMED)].concat()), [""; 0]);
        // Cut off once more.
        let cut = vec![said(NAMED, Said::Manifest(manifest(NAMED, &[1]))), ended(NAMED, &[], 6)];
        assert_eq!(check([withheld(), cut.clone(), later(NAMED)].concat()), [""; 0]);
        assert_eq!(check([withheld(), cut].concat()), ["pictures-missing", "pictures-missing"]);
        // Those of something else are no excuse.
        let others = vec![said([3; 16], Said::Manifest(manifest([3; 16], &[1]))), ended([3; 16], &[1], 0)];
        assert_eq!(check([withheld(), others].concat()), ["pictures-missing"]);
    }

    #[test]
    fn the_client_may_name_one_cover_twice_and_announce_again_what_came() {
        let both = [opened(), announced(NAMED, &[1]), announced([3; 16], &[2])];
        let ends = [ended(INCIDENT, &[1], 0), ended(INCIDENT, &[2], 0)];
        assert_eq!(check([&both[..], &ends].concat()), [""; 0]);
        assert_eq!(check([&both[..], &ends[..1]].concat()), ["incident-incomplete", "manifest-uncompleted"]);
        // A screenshot was refused.
        let refused = [ended(INCIDENT, &[1], 1), ended(INCIDENT, &[2], 1)];
        assert_eq!(check([&both[..], &refused].concat()), ["pictures-missing"]);
        // The acknowledgement was lost: nothing is recorded again, or all of it.
        let again = [announced(NAMED, &[1]), announced([3; 16], &[2])];
        assert_eq!(check([&both[..], &ends, &again].concat()), [""; 0]);
        assert_eq!(check([&both[..], &ends, &again, &[ended(INCIDENT, &[], 6)]].concat()), [""; 0]);
        assert_eq!(check([&both[..], &ends, &again, &ends].concat()), [""; 0]);
    }

    #[test]
    fn an_incident_is_opened_once() {
        let whole = || vec![opened(), completed(&[1], 0, &[1])];
        assert_eq!(check([whole(), whole()].concat()), ["incident-reopened"]);
        assert_eq!(check(vec![opened(), opened(), ended(INCIDENT, &[], 0)]), ["incident-reopened"]);
        // Announced before the host saw it.
        assert_eq!(check(vec![announced(INCIDENT, &[1]), opened(), ended(INCIDENT, &[1], 0)]), [""; 0]);
    }

    #[test]
    fn a_camera_picture_must_have_been_announced() {
        assert_eq!(check(vec![opened(), completed(&[5, 1, 2], 0, &[1])]), ["manifest-exceeded"]);
        assert_eq!(check(vec![opened(), completed(&[1], 0, &[])]), ["manifest-exceeded"]);
        let later = vec![opened(), completed(&[5], 0, &[]), ended(INCIDENT, &[1], 0)];
        assert_eq!(check(later), ["manifest-exceeded"]);
        assert_eq!(
            check(vec![opened(), stored(1), ended(INCIDENT, &[], 0)]),
            ["picture-unlisted", "manifest-exceeded"]
        );
    }

    #[test]
    fn what_was_announced_must_be_listed_as_what_it_is() {
        let changes: [fn(&mut BlobRef); 4] = [
            |blob| blob.size += 1,
            |blob| blob.label = Label::CameraAtPixelated.number(),
            |blob| blob.label = Label::CameraBefore.number(),
            |blob| blob.media = 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = completed(&[1], 0, &[1]);
            other.2.iter_mut().for_each(change);
            let found = check(vec![opened(), other]);
            assert_eq!(found, ["manifest-exceeded", "manifest-incomplete"], "change {number}");
        }
        // Not even a picture of the host.
        let mut other = completed(&[1], 0, &[1]);
        other.2[0].label = Label::ScreenshotAtCover.number();
        assert_eq!(check(vec![opened(), other]), ["manifest-incomplete"]);
    }

    #[test]
    fn a_manifest_that_is_never_completed_is_remarked() {
        let steps = vec![announced(INCIDENT, &[1])];
        assert_eq!(check(steps), ["incident-incomplete", "manifest-uncompleted"]);
    }

    #[test]
    fn what_only_looks_odd_is_remarked() {
        assert_eq!(check(vec![opened()]), ["incident-incomplete"]);
        assert_eq!(check(vec![completed(&[], 0, &[])]), ["incident-unopened"]);
        assert_eq!(check(vec![opened(), stored(5), completed(&[1], 0, &[1])]), ["picture-unlisted"]);
    }
}
