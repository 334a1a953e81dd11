//! Builds the recorder's options from the settings and the keys in its folder.

use std::path::Path;

use sudare_base::accounts::{self, AccountError};
use sudare_base::clock;
use sudare_base::config::{self, HostConfig};
use sudare_evidence::log::{LogKeys, Settings};
use sudare_protocol::tlog::NoteError;
use sudare_records::keys::StateError;
use sudare_records::state::RecorderState;

use crate::ledger::Ledger;
use crate::metrics::{Facts, Metrics};
use crate::server;

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the log's name or key is not valid: {0}. Correct `log_origin`")]
    Log(#[from] NoteError),
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Options for [`server::start`], and what figures tell from the start. No thread runs yet, so that the process can be confined in between.
pub fn recorder_options(config: &HostConfig) -> Result<(server::Options, Facts), SetupError> {
    let guards = accounts::system_uid(&config.run_as)?;
    let state = RecorderState::load(&config.recorder_dir)?;
    let settings = log_settings(config, &config.recorder_evidence_dir(), &state)?;
    let ship_state = config.ship_state_dir.clone();
    let facts = Facts {
        evidence: config.recorder_evidence_dir(),
        certificate: config.tls_certificate.clone(),
        host_record_until_s: Some(state.host_record.record().not_after_ms / 1_000),
        policy_until_s: state.policy_until_ms.map(|until_ms| until_ms / 1_000),
    };
    let options = server::Options {
        socket: config.recorder_socket.clone(),
        allowed_uids: vec![guards],
        open: Box::new(move || Ledger::open(settings(), ship_state.clone(), clock::monotonic_ms())),
        metrics: Metrics::default(),
    };
    Ok((options, facts))
}

/// The public line of the log, which auditors receive out of band.
pub fn log_vkey(config: &HostConfig) -> Result<String, SetupError> {
    let state = RecorderState::load(&config.recorder_dir)?;
    let settings = log_settings(config, &config.recorder_evidence_dir(), &state)?;
    Ok(settings().keys.verifier()?.to_string())
}

/// The log's name in checkpoints: as configured, or derived from the host's id.
pub fn log_origin(config: &HostConfig, host_id: &str) -> String {
    config.log_origin.clone().unwrap_or_else(|| config::log_origin(host_id))
}

/// A function that returns the settings each time the log is opened.
pub fn log_settings(
    config: &HostConfig,
    dir: &Path,
    state: &RecorderState,
) -> Result<impl Fn() -> Settings + Send + 'static, SetupError> {
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
