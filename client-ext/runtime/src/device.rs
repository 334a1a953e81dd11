//! This device's own key and its pinned organisation.
//!
//! ```text
//! <home>/               0700; SUDARE_HOME, else the XDG configuration directory
//!   device.key          signs attestations and locks      0600, created at first use
//!   device.seed         rotates face vectors              0600, created at first use
//!   organisation.pub    pinned at set-up
//! ```

use std::path::{Path, PathBuf};

use sudare_protocol::keyfile::{self, KeyFileError};
use sudare_protocol::message::Id;
use sudare_protocol::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::random::random;
use crate::{durable, platform};

const KEY_MAX_BYTES: u64 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("cannot read {path}: {source}. Check that the file exists and is yours")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Key { path: PathBuf, source: KeyFileError },
    #[error("cannot write {path}: {source}. Check that the folder is yours and that the disk has room")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the operating system provides no random numbers, without which no key can be created: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "this device does not know its organisation yet. Get organisation.pub from the security team and put it at {0}"
    )]
    NoOrganisation(PathBuf),
}

/// The device key from `device.key`, which is created at first use.
pub fn device_key(home: &Path) -> Result<SigningKey, DeviceError> {
    let path = home.join("device.key");
    match read(&path) {
        Ok(text) => keyfile::parse_secret(&text).map_err(|source| DeviceError::Key { path, source }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let write = |source| DeviceError::Write { path: path.clone(), source };
            durable::create_folder(home).map_err(write)?;
            let key = SigningKey::from_bytes(&Zeroizing::new(random()?));
            durable::create(&path, keyfile::secret_line(&key).as_bytes()).map_err(write)?;
            // Read back, because another process may have been first.
            let text = read(&path).map_err(|source| DeviceError::Read { path: path.clone(), source })?;
            keyfile::parse_secret(&text).map_err(|source| DeviceError::Key { path, source })
        }
        Err(source) => Err(DeviceError::Read { path, source }),
    }
}

/// The organisation's key, from `file` or from `organisation.pub` in `home`.
pub fn organisation(home: &Path, file: Option<&Path>) -> Result<VerifyingKey, DeviceError> {
    let path = file.map_or_else(|| home.join("organisation.pub"), Path::to_owned);
    match read(&path) {
        Ok(text) => keyfile::parse_public(&text).map_err(|source| DeviceError::Key { path, source }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(DeviceError::NoOrganisation(path)),
        Err(source) => Err(DeviceError::Read { path, source }),
    }
}

/// The system's random id of this boot; made up where the system names none.
pub fn boot_id() -> Result<Id, getrandom::Error> {
    platform::boot_id().map_or_else(random, Ok)
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(KEY_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_a_missing_organisation_says_where_to_put_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let first = device_key(&home).unwrap();
        assert_eq!(device_key(&home).unwrap().to_bytes(), first.to_bytes());
        let missing = organisation(&home, None).unwrap_err().to_string();
        assert!(missing.contains("organisation.pub"), "{missing}");
        std::fs::write(home.join("organisation.pub"), keyfile::public_line(&first.verifying_key())).unwrap();
        assert_eq!(organisation(&home, None).unwrap(), first.verifying_key());
    }
}
