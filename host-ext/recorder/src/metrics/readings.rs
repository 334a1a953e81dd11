//! What is read at the moment in which somebody asks: the disk, and what is valid until when.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use sudare_base::files;
use x509_cert::Certificate;

/// What a gate reads of a certificate at most.
const CERTIFICATE_MAX_BYTES: usize = 64 << 10;

/// What is known from the start.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Folder of the evidence.
    pub evidence: PathBuf,
    /// The certificate that clients see, which may be replaced while the recorder runs.
    pub certificate: PathBuf,
    /// Unix time in seconds at which the host's record ends.
    pub host_record_until_s: Option<u64>,
    /// The same of the policy.
    pub policy_until_s: Option<u64>,
}

impl Facts {
    /// The certificate's file, and where links lead from it.
    #[must_use]
    pub fn certificate_files(&self) -> Vec<PathBuf> {
        [Some(self.certificate.clone()), self.certificate.canonicalize().ok()].into_iter().flatten().collect()
    }
}

/// Room for evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) free_bytes: u64,
    pub(super) size_bytes: u64,
    /// Absent where the file system makes room for as many as there are.
    pub(super) free_files: Option<u64>,
}

pub(super) fn disk(folder: &Path) -> Option<Disk> {
    let disk = statvfs(folder).ok()?;
    Some(Disk {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        size_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        free_files: (disk.f_files > 0).then_some(disk.f_favail),
    })
}

/// Unix time in seconds at which the first certificate of a file ends; `None` if nobody lets the recorder read it.
pub(super) fn certificate_until_s(file: &Path) -> Option<u64> {
    let pem = files::read_bounded(file, CERTIFICATE_MAX_BYTES).ok()??;
    let chain = Certificate::load_pem_chain(&pem).ok()?;
    Some(chain.first()?.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_and_nothing_of_what_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cert.pem");
        let mut params = rcgen::CertificateParams::new(vec!["host".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(&file, format!("{pem}{pem}")).unwrap();
        assert_eq!(certificate_until_s(&file), Some(1_893_456_000));
        for torn in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &pem[..90]] {
            std::fs::write(&file, torn).unwrap();
            assert_eq!(certificate_until_s(&file), None);
        }
        assert_eq!(certificate_until_s(dir.path()), None);
    }

    #[test]
    fn a_disk_has_room_and_a_folder_that_is_not_there_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path()).unwrap();
        assert!(disk.free_bytes > 0 && disk.free_bytes <= disk.size_bytes, "{disk:?}");
        assert_eq!(super::disk(&dir.path().join("none")), None);
    }
}
