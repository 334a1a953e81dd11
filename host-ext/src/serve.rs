//! Puts a running host together: state, evidence, sessions, embedded RDP host.

use std::path::Path;
use std::sync::Arc;

use sudare_protocol::message::{Digest, Id};
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::seal::SealError;

use crate::channel::ironrdp::{EmbeddedHost, HostError, HostHandle};
use crate::clock::{self, SystemRandom};
use crate::config::HostConfig;
use crate::local_time::hour_and_minute;
use crate::log::{LogKeys, Settings};
use crate::recorder::desk::Desk;
use crate::recorder::server;
use crate::recorder::{Local, Remote};
use crate::session::evidence::{Evidence, EvidenceThread, OpenSink};
use crate::session::{Sessions, Shared};
use crate::state::{HostState, RecorderState, StateError};
use crate::store::StoreError;
use crate::supervise::accounts::{self, AccountError};
use crate::tls::{self, TlsError};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recipients(#[from] SealError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the log's name or key cannot be used: {0}. Correct `log_origin`")]
    Log(#[from] sudare_protocol::tlog::NoteError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(
        "the policy lets evidence count as kept when a remote store has it, too (`durable` remote), and there is none. Set up `sudare-host ship` and set `ship_state_dir`, or have the security team sign `durable` local"
    )]
    NoRemote,
}

/// A running host. Dropping it ends all sessions, covered, and then writes what is left of the evidence.
#[derive(Debug)]
pub struct RunningHost {
    // Dropped in this order: sessions first, then the thread that keeps what they left.
    pub rdp: HostHandle,
    _evidence: EvidenceThread,
    /// The line that auditors are given out of band.
    pub log_vkey: String,
}

/// What the sessions of a guard share, and the thread that keeps their evidence.
#[derive(Debug)]
pub struct Assembled {
    pub shared: Arc<Shared>,
    pub evidence: EvidenceThread,
}

/// Starts the embedded host, which records by itself; nothing is served if anything is missing.
pub fn start(config: &HostConfig) -> Result<RunningHost, ServeError> {
    let state = HostState::load(&config.state_dir)?;
    let recorder = RecorderState::load(&config.state_dir)?;
    let tls = state.tls.clone();
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

/// Without a shipper nothing would ever count as kept.
fn check_remote(rules: &EvidenceRules, ship_state: Option<&Path>) -> Result<(), ServeError> {
    if rules.durable == Durable::Remote && ship_state.is_none() { Err(ServeError::NoRemote) } else { Ok(()) }
}

/// What the guard of one display of xrdp needs. It reports to the recorder, and covers while there is none.
pub fn assemble_guard(config: &HostConfig) -> Result<Assembled, ServeError> {
    let state = HostState::load(&config.state_dir)?;
    let certificate = tls::certificate_sha256(&config.tls_certificate)?;
    let socket = config.recorder_socket.clone();
    let open: OpenSink = Box::new(move |source| Ok(Box::new(Remote::connect(&socket, source)?)));
    let source = random_id()?;
    let (thread, evidence) = EvidenceThread::start_without(open, source, state.policy.record().rules())?;
    Ok(Assembled { shared: share(state, certificate, evidence)?, evidence: thread })
}

/// What `recorder::server::start` needs to record for the guards of this host. No thread runs yet, so that
/// the process can be restricted in between.
pub fn recorder_options(config: &HostConfig) -> Result<server::Options, ServeError> {
    let guards = accounts::system_uid(&config.run_as)?;
    let state = RecorderState::load(&config.recorder_dir)?;
    let settings = log_settings(config, &config.recorder_evidence_dir(), &state)?;
    let ship_state = config.ship_state_dir.clone();
    Ok(server::Options {
        socket: config.recorder_socket.clone(),
        allowed_uids: vec![guards],
        open: Box::new(move || Desk::open(settings(), ship_state.clone())),
    })
}

/// The line that auditors are given out of band.
pub fn log_vkey(config: &HostConfig) -> Result<String, ServeError> {
    let state = RecorderState::load(&config.recorder_dir)?;
    let settings = log_settings(config, &config.recorder_evidence_dir(), &state)?;
    Ok(settings().keys.verifier()?.to_string())
}

/// The log's name in checkpoints: as set, or made from the host's id.
pub fn log_origin(config: &HostConfig, host_id: &str) -> String {
    config.log_origin.clone().unwrap_or_else(|| format!("sudare/{host_id}"))
}

/// How to open the log; called each time that it is opened.
fn log_settings(
    config: &HostConfig,
    dir: &Path,
    state: &RecorderState,
) -> Result<impl Fn() -> Settings + Send + 'static, ServeError> {
    let boot_id = clock::boot_id().map_err(StateError::Random)?;
    let record = state.host_record.record();
    let (origin, host_key) = (log_origin(config, &record.host_id), record.host_key);
    let (dir, log, host_record) = (dir.to_owned(), state.log_key.clone(), state.host_record.bytes().to_vec());
    Ok(move || Settings {
        dir: dir.clone(),
        keys: LogKeys { origin: origin.clone(), log: log.clone(), host_key },
        host_record: host_record.clone(),
        boot_id,
    })
}

fn share(state: HostState, tls_cert_sha256: Digest, evidence: Evidence) -> Result<Arc<Shared>, ServeError> {
    Ok(Arc::new(Shared {
        host_key: state.host_key,
        host_record: state.host_record.bytes().to_vec(),
        recipients: Shared::recipients_of(state.policy.record())?,
        policy: state.policy,
        devices: Box::new(state.registry),
        boot_id: clock::boot_id().map_err(StateError::Random)?,
        tls_cert_sha256,
        evidence,
        random: Arc::new(SystemRandom),
        local_time: hour_and_minute,
    }))
}

fn random_id() -> Result<Id, StateError> {
    clock::random().map_err(StateError::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_waits_for_a_remote_store_needs_one() {
        let rules = |durable| EvidenceRules { durable, ..EvidenceRules::default() };
        let dir = Some(Path::new("/var/lib/sudare-ship"));
        assert!(matches!(check_remote(&rules(Durable::Remote), None), Err(ServeError::NoRemote)));
        assert!(check_remote(&rules(Durable::Remote), dir).is_ok());
        assert!(check_remote(&rules(Durable::Local), None).is_ok());
    }
}
