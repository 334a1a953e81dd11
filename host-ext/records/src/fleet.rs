//! What the organisation gives all its hosts in one bundle: taken apart, and put in place while sessions run.
//!
//! ```text
//! state_dir/fleet/
//!   next/                      the newer one, as long as it is taken apart
//!   current/                   exchanged with it in one step: whoever opens a file meanwhile gets the old or the new one
//!     mark                     serial and digest of the bundle
//!     policy.record            used if it is newer than the host's own
//!     host.record              of this host, if the bundle has one
//!     devices                  all device records, see [`devices`]
//! state_dir/revoked/           revocations are added there, and stay
//! ```
//! Revocations are put in place first: whatever fails afterwards, they count.

mod devices;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sudare_base::files::{self, FileError};
use sudare_protocol::VerifyingKey;
use sudare_protocol::bundle::{Bundle, BundleError, Mark, SignedBundle};
use sudare_protocol::cose::key_id;
use sudare_protocol::enrol::Revocation;
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::message::Id;
use sudare_protocol::records::{HostRecord, Policy, RecordError, Signed};

use self::devices::Devices;

const MARK_MAX_BYTES: usize = 128;

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{0} does not say which bundle this host has. Remove the folder {0} is in; the next bundle makes it again"
    )]
    Mark(PathBuf),
}

/// What became of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    New {
        serial: u64,
        devices: usize,
    },
    /// It is the one that is in place.
    Same {
        serial: u64,
    },
}

/// The folder of one host.
#[derive(Debug, Clone)]
pub struct Fleet {
    state_dir: PathBuf,
    organisation: VerifyingKey,
}

impl Fleet {
    pub fn new(state_dir: &Path, organisation: VerifyingKey) -> Self {
        Fleet { state_dir: state_dir.to_owned(), organisation }
    }

    /// Which bundle is in place.
    ///
    /// # Errors
    /// Somebody has changed the folder.
    pub fn mark(&self) -> Result<Option<Mark>, FleetError> {
        let path = self.current("mark");
        let Some(bytes) = files::read_bounded(&path, MARK_MAX_BYTES)? else { return Ok(None) };
        let read = || {
            let text = String::from_utf8(bytes).ok()?;
            let (serial, digest) = text.trim_end().split_once(' ')?;
            Some(Mark { serial: serial.parse().ok()?, digest: unhex(digest)? })
        };
        read().map(Some).ok_or(FleetError::Mark(path))
    }

    /// Puts a bundle in place, if it is newer than what is there.
    ///
    /// # Errors
    /// It is not for this host, not newer, or not the organisation's; or the disk. Nothing has changed then, except that
    /// revocations may be in place.
    pub fn take(&self, bytes: &[u8], host_id: &str) -> Result<Taken, FleetError> {
        let signed = SignedBundle::verify(&self.organisation, bytes)?;
        let serial = signed.mark().serial;
        if !signed.is_news(host_id, self.mark()?)? {
            return Ok(Taken::Same { serial });
        }
        let bundle = signed.bundle();
        self.take_back(bundle)?;
        let next = self.folder().join("next");
        self.unpack(&next, &signed, host_id)?;
        files::exchange(&next, &self.folder().join("current"))?;
        if let Err(error) = remove(&next) {
            tracing::warn!(%error, "what the bundle before it left is removed with the next one");
        }
        Ok(Taken::New { serial, devices: bundle.devices.len() })
    }

    /// The policy of the bundle in place, if it is valid now: what the host has of its own counts otherwise.
    pub fn policy(&self, wall_ms: u64) -> Result<Option<Signed<Policy>>, FleetError> {
        let Some(bytes) = files::read_bounded(&self.current("policy.record"), RECORD_MAX_BYTES)? else {
            return Ok(None);
        };
        valid(Signed::verify(&self.organisation, &bytes, wall_ms))
    }

    /// The record of this host in it.
    pub fn host_record(&self, wall_ms: u64) -> Result<Option<Signed<HostRecord>>, FleetError> {
        let Some(bytes) = files::read_bounded(&self.current("host.record"), RECORD_MAX_BYTES)? else {
            return Ok(None);
        };
        valid(Signed::verify(&self.organisation, &bytes, wall_ms))
    }

    /// The signed record of a device, if the bundle in place has one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn device(&self, device_id: &Id) -> Result<Option<Vec<u8>>, FileError> {
        self.with_devices(|devices| devices.find(device_id)).map(Option::flatten)
    }

    /// The ids of all of them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn device_ids(&self) -> Result<Vec<Id>, FileError> {
        Ok(self.with_devices(Devices::ids)?.unwrap_or_default())
    }

    fn with_devices<T>(&self, ask: impl FnOnce(&Devices) -> io::Result<T>) -> Result<Option<T>, FileError> {
        let path = devices::path(&self.current(""));
        let asked = Devices::open(&path).and_then(|devices| devices.as_ref().map(ask).transpose());
        asked.map_err(|e| FileError::new(&path, "read", e))
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join("fleet")
    }

    fn current(&self, name: &str) -> PathBuf {
        self.folder().join("current").join(name)
    }

    fn take_back(&self, bundle: &Bundle) -> Result<(), FleetError> {
        for bytes in &bundle.revocations {
            let signed = Signed::<Revocation>::verify_any_time(&self.organisation, bytes);
            let signed = signed.map_err(BundleError::from)?;
            let key = VerifyingKey::from_bytes(&signed.record().key)
                .map_err(|_| BundleError::Record(RecordError::Malformed { kind: "revocation" }))?;
            let path = self.state_dir.join("revoked").join(format!("{}.revocation", hex(&key_id(&key))));
            // Most of them have been there for long.
            if files::read_bounded(&path, RECORD_MAX_BYTES)?.is_none() {
                files::write_private(&path, bytes)?;
            }
        }
        Ok(())
    }

    fn unpack(&self, folder: &Path, signed: &SignedBundle, host_id: &str) -> Result<(), FleetError> {
        // Left over from an attempt that was cut off.
        remove(folder)?;
        let bundle = signed.bundle();
        let write = |path: PathBuf, bytes: &[u8]| files::write_private(&path, bytes);
        write(
            devices::path(folder),
            &devices::packed(bundle.devices.iter().map(|record| record.as_slice())),
        )?;
        let ours = bundle.host_records.iter().find(|bytes| {
            let record = Signed::<HostRecord>::verify_any_time(&self.organisation, bytes);
            record.is_ok_and(|record| record.record().host_id == host_id)
        });
        if let Some(record) = ours {
            write(folder.join("host.record"), record)?;
        }
        write(folder.join("policy.record"), &bundle.policy)?;
        let Mark { serial, digest } = signed.mark();
        Ok(write(folder.join("mark"), format!("{serial} {}\n", hex(&digest)).as_bytes())?)
    }
}

/// What is out of its time is as good as none.
fn valid<R>(record: Result<Signed<R>, RecordError>) -> Result<Option<Signed<R>>, FleetError> {
    match record {
        Ok(record) => Ok(Some(record)),
        Err(RecordError::Expired { .. } | RecordError::NotYet { .. }) => Ok(None),
        Err(error) => Err(BundleError::from(error).into()),
    }
}

fn remove(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(FileError::new(folder, "removed", e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
