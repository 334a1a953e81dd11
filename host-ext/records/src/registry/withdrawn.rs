//! Devices whose consent was taken back.
//!
//! ```text
//! seats/<id>.withdrawn     the signed withdrawal; empty: somebody has agreed again
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

use super::{Registry, RegistryError, ids_in};

const OPERATORS: [&str; 2] = ["operators", "waiting-operators"];

impl Registry {
    /// Whether consent was taken back, and nobody has agreed since. A file that cannot be read is an error, and lets nobody
    /// in either.
    pub(super) fn is_withdrawn(&self, id: &Id) -> Result<bool, RegistryError> {
        let bytes = files::read_bounded(&self.seat(id, "withdrawn"), RECORD_MAX_BYTES)?;
        Ok(bytes.is_some_and(|bytes| !bytes.is_empty()))
    }

    /// Erases what this process can reach, first of all the right to be compared; whether everything is gone.
    pub(super) fn take_consent_back(
        &self,
        id: &Id,
        withdrawal: &Signed<Withdrawal>,
    ) -> Result<bool, RegistryError> {
        files::write_in_place(&self.seat(id, "withdrawn"), withdrawal.bytes())?;
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
            files::write_in_place(&self.seat(id, "withdrawn"), b"")?;
        }
        Ok(())
    }

    /// Removes the templates of all devices whose consent was taken back; of how many.
    pub fn forget_withdrawn(&self) -> Result<usize, RegistryError> {
        let mut forgotten = 0;
        for id in ids_in(&self.dir.join("seats"), "withdrawn")? {
            if !self.is_withdrawn(&id)? {
                continue;
            }
            let path = self.path(&id, "operators");
            match fs::remove_file(&path) {
                Ok(()) => forgotten += 1,
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(FileError::new(&path, "removed", e).into()),
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use sudare_protocol::host::Devices as _;

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
        assert_eq!(registry.forget_withdrawn().unwrap(), 1);
        assert!(!registry.path(&id, "operators").exists());
        assert_eq!(registry.withdraw(&id, &withdrawal), Ok(true));
        // The same device may come again, with an agreement and a template.
        pair();
        assert!(!device().withdrawn);
        assert_eq!((device().templates.len(), registry.forget_withdrawn().unwrap()), (1, 0));
    }
}
