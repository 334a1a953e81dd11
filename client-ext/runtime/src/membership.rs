//! What this device knows of its organisation: the pin, a pairing that is under way, the notices that were accepted.
//!
//! ```text
//! <home>/organisation.pub          pinned by hand, or by the first pairing
//! <home>/pairing.code, .operator   what was typed, and whom the host is to let in; gone once a host has
//! <home>/consent.withdrawn         signed here: consent was taken back; withdrawals/<host>.receipt: what hosts signed about it
//! <home>/notices/<digest>.cbor     what an organisation tells; <digest>.accepted beside it: somebody agreed
//! ```
//! Read anew for each handshake, so that what was typed or accepted meanwhile counts at once.

use std::fs;
use std::path::{Path, PathBuf};

use sudare_protocol::client::Pairing;
use sudare_protocol::enrol::{CodeError, PairingCode};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::limits::{RECORD_MAX_BYTES, TEMPLATE_MAX_BYTES, WITHDRAWAL_MAX_BYTES};
use sudare_protocol::message::Digest;
use sudare_protocol::notice::Notice;
use sudare_protocol::records::{RecordError, Signed};
use sudare_protocol::template::{OperatorTemplate, TemplateError};
use sudare_protocol::withdrawal::{Receipt, Withdrawal};
use sudare_protocol::{SigningKey, VerifyingKey, cbor, keyfile};
use zeroize::Zeroizing;

use crate::device::{self, DeviceError};
use crate::durable;

/// Notices that one device keeps; a new one comes with a new policy, some times a year.
const NOTICES_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{path}: {source}. Type the code again with `sudare pair`")]
    Code { path: PathBuf, source: CodeError },
    #[error("{path}: {source}. Enrol again with `sudare pair`")]
    Operator { path: PathBuf, source: TemplateError },
    #[error("cannot {action} {path}: {source}. Check that the folder is yours and that the disk has room")]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be signed: {source}. Make a new device key")]
    Withdrawal { path: PathBuf, source: RecordError },
    #[error("this device has no organisation yet. Type the code of your VDI administrator: sudare pair CODE")]
    NotPaired,
}

/// The membership of one device folder.
#[derive(Debug, Clone)]
pub struct Membership {
    home: PathBuf,
    /// Given by a setting in place of the folder's.
    organisation: Option<PathBuf>,
}

impl Membership {
    #[must_use]
    pub fn at(home: &Path) -> Self {
        Membership { home: home.to_owned(), organisation: None }
    }

    #[must_use]
    pub fn with_organisation(self, file: Option<&Path>) -> Self {
        Membership { organisation: file.map(Path::to_owned), ..self }
    }

    /// Fails if no session could begin from here: nothing is pinned, and nothing was typed.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn check(&self) -> Result<(), MembershipError> {
        match (self.organisation()?, self.pairing()?) {
            (None, None) => Err(MembershipError::NotPaired),
            _ => Ok(()),
        }
    }

    /// The pinned organisation, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn organisation(&self) -> Result<Option<VerifyingKey>, MembershipError> {
        match device::organisation(&self.home, self.organisation.as_deref()) {
            Ok(key) => Ok(Some(key)),
            Err(DeviceError::NoOrganisation(_)) if self.organisation.is_none() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The pairing that is under way, if there is one.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn pairing(&self) -> Result<Option<Pairing>, MembershipError> {
        let path = self.path("pairing.code");
        let Some(text) = read(&path, RECORD_MAX_BYTES)? else { return Ok(None) };
        let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
        let code =
            PairingCode::parse(text.trim()).map_err(|source| MembershipError::Code { path, source })?;
        let path = self.path("pairing.operator");
        let Some(bytes) = read(&path, TEMPLATE_MAX_BYTES)? else { return Ok(None) };
        let template = Some(bytes)
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| OperatorTemplate::from_bytes(&bytes))
            .transpose()
            .map_err(|source| MembershipError::Operator { path, source })?;
        Ok(Some(Pairing { code, template }))
    }

    /// Keeps what was typed until a host has taken it.
    ///
    /// # Errors
    /// The disk.
    pub fn begin(&self, pairing: &Pairing) -> Result<(), MembershipError> {
        // Whoever types a code wants to be let in.
        remove(&self.path("consent.withdrawn"))?;
        let operator = self.path("pairing.operator");
        let bytes = pairing
            .template
            .as_ref()
            .map(OperatorTemplate::to_bytes)
            .transpose()
            .map_err(|source| MembershipError::Operator { path: operator.clone(), source })?;
        write(&operator, bytes.as_deref().map_or(&[], |bytes| bytes))?;
        write(&self.path("pairing.code"), pairing.code.to_text().as_bytes())
    }

    /// A host has taken it: its organisation is pinned, and the code and the template are gone.
    ///
    /// # Errors
    /// The disk.
    pub fn paired(&self, organisation: &VerifyingKey) -> Result<(), MembershipError> {
        if self.organisation()?.is_none() {
            write(&self.path("organisation.pub"), keyfile::public_line(organisation).as_bytes())?;
        }
        self.forget_pairing()
    }

    /// Removes a pairing that is under way.
    ///
    /// # Errors
    /// The disk.
    pub fn forget_pairing(&self) -> Result<(), MembershipError> {
        ["pairing.code", "pairing.operator"].iter().try_for_each(|name| remove(&self.path(name)))
    }

    /// Digests of the notices that were accepted on this device.
    #[must_use]
    pub fn consents(&self) -> Vec<Digest> {
        self.digests("accepted")
    }

    /// Keeps a notice for people to read.
    ///
    /// # Errors
    /// The disk.
    pub fn told(&self, notice: &Notice) -> Result<(), MembershipError> {
        let path = self.notice_path(&notice.digest(), "cbor");
        if path.exists() || self.digests("cbor").len() >= NOTICES_MAX {
            return Ok(());
        }
        let bytes = minicbor::to_vec(notice).unwrap_or_default();
        write(&path, &bytes)
    }

    /// Notices that nobody has accepted here yet.
    #[must_use]
    pub fn pending(&self) -> Vec<Notice> {
        let accepted = self.consents();
        let notice = |digest: &Digest| {
            let bytes = read(&self.notice_path(digest, "cbor"), RECORD_MAX_BYTES).ok()??;
            cbor::read::<Notice>(&bytes).ok().filter(|notice| notice.digest() == *digest)
        };
        self.digests("cbor").iter().filter(|digest| !accepted.contains(digest)).filter_map(notice).collect()
    }

    /// Somebody read it, and agreed. What was taken back before stays so until they type a code.
    ///
    /// # Errors
    /// The disk.
    pub fn accept(&self, notice: &Notice) -> Result<(), MembershipError> {
        write(&self.notice_path(&notice.digest(), "accepted"), b"")
    }

    /// Takes everything back that was agreed to on this device: from now on nothing looks. The looks of its operators become
    /// useless everywhere, because the secret that rotates them is gone.
    ///
    /// # Errors
    /// The disk. What was written first counts: nothing looks any more.
    pub fn withdraw(&self, device_key: &SigningKey, at_ms: u64) -> Result<(), MembershipError> {
        if self.withdrawal()?.is_none() {
            let withdrawal = Withdrawal { device_key: device_key.verifying_key().to_bytes(), at_ms };
            let path = self.path("consent.withdrawn");
            let signed = Signed::sign(device_key, &withdrawal)
                .map_err(|source| MembershipError::Withdrawal { path: path.clone(), source })?;
            write(&path, &signed)?;
        }
        // Also where an earlier attempt was cut off here.
        for digest in self.consents() {
            remove(&self.notice_path(&digest, "accepted"))?;
        }
        self.forget_pairing()?;
        for operator in operators(&self.home) {
            remove(&operator)?;
        }
        ["device.seed", "drift"].iter().try_for_each(|name| remove(&self.path(name)))
    }

    /// What was signed to take consent back, until somebody agrees again.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn withdrawal(&self) -> Result<Option<Vec<u8>>, MembershipError> {
        Ok(read(&self.path("consent.withdrawn"), WITHDRAWAL_MAX_BYTES)?.map(|bytes| bytes.to_vec()))
    }

    /// Keeps what a host signed about it: `withdrawals/<host>.receipt`.
    ///
    /// # Errors
    /// The disk.
    pub fn keep_receipt(&self, receipt: &Signed<Receipt>) -> Result<(), MembershipError> {
        // Whatever a host is called, this is a file of that folder.
        let name = hex(receipt.record().host_id.as_bytes());
        write(&self.path("withdrawals").join(format!("{name}.receipt")), receipt.bytes())
    }

    fn digests(&self, kind: &str) -> Vec<Digest> {
        let Ok(entries) = fs::read_dir(self.path("notices")) else { return Vec::new() };
        let digest = |path: PathBuf| {
            let is_kind = path.extension().is_some_and(|extension| extension == kind);
            is_kind.then(|| unhex(path.file_stem()?.to_str()?)).flatten()
        };
        entries.flatten().filter_map(|entry| digest(entry.path())).take(NOTICES_MAX).collect()
    }

    fn notice_path(&self, digest: &Digest, kind: &str) -> PathBuf {
        self.path("notices").join(format!("{}.{kind}", hex(digest)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }
}

/// Operator files that lie in the device's own folder.
fn operators(home: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(home).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "operator")).collect()
}

fn read(path: &Path, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, MembershipError> {
    use std::io::Read as _;
    let failed = |source| MembershipError::File { action: "read", path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), MembershipError> {
    let failed = |source| MembershipError::File { action: "write", path: path.to_owned(), source };
    path.parent().map_or(Ok(()), durable::create_folder).map_err(failed)?;
    durable::write(path, bytes).map_err(failed)
}

fn remove(path: &Path) -> Result<(), MembershipError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(MembershipError::File { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_operators_is_left_on_the_pc_once_consent_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (membership, key) = (Membership::at(dir.path()), SigningKey::from_bytes(&[7; 32]));
        let looks = ["device.seed", "drift", "me.operator", "pairing.code", "pairing.operator"];
        let put = || looks.iter().for_each(|name| fs::write(dir.path().join(name), "x").unwrap());
        put();
        fs::create_dir(dir.path().join("notices")).unwrap();
        let accepted = membership.notice_path(&[5; 32], "accepted");
        fs::write(&accepted, "").unwrap();
        membership.withdraw(&key, 9).unwrap();
        let signed = membership.withdrawal().unwrap().unwrap();
        let read = Signed::<Withdrawal>::verify_any_time(&key.verifying_key(), &signed).unwrap();
        assert_eq!(read.record().at_ms, 9);
        assert!(!accepted.exists());
        // An attempt that was cut off is finished by the next one, under the same signature.
        put();
        membership.withdraw(&key, 10).unwrap();
        assert!(looks.iter().all(|name| !dir.path().join(name).exists()));
        assert_eq!(membership.withdrawal().unwrap().unwrap(), signed);
    }
}
