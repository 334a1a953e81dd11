//! Puts together what the sessions of a host share: keys, policy, devices and the thread that keeps their evidence.

use std::path::PathBuf;
use std::sync::Arc;

use sudare_base::clock::{self, SystemRandom};
use sudare_evidence::report::Remote;
use sudare_evidence::store::StoreError;
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::seal::SealError;
use sudare_records::keys::StateError;
use sudare_records::state::HostState;

use crate::local_time::hour_and_minute;
use crate::session::Shared;
use crate::session::evidence::{Evidence, EvidenceThread, OpenSink};

/// Why no session can be guarded.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recipients(#[from] SealError),
}

/// What the sessions of a guard share, and the thread that keeps their evidence.
#[derive(Debug)]
pub struct Assembled {
    pub shared: Arc<Shared>,
    pub evidence: EvidenceThread,
}

/// What sessions need whose evidence goes to the recorder at this socket. They begin without it, and cover until it is
/// there if the policy requires evidence.
pub fn reporting(
    state: HostState,
    tls_cert_sha256: Digest,
    recorder: PathBuf,
) -> Result<Assembled, AssembleError> {
    let open: OpenSink = Box::new(move |source| Ok(Box::new(Remote::connect(&recorder, source)?)));
    let rules = state.policy.record().rules();
    let (thread, evidence) = EvidenceThread::start_without(open, random_id()?, rules)?;
    Ok(Assembled { shared: share(state, tls_cert_sha256, evidence)?, evidence: thread })
}

/// What sessions share on a host with this state, whose clients see this certificate.
pub fn share(
    state: HostState,
    tls_cert_sha256: Digest,
    evidence: Evidence,
) -> Result<Arc<Shared>, AssembleError> {
    let fleet = state.registry.fleet();
    Ok(Arc::new(Shared {
        newest_policy: Box::new(move |wall_ms| {
            let newest = fleet.policy(wall_ms);
            newest.inspect_err(|error| tracing::error!(%error, "the bundle's policy cannot be used")).ok()?
        }),
        host_key: state.host_key,
        organisation: state.organisation,
        host_record: state.host_record.bytes().to_vec(),
        recipients: Shared::recipients_of(state.policy.record())?,
        policy: state.policy,
        devices: Box::new(state.registry),
        boot_id: clock::boot_id().map_err(StateError::Random)?,
        tls_cert_sha256,
        evidence,
        random: Arc::new(SystemRandom),
        local_time: hour_and_minute,
        uid_of: sudare_base::accounts::uid_of,
    }))
}

/// A random id for a process that reports evidence.
pub fn random_id() -> Result<Id, StateError> {
    clock::random().map_err(StateError::Random)
}
