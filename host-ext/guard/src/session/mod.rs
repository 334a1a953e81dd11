//! One remote session: the channel's end, the decision, and what they ask for, put together.
//!
//! ```text
//!  transport, cover ─ SessionEvent, Now ─► Session ─ Action ─► transport, cover
//!                                             │ host::Live   signatures, lease
//!                                             │ Decider      cover or show
//!                                             └ Job ──► evidence worker
//! ```
//! Pure: time comes with each event, randomness and devices from [`Shared`]. It runs on the session's own
//! task and never blocks: sealing and disk are the evidence worker's.
//!
//! - [`driver`]: events in, actions out. `link`: the channel's end. `client`: what an authenticated client says.
//! - `owner`: whose desktop it is. `record`: what the log is told. [`evidence`]: how that is kept.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

mod attestation_rollup;
mod client;
mod driver;
pub mod evidence;
mod incident_ids;
mod link;
mod messages;
mod owner;
mod policy;
mod rate_limit;
mod record;
mod shots;

use std::sync::Arc;

use sudare_base::clock::{Now, RandomSource};
use sudare_protocol::host::Devices;
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::records::{Policy, Signed};
use sudare_protocol::seal::{Recipients, SealError};
use sudare_protocol::{SigningKey, VerifyingKey};

use crate::transport::{DriverFactory, SessionDriver, SessionInfo};
use driver::Session;
use evidence::Evidence;

/// The policy that the host has now, at this Unix time in milliseconds; `None`: nothing but what sessions began with.
pub type NewestPolicy = Box<dyn Fn(u64) -> Option<Signed<Policy>> + Send + Sync>;

/// What all sessions of a host share.
pub struct Shared {
    pub host_key: SigningKey,
    pub host_record: Vec<u8>,
    pub organisation: VerifyingKey,
    /// With which sessions begin.
    pub policy: Signed<Policy>,
    pub recipients: Recipients,
    pub newest_policy: NewestPolicy,
    pub devices: Box<dyn Devices + Send + Sync>,
    pub boot_id: Id,
    pub tls_cert_sha256: Digest,
    pub evidence: Evidence,
    pub random: Arc<dyn RandomSource>,
    /// How a Unix time in milliseconds reads on the host's wall, such as "21:05".
    pub local_time: fn(u64) -> String,
    /// The uid of a user of this host, by any of its names. Asked once for each client, while it is covered.
    pub uid_of: fn(&str) -> Option<u32>,
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
    fn session(&self, info: SessionInfo, now: Now) -> Box<dyn SessionDriver> {
        Box::new(Session::new(self.shared.clone(), info, now))
    }
}
