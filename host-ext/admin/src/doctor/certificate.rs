//! The certificate that clients see, and its key: whether a gate can show it, for how long, and its pin.

use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sudare_base::accounts::GateAccount;
use sudare_gate::identity::Identity;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::access::reachable;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Whoever has to give a new pin to everybody needs some days.
const SOON_DAYS: u64 = 30;
/// What the gate reads at most.
const FILE_MAX_BYTES: usize = 64 << 10;

/// SHA-256 of the certificate, as openssl prints it.
pub(crate) fn pin(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// When the certificate ends, in Unix milliseconds; `None` if there is none that can be read.
pub(crate) fn until_ms(certificate: &Path) -> Option<u64> {
    let pem = sudare_base::files::read_bounded(certificate, FILE_MAX_BYTES).ok()??;
    let der = CertificateDer::from_pem_slice(&pem).ok()?;
    let until = Certificate::from_der(der.as_ref()).ok()?.tbs_certificate().validity().not_after;
    u64::try_from(until.to_unix_duration().as_millis()).ok()
}

/// Both files as a gate uses them; `now` is since 1970.
pub(super) fn check(
    certificate: &Path,
    key: &Path,
    account: Option<&GateAccount>,
    now: Duration,
) -> Result<String, String> {
    let identity = Identity::load(certificate, key).map_err(|e| e.to_string())?;
    reachable(certificate, account, 4)?;
    let pem = sudare_base::files::read_bounded(certificate, FILE_MAX_BYTES).map_err(|e| e.to_string())?;
    let der = CertificateDer::from_pem_slice(&pem.unwrap_or_default());
    let der = der.map_err(|e| format!("{} holds no certificate: {e}. Make one", certificate.display()))?;
    debug_assert_eq!(identity.cert_sha256, <[u8; 32]>::from(Sha256::digest(der.as_ref())));
    let until = valid(&der, now).map_err(|why| format!("{} {why}", certificate.display()))?;
    Ok(format!("{}, {until}. Its pin, for employees: {}", certificate.display(), pin(&identity.cert_sha256)))
}

/// How long it is valid.
fn valid(der: &[u8], now: Duration) -> Result<String, String> {
    let renew = "Make a new one, and give everybody its pin before";
    let read = Certificate::from_der(der);
    let read = read.map_err(|e| format!("cannot be read ({e}), so clients cannot either. {renew}"))?;
    let validity = read.tbs_certificate().validity();
    let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    if now < from {
        let days = days(from - now);
        return Err(format!(
            "is not valid for another {days} days, and some clients refuse it. Set this host's clock, or make a new one"
        ));
    }
    match until.checked_sub(now) {
        None => Err(format!("ended {} days ago, and some clients refuse it. {renew}", days(now - until))),
        Some(left) if days(left) < SOON_DAYS => {
            Ok(format!("which ends in {} days: make a new one soon", days(left)))
        }
        Some(left) => Ok(format!("valid for {} days", days(left))),
    }
}

fn days(time: Duration) -> u64 {
    time.as_secs() / DAY.as_secs()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Noon of a day of 2026, by its number.
    fn day(number: u64) -> Duration {
        Duration::from_secs(1_767_225_600 + 12 * 3_600) + DAY * u32::try_from(number).unwrap()
    }

    fn made(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
        let mut params = CertificateParams::new(vec!["host".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 11);
        params.not_after = date_time_ymd(2026, 6, 30);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (cert, secret) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        (cert, secret)
    }

    #[test]
    fn dates_and_the_pin_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = made(dir.path());
        let said = check(&cert, &key, None, day(20)).unwrap();
        let pin = pin(&Identity::load(&cert, &key).unwrap().cert_sha256);
        assert!(said.contains("valid for 159 days") && said.contains(&pin), "{said}");
        assert_eq!(until_ms(&cert), Some(1_782_777_600_000));
        assert!(check(&cert, &key, None, day(170)).unwrap().contains("ends in 9 days"));
        assert!(check(&cert, &key, None, day(0)).unwrap_err().contains("not valid for another 9 days"));
        let ended = check(&cert, &key, None, day(190)).unwrap_err();
        assert!(ended.contains("ended 10 days ago") && ended.contains("pin"), "{ended}");
    }

    #[test]
    fn a_key_that_is_missing_anothers_or_everybodys_is_found() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (cert, key) = made(dir.path());
        let (_, wrong) = made(other.path());
        let said = |key: &Path| check(&cert, key, None, day(20)).unwrap_err();
        assert!(said(&dir.path().join("none")).contains("cannot read"));
        assert!(said(&wrong).contains("does not belong to the certificate"));
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(said(&key).contains("chmod o="));
        let nobody = GateAccount { uid: 4_000_000, gid: 4_000_000 };
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::set_permissions(&cert, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(check(&cert, &key, Some(&nobody), day(20)).unwrap_err().contains("keeps gates out"));
    }
}
