//! What the organisation signed: which host key signs HELLO, and the policy of each session.
//!
//! Without the organisation's key the host key is taken from the log, so whoever holds the log
//! key could name one of its own. With it, each host key needs a record and each session a
//! policy that the security team signed and that were valid when the entry was written.

use super::findings::{FindingKind, Findings};
use crate::cose;
use crate::evidence::Entry;
use crate::evidence::event::SessionStart;
use crate::message::{self, Hello, kind};
use crate::records::{HostRecord, Policy, Signed};
use crate::rules::EvidenceRules;
use crate::tlog::note::VerifyingKey;

/// The organisation's key, given out of band, or nothing to check against.
#[derive(Debug, Default)]
pub(super) struct Authority {
    organisation: Option<VerifyingKey>,
}

impl Authority {
    pub(super) fn new(organisation: Option<VerifyingKey>) -> Self {
        Self { organisation }
    }

    /// Checks the record that comes with a host key.
    pub(super) fn host_key(
        &self,
        index: u64,
        wall_ms: u64,
        key: &[u8; 32],
        record: &[u8],
        findings: &mut Findings,
    ) {
        let Some(organisation) = &self.organisation else { return };
        let refused = match Signed::<HostRecord>::verify(organisation, record, wall_ms) {
            Ok(signed) if signed.record().host_key == *key => return,
            Ok(_) => "it is for another host key".to_owned(),
            Err(error) => error.to_string(),
        };
        findings.add(FindingKind::HostRecord, Some(index), refused);
    }

    /// Checks the policy that a session's HELLO carries. The signature of HELLO is checked elsewhere.
    /// Gives the rules of a policy that is as it should be.
    pub(super) fn policy(
        &self,
        index: u64,
        entry: &Entry,
        start: &SessionStart,
        findings: &mut Findings,
    ) -> Option<EvidenceRules> {
        let organisation = self.organisation.as_ref()?;
        // What cannot be read is a finding about the handshake already.
        let payload = cose::unverified_payload(&start.hello).ok()?;
        let (kind::HELLO, _, body) = message::split(payload).ok()? else { return None };
        let hello = message::body::<Hello>(body).ok()?;
        match Signed::<Policy>::verify(organisation, &hello.policy, entry.wall_ms) {
            Ok(policy) => Some(policy.record().rules()),
            Err(error) => {
                findings.add(FindingKind::Policy, Some(index), error.to_string());
                None
            }
        }
    }

    /// False if there is nothing to check against.
    pub(super) fn is_known(&self) -> bool {
        self.organisation.is_some()
    }
}
