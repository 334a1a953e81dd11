//! What a connection needs besides its sockets, read anew for each: nothing has to be restarted when it changes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sudare_base::config::{GateOwner, HostConfig, HostSecurity};
use sudare_base::program::beside;
use sudare_guard::assemble::{AssembleError, Assembled as Reporting, reporting};
use sudare_guard::session::evidence::EvidenceThread;
use sudare_guard::session::{Sessions, Shared};
use sudare_records::keys::StateError;
use sudare_records::state::HostState;
use sudare_relay::Policy;
use sudare_relay::openings::UnknownOpening;
use sudare_relay::policy::protocol;

use crate::confine::{ConfineError, PICTURE, confine};
use crate::identity::{Identity, IdentityError};
use crate::nla::{self, Files};
use crate::serve::{Asks, Gate};
use crate::targets::{Targets, TargetsError};

/// Why no connection can be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("`gate_target` or `gate_targets` cannot be used: {0}")]
    Targets(#[from] TargetsError),
    #[error("`gate_channels` cannot be used: {0}")]
    Channels(#[from] UnknownOpening),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Sessions(#[from] AssembleError),
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error("{0} needs NLA at the gate. Set `gate_nla_users`, and add users with `sudare-nla add`")]
    NoUsers(&'static str),
    #[error("the file of users, {}, cannot be read: {source}. Add a user with `sudare-nla add`, or correct `gate_nla_users`", path.display())]
    Users { path: PathBuf, source: io::Error },
    #[error("sudare-nla cannot be started: {0}. Install it beside sudare-gate")]
    Helper(#[source] io::Error),
}

/// A gate, and the thread that keeps its evidence: drop that last, since it waits until all is written.
#[derive(Debug)]
pub struct Assembled {
    pub gate: Gate,
    pub evidence: EvidenceThread,
}

/// Reads everything, and then gives up what is not needed any more: whatever has to be opened later needs a rule in
/// [`confine`](crate::confine). Inside a runtime, which buries the process for NLA.
///
/// # Errors
/// If anything is missing: then nothing is shown to anybody.
pub fn assemble(config: &HostConfig) -> Result<Assembled, StartError> {
    let targets = Targets::read(&config.gate_target, &config.gate_targets)?;
    let owner = asks(config, &targets)?;
    let policy = policy(config)?;
    let identity = Identity::load(&config.tls_certificate, &config.tls_key)?;
    let state = HostState::load(&config.state_dir)?;
    // It reads what this process may not, from here on.
    let helper = Files::of(config).map(|files| files.start()).transpose().map_err(StartError::Helper)?;
    // Before the first thread.
    confine(config, &targets)?;
    let Reporting { shared, evidence } =
        reporting(state, identity.cert_sha256, config.recorder_socket.clone())?;
    let factory = Arc::new(Sessions::new(shared));
    // Without the program that decodes screenshots, incidents say that they have none.
    let (picture, nla) = (beside(PICTURE), helper.map(nla::once));
    Ok(Assembled { gate: Gate { identity, targets, policy, owner, factory, picture, nla }, evidence })
}

/// Behind a socket of this machine the kernel can tell whose desktop it is, unless the settings say otherwise.
fn asks(config: &HostConfig, targets: &Targets) -> Result<Asks, StartError> {
    let here = targets.are_here();
    let proves = config.gate_nla_users.is_some();
    Ok(match config.gate_owner {
        Some(GateOwner::Kernel) => Asks::Kernel(config.owner_socket.clone()),
        None if here => Asks::Kernel(config.owner_socket.clone()),
        Some(GateOwner::Credentials) if !proves => {
            return Err(StartError::NoUsers("gate_owner = \"credentials\""));
        }
        Some(GateOwner::Credentials) => Asks::Credentials,
        None if proves => Asks::Credentials,
        None | Some(GateOwner::Policy) => Asks::Nobody,
    })
}

/// Whether connections could be served now.
///
/// # Errors
/// As [`assemble`].
pub fn check(config: &HostConfig) -> Result<(), StartError> {
    let targets = Targets::read(&config.gate_target, &config.gate_targets)?;
    asks(config, &targets)?;
    policy(config)?;
    if let Some(path) = &config.gate_nla_users {
        std::fs::File::open(path).map_err(|source| StartError::Users { path: path.clone(), source })?;
    }
    Identity::load(&config.tls_certificate, &config.tls_key)?;
    let state = HostState::load(&config.state_dir)?;
    // A signed policy whose auditors nothing can be sealed to would end every connection.
    Shared::recipients_of(state.policy.record()).map_err(AssembleError::from)?;
    Ok(())
}

/// What the organisation lets through, and which security each leg has.
fn policy(config: &HostConfig) -> Result<Policy, StartError> {
    let policy = Policy::opening(config.gate_channels.iter().map(String::as_str))?;
    let proves = config.gate_nla_users.is_some();
    let host_protocols = match config.gate_host_security {
        HostSecurity::Tls => protocol::TLS,
        HostSecurity::Nla => protocol::HYBRID,
    };
    // Whoever reached the gate would be logged on otherwise.
    if !proves && host_protocols == protocol::HYBRID {
        return Err(StartError::NoUsers("gate_host_security = \"nla\""));
    }
    if !proves && config.gate_host_credential.is_some() {
        return Err(StartError::NoUsers("gate_host_credential"));
    }
    let client_protocol = if proves { protocol::HYBRID } else { protocol::TLS };
    Ok(Policy { graphics: config.gate_graphics, client_protocol, host_protocols, ..policy })
}
