//! Assembles the embedded host: keys, recorder, the guard's sessions, RDP server.

use std::path::Path;
use std::sync::Arc;

use sudare_base::config::HostConfig;
use sudare_evidence::store::StoreError;
use sudare_guard::assemble::{AssembleError, random_id, share};
use sudare_guard::session::Sessions;
use sudare_guard::session::evidence::{EvidenceThread, OpenSink};
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::tlog::NoteError;
use sudare_recorder::local::Local;
use sudare_recorder::setup::{SetupError, log_settings};
use sudare_records::keys::StateError;
use sudare_records::state::{HostState, RecorderState};

use crate::identity::{TlsError, TlsIdentity};
use crate::server::{EmbeddedHost, HostError, HostHandle};

/// Why the host could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Recorder(#[from] SetupError),
    #[error(transparent)]
    Sessions(#[from] AssembleError),
    #[error("the log's key cannot be used: {0}. Correct `log_origin`")]
    Log(#[from] NoteError),
    #[error(
        "the policy counts evidence as stored only once a remote store has it as well (`durable` remote), but there is \
         none. Set up sudare-ship and set `ship_state_dir`, or have the security team sign `durable` local"
    )]
    NoRemote,
}

/// A running host. Dropping it covers and ends all sessions, and then writes the remaining evidence.
#[derive(Debug)]
pub struct RunningHost {
    // Dropped in this order: sessions first, then the thread that stores the last of their evidence.
    pub rdp: HostHandle,
    _evidence: EvidenceThread,
    /// The log's public key line, for the auditors.
    pub log_vkey: String,
}

/// Starts the embedded host with its own recorder; nothing is served if anything is missing.
pub fn start(config: &HostConfig) -> Result<RunningHost, StartError> {
    let state = HostState::load(&config.state_dir)?;
    let recorder = RecorderState::load(&config.state_dir)?;
    let tls = TlsIdentity::load_or_create(&config.state_dir)?;
    let settings = log_settings(config, &config.evidence_dir(), &recorder)?;
    let log_vkey = settings().keys.verifier()?.to_string();
    let (rules, ship_state) = (state.policy.record().rules(), config.ship_state_dir.clone());
    check_remote(&rules, ship_state.as_deref())?;
    let open: OpenSink = Box::new(move |_| Ok(Box::new(Local::open(settings(), ship_state.clone())?)));
    let source = random_id()?;
    let (thread, evidence) = EvidenceThread::start(open, source, rules)?;
    let shared = share(state, tls.cert_sha256, evidence)?;
    let rdp = EmbeddedHost {
        listen: config.listen,
        tls,
        factory: Arc::new(Sessions::new(shared)),
        width: config.width,
        height: config.height,
        max_sessions: config.max_sessions,
    }
    .start()?;
    Ok(RunningHost { rdp, _evidence: thread, log_vkey })
}

/// Without a shipper, evidence would never count as stored.
fn check_remote(rules: &EvidenceRules, ship_state: Option<&Path>) -> Result<(), StartError> {
    if rules.durable == Durable::Remote && ship_state.is_none() { Err(StartError::NoRemote) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_waits_for_a_remote_store_needs_one() {
        let rules = |durable| EvidenceRules { durable, ..EvidenceRules::default() };
        let dir = Some(Path::new("/var/lib/sudare-ship"));
        assert!(matches!(check_remote(&rules(Durable::Remote), None), Err(StartError::NoRemote)));
        assert!(check_remote(&rules(Durable::Remote), dir).is_ok());
        assert!(check_remote(&rules(Durable::Local), None).is_ok());
    }
}
