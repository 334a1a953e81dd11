//! The host's certificate, if FreeRDP's settings allow only one.
//!
//! FreeRDP shows a plugin its settings, but not the certificate of the connection. The next best thing is a pin: with
//! `/cert:deny,fingerprint:sha256:…` the user is never asked and nothing is trusted on first use, so the connection
//! has the pinned certificate (docs/decisions/0013 names the exceptions).

use sudare_protocol::hex::unhex;
use sudare_protocol::message::Digest;

/// What FreeRDP's settings say about accepting certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acceptance {
    /// `CertificateAcceptedFingerprints`: `sha256:<hex>[,…]`, the hex with or without colons.
    pub(crate) fingerprints: String,
    /// `AutoDenyCertificate`: any other certificate is refused without asking.
    pub(crate) deny: bool,
    /// `IgnoreCertificate` or `AutoAcceptCertificate`: anything is accepted.
    pub(crate) accepts_any: bool,
}

impl Acceptance {
    /// The only certificate that the connection can have; `None` if there may be others.
    pub(crate) fn pinned(&self) -> Option<Digest> {
        if self.accepts_any || !self.deny {
            return None;
        }
        let mut pins = self.fingerprints.split(',').filter(|pin| !pin.trim().is_empty());
        let (pin, others) = (pins.next()?, pins.next());
        if others.is_some() { None } else { digest(pin.trim()) }
    }
}

fn digest(pin: &str) -> Option<Digest> {
    let (kind, digits) = pin.split_once(':')?;
    kind.eq_ignore_ascii_case("sha256").then(|| unhex(&digits.replace(':', "")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(fingerprints: &str) -> Option<Digest> {
        Acceptance { fingerprints: fingerprints.into(), deny: true, accepts_any: false }.pinned()
    }

    #[test]
    fn one_pin_and_nothing_else_tells_the_certificate() {
        let plain = format!("sha256:{}", "0A".repeat(32));
        let colons = format!("SHA256:{}", ["0a"; 32].join(":"));
        assert_eq!(pinned(&plain), Some([10; 32]));
        assert_eq!(pinned(&colons), Some([10; 32]));
        let one = Acceptance { fingerprints: plain.clone(), deny: true, accepts_any: false };
        assert_eq!(Acceptance { deny: false, ..one.clone() }.pinned(), None, "the user may be asked");
        assert_eq!(Acceptance { accepts_any: true, ..one }.pinned(), None);
        assert_eq!(pinned(&format!("{plain},sha256:{}", "0b".repeat(32))), None, "one of two");
        for bad in ["", "sha256", "sha256:", "sha256:zz", "sha1:0a0a", &plain[..70], &plain.replace('A', "é")]
        {
            assert_eq!(pinned(bad), None, "{bad:?}");
        }
    }
}
