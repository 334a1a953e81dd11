//! Whether erased pictures were allowed to be erased, by the signed policy of the incident's session;
//! needs the organisation's key.
//!
//! - *both*: the pictures are those of the tombstone's incident. A picture belongs to the incident that
//!   listed it first, so that no later entry moves it to one that may be erased.
//! - *retention*: the incident is as old as the policy keeps pictures of each one's kind.
//! - *approved*: the approvals that stand before the tombstone are those that its hash names, by two
//!   approvers of the policy, for this incident and these pictures.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::findings::{FindingKind, Findings};
use crate::approval::{self, Wish};
use crate::evidence::event::{Erasure, Tombstone};
use crate::evidence::{Entry, Event, Id, Label};
use crate::rules::EvidenceRules;

const HOUR_MS: u64 = 3_600_000;
/// Approvals that are kept until their tombstone: of one incident, and incidents that have some.
const APPROVALS_MAX: usize = 32;
const WAITING_MAX: usize = 1_024;

/// What is known about incidents whose pictures may be erased.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// The policies' rules, each once.
    rules: Vec<EvidenceRules>,
    /// Sessions that have begun and not ended, and the place of their rules.
    sessions: BTreeMap<Id, usize>,
    incidents: BTreeMap<Id, Incident>,
    pictures: BTreeMap<Id, Picture>,
    waiting: BTreeMap<Id, Approvals>,
}

#[derive(Debug)]
struct Incident {
    rules: Option<usize>,
    /// When it was opened last: what is filed under an old incident by opening it again is not old.
    since_ms: u64,
}

/// As it was listed first.
#[derive(Debug)]
struct Picture {
    incident_id: Id,
    label: Option<Label>,
}

#[derive(Debug, Default)]
struct Approvals {
    signed: Vec<Vec<u8>>,
    /// By a tombstone; the next approval begins another erasure.
    used: bool,
}

impl Erasures {
    /// A session has begun under a policy that the organisation signed.
    pub(super) fn begin(&mut self, session_id: Id, rules: EvidenceRules) {
        let place = self.rules.iter().position(|known| *known == rules).unwrap_or_else(|| {
            self.rules.push(rules);
            self.rules.len() - 1
        });
        self.sessions.insert(session_id, place);
    }

    /// Takes in one entry of the log of this name.
    pub(super) fn check(
        &mut self,
        index: u64,
        entry: &Entry,
        event: &Event,
        origin: &str,
        findings: &mut Findings,
    ) {
        let rules = entry.session_id.and_then(|id| self.sessions.get(&id)).copied();
        if let Some(incident_id) = entry.incident_id {
            let since_ms = entry.wall_ms;
            let incident = self.incidents.entry(incident_id).or_insert(Incident { rules, since_ms });
            if matches!(event, Event::IncidentOpen(_)) {
                incident.since_ms = since_ms;
            }
            for blob in &entry.blobs {
                let label = Label::from_number(blob.label);
                self.pictures.entry(blob.blob_id).or_insert(Picture { incident_id, label });
            }
        }
        match event {
            Event::SessionEnd(_) => {
                entry.session_id.and_then(|id| self.sessions.remove(&id));
            }
            Event::Approval(approval) => self.approve(entry.incident_id, &approval.signed),
            Event::Tombstone(tombstone) => {
                if let Err((kind, why)) = self.judge(entry, tombstone, origin) {
                    findings.add(kind, Some(index), why);
                }
                let approvals = entry.incident_id.and_then(|id| self.waiting.get_mut(&id));
                if let Some(approvals) = approvals
                    && tombstone.cause == Erasure::Approved.number()
                {
                    approvals.used = true;
                }
            }
            _ => {}
        }
    }

    fn approve(&mut self, incident_id: Option<Id>, signed: &[u8]) {
        let Some(incident_id) = incident_id else { return };
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&incident_id) {
            // Approvals without an erasure: none of those here is waited for any more.
            self.waiting.clear();
        }
        let approvals = self.waiting.entry(incident_id).or_default();
        if std::mem::take(&mut approvals.used) {
            approvals.signed.clear();
        }
        if approvals.signed.len() < APPROVALS_MAX {
            approvals.signed.push(signed.to_vec());
        }
    }

    fn judge(&self, entry: &Entry, tombstone: &Tombstone, origin: &str) -> Result<(), (FindingKind, String)> {
        let unapproved = |why: &str| (FindingKind::ErasureUnapproved, why.to_owned());
        let known = entry.incident_id.and_then(|id| self.incidents.get(&id).map(|incident| (id, incident)));
        let (incident_id, incident) = known.ok_or_else(|| unapproved("it names no incident"))?;
        let rules = incident.rules.and_then(|place| self.rules.get(place));
        let rules = rules.ok_or_else(|| unapproved("no policy is known for its incident"))?;
        let pictures = self.of_incident(incident_id, tombstone);
        let foreign = tombstone.blobs.len() - pictures.len();
        if foreign > 0 {
            return Err(unapproved(&format!("{foreign} pictures in it are not of its incident")));
        }
        match Erasure::from_number(tombstone.cause) {
            Some(Erasure::Retention) => {
                let age_ms = entry.wall_ms.saturating_sub(incident.since_ms);
                let hours = pictures.iter().map(|picture| rules.kept_hours(picture.label)).max().unwrap_or(0);
                if age_ms >= u64::from(hours) * HOUR_MS {
                    return Ok(());
                }
                let why = format!("a picture after {} of {hours} hours", age_ms / HOUR_MS);
                Err((FindingKind::ErasureEarly, why))
            }
            Some(Erasure::Approved) => {
                let signed = self.waiting.get(&incident_id).map_or(&[][..], |approvals| &approvals.signed);
                let wish = Wish { origin, incident_id, pictures: &[] };
                agreed(&wish, tombstone, signed, rules, entry.wall_ms).map_err(|why| unapproved(&why))
            }
            None => Err(unapproved("for a cause that this program does not know")),
        }
    }

    /// Pictures of a tombstone that belong to this incident.
    fn of_incident(&self, incident_id: Id, tombstone: &Tombstone) -> Vec<&Picture> {
        let known = tombstone.blobs.iter().filter_map(|blob| self.pictures.get(&blob.0));
        known.filter(|picture| picture.incident_id == incident_id).collect()
    }
}

/// Whether two approvers agreed to erase these pictures.
fn agreed(
    wish: &Wish<'_>,
    tombstone: &Tombstone,
    signed: &[Vec<u8>],
    rules: &EvidenceRules,
    now_ms: u64,
) -> Result<(), String> {
    let hash = signed.iter().fold(Sha256::new(), |hash, signed| hash.chain_update(signed));
    if tombstone.approvals_sha256 != Some(hash.finalize().into()) {
        return Err("the approvals before it are not those that it names".to_owned());
    }
    // All must name the same pictures, so the first says which; none means all.
    let keys = rules.approvers.iter().filter_map(|key| crate::VerifyingKey::from_bytes(&key.0).ok());
    let first =
        signed.first().and_then(|signed| keys.into_iter().find_map(|key| approval::open(signed, &key).ok()));
    let pictures = first.map(|approval| approval.pictures).unwrap_or_default();
    let wish = Wish { pictures: &pictures, ..wish.clone() };
    approval::agree(&wish, signed, &rules.approvers, now_ms).map_err(|error| error.to_string())?;
    let foreign =
        tombstone.blobs.iter().filter(|blob| !pictures.is_empty() && !pictures.contains(blob)).count();
    if foreign > 0 { Err(format!("{foreign} pictures in it were not approved")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::Approval as Wanted;
    use crate::evidence::event::{Approval, BlobId, IncidentOpen, PicturesStored};
    use crate::rules::ByteKey;
    use crate::tlog::note::SigningKey;
    use crate::verify::testing;

    const START_MS: u64 = 1_800_000_000_000;
    const INCIDENT: Id = [7; 16];
    const OTHER: Id = [8; 16];

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    fn rules() -> EvidenceRules {
        let approvers = [1, 2, 3].map(|n| ByteKey(key(n).verifying_key().to_bytes())).to_vec();
        EvidenceRules { approvers, ..Default::default() }
    }

    fn approval(by: u8, pictures: &[u8]) -> Event {
        let wanted = Wanted {
            version: approval::VERSION,
            origin: "log/a".into(),
            incident_id: INCIDENT,
            pictures: pictures.iter().map(|n| BlobId([*n; 16])).collect(),
            reason_code: 1,
            made_ms: START_MS,
            expires_ms: START_MS + HOUR_MS,
        };
        Event::Approval(Approval { signed: approval::sign(&wanted, &key(by)).unwrap() })
    }

    fn tombstone(cause: Erasure, pictures: &[u8], approvals: &[Event]) -> Event {
        let hash = approvals.iter().fold(Sha256::new(), |hash, event| match event {
            Event::Approval(approval) => hash.chain_update(&approval.signed),
            _ => hash,
        });
        let blobs = pictures.iter().map(|n| BlobId([*n; 16])).collect();
        let approvals_sha256 = (!approvals.is_empty()).then(|| hash.finalize().into());
        Event::Tombstone(Tombstone { blobs, cause: cause.number(), approvals_sha256 })
    }

    fn entry(event: &Event, hours: u64) -> Entry {
        let wall_ms = START_MS + hours * HOUR_MS;
        Entry { wall_ms, session_id: Some([5; 16]), incident_id: Some(INCIDENT), ..testing::entry(event) }
    }

    /// Pictures of an incident are listed, so many hours after the first one.
    fn listed(incident_id: Id, hours: u64, pictures: &[(u8, Label)]) -> (Event, Entry) {
        let event = Event::PicturesStored(PicturesStored {});
        let blobs = pictures.iter().map(|(n, label)| testing::blob(*n, *label)).collect();
        (event.clone(), Entry { incident_id: Some(incident_id), blobs, ..entry(&event, hours) })
    }

    fn opened(incident_id: Id, hours: u64) -> (Event, Entry) {
        let event = Event::IncidentOpen(IncidentOpen { boot_ms: 0 });
        (event.clone(), Entry { incident_id: Some(incident_id), ..entry(&event, hours) })
    }

    /// Findings about these entries of one session, after an incident with a picture of each kind.
    fn found(entries: Vec<(Event, Entry)>) -> Vec<&'static str> {
        let (mut erasures, mut findings) = (Erasures::default(), Findings::default());
        erasures.begin([5; 16], rules());
        let pictures = [(1, Label::CameraAt), (2, Label::CameraAtPixelated), (3, Label::ScreenshotAtCover)];
        let first = vec![opened(INCIDENT, 0), listed(INCIDENT, 0, &pictures)];
        for (index, (event, entry)) in (0..).zip([first, entries].concat()) {
            erasures.check(index, &entry, &event, "log/a", &mut findings);
        }
        findings.list().iter().map(|finding| finding.kind.as_str()).collect()
    }

    /// Findings about these events of that incident, so many hours after it.
    fn check(hours: u64, events: &[Event]) -> Vec<&'static str> {
        found(events.iter().map(|event| (event.clone(), entry(event, hours))).collect())
    }

    #[test]
    fn pictures_may_go_when_their_time_is_over() {
        let gone = tombstone(Erasure::Retention, &[1], &[]);
        assert_eq!(check(71, std::slice::from_ref(&gone)), ["erasure-early"]);
        assert!(check(72, &[gone]).is_empty());
    }

    #[test]
    fn each_picture_is_kept_as_long_as_its_kind() {
        for pictures in [&[2][..], &[3], &[1, 2]] {
            let gone = tombstone(Erasure::Retention, pictures, &[]);
            assert_eq!(check(335, std::slice::from_ref(&gone)), ["erasure-early"], "{pictures:?}");
            assert!(check(336, &[gone]).is_empty(), "{pictures:?}");
        }
        // Called a full one afterwards: what it was listed as first counts.
        let relabelled = listed(INCIDENT, 1, &[(2, Label::CameraAt)]);
        let gone = tombstone(Erasure::Retention, &[2], &[]);
        let tombstone = (gone.clone(), entry(&gone, 72));
        assert_eq!(found(vec![relabelled, tombstone]), ["erasure-early"]);
    }

    #[test]
    fn pictures_of_another_incident_may_not_go_with_it() {
        let yesterdays = || vec![opened(OTHER, 315), listed(OTHER, 315, &[(9, Label::CameraAt)])];
        let at = |event: &Event| (event.clone(), entry(event, 340));
        let gone = tombstone(Erasure::Retention, &[1, 9], &[]);
        assert_eq!(found([yesterdays(), vec![at(&gone)]].concat()), ["erasure-unapproved"]);
        // Listed once more under the old incident, it still belongs to the new one.
        let moved = listed(INCIDENT, 316, &[(9, Label::CameraAt)]);
        assert_eq!(found([yesterdays(), vec![moved, at(&gone)]].concat()), ["erasure-unapproved"]);
        // What nobody listed belongs to none.
        assert_eq!(found(vec![at(&gone)]), ["erasure-unapproved"]);
        assert!(found(vec![at(&tombstone(Erasure::Retention, &[1], &[]))]).is_empty());
    }

    #[test]
    fn approvals_of_all_of_an_incident_are_of_no_other() {
        let two = [approval(1, &[]), approval(2, &[])];
        let now = |event: &Event| (event.clone(), entry(event, 1));
        let erased = |pictures: &[u8]| {
            let others = vec![opened(OTHER, 0), listed(OTHER, 0, &[(9, Label::CameraAt)])];
            let approved = two.iter().map(now).collect();
            found([others, approved, vec![now(&tombstone(Erasure::Approved, pictures, &two))]].concat())
        };
        assert!(erased(&[1, 2, 3]).is_empty());
        assert_eq!(erased(&[9]), ["erasure-unapproved"]);
        assert_eq!(erased(&[1, 9]), ["erasure-unapproved"]);
    }

    #[test]
    fn what_is_filed_under_an_old_incident_is_not_old() {
        let again = || vec![opened(INCIDENT, 340), listed(INCIDENT, 340, &[(9, Label::ScreenshotAtCover)])];
        let gone = tombstone(Erasure::Retention, &[9], &[]);
        let at = |hours| vec![(gone.clone(), entry(&gone, hours))];
        assert_eq!(found([again(), at(341)].concat()), ["erasure-early"]);
        assert!(found([again(), at(340 + 336)].concat()).is_empty());
    }

    #[test]
    fn pictures_may_go_early_if_two_approvers_say_so() {
        let two = [approval(1, &[]), approval(2, &[])];
        let with = |approvals: &[Event], tombstone: Event| [approvals, &[tombstone]].concat();
        assert!(check(1, &with(&two, tombstone(Erasure::Approved, &[1, 2], &two))).is_empty());
        let named = [approval(1, &[1]), approval(3, &[1])];
        assert!(check(1, &with(&named, tombstone(Erasure::Approved, &[1], &named))).is_empty());
    }

    #[test]
    fn anything_less_is_no_approval() {
        let two = [approval(1, &[1]), approval(2, &[1])];
        let same = [approval(1, &[]), approval(1, &[])];
        let stranger = [approval(1, &[]), approval(9, &[])];
        let cases = [
            (1, vec![], tombstone(Erasure::Approved, &[1], &[])),
            (1, vec![], tombstone(Erasure::Approved, &[1], &two)),
            (1, two.to_vec(), tombstone(Erasure::Approved, &[1, 2], &two)),
            (1, two[..1].to_vec(), tombstone(Erasure::Approved, &[1], &two[..1])),
            (1, same.to_vec(), tombstone(Erasure::Approved, &[1], &same)),
            (1, stranger.to_vec(), tombstone(Erasure::Approved, &[1], &stranger)),
            // Approved, but by others than it names.
            (1, vec![approval(1, &[]), approval(2, &[])], tombstone(Erasure::Approved, &[1], &two)),
            // Approved too long ago.
            (2, two.to_vec(), tombstone(Erasure::Approved, &[1], &two)),
        ];
        for (number, (hours, mut events, gone)) in cases.into_iter().enumerate() {
            events.push(gone);
            assert_eq!(check(hours, &events), ["erasure-unapproved"], "case {number}");
        }
    }

    #[test]
    fn an_approval_serves_one_erasure() {
        let two = [approval(1, &[]), approval(2, &[])];
        let gone = tombstone(Erasure::Approved, &[1], &two);
        let again = [&two[..], &[gone.clone(), approval(1, &[]), gone]].concat();
        assert_eq!(check(1, &again), ["erasure-unapproved"]);
    }
}
