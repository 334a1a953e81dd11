//! Where the recorder shows its figures: the setting `metrics`. Pure.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// Where the figures of a host can be read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MetricsPlace {
    /// Nowhere.
    Off,
    /// At a socket of this machine, by who may open it.
    Unix(PathBuf),
    /// At a port that this machine alone reaches; all of its users do.
    Loopback(SocketAddr),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "metrics = {0} is no place for figures. Choose off, unix:/PATH, or tcp:ADDRESS:PORT with an address of the loopback, such as tcp:127.0.0.1:9464; for other machines, put a server with TLS and a log-on before it"
)]
pub struct NoPlace(String);

impl FromStr for MetricsPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let unix = || text.strip_prefix("unix:").map(PathBuf::from).filter(|path| path.is_absolute());
        let tcp = || text.strip_prefix("tcp:")?.parse().ok().filter(|at: &SocketAddr| at.ip().is_loopback());
        match text {
            "off" => Ok(Self::Off),
            _ => unix().map(Self::Unix).or_else(|| tcp().map(Self::Loopback)).ok_or(NoPlace(text.to_owned())),
        }
    }
}

impl TryFrom<String> for MetricsPlace {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

impl std::fmt::Display for MetricsPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(at) => write!(f, "tcp:{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_place() {
        for text in ["off", "unix:/run/x", "tcp:127.0.0.1:9464", "tcp:127.8.9.1:1", "tcp:[::1]:9464"] {
            let place: MetricsPlace = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
        for text in [
            "",
            "on",
            "unix:run/x",
            "tcp:0.0.0.0:9464",
            "tcp:[::]:9464",
            "tcp:192.0.2.7:9464",
            // It is for a resolver to say where this leads.
            "tcp:localhost:9464",
            // The one of version 4 within version 6: whether that is this machine depends on the kernel's settings.
            "tcp:[::ffff:127.0.0.1]:9464",
            "tcp:127.0.0.1",
            "127.0.0.1:9464",
        ] {
            let error = text.parse::<MetricsPlace>().unwrap_err().to_string();
            assert!(error.contains("loopback"), "{text}: {error}");
        }
    }
}
