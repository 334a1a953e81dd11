//! Devices that an invitation let in.
//!
//! ```text
//! invitations/<key id>.invitation   [enroller record, invitation]; the admin's, gates read it
//! seats/<key id>.claim              id of the device for which it was used: whoever makes this file first has it
//! seats/<id>.operators              as in `devices/`
//! seats/<id>.record                 the admission. One that needs approval is <id>.waiting, with <id>.waiting-operators,
//!                                   until the admin moves both to `devices/`
//! revoked/<key id>.revocation       signed by the organisation; the admin's
//! ```
//! Gates write into `seats/` and nowhere else, and they can neither rename nor remove. So each file is written in place,
//! the record last; what a power failure tears is no record, and the device comes again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sudare_base::files;
use sudare_protocol::VerifyingKey;
use sudare_protocol::cose::{KeyId, key_id};
use sudare_protocol::enrol::{Admission, Invitation, Invited, Revocation};
use sudare_protocol::groups::Membership;
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::host::{Admitted, NotAdmitted};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::message::Id;
use sudare_protocol::records::Signed;
use sudare_protocol::template::OperatorTemplate;

use super::{Registry, RegistryError, ids_in};

/// What waits for approval: the operator, then the record.
const WAITING: [&str; 2] = ["waiting-operators", "waiting"];
const CLAIM_MAX_BYTES: usize = 16;
/// A file of 16 bytes that is still not whole then will not be.
const TORN_AFTER: Duration = Duration::from_secs(10);

/// A device that waits for the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub device_id: Id,
    pub user: String,
}

impl Registry {
    /// Keeps an invitation until it is used.
    pub fn invite(&self, invited: &Invited) -> Result<(), RegistryError> {
        let key = invited.invitation().key()?;
        // Gates can make no folder.
        files::make_private_dir(&self.dir.join("seats"))?;
        Ok(files::write_private(&self.invitation_path(&key_id(&key)), &invited.to_bytes())?)
    }

    /// Reads an invitation by the id of its key.
    pub fn invited(&self, key: &KeyId) -> Result<Option<Invited>, RegistryError> {
        let Some(bytes) = files::read_bounded(&self.invitation_path(key), RECORD_MAX_BYTES)? else {
            return Ok(None);
        };
        Ok(Some(Invited::verify(&self.organisation, &bytes)?))
    }

    /// Devices that wait for the admin.
    pub fn waiting(&self) -> Result<Vec<Waiting>, RegistryError> {
        let ids = ids_in(&self.dir.join("seats"), "waiting")?;
        // One that cannot be read, such as one that a power failure tore, waits for nobody: the device comes again.
        let read = |id: &Id| {
            let admission = self.admission(&self.seat(id, "waiting")).ok()??;
            Some(Waiting { device_id: *id, user: admission.invited().invitation().user.clone() })
        };
        Ok(ids.iter().filter_map(read).collect())
    }

    /// Lets a waiting device in: out of the folder into which gates write, so that no gate can do it.
    pub fn approve(&self, device_id: &Id) -> Result<String, RegistryError> {
        let admission = self.admission(&self.seat(device_id, "waiting"))?;
        let user = admission.ok_or_else(|| unknown(device_id))?.device().user;
        files::make_private_dir(&self.dir.join("devices"))?;
        for (from, to) in WAITING.into_iter().zip(["operators", "record"]) {
            let from = self.seat(device_id, from);
            let failed = |e| files::FileError::new(&from, "renamed", e);
            match fs::rename(&from, self.path(device_id, to)) {
                // Moved by an approval that was cut off before it came to the record.
                Err(e) if to == "operators" && e.kind() == ErrorKind::NotFound => {}
                moved => moved.map_err(failed)?,
            }
        }
        self.agree_again(device_id)?;
        Ok(user)
    }

    /// Keeps what the organisation takes back.
    pub fn take_back(&self, revocation: &Signed<Revocation>) -> Result<KeyId, RegistryError> {
        let key = VerifyingKey::from_bytes(&revocation.record().key).map_err(|_| RegistryError::Mismatch)?;
        let id = key_id(&key);
        files::write_private(&self.revocation_path(&id), revocation.bytes())?;
        Ok(id)
    }

    /// Whether the organisation has taken a key back. What is there and cannot be read counts, too.
    pub(super) fn is_revoked(&self, key: &[u8; 32]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(key) else { return true };
        match files::read_bounded(&self.revocation_path(&key_id(&key)), RECORD_MAX_BYTES) {
            Ok(None) => false,
            Ok(Some(bytes)) => Signed::<Revocation>::verify_any_time(&self.organisation, &bytes)
                .map_or(true, |signed| signed.record().key == key.to_bytes()),
            Err(_) => true,
        }
    }

    /// An admission of a file, if there is one.
    pub(super) fn admission(&self, path: &Path) -> Result<Option<Admission>, RegistryError> {
        let Some(bytes) = files::read_bounded(path, RECORD_MAX_BYTES)? else { return Ok(None) };
        Ok(Some(Admission::verify(&self.organisation, &bytes)?))
    }

    pub(super) fn keep(
        &self,
        admission: &Admission,
        template: Option<&OperatorTemplate>,
    ) -> Result<Admitted, NotAdmitted> {
        let invited = admission.invited();
        let (by, invitation) = (invited.enroller(), invited.invitation());
        let is_in_group = |group: &str| (self.membership)(&invitation.user, group) == Membership::Member;
        let device = admission.device();
        let id = device.device_id;
        if !by.allows(&invitation.user, &is_in_group)
            || [by.key, invitation.key, device.device_key].iter().any(|key| self.is_revoked(key))
            || self.path(&id, "revoked").exists()
        {
            return Err(NotAdmitted::NotAllowed);
        }
        let not_kept = |error: RegistryError| {
            tracing::error!(%error, "a device that was invited cannot be kept");
            NotAdmitted::NotKept
        };
        let known = match self.record(&id) {
            // Torn by a power failure: nobody is known by it.
            Err(RegistryError::Record(_)) if !self.path(&id, "record").exists() => None,
            known => known.map_err(not_kept)?,
        };
        match known {
            Some((record, ..)) if record.user != device.user => return Err(NotAdmitted::OtherUser),
            // It comes again, because the answer was lost.
            Some((_, digest, _))
                if digest == admission.digest() && !self.is_withdrawn(&id).map_err(not_kept)? =>
            {
                return Ok(Admitted::Kept);
            }
            _ => {}
        }
        // What was promised to be erased is erased first: nobody would do it later.
        if self.is_withdrawn(&id).map_err(not_kept)? && self.path(&id, "operators").exists() {
            tracing::warn!(
                "a device whose consent was taken back comes again before its operators are removed"
            );
            return Err(NotAdmitted::NotKept);
        }
        self.claim(invitation, &id)?;
        let [operators, record] = if invitation.needs_approval { WAITING } else { ["operators", "record"] };
        let sealed =
            self.sealed(&id, template.map(std::slice::from_ref).unwrap_or_default()).map_err(not_kept)?;
        let write = |kind, bytes: &[u8]| {
            files::write_in_place(&self.seat(&id, kind), bytes).map_err(|e| not_kept(e.into()))
        };
        write(operators, &sealed)?;
        // Nothing pairs without an agreement; what has to be approved counts from then on.
        if !invitation.needs_approval {
            self.agree_again(&id).map_err(not_kept)?;
        }
        write(record, admission.bytes())?;
        Ok(if invitation.needs_approval { Admitted::Waiting } else { Admitted::Kept })
    }

    /// Uses the invitation for this device, if it was not used for another one.
    fn claim(&self, invitation: &Invitation, device_id: &Id) -> Result<(), NotAdmitted> {
        let key = invitation.key().map_err(|_| NotAdmitted::NotAllowed)?;
        let path = self.dir.join("seats").join(format!("{}.claim", hex(&key_id(&key))));
        let failed = |error| {
            tracing::error!(%error, "an invitation cannot be used");
            NotAdmitted::NotKept
        };
        if files::write_once(&path, device_id).map_err(failed)? {
            return Ok(());
        }
        let by = files::read_bounded(&path, CLAIM_MAX_BYTES).map_err(failed)?.unwrap_or_default();
        match by.as_slice() {
            by if by == device_id => Ok(()),
            // Torn by a power failure before anything else was written, if nobody is just writing it: nobody has it.
            by if by.len() < device_id.len() && files::is_older(&path, TORN_AFTER) => {
                files::write_in_place(&path, device_id).map_err(failed)
            }
            _ => Err(NotAdmitted::Used),
        }
    }

    pub(super) fn seat(&self, device_id: &Id, kind: &str) -> PathBuf {
        self.dir.join("seats").join(format!("{}.{kind}", hex(device_id)))
    }

    fn invitation_path(&self, key: &KeyId) -> PathBuf {
        self.dir.join("invitations").join(format!("{}.invitation", hex(key)))
    }

    fn revocation_path(&self, key: &KeyId) -> PathBuf {
        self.dir.join("revoked").join(format!("{}.revocation", hex(key)))
    }
}

fn unknown(id: &Id) -> RegistryError {
    RegistryError::NotWaiting(hex(id))
}

/// The device that an invitation was used for.
pub fn claimed_by(state_dir: &Path, key: &KeyId) -> Option<Id> {
    let path = state_dir.join("seats").join(format!("{}.claim", hex(key)));
    let bytes = files::read_bounded(&path, CLAIM_MAX_BYTES).ok()??;
    unhex(&hex(&bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use sudare_protocol::enrol::{EnrollerRecord, Enrolment};
    use sudare_protocol::groups::EVERYBODY;
    use sudare_protocol::limits::VECTOR_DIM;
    use sudare_protocol::withdrawal::Withdrawal;
    use sudare_protocol::{SigningKey, keyfile};
    use zeroize::Zeroizing;

    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    pub(crate) fn registry(dir: &Path) -> Registry {
        fs::create_dir_all(dir.join("seats")).unwrap();
        Registry::new(dir.to_owned(), key(1).verifying_key(), Zeroizing::new([9; 32]))
    }

    pub(crate) fn id(device: u8) -> Id {
        keyfile::device_id(&key(device).verifying_key())
    }

    /// What a device's people sign to take their consent back.
    pub(crate) fn withdrawal(device: u8) -> Signed<Withdrawal> {
        let withdrawal = Withdrawal { device_key: key(device).verifying_key().to_bytes(), at_ms: 7 };
        let bytes = Signed::sign(&key(device), &withdrawal).unwrap();
        Signed::verify_any_time(&key(device).verifying_key(), &bytes).unwrap()
    }

    /// A device that uses the invitation of key 3, which is for this user.
    pub(crate) fn admission(device: u8, user: &str, needs_approval: bool) -> Admission {
        let enroller = EnrollerRecord {
            name: "desk".into(),
            key: key(2).verifying_key().to_bytes(),
            users: vec![EVERYBODY.into()],
            devices_max: 9,
            not_before_ms: 0,
            not_after_ms: u64::MAX,
        };
        let invitation = Invitation {
            key: key(3).verifying_key().to_bytes(),
            user: user.into(),
            host_id: "vdi-1".into(),
            number: 1,
            not_before_ms: 0,
            not_after_ms: u64::MAX,
            device_until_ms: u64::MAX,
            needs_approval,
        };
        let enroller = Signed::sign(&key(1), &enroller).unwrap();
        let invitation = Signed::sign(&key(2), &invitation).unwrap();
        let invited = Invited::of(&key(1).verifying_key(), &enroller, &invitation).unwrap();
        let enrolment = Enrolment { device_key: key(device).verifying_key().to_bytes() };
        Admission::new(invited, &Signed::sign(&key(3), &enrolment).unwrap()).unwrap()
    }

    pub(crate) fn template() -> OperatorTemplate {
        let mut vector = vec![0.0; VECTOR_DIM];
        vector[0] = 1.0;
        OperatorTemplate {
            operator_id: [1; 16],
            model_sha256: [2; 32],
            rotation_id: [3; 16],
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        }
    }

    #[test]
    fn an_invitation_is_one_devices_and_a_device_one_users() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        let keep = |device, user| registry.keep(&admission(device, user, false), Some(&template()));
        assert_eq!(keep(4, "alice"), Ok(Admitted::Kept));
        assert_eq!(keep(4, "alice"), Ok(Admitted::Kept), "its answer was lost");
        assert_eq!(keep(5, "alice"), Err(NotAdmitted::Used));
        assert_eq!(keep(4, "bob"), Err(NotAdmitted::OtherUser));
        assert_eq!(registry.device(&id(4)).unwrap().unwrap().templates.len(), 1);
        registry.revoke(&id(4)).unwrap();
        assert_eq!(keep(4, "alice"), Err(NotAdmitted::NotAllowed));
    }

    #[test]
    fn a_claim_that_was_torn_is_nobodys_once_nobody_can_be_writing_it() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        let claim = dir.path().join("seats").join(format!("{}.claim", hex(&key_id(&key(3).verifying_key()))));
        fs::write(&claim, b"torn").unwrap();
        let keep = || registry.keep(&admission(4, "alice", false), Some(&template()));
        assert_eq!(keep(), Err(NotAdmitted::Used));
        let before = std::time::SystemTime::now() - 2 * TORN_AFTER;
        fs::File::options().write(true).open(&claim).unwrap().set_modified(before).unwrap();
        assert_eq!(keep(), Ok(Admitted::Kept));
        // A torn record is none, and the device comes again.
        fs::write(registry.seat(&id(4), "record"), b"torn").unwrap();
        assert!(registry.device(&id(4)).is_err());
        assert_eq!(keep(), Ok(Admitted::Kept));
        assert!(registry.device(&id(4)).unwrap().is_some());
    }

    #[test]
    fn what_needs_approval_counts_only_where_no_gate_writes() {
        let dir = tempfile::tempdir().unwrap();
        let registry = registry(dir.path());
        let admission = admission(4, "alice", true);
        assert_eq!(registry.keep(&admission, Some(&template())), Ok(Admitted::Waiting));
        // A gate that somebody has broken into says that it was approved.
        fs::write(registry.seat(&id(4), "record"), admission.bytes()).unwrap();
        assert!(registry.device(&id(4)).unwrap().is_none());
        assert_eq!(registry.waiting().unwrap().len(), 1);
        // Cut off in its middle, and typed again.
        fs::create_dir_all(dir.path().join("devices")).unwrap();
        fs::rename(registry.seat(&id(4), "waiting-operators"), registry.path(&id(4), "operators")).unwrap();
        assert_eq!(registry.approve(&id(4)).unwrap(), "alice");
        assert_eq!(registry.device(&id(4)).unwrap().unwrap().templates.len(), 1);
        assert!(registry.waiting().unwrap().is_empty() && registry.approve(&id(4)).is_err());
        assert_eq!(registry.keep(&admission, Some(&template())), Ok(Admitted::Kept));
    }
}
