//! The host's certificate, where FreeRDP can only have accepted one.
//!
//! FreeRDP shows a plugin its settings, and not the certificate of the connection. The next best
//! is a pin: with `/cert:deny,fingerprint:sha256:…` nobody is asked and nothing is taken on first
//! use, so the pinned certificate is the one (docs/decisions/0013 names the exceptions).

use sudare_protocol::hex::unhex;
use sudare_protocol::message::Digest;

/// What FreeRDP's settings say about accepting certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acceptance {
    /// `CertificateAcceptedFingerprints`: `sha256:<hex>[,…]`, the hex with or without colons.
    pub(crate) fingerprints: String,
    /// `AutoDenyCertificate`: what is not accepted already is refused without asking.
    pub(crate) deny: bool,
    /// `IgnoreCertificate` or `AutoAcceptCertificate`: anything is accepted.
    pub(crate) accepts_any: bool,
}

impl Acceptance {
    /// The one certificate that the connection can have; `None` if that cannot be told.
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
