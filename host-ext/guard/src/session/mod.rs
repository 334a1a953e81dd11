//! One remote session: the channel's end, the guard, and what they ask for, put together.
//!
//! ```text
//!  transport ─ LinkEvent, painted, snapshot, tick ─► Session ─ Action ─► transport
//!                                                      │ host::Live   signatures, lease
//!                                                      │ Guard        cover or show
//!                                                      └ Job ──► evidence thread
//! ```
//! It runs on the session's own task and never blocks: sealing and disk are the evidence thread's.

mod allowance;
mod driver;
pub mod evidence;
mod names;
mod presence;
mod shots;
mod words;

use std::sync::Arc;

use sudare_protocol::SigningKey;
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::records::{EvidenceDuty, Policy, Signed};
use sudare_protocol::seal::{Recipients, SealError};
use sudare_records::registry::Registry;

use crate::transport::{DriverFactory, Seat, SessionDriver};
use driver::Session;
use evidence::Evidence;

/// What all sessions of a host share.
pub struct Shared {
    pub host_key: SigningKey,
    pub host_record: Vec<u8>,
    pub policy: Signed<Policy>,
    pub recipients: Recipients,
    pub registry: Registry,
    pub boot_id: Id,
    pub tls_cert_sha256: Digest,
    pub evidence: Evidence,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// The auditors of a policy, as recipients.
    pub fn recipients_of(policy: &Policy) -> Result<Recipients, SealError> {
        Recipients::parse(&policy.auditors)
    }

    fn evidence_is_required(&self) -> bool {
        self.policy.record().evidence == EvidenceDuty::Required
    }
}

/// Makes a session for each connection.
#[derive(Debug)]
pub struct Sessions {
    shared: Arc<Shared>,
}

impl Sessions {
    pub fn new(shared: Arc<Shared>) -> Self {
        Sessions { shared }
    }
}

impl DriverFactory for Sessions {
    fn session(&self, seat: Seat) -> Box<dyn SessionDriver> {
        Box::new(Session::new(self.shared.clone(), seat))
    }
}
