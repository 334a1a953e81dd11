//! What an erasure needs to know about a store: its incidents, the retention rules of each, and what is already
//! erased. Only a log that verifies is surveyed, so that a forged log cannot have pictures deleted.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use sudare_evidence::reader::Store;
use sudare_protocol::VerifyingKey;
use sudare_protocol::evidence::event::SessionStart;
use sudare_protocol::evidence::{Entry, Event, Id};
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::rules::EvidenceRules;
use sudare_protocol::tlog::VerifierKey;

use super::error::EraseError;
use crate::handshake;
use crate::incidents::{Incident, Incidents};
use crate::walk::Walk;

type Digest = [u8; 32];

/// What a log says about its pictures.
#[derive(Debug)]
pub struct Survey {
    origin: String,
    /// Oldest first.
    pub incidents: Vec<Incident>,
    sessions: BTreeMap<Id, Digest>,
    rules: BTreeMap<Digest, Result<EvidenceRules, String>>,
    /// Every picture that is listed by an entry.
    listed: BTreeSet<Id>,
    tombstones: BTreeSet<Id>,
    unfinished: Vec<Id>,
    host: Option<HostInForce>,
}

/// The host key that the log names last, with the organisation's record about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInForce {
    /// Public key that verifies HELLO.
    pub key: [u8; 32],
    /// The signed host record; empty if the log holds none.
    pub record: Vec<u8>,
}

impl Survey {
    /// Walks the whole log. `organisation` is the key that signs policies.
    pub fn make(
        store: &Store,
        verifier: &VerifierKey,
        organisation: &VerifyingKey,
    ) -> Result<Self, EraseError> {
        let mut survey = Self {
            origin: verifier.name().to_owned(),
            incidents: Vec::new(),
            sessions: BTreeMap::new(),
            rules: BTreeMap::new(),
            listed: BTreeSet::new(),
            tombstones: BTreeSet::new(),
            unfinished: Vec::new(),
            host: None,
        };
        let mut incidents = Incidents::default();
        let report = Walk::new(store, verifier, &[]).run(|index, entry, _| {
            incidents.add(index, entry);
            survey.add(entry, &incidents, organisation);
            Ok(())
        })?;
        if !report.integrity {
            let first = report.findings.iter().find(|finding| finding.class == "integrity");
            let what = first.map_or("unlisted", |finding| finding.kind);
            return Err(EraseError::NotIntact(what.to_owned()));
        }
        survey.incidents = incidents.into_list();
        survey.unfinished = survey.tombstones.iter().copied().filter(|id| is_there(store, id)).collect();
        Ok(survey)
    }

    /// Name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host that is in force according to the log. Opening the log for an erasure must not change it.
    pub fn host(&self) -> Option<&HostInForce> {
        self.host.as_ref()
    }

    /// True if there is a tombstone for the picture, whether its files are deleted or not.
    pub fn is_erased(&self, picture: &Id) -> bool {
        self.tombstones.contains(picture)
    }

    /// True if an entry of the log lists the picture.
    pub fn is_listed(&self, picture: &Id) -> bool {
        self.listed.contains(picture)
    }

    /// Pictures that have a tombstone but whose files are still there, because an earlier run was interrupted.
    pub fn unfinished(&self) -> &[Id] {
        &self.unfinished
    }

    /// The retention rules of a session, or why they are unknown.
    pub fn rules(&self, session: Option<&Id>) -> Result<&EvidenceRules, &str> {
        let digest =
            session.and_then(|id| self.sessions.get(id)).ok_or("the log does not hold its session")?;
        match self.rules.get(digest) {
            Some(Ok(rules)) => Ok(rules),
            Some(Err(why)) => Err(why),
            None => Err("its policy was not read"),
        }
    }

    fn add(&mut self, entry: &Entry, incidents: &Incidents, organisation: &VerifyingKey) {
        self.listed.extend(entry.blobs.iter().map(|blob| blob.blob_id));
        match entry.event() {
            Ok(Event::LogStart(start)) => {
                self.host = Some(HostInForce { key: start.host_key, record: start.host_record });
            }
            Ok(Event::HostKeyChange(change)) => {
                self.host = Some(HostInForce { key: change.host_key, record: change.host_record });
            }
            Ok(Event::SessionStart(start)) => self.session(entry, &start, organisation),
            // A tombstone erases pictures of its own incident only; for others it is a finding.
            Ok(Event::Tombstone(tombstone)) => {
                let named = tombstone.blobs.iter().map(|id| id.0);
                let is_own = |id: &Id| incidents.owner(id).is_some_and(|of| entry.incident_id == Some(of));
                self.tombstones.extend(named.filter(is_own));
            }
            _ => {}
        }
    }

    fn session(&mut self, entry: &Entry, start: &SessionStart, organisation: &VerifyingKey) {
        let (Some(session_id), Some(hello)) = (entry.session_id, handshake::hello(start)) else { return };
        let digest: Digest = Sha256::digest(&hello.policy).into();
        self.sessions.insert(session_id, digest);
        self.rules.entry(digest).or_insert_with(|| {
            let policy = Signed::<Policy>::verify_any_time(organisation, &hello.policy);
            policy.map(|policy| policy.record().rules()).map_err(|error| error.to_string())
        });
    }
}

fn is_there(store: &Store, picture: &Id) -> bool {
    let paths = store.blob(picture);
    paths.header.exists() || paths.body.exists()
}
