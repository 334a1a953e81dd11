//! The devices that are enrolled at this host: signed records, revocations, operator templates.
//!
//! ```text
//! devices/<id>.record      DeviceRecord signed by the organisation
//! fleet/current/devices     those of the organisation's bundle, see [`fleet`](crate::fleet)
//! devices/<id>.revoked     its existence revokes the device
//! devices/<id>.operators   operator templates, sealed with the host's storage key
//! seats/                   devices that came by an invitation, see [`seats`]
//! ```
//! Templates are already rotated by the device's secret matrix. Because they are sealed too, a copy of the disk without
//! the storage key reveals nothing.

pub mod overview;
pub mod seats;
mod withdrawn;

use std::fs;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sudare_base::accounts;
use sudare_base::files::{self, FileError};
use sudare_protocol::cose::KeyId;
use sudare_protocol::enrol::{Admission, Invited};
use sudare_protocol::groups::{Membership, Person};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::host::{Admitted, Device, Devices, NotAdmitted};
use sudare_protocol::limits::{OPERATORS_MAX, RECORD_MAX_BYTES, TEMPLATE_MAX_BYTES};
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::records::{DeviceRecord, Policy, RecordError, Signed};
use sudare_protocol::template::{OperatorTemplate, TemplateError};
use sudare_protocol::withdrawal::Withdrawal;
use sudare_protocol::{VerifyingKey, keyfile};
use zeroize::Zeroizing;

use crate::fleet::Fleet;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const OPERATORS_MAX_BYTES: usize = OPERATORS_MAX * (TEMPLATE_MAX_BYTES + 8) + NONCE_BYTES + TAG_BYTES;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("device {0} is not enrolled at this host. `sudare-host devices` shows the enrolled ones")]
    Unknown(String),
    #[error("device {0} does not wait for approval. `sudare-host devices` shows those that do")]
    NotWaiting(String),
    #[error(
        "the record's device key does not match its device id. Have the security team sign the record again"
    )]
    Mismatch,
    #[error(
        "the operator templates of device {0} cannot be opened, because they were sealed with another storage key. Restore that key, or add the operators again"
    )]
    Sealed(String),
    #[error(
        "the system provides no random bytes to seal templates with. Try again; if that fails too, the system is at fault"
    )]
    Random,
}

/// A device's record, its digest, and the key of the enroller who let it in, if that was not the organisation.
type LetIn = (DeviceRecord, Digest, Option<[u8; 32]>);

/// The folder of enrolled devices, and the keys to read it.
#[derive(Clone)]
pub struct Registry {
    /// The host's folder of keys and records.
    dir: PathBuf,
    organisation: VerifyingKey,
    storage_key: Zeroizing<[u8; 32]>,
    /// Of a user and a group of this host, by name.
    membership: fn(&str, &str) -> Membership,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    pub fn new(dir: PathBuf, organisation: VerifyingKey, storage_key: Zeroizing<[u8; 32]>) -> Self {
        Registry { dir, organisation, storage_key, membership }
    }

    /// Enrols a device whose record the organisation signed.
    pub fn add(&self, signed_record: &[u8], wall_ms: u64) -> Result<Id, RegistryError> {
        let record = Signed::<DeviceRecord>::verify(&self.organisation, signed_record, wall_ms)?;
        let device_id = record.record().device_id;
        if device_id != keyfile::device_id(&record.record().key()?) {
            return Err(RegistryError::Mismatch);
        }
        files::write_private(&self.path(&device_id, "record"), signed_record)?;
        // Whoever enrols it anew has asked its people, who bring new operators.
        self.forget(&device_id)?;
        self.agree_again(&device_id)?;
        Ok(device_id)
    }

    /// Adds an operator's template to a device, or replaces it. Returns how many operators the device has.
    pub fn add_operator(&self, device_id: &Id, template: OperatorTemplate) -> Result<usize, RegistryError> {
        if self.record(device_id)?.is_none() {
            return Err(RegistryError::Unknown(hex(device_id)));
        }
        let mut templates = self.operators(device_id)?;
        templates.retain(|t| t.operator_id != template.operator_id);
        templates.push(template);
        if templates.len() > OPERATORS_MAX {
            return Err(TemplateError::TooMany.into());
        }
        let sealed = self.sealed(device_id, &templates)?;
        files::write_private(&self.path(device_id, "operators"), &sealed)?;
        Ok(templates.len())
    }

    /// Templates as they are kept.
    fn sealed(&self, device_id: &Id, templates: &[OperatorTemplate]) -> Result<Vec<u8>, RegistryError> {
        let mut plain = Zeroizing::new(Vec::new());
        for template in templates {
            let bytes = template.to_bytes()?;
            let length = u32::try_from(bytes.len()).map_err(|_| TemplateError::Malformed)?;
            plain.extend_from_slice(&length.to_be_bytes());
            plain.extend_from_slice(&bytes);
        }
        let nonce: [u8; NONCE_BYTES] = sudare_base::clock::random().map_err(|_| RegistryError::Random)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: device_id })
            .map_err(|_| RegistryError::Sealed(hex(device_id)))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What the organisation gives all its hosts.
    pub fn fleet(&self) -> Fleet {
        Fleet::new(&self.dir, self.organisation)
    }

    /// Whether this policy has the people of a device compared with a template. What cannot be told is taken as yes.
    pub fn is_compared(&self, record: &DeviceRecord, policy: &Policy) -> bool {
        let user = record.user.as_str();
        let is_user =
            |name: &str| accounts::uid_of(name).is_some_and(|uid| accounts::uid_of(user) == Some(uid));
        let person = Person { user, device_id: &record.device_id };
        let group = policy.group_of(&person, &is_user, &|group| (self.membership)(user, group));
        let in_force = group.ok().map(|group| policy.in_force(group.map(|group| group.name.as_str())));
        in_force.and_then(Result::ok).is_none_or(|in_force| in_force.recognises())
    }

    pub fn revoke(&self, device_id: &Id) -> Result<(), RegistryError> {
        let is_here = self.path(device_id, "record").exists() || self.seat(device_id, "record").exists();
        if !is_here && self.fleet().device(device_id)?.is_none() {
            return Err(RegistryError::Unknown(hex(device_id)));
        }
        Ok(files::write_private(&self.path(device_id, "revoked"), b"")?)
    }

    /// Ids of all enrolled devices, revoked ones included.
    pub fn list(&self) -> Result<Vec<Id>, RegistryError> {
        let mut ids = ids_in(&self.dir.join("devices"), "record")?;
        ids.extend(ids_in(&self.dir.join("seats"), "record")?);
        ids.extend(self.fleet().device_ids()?);
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Like `Devices::find`, with an error that names files.
    pub fn device(&self, device_id: &Id) -> Result<Option<Device>, RegistryError> {
        let Some((record, record_sha256, enroller)) = self.record(device_id)? else { return Ok(None) };
        // A record that was copied to another file name must not count for that device.
        if record.device_id != *device_id {
            return Err(RegistryError::Mismatch);
        }
        let revoked = self.path(device_id, "revoked").exists()
            || self.is_revoked(&record.device_key)
            || enroller.is_some_and(|key| self.is_revoked(&key));
        let withdrawn = self.is_withdrawn(device_id)?;
        let templates = if withdrawn { Vec::new() } else { self.operators(device_id)? };
        Ok(Some(Device { record, record_sha256, revoked, withdrawn, templates }))
    }

    /// How a device was let in.
    fn record(&self, device_id: &Id) -> Result<Option<LetIn>, RegistryError> {
        let mut bytes = files::read_bounded(&self.path(device_id, "record"), RECORD_MAX_BYTES)?;
        if bytes.is_none() {
            bytes = self.fleet().device(device_id)?;
        }
        let Some(bytes) = bytes else {
            let admission = self.admission(&self.seat(device_id, "record"))?;
            // What the admin approved lies where no gate writes.
            let admission = admission.filter(|one| !one.invited().invitation().needs_approval);
            return Ok(admission.as_ref().map(admitted));
        };
        if Admission::is_one(&bytes) {
            return Ok(Some(admitted(&Admission::verify(&self.organisation, &bytes)?)));
        }
        let signed = Signed::<DeviceRecord>::verify_any_time(&self.organisation, &bytes)?;
        Ok(Some((signed.record().clone(), signed.digest(), None)))
    }

    fn operators(&self, device_id: &Id) -> Result<Vec<OperatorTemplate>, RegistryError> {
        let mut sealed = files::read_bounded(&self.path(device_id, "operators"), OPERATORS_MAX_BYTES)?;
        if sealed.is_none() {
            sealed = files::read_bounded(&self.seat(device_id, "operators"), OPERATORS_MAX_BYTES)?;
        }
        let Some(sealed) = sealed else { return Ok(Vec::new()) };
        let unreadable = || RegistryError::Sealed(hex(device_id));
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(unreadable)?;
        let plain = self
            .cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: device_id })
            .map(Zeroizing::new)
            .map_err(|_| unreadable())?;
        let (mut rest, mut templates) = (plain.as_slice(), Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| unreadable())?;
            let (bytes, next) = after.split_at_checked(length).ok_or_else(unreadable)?;
            templates.push(OperatorTemplate::from_bytes(bytes)?);
            rest = next;
        }
        Ok(templates)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.storage_key))
    }

    fn path(&self, device_id: &Id, kind: &str) -> PathBuf {
        self.dir.join("devices").join(format!("{}.{kind}", hex(device_id)))
    }
}

impl Devices for Registry {
    fn find(&self, device_id: &Id) -> Result<Option<Device>, RecordError> {
        self.device(device_id).map_err(|error| {
            // The handshake tells the client only that its device is unknown; the host's log says why.
            tracing::error!(%error, "a device cannot be used");
            match error {
                RegistryError::Record(record) => record,
                _ => RecordError::Malformed { kind: "device record" },
            }
        })
    }

    fn invitation(&self, key: &KeyId) -> Result<Option<Invited>, RecordError> {
        self.invited(key).map_err(|error| {
            tracing::error!(%error, "an invitation cannot be used");
            match error {
                RegistryError::Record(record) => record,
                _ => RecordError::Malformed { kind: "invitation" },
            }
        })
    }

    fn membership(&self, user: &str, group: &str) -> Membership {
        let answer = (self.membership)(user, group);
        if answer == Membership::Unknown {
            tracing::error!(group, "the directory does not say who is in this group");
        }
        answer
    }

    fn withdraw(&self, device_id: &Id, withdrawal: &Signed<Withdrawal>) -> Result<bool, NotAdmitted> {
        self.take_consent_back(device_id, withdrawal).map_err(|error| {
            tracing::error!(%error, "what an employee has taken back cannot be kept");
            NotAdmitted::NotKept
        })
    }

    fn admit(
        &self,
        admission: &Admission,
        template: Option<&OperatorTemplate>,
    ) -> Result<Admitted, NotAdmitted> {
        self.keep(admission, template)
    }
}

/// What this host's name service says.
fn membership(user: &str, group: &str) -> Membership {
    match accounts::group_member(user, group) {
        Ok(Some(true)) => Membership::Member,
        Ok(Some(false)) => Membership::NotMember,
        Ok(None) => Membership::NoSuchGroup,
        Err(_) => Membership::Unknown,
    }
}

fn admitted(admission: &Admission) -> LetIn {
    (admission.device(), admission.digest(), Some(admission.invited().enroller().key))
}

/// Ids of the devices of which a folder has a file of this kind.
fn ids_in(folder: &Path, kind: &str) -> Result<Vec<Id>, RegistryError> {
    let id_of = |path: &Path| {
        let is_kind = path.extension().is_some_and(|extension| extension == kind);
        is_kind.then(|| unhex(path.file_stem()?.to_str()?)).flatten()
    };
    let mut ids: Vec<Id> = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().filter_map(|e| id_of(&e.path())).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(FileError::new(folder, "read", e).into()),
    };
    ids.sort_unstable();
    Ok(ids)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sudare_protocol::SigningKey;
    use sudare_protocol::limits::VECTOR_DIM;

    fn organisation() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn registry(dir: &Path, storage: u8) -> Registry {
        Registry::new(dir.to_owned(), organisation().verifying_key(), Zeroizing::new([storage; 32]))
    }

    pub(crate) fn enrolled(registry: &Registry) -> Id {
        let device = SigningKey::from_bytes(&[3; 32]).verifying_key();
        let record = DeviceRecord {
            device_id: keyfile::device_id(&device),
            device_key: device.to_bytes(),
            user: "alice".into(),
            not_before_ms: 0,
            not_after_ms: 10,
        };
        registry.add(&Signed::sign(&organisation(), &record).unwrap(), 5).unwrap()
    }

    fn template(operator: u8) -> OperatorTemplate {
        let mut vector = vec![0.0; VECTOR_DIM];
        vector[0] = 1.0;
        OperatorTemplate {
            operator_id: [operator; 16],
            model_sha256: [2; 32],
            rotation_id: [3; 16],
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        }
    }

    #[test]
    fn a_device_is_found_with_its_operators_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path(), 9);
        let id = enrolled(&registry);
        assert_eq!(registry.add_operator(&id, template(1)).unwrap(), 1);
        assert_eq!(registry.add_operator(&id, template(2)).unwrap(), 2);
        assert_eq!(registry.add_operator(&id, template(1)).unwrap(), 2, "replaced");
        let device = registry.device(&id).unwrap().unwrap();
        assert_eq!((device.templates.len(), device.revoked), (2, false));
        registry.revoke(&id).unwrap();
        assert!(registry.device(&id).unwrap().unwrap().revoked);
        assert_eq!(registry.list().unwrap(), vec![id]);
        assert!(registry.device(&[0; 16]).unwrap().is_none());
    }

    #[test]
    fn templates_open_only_with_the_storage_key_and_records_only_under_their_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let id = enrolled(&registry(dir.path(), 9));
        registry(dir.path(), 9).add_operator(&id, template(1)).unwrap();
        assert!(matches!(registry(dir.path(), 8).device(&id), Err(RegistryError::Sealed(_))));
        let folder = dir.path().join("devices");
        let other = [7; 16];
        fs::copy(folder.join(format!("{}.record", hex(&id))), folder.join(format!("{}.record", hex(&other))))
            .unwrap();
        assert!(matches!(registry(dir.path(), 9).device(&other), Err(RegistryError::Mismatch)));
    }
}
