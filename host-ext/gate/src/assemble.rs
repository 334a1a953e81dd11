//! What a connection needs besides its sockets, read anew for each: nothing has to be restarted when it changes.

use std::sync::Arc;

use sudare_base::config::HostConfig;
use sudare_evidence::report::Remote;
use sudare_evidence::store::StoreError;
use sudare_guard::assemble::{AssembleError, random_id, share};
use sudare_guard::session::Sessions;
use sudare_guard::session::evidence::{EvidenceThread, OpenSink};
use sudare_records::keys::StateError;
use sudare_records::state::HostState;
use sudare_relay::Policy;

use crate::confine::{ConfineError, confine};
use crate::identity::{Identity, IdentityError};
use crate::serve::Gate;
use crate::target::{Target, TargetError};

/// Why no connection can be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("`gate_target` cannot be used: {0}")]
    Target(#[from] TargetError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sessions(#[from] AssembleError),
    #[error(transparent)]
    Confine(#[from] ConfineError),
}

/// A gate, and the thread that keeps its evidence: drop that last, since it waits until all is written.
#[derive(Debug)]
pub struct Assembled {
    pub gate: Gate,
    pub evidence: EvidenceThread,
}

/// Reads everything, and then gives up what is not needed any more: whatever has to be opened later needs a rule in
/// [`confine`](crate::confine).
///
/// # Errors
/// If anything is missing: then nothing is shown to anybody.
pub fn assemble(config: &HostConfig) -> Result<Assembled, StartError> {
    let target: Target = config.gate_target.parse()?;
    let identity = Identity::load(&config.tls_certificate, &config.tls_key)?;
    let state = HostState::load(&config.state_dir)?;
    // Before the first thread.
    confine(config, &target)?;
    let socket = config.recorder_socket.clone();
    let open: OpenSink = Box::new(move |source| Ok(Box::new(Remote::connect(&socket, source)?)));
    // Begins without a recorder, and covers until there is one.
    let rules = state.policy.record().rules();
    let (thread, evidence) = EvidenceThread::start_without(open, random_id()?, rules)?;
    let shared = share(state, identity.cert_sha256, evidence)?;
    let factory = Arc::new(Sessions::new(shared));
    Ok(Assembled { gate: Gate { identity, target, policy: Policy::default(), factory }, evidence: thread })
}

/// Whether connections could be served now.
///
/// # Errors
/// As [`assemble`].
pub fn check(config: &HostConfig) -> Result<(), StartError> {
    let _: Target = config.gate_target.parse()?;
    Identity::load(&config.tls_certificate, &config.tls_key)?;
    HostState::load(&config.state_dir)?;
    Ok(())
}
