//! Where alarms go: the value of `--to`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::format::Format;

/// A receiver's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file that lines are added to.
    File(PathBuf),
    /// Syslog over TCP.
    Tcp(Address),
    /// Syslog over TLS.
    Tls(Address),
    /// HTTP Event Collector.
    Http {
        /// Whether to use TLS.
        tls: bool,
        /// Host and port.
        address: Address,
        /// Path with its leading slash.
        path: String,
    },
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// Why a target is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a known kind of address.
    #[error(
        "{0} is not a valid receiver. Use tcp://HOST:PORT, tls://HOST:PORT, https://HOST:PORT/services/collector or file:PATH"
    )]
    Form(String),
    /// The receiver would not understand this format.
    #[error("events in the format {format} are not sent to {scheme}. {advice}")]
    Mismatch {
        /// `--format`.
        format: &'static str,
        /// The scheme of `--to`.
        scheme: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The network could read the token.
    #[error(
        "http:// would expose the token to the network. Use https://; http:// is for a receiver on this host only"
    )]
    PlainHttp,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Form(text.to_owned());
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::File(path.into())) };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        match scheme {
            "tcp" => Ok(Self::Tcp(Address::parse(rest, None).ok_or_else(wrong)?)),
            "tls" => Ok(Self::Tls(Address::parse(rest, Some(6514)).ok_or_else(wrong)?)),
            "http" | "https" => {
                let tls = scheme == "https";
                let (address, path) = rest.split_once('/').ok_or_else(wrong)?;
                let address = Address::parse(address, tls.then_some(443)).ok_or_else(wrong)?;
                if !tls && !address.is_this_machine() {
                    return Err(TargetError::PlainHttp);
                }
                let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
                let path = format!("/{path}");
                if plain { Ok(Self::Http { tls, address, path }) } else { Err(wrong()) }
            }
            _ => Err(wrong()),
        }
    }
}

impl Target {
    /// Refuses formats that a receiver of this kind would not understand.
    pub fn check(&self, format: Format) -> Result<(), TargetError> {
        let scheme = self.scheme();
        match (self, format) {
            (Self::Http { .. }, Format::Ocsf | Format::Cef) => Err(TargetError::Mismatch {
                format: format.as_str(),
                scheme,
                advice: "An event collector takes --format hec",
            }),
            (Self::Tcp(_) | Self::Tls(_), Format::Hec) => Err(TargetError::Mismatch {
                format: format.as_str(),
                scheme,
                advice: "Give the collector's https:// address, or use --format ocsf",
            }),
            _ => Ok(()),
        }
    }

    /// Whether events carry a syslog header.
    pub fn is_syslog(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Tls(_))
    }

    fn scheme(&self) -> &'static str {
        match self {
            Self::File(_) => "file:",
            Self::Tcp(_) => "tcp://",
            Self::Tls(_) => "tls://",
            Self::Http { tls: true, .. } => "https://",
            Self::Http { tls: false, .. } => "http://",
        }
    }
}

impl Address {
    fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(default_port, |port| port.parse().ok()).filter(|port| *port > 0)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        let usable = !host.is_empty() && host.len() <= 253 && host.chars().all(plain);
        usable.then(|| Self { host: host.to_owned(), port })
    }

    fn is_this_machine(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.scheme())?;
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) | Self::Tls(address) => write!(f, "{address}"),
            Self::Http { address, path, .. } => write!(f, "{address}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_target_is_shown_as_given() {
        for text in [
            "tcp://siem.example:514",
            "tls://[::1]:6514",
            "https://splunk.example:8088/services/collector",
            "http://127.0.0.1:8088/services/collector",
            "file:/var/log/sudare/alarms.jsonl",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("tls://siem.example".parse::<Target>().unwrap().to_string(), "tls://siem.example:6514");
    }

    #[test]
    fn an_invalid_receiver_is_refused() {
        for text in [
            "",
            "siem",
            "tcp://siem",
            "tcp://siem:0",
            "udp://siem:514",
            "tcp://a b:1",
            "file:",
            "https://x:1",
        ] {
            assert!(matches!(text.parse::<Target>(), Err(TargetError::Form(_))), "{text}");
        }
        assert_eq!("http://siem.example:8088/x".parse::<Target>(), Err(TargetError::PlainHttp));
        assert!("https://h:1/a\r\nX: y".parse::<Target>().is_err());
    }

    #[test]
    fn formats_go_where_they_are_understood() {
        let check = |to: &str, format| to.parse::<Target>().unwrap().check(format).is_ok();
        assert!(check("tcp://h:1", Format::Cef) && check("file:x", Format::Hec));
        assert!(!check("tcp://h:1", Format::Hec) && !check("https://h:1/x", Format::Ocsf));
    }
}
