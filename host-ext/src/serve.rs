//! Puts a running host together: state, evidence thread, sessions, embedded RDP host.

use std::path::PathBuf;
use std::sync::Arc;

use sudare_protocol::message::Digest;
use sudare_protocol::seal::SealError;

use crate::channel::ironrdp::{EmbeddedHost, HostError, HostHandle};
use crate::clock;
use crate::config::HostConfig;
use crate::log::{LogKeys, Settings};
use crate::session::evidence::EvidenceThread;
use crate::session::{Sessions, Shared};
use crate::state::{HostState, StateError};
use crate::store::StoreError;
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

/// What sessions share, and the thread that keeps their evidence.
#[derive(Debug)]
pub struct Assembled {
    pub shared: Arc<Shared>,
    pub evidence: EvidenceThread,
    /// The line that auditors are given out of band.
    pub log_vkey: String,
}

/// Where the evidence goes, and under which name.
struct LogPlace {
    dir: PathBuf,
    origin: String,
}

/// Starts the host; nothing is served if anything is missing.
pub fn start(config: &HostConfig) -> Result<RunningHost, ServeError> {
    let state = HostState::load(&config.state_dir)?;
    let tls = state.tls.clone();
    let place = LogPlace {
        dir: config.evidence_dir(),
        origin: log_origin(config, &state.host_record.record().host_id),
    };
    let Assembled { shared, evidence, log_vkey } = assemble(state, place, tls.cert_sha256)?;
    let rdp = EmbeddedHost {
        listen: config.listen,
        tls,
        factory: Arc::new(Sessions::new(shared)),
        width: config.width,
        height: config.height,
        max_sessions: config.max_sessions,
    }
    .start()?;
    Ok(RunningHost { rdp, _evidence: evidence, log_vkey })
}

/// What the guard of one display of xrdp needs. Each display has a log of its own, because a log
/// has one writer.
pub fn assemble_display(config: &HostConfig, display: u32) -> Result<Assembled, ServeError> {
    let state = HostState::load(&config.state_dir)?;
    let origin = log_origin(config, &state.host_record.record().host_id);
    let place = LogPlace {
        dir: config.evidence_dir().join(format!("display-{display}")),
        origin: format!("{origin}/display-{display}"),
    };
    let certificate = tls::certificate_sha256(&config.tls_certificate)?;
    assemble(state, place, certificate)
}

fn assemble(state: HostState, place: LogPlace, tls_cert_sha256: Digest) -> Result<Assembled, ServeError> {
    let boot_id = clock::boot_id().map_err(StateError::Random)?;
    let host_record = state.host_record.bytes().to_vec();
    let keys = {
        let (log, host_key) = (state.log_key.clone(), state.host_key.verifying_key().to_bytes());
        move || LogKeys { origin: place.origin.clone(), log: log.clone(), host_key }
    };
    let log_vkey = keys().verifier()?.to_string();
    let open = {
        let (dir, host_record) = (place.dir, host_record.clone());
        Box::new(move || Settings {
            dir: dir.clone(),
            keys: keys(),
            host_record: host_record.clone(),
            boot_id,
        })
    };
    let (thread, evidence) = EvidenceThread::start(open)?;
    let shared = Arc::new(Shared {
        host_key: state.host_key,
        host_record,
        recipients: Shared::recipients_of(state.policy.record())?,
        policy: state.policy,
        registry: state.registry,
        boot_id,
        tls_cert_sha256,
        evidence,
    });
    Ok(Assembled { shared, evidence: thread, log_vkey })
}

/// The log's name in checkpoints: as set, or made from the host's id.
pub fn log_origin(config: &HostConfig, host_id: &str) -> String {
    config.log_origin.clone().unwrap_or_else(|| format!("sudare/{host_id}"))
}
