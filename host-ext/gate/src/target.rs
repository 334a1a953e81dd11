//! Where the host behind the gate is, and how it is known again.
//!
//! ```text
//! unix:/run/sudare-xrdp/socket              a socket of this machine; its folder says who may listen there
//! unix:/run/sudare-xrdp/socket#PIN          the same, and the certificate as well
//! tcp:192.0.2.7:3389#PIN                    another machine, known by its certificate alone
//! ```
//! A pin is the SHA-256 of the host's certificate (DER): 64 hexadecimal digits, with colons or without.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sudare_protocol::hex;

/// SHA-256 of a certificate.
pub type Pin = [u8; 32];

/// A host behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub place: Place,
    /// The certificate that it must show. None only where the socket itself is proof enough.
    pub pin: Option<Pin>,
}

/// Where a host listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Name or address, and port.
    Tcp(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// What is wrong with a target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("a target begins with unix: or tcp:, but this is {0}. Write unix:/path or tcp:ADDRESS:PORT#PIN")]
    Kind(String),
    #[error("the socket {0} has no absolute path. Write unix:/path")]
    Relative(String),
    #[error("the target {0} has no port. Write tcp:ADDRESS:PORT#PIN")]
    Port(String),
    #[error(
        "the target {0} has no pin, so anybody on the way could be it. Add #PIN, the SHA-256 of the host's \
         certificate (openssl x509 -noout -fingerprint -sha256)"
    )]
    Unpinned(String),
    #[error("the pin {0} does not have 64 hexadecimal digits. Write the SHA-256 of the host's certificate")]
    Pin(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (place, pin) = match text.split_once('#') {
            Some((place, pin)) => (place, Some(read_pin(pin)?)),
            None => (text, None),
        };
        if let Some(path) = place.strip_prefix("unix:") {
            if !Path::new(path).is_absolute() {
                return Err(TargetError::Relative(path.to_owned()));
            }
            return Ok(Self { place: Place::Unix(path.into()), pin });
        }
        let address = place.strip_prefix("tcp:").ok_or_else(|| TargetError::Kind(place.to_owned()))?;
        let port = address.rsplit_once(':').filter(|(name, _)| is_name(name));
        if port.and_then(|(_, port)| port.parse().ok()).is_none_or(|port: u16| port == 0) {
            return Err(TargetError::Port(address.to_owned()));
        }
        if pin.is_none() {
            return Err(TargetError::Unpinned(address.to_owned()));
        }
        Ok(Self { place: Place::Tcp(address.to_owned()), pin })
    }
}

/// An address of version 6 needs its brackets: the last part of it is not a port.
fn is_name(name: &str) -> bool {
    !name.is_empty() && (!name.contains(':') || name.starts_with('[') && name.ends_with(']'))
}

fn read_pin(text: &str) -> Result<Pin, TargetError> {
    hex::unhex(&text.replace(':', "")).ok_or_else(|| TargetError::Pin(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn sockets_and_addresses_are_read() {
        let unix: Target = "unix:/run/sudare-xrdp/socket".parse().unwrap();
        assert_eq!(unix, Target { place: Place::Unix("/run/sudare-xrdp/socket".into()), pin: None });
        let pinned: Target = format!("unix:/run/x#{PIN}").parse().unwrap();
        assert_eq!(pinned.pin.map(|pin| pin[1]), Some(0x11));
        for address in ["192.0.2.7:3389", "host.example:3389", "[2001:db8::7]:3389"] {
            let tcp: Target = format!("tcp:{address}#{PIN}").parse().unwrap();
            assert_eq!(tcp.place, Place::Tcp(address.to_owned()));
            assert_eq!(tcp.place.to_string(), format!("tcp:{address}"));
        }
    }

    #[test]
    fn a_pin_is_read_as_openssl_prints_it() {
        let colons: Vec<String> =
            PIN.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect();
        let target: Target = format!("tcp:h:1#{}", colons.join(":")).parse().unwrap();
        assert_eq!(target.pin.map(|pin| hex::hex(&pin)), Some(PIN.to_owned()));
    }

    #[test]
    fn what_is_not_clear_is_refused_with_what_to_write() {
        let unpinned = "tcp:192.0.2.7:3389".parse::<Target>().unwrap_err();
        assert!(matches!(unpinned, TargetError::Unpinned(_)), "{unpinned}");
        for text in ["", "192.0.2.7:3389", "unix:", "unix:socket", "tls:/x"] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
        for address in ["h", "h:", "h:0", "h:99999", ":1", "2001:db8::7:3389", ""] {
            let error = format!("tcp:{address}#{PIN}").parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::Port(_)), "{address:?}: {error}");
        }
        for pin in ["", "00", "zz", &format!("{PIN}00")] {
            let error = format!("unix:/x#{pin}").parse::<Target>().unwrap_err();
            assert!(matches!(error, TargetError::Pin(_)), "{pin:?}: {error}");
        }
    }
}
