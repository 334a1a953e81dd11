//! Devices whose consent was taken back.
//!
//! ```text
//! seats/<id>.withdrawn     the signed withdrawal, or `AGREED_AGAIN`; whatever else is there counts as a withdrawal
//! seats/<id>.operators     overwritten with nobody
//! devices/<id>.operators   no gate can reach it: a service removes it, and nothing reads it meanwhile
//! ```

use std::fs;
use std::io::ErrorKind;

use sudare_base::files::{self, FileError};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::message::Id;
use sudare_protocol::records::Signed;
use sudare_protocol::withdrawal::Withdrawal;
use sudare_protocol::{VerifyingKey, cbor, cose, keyfile};

use super::{Registry, RegistryError, ids_in};

/// What stands in the mark once somebody has agreed again. Nothing less: a power failure tears files.
const AGREED_AGAIN: &[u8] = b"agreed again\n";
const OPERATORS: [&str; 2] = ["operators", "waiting-operators"];

impl Registry {
    /// Whether consent was taken back, and nobody has agreed since. A file that cannot be read is an error, and lets nobody
    /// in either.
    pub(super) fn is_withdrawn(&self, id: &Id) -> Result<bool, RegistryError> {
        let bytes = files::read_bounded(&self.seat(id, "withdrawn"), RECORD_MAX_BYTES)?;
        Ok(bytes.is_some_and(|bytes| bytes != AGREED_AGAIN))
    }

    /// Erases what this process can reach, first of all the right to be compared; whether everything is gone.
    pub(super) fn take_consent_back(
        &self,
        id: &Id,
        withdrawal: &Signed<Withdrawal>,
    ) -> Result<bool, RegistryError> {
        // What is there already is not put at risk.
        if !self.is_withdrawn(id)? {
            files::write_in_place(&self.seat(id, "withdrawn"), withdrawal.bytes())?;
        }
        for kind in OPERATORS {
            let path = self.seat(id, kind);
            if path.exists() {
                files::write_in_place(&path, &self.sealed(id, &[])?)?;
            }
        }
        Ok(!self.path(id, "operators").exists())
    }

    /// Somebody has agreed since.
    pub(super) fn agree_again(&self, id: &Id) -> Result<(), RegistryError> {
        if self.is_withdrawn(id)? {
            files::write_in_place(&self.seat(id, "withdrawn"), AGREED_AGAIN)?;
        }
        Ok(())
    }

    /// Whether the device itself has signed it: a gate that somebody has broken into writes marks, and removes nobody's
    /// templates by them.
    fn is_signed(&self, id: &Id) -> Result<bool, RegistryError> {
        let bytes = files::read_bounded(&self.seat(id, "withdrawn"), RECORD_MAX_BYTES)?.unwrap_or_default();
        let Some(key) = claimed_key(&bytes).filter(|key| keyfile::device_id(key) == *id) else {
            return Ok(false);
        };
        Ok(Signed::<Withdrawal>::verify_any_time(&key, &bytes).is_ok())
    }

    /// Removes the templates of all devices whose consent was taken back; of how many.
    ///
    /// # Errors
    /// The last of those that could not be removed; all others are.
    pub fn forget_withdrawn(&self) -> Result<usize, RegistryError> {
        let (mut forgotten, mut failed) = (0, None);
        for id in ids_in(&self.dir.join("seats"), "withdrawn")? {
            match self.forget(&id) {
                Ok(is_forgotten) => forgotten += usize::from(is_forgotten),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(forgotten), Err)
    }

    pub(super) fn forget(&self, id: &Id) -> Result<bool, RegistryError> {
        if !self.is_signed(id)? {
            return Ok(false);
        }
        let path = self.path(id, "operators");
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(FileError::new(&path, "removed", e).into()),
        }
    }
}

/// The device that a withdrawal says it is of, before its signature is looked at.
fn claimed_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let payload = cose::unverified_payload(bytes).ok()?;
    cbor::read::<Withdrawal>(payload).ok()?.key().ok()
}

#[cfg(test)]
mod tests {
    use sudare_protocol::host::{Devices as _, NotAdmitted};

    use super::super::seats::tests as seats;
    use super::*;

    #[test]
    fn nothing_of_the_operators_stays_and_only_a_new_agreement_counts() {
        let dir = tempfile::tempdir().unwrap();
        let registry = seats::registry(dir.path());
        let admission = seats::admission(4, "alice", false);
        let pair = || registry.admit(&admission, Some(&seats::template())).unwrap();
        pair();
        let id = seats::id(4);
        let device = || registry.device(&id).unwrap().unwrap();
        assert_eq!(device().templates.len(), 1);
        let kept = fs::read(registry.seat(&id, "operators")).unwrap();
        // And a template that the admin put there.
        registry.add_operator(&id, seats::template()).unwrap();
        let withdrawal = seats::withdrawal(4);
        assert_eq!(registry.withdraw(&id, &withdrawal), Ok(false), "the admin's copy is still there");
        assert!(device().withdrawn && device().templates.is_empty());
        assert_ne!(fs::read(registry.seat(&id, "operators")).unwrap(), kept);
        // Not before it is gone may the device come back: nobody would remove it then.
        assert_eq!(registry.admit(&admission, Some(&seats::template())), Err(NotAdmitted::NotKept));
        assert_eq!(registry.forget_withdrawn().unwrap(), 1);
        assert!(!registry.path(&id, "operators").exists());
        assert_eq!(registry.withdraw(&id, &withdrawal), Ok(true));
        // The same device may come again, with an agreement and a template.
        pair();
        assert!(!device().withdrawn);
        assert_eq!((device().templates.len(), registry.forget_withdrawn().unwrap()), (1, 0));
    }

    #[test]
    fn a_mark_that_the_device_did_not_sign_covers_and_removes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let registry = seats::registry(dir.path());
        registry.admit(&seats::admission(4, "alice", false), Some(&seats::template())).unwrap();
        let id = seats::id(4);
        registry.add_operator(&id, seats::template()).unwrap();
        let foreign = seats::withdrawal(5);
        for mark in [&b"broken"[..], b"", foreign.bytes()] {
            fs::write(registry.seat(&id, "withdrawn"), mark).unwrap();
            assert!(registry.device(&id).unwrap().unwrap().withdrawn, "a torn mark is one");
            assert_eq!(registry.forget_withdrawn().unwrap(), 0);
            assert!(registry.path(&id, "operators").exists());
        }
    }
}
