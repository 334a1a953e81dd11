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
    pub(super) fn policy(&self, index: u64, entry: &Entry, start: &SessionStart, findings: &mut Findings) {
        let Some(organisation) = &self.organisation else { return };
        // What cannot be read is a finding about the handshake already.
        let Ok(payload) = cose::unverified_payload(&start.hello) else { return };
        let Ok((kind::HELLO, _, body)) = message::split(payload) else { return };
        let Ok(hello) = message::body::<Hello>(body) else { return };
        if let Err(error) = Signed::<Policy>::verify(organisation, &hello.policy, entry.wall_ms) {
            findings.add(FindingKind::Policy, Some(index), error.to_string());
        }
    }
}
