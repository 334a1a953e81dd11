//! Keys of a host and of its recorder: made once, kept in private files, read with advice if one is missing.

use std::path::{Path, PathBuf};

use sudare_base::clock;
use sudare_base::files::{self, FileError};
use sudare_protocol::keyfile::{self, KeyFileError};
use sudare_protocol::records::RecordError;
use sudare_protocol::text::given;
use sudare_protocol::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::fleet::FleetError;

const KEY_MAX_BYTES: usize = 4096;
pub(crate) const INIT: &str = "Run `sudare-host init`";

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path}: {source}")]
    Key { path: PathBuf, source: KeyFileError },
    #[error("{path}: {source}")]
    Record { path: PathBuf, source: RecordError },
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("{0} is missing. {1}")]
    Missing(PathBuf, &'static str),
    #[error(
        "the host record is for a key other than host.key. Have the security team sign a record for the line of `sudare-host key`"
    )]
    OtherHost,
    #[error("{0} exists already, and keys are never overwritten. Move it away if you mean to replace it")]
    Exists(PathBuf),
    #[error("the system provides no random bytes, so no key can be made: {0}")]
    Random(#[from] getrandom::Error),
}

/// Makes the recorder's key, if it does not exist yet.
pub fn init_recorder(dir: &Path) -> Result<(), StateError> {
    files::check_owner(dir)?;
    files::make_private_dir(dir)?;
    make_key(&dir.join("log.key"))
}

/// Makes the keys of a host that do not exist yet, including the recorder's, for a host that records by itself.
pub fn init(dir: &Path) -> Result<(), StateError> {
    init_recorder(dir)?;
    make_key(&dir.join("host.key"))?;
    // What comes later has to be within the reach of gates that run by then.
    for folder in ["fleet", "revoked", "seats"] {
        files::make_private_dir(&dir.join(folder))?;
    }
    let storage = dir.join("storage.key");
    if !storage.exists() {
        files::write_private(&storage, &Zeroizing::new(clock::random::<32>()?)[..])?;
    }
    Ok(())
}

pub fn make_key(path: &Path) -> Result<(), StateError> {
    if path.exists() {
        return Ok(());
    }
    let key = SigningKey::from_bytes(&clock::random()?);
    Ok(files::write_private(path, keyfile::secret_line(&key).as_bytes())?)
}

/// Makes a new key file, for the organisation; never overwrites one.
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

fn read_text(path: &Path, advice: &'static str) -> Result<String, StateError> {
    let bytes = files::read_bounded(path, KEY_MAX_BYTES)?
        .ok_or_else(|| StateError::Missing(path.to_owned(), advice))?;
    // What is no text is no key either, and is refused as such.
    Ok(given(&bytes).unwrap_or_default())
}
