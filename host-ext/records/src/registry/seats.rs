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
use std::path::{Path, PathBuf};
use std::time::Duration;

use sudare_base::files;
use sudare_protocol::VerifyingKey;
use sudare_protocol::cose::{KeyId, key_id};
use sudare_protocol::enrol::{Admission, Invitation, Invited, Revocation};
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
            fs::rename(&from, self.path(device_id, to)).map_err(failed)?;
        }
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
        template: &OperatorTemplate,
    ) -> Result<Admitted, NotAdmitted> {
        let invited = admission.invited();
        let (by, invitation) = (invited.enroller(), invited.invitation());
        let is_in_group = |group: &str| (self.is_in_group)(&invitation.user, group);
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
            Some((_, digest, _)) if digest == admission.digest() => return Ok(Admitted::Kept),
            _ => {}
        }
        self.claim(invitation, &id)?;
        let [operators, record] = if invitation.needs_approval { WAITING } else { ["operators", "record"] };
        let sealed = self.sealed(&id, std::slice::from_ref(template)).map_err(not_kept)?;
        let write = |kind, bytes: &[u8]| {
            files::write_in_place(&self.seat(&id, kind), bytes).map_err(|e| not_kept(e.into()))
        };
        write(operators, &sealed)?;
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
