//! The host's folder of keys and records.
//!
//! ```text
//! state_dir/            0700
//!   host.key            signs HELLO and status                     0600, made by `init`
//!   log.key             signs log entries and checkpoints          0600, made by `init`; where a recorder
//!                       runs beside the guards, it has its own in its own folder
//!   storage.key         seals operator templates                   0600, made by `init`
//!   rdp-tls.pem         certificate of the embedded RDP host       0600, made by `init`
//!   organisation.pub    pinned at set-up
//!   host.record         signed by the organisation
//!   policy.record       signed by the organisation
//!   devices/            see `registry`
//! ```

use std::path::{Path, PathBuf};

use sudare_protocol::keyfile::{self, KeyFileError};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{HostRecord, Policy, RecordError, Signed};
use sudare_protocol::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::clock;
use crate::files::{self, FileError};
use crate::registry::Registry;
use crate::tls::{TlsError, TlsIdentity};

const KEY_MAX_BYTES: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path}: {source}")]
    Key { path: PathBuf, source: KeyFileError },
    #[error("{path}: {source}")]
    Record { path: PathBuf, source: RecordError },
    #[error("{0} is missing. {1}")]
    Missing(PathBuf, &'static str),
    #[error(
        "the host record names another key than host.key. Have the security team sign a record for `sudare-host key`"
    )]
    OtherHost,
    #[error("{0} is there already. Keys are not replaced by accident: move it away if you mean to")]
    Exists(PathBuf),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("this system gives no randomness, and no key can be made without it: {0}")]
    Random(#[from] getrandom::Error),
}

/// Everything the host needs to serve, read once and checked.
pub struct HostState {
    pub host_key: SigningKey,
    pub host_record: Signed<HostRecord>,
    pub policy: Signed<Policy>,
    pub registry: Registry,
    pub tls: TlsIdentity,
}

impl std::fmt::Debug for HostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostState")
    }
}

/// What the recorder needs: its own key, and the host that its log is about.
pub struct RecorderState {
    pub log_key: SigningKey,
    pub host_record: Signed<HostRecord>,
}

impl std::fmt::Debug for RecorderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecorderState")
    }
}

impl RecorderState {
    /// From a folder with `log.key`, `organisation.pub` and `host.record`.
    pub fn load(dir: &Path) -> Result<Self, StateError> {
        let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
        let log_key = read_secret(&dir.join("log.key"), INIT)?;
        let host_record = record(&dir.join("host.record"), &organisation, clock::wall_ms(), SIGN_HOST)?;
        Ok(RecorderState { log_key, host_record })
    }
}

/// Makes the recorder's key, if it does not exist yet.
pub fn init_recorder(dir: &Path) -> Result<(), StateError> {
    files::check_owner(dir)?;
    files::make_private_dir(dir)?;
    make_key(&dir.join("log.key"))
}

/// Makes a host's keys that do not exist yet; with the recorder's, for a host that records by itself.
pub fn init(dir: &Path) -> Result<(), StateError> {
    init_recorder(dir)?;
    make_key(&dir.join("host.key"))?;
    let storage = dir.join("storage.key");
    if !storage.exists() {
        files::write_private(&storage, &Zeroizing::new(clock::random::<32>()?)[..])?;
    }
    TlsIdentity::load_or_create(dir)?;
    Ok(())
}

fn make_key(path: &Path) -> Result<(), StateError> {
    if path.exists() {
        return Ok(());
    }
    let key = SigningKey::from_bytes(&clock::random()?);
    Ok(files::write_private(path, keyfile::secret_line(&key).as_bytes())?)
}

/// Makes a new key file, for the organisation; never over an old one.
pub fn new_key(path: &Path) -> Result<VerifyingKey, StateError> {
    if path.exists() {
        return Err(StateError::Exists(path.to_owned()));
    }
    let key = SigningKey::from_bytes(&clock::random()?);
    files::write_private(path, keyfile::secret_line(&key).as_bytes())?;
    Ok(key.verifying_key())
}

pub fn read_secret(path: &Path, advice: &'static str) -> Result<SigningKey, StateError> {
    let text = Zeroizing::new(read_text(path, advice)?);
    keyfile::parse_secret(&text).map_err(|source| StateError::Key { path: path.to_owned(), source })
}

pub fn read_public(path: &Path, advice: &'static str) -> Result<VerifyingKey, StateError> {
    keyfile::parse_public(&read_text(path, advice)?)
        .map_err(|source| StateError::Key { path: path.to_owned(), source })
}

/// The registry alone, for commands that do not serve.
pub fn registry(dir: &Path) -> Result<Registry, StateError> {
    let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
    let path = dir.join("storage.key");
    let bytes = Zeroizing::new(
        files::read_bounded(&path, 32)?.ok_or_else(|| StateError::Missing(path.clone(), INIT))?,
    );
    let storage: [u8; 32] = bytes.as_slice().try_into().map_err(|_| StateError::Missing(path, INIT))?;
    Ok(Registry::new(dir.join("devices"), organisation, Zeroizing::new(storage)))
}

const INIT: &str = "Run `sudare-host init`";
const PIN: &str = "Get the organisation's public key from the security team and put it there";
const SIGN_HOST: &str =
    "Send the line of `sudare-host key` to the security team, and put the record they sign there";
const SIGN_POLICY: &str = "Get the signed policy from the security team and put it there";

impl HostState {
    pub fn load(dir: &Path) -> Result<Self, StateError> {
        let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
        let host_key = read_secret(&dir.join("host.key"), INIT)?;
        let wall_ms = clock::wall_ms();
        let host_record: Signed<HostRecord> =
            record(&dir.join("host.record"), &organisation, wall_ms, SIGN_HOST)?;
        if host_record.record().host_key != host_key.verifying_key().to_bytes() {
            return Err(StateError::OtherHost);
        }
        let policy = record(&dir.join("policy.record"), &organisation, wall_ms, SIGN_POLICY)?;
        let tls = TlsIdentity::load_or_create(dir)?;
        Ok(HostState { host_key, host_record, policy, registry: registry(dir)?, tls })
    }
}

fn record<R: sudare_protocol::records::Record>(
    path: &Path,
    organisation: &VerifyingKey,
    wall_ms: u64,
    advice: &'static str,
) -> Result<Signed<R>, StateError> {
    let bytes = files::read_bounded(path, RECORD_MAX_BYTES)?
        .ok_or_else(|| StateError::Missing(path.to_owned(), advice))?;
    Signed::verify(organisation, &bytes, wall_ms)
        .map_err(|source| StateError::Record { path: path.to_owned(), source })
}

fn read_text(path: &Path, advice: &'static str) -> Result<String, StateError> {
    let bytes = files::read_bounded(path, KEY_MAX_BYTES)?
        .ok_or_else(|| StateError::Missing(path.to_owned(), advice))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
