//! The host's folder of keys and records, read once and verified.
//!
//! ```text
//! state_dir/            0700
//!   host.key            signs HELLO and status                     0600, made by `init`
//!   log.key             signs log entries and checkpoints          0600, made by `init`; a recorder that
//!                       runs beside the guards has its own, in its own folder
//!   storage.key         seals operator templates                   0600, made by `init`
//!   rdp-tls.pem         certificate of the embedded RDP host       0600, made by that host
//!   organisation.pub    pinned at set-up
//!   host.record         signed by the organisation
//!   policy.record       signed by the organisation
//!   devices/            see `registry`
//! ```

use std::path::Path;

use sudare_base::{clock, files};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{HostRecord, Policy, Signed};
use sudare_protocol::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::fleet::Fleet;
use crate::keys::{INIT, StateError, read_public, read_secret};
use crate::registry::Registry;

/// Everything that a guard or the embedded host needs.
pub struct HostState {
    pub host_key: SigningKey,
    pub host_record: Signed<HostRecord>,
    pub policy: Signed<Policy>,
    pub registry: Registry,
    pub organisation: VerifyingKey,
}

impl std::fmt::Debug for HostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostState")
    }
}

/// Everything that the recorder needs: its own key, and the record of its host.
pub struct RecorderState {
    pub log_key: SigningKey,
    pub host_record: Signed<HostRecord>,
    /// When the policy ends, if its record lies there too.
    pub policy_until_ms: Option<u64>,
}

impl std::fmt::Debug for RecorderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecorderState")
    }
}

impl RecorderState {
    /// Reads a folder with `log.key`, `organisation.pub` and `host.record`.
    pub fn load(dir: &Path) -> Result<Self, StateError> {
        let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
        let log_key = read_secret(&dir.join("log.key"), INIT)?;
        let host_record = record(&dir.join("host.record"), &organisation, clock::wall_ms(), SIGN_HOST)?;
        // It decides nothing by the policy, so one that it cannot read is none.
        let policy = files::read_bounded(&dir.join("policy.record"), RECORD_MAX_BYTES).ok().flatten();
        let policy = policy.and_then(|bytes| Signed::<Policy>::verify_any_time(&organisation, &bytes).ok());
        let policy_until_ms = policy.map(|policy| policy.record().not_after_ms);
        Ok(RecorderState { log_key, host_record, policy_until_ms })
    }
}

/// Only the registry, for the VDI admin's commands.
pub fn registry(dir: &Path) -> Result<Registry, StateError> {
    let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
    let path = dir.join("storage.key");
    let bytes = Zeroizing::new(
        files::read_bounded(&path, 32)?.ok_or_else(|| StateError::Missing(path.clone(), INIT))?,
    );
    let storage: [u8; 32] = bytes.as_slice().try_into().map_err(|_| StateError::Missing(path, INIT))?;
    Ok(Registry::new(dir.to_owned(), organisation, Zeroizing::new(storage)))
}

pub const PIN: &str = "Get the organisation's public key from the security team and put it there";
pub const SIGN_HOST: &str =
    "Send the line of `sudare-host key` to the security team, and put the record that they sign there";
const SIGN_POLICY: &str = "Get the signed policy from the security team and put it there";

impl HostState {
    pub fn load(dir: &Path) -> Result<Self, StateError> {
        let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
        let host_key = read_secret(&dir.join("host.key"), INIT)?;
        let wall_ms = clock::wall_ms();
        let fleet = Fleet::new(dir, organisation);
        let host_record = match fleet.host_record(wall_ms)? {
            Some(newest) if newest.record().host_key == host_key.verifying_key().to_bytes() => newest,
            _ => record(&dir.join("host.record"), &organisation, wall_ms, SIGN_HOST)?,
        };
        if host_record.record().host_key != host_key.verifying_key().to_bytes() {
            return Err(StateError::OtherHost);
        }
        let policy = newest_policy(dir, &organisation, wall_ms, &fleet)?;
        Ok(HostState { host_key, host_record, policy, registry: registry(dir)?, organisation })
    }
}

/// The policy that counts on this host now.
pub fn policy(dir: &Path) -> Result<Signed<Policy>, StateError> {
    let organisation = read_public(&dir.join("organisation.pub"), PIN)?;
    newest_policy(dir, &organisation, clock::wall_ms(), &Fleet::new(dir, organisation))
}

/// The bundle's, unless the host's own is newer.
fn newest_policy(
    dir: &Path,
    organisation: &VerifyingKey,
    wall_ms: u64,
    fleet: &Fleet,
) -> Result<Signed<Policy>, StateError> {
    let own = record::<Policy>(&dir.join("policy.record"), organisation, wall_ms, SIGN_POLICY);
    match fleet.policy(wall_ms)? {
        Some(newest) if own.as_ref().map_or(true, |own| own.record().serial <= newest.record().serial) => {
            Ok(newest)
        }
        _ => own,
    }
}

/// A signed record of a file, valid now.
pub fn record<R: sudare_protocol::records::Record>(
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
