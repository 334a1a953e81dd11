//! The host's settings: one table, three layers (file, environment, flags). Unknown names are refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

use crate::metrics::MetricsPlace;

/// (name, default, sentence) of each setting; docs/reference/settings.md repeats it, and a test compares both.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "listen",
        "127.0.0.1:33890",
        "Address and port of the embedded RDP host; loopback unless set otherwise.",
    ),
    ("width", "1280", "Width of the desktop in pixels: a multiple of 4, 200 to 8192."),
    ("height", "720", "Height of the desktop in pixels: 200 to 8192."),
    ("max_sessions", "16", "Connections at the same time, 1 to 1024."),
    ("state_dir", "/var/lib/sudare", "Folder of keys, policy and registry; private to Sudare's user."),
    ("evidence_dir", "<state_dir>/evidence", "Folder of the evidence store; private to Sudare's user."),
    ("log_origin", "sudare/<host id>", "Name of this host's log in its checkpoints."),
    ("run_as", "sudare", "User that gates run as; nobody logs on as this user."),
    (
        "recorder_socket",
        "/run/sudare-recorder/socket",
        "Socket at which the recorder takes what guards report.",
    ),
    (
        "recorder_dir",
        "/var/lib/sudare-recorder",
        "Folder of the recorder: its log key, the records it vouches for, and the evidence.",
    ),
    ("ship_state_dir", "<none>", "Folder in which the shipper notes how far the remote store is."),
    ("forward_state_dir", "<none>", "Folder in which the forwarder of alarms keeps its state, for doctor."),
    (
        "tls_certificate",
        "/etc/xrdp/cert.pem",
        "Certificate that the gate shows, which clients compare with the handshake.",
    ),
    ("tls_key", "/etc/xrdp/key.pem", "The certificate's key, with which the gate shows it to clients."),
    (
        "gate_target",
        "unix:/run/sudare-xrdp/socket",
        "The host behind the gate: unix:/path, or tcp:ADDRESS:PORT#PIN with its certificate's SHA-256.",
    ),
    (
        "gate_targets",
        "[]",
        "Hosts of single users, where one gate stands before several: USER=TARGET; all others go to gate_target.",
    ),
    (
        "gate_owner",
        "<kernel for unix:, otherwise credentials with NLA and policy without>",
        "What tells the gate whose desktop it shows: kernel (sudare-owner), credentials (NLA) or policy (the name at log-on).",
    ),
    (
        "owner_socket",
        "/run/sudare-owner/socket",
        "Socket at which sudare-owner tells gates whose desktop it is.",
    ),
    (
        "gate_host_security",
        "tls",
        "How the host behind the gate wants it: tls (with the log-on inside) or nla (CredSSP, which needs gate_nla_users).",
    ),
    (
        "gate_host_credential",
        "<none>",
        "File with the one user and password that the host behind the gate knows, where it does not know the users' own.",
    ),
    (
        "gate_nla_users",
        "<none>",
        "File of the users who may log on to the gate by NLA (sudare-nla add); with it, clients must use NLA.",
    ),
    (
        "gate_nla_attempts",
        "/run/sudare-gate/attempts",
        "File in which failed log-ons by NLA are counted, for all connections together.",
    ),
    (
        "gate_channels",
        "[\"resize\", \"sound\"]",
        "What passes the gate beside the desktop: any of the names below; among variables, with commas between.",
    ),
    (
        "gate_graphics",
        "false",
        "Whether hosts may draw by the graphics pipeline (RDPGFX), which some of them need.",
    ),
    (
        "metrics",
        "unix:<folder of recorder_socket>/metrics",
        "Where the recorder shows its figures: off, unix:/path, or tcp:ADDRESS:PORT of the loopback.",
    ),
];

/// What older versions knew: an upgrade keeps the admin's file, and "unknown field" would not say what to do.
const GONE: [&str; 4] = ["blanker", "run_dir", "xrdp_group", "xrdp_socket_dir"];

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "the settings cannot be read: {0}. Correct the file or the SUDARE_HOST_… variable; docs/reference/settings.md lists all settings"
    )]
    Read(#[from] config::ConfigError),
    #[error(
        "the setting {0} belonged to the cover inside of xrdp's sessions, which the gate replaced. Remove it"
    )]
    Gone(&'static str),
    #[error("{name} = {value} is out of range. Choose {range}")]
    Range { name: &'static str, value: String, range: &'static str },
}

/// The settings of a host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    #[serde(default = "default_width")]
    pub width: u16,
    #[serde(default = "default_height")]
    pub height: u16,
    #[serde(default = "default_sessions")]
    pub max_sessions: usize,
    #[serde(default = "default_state")]
    pub state_dir: PathBuf,
    pub evidence_dir: Option<PathBuf>,
    pub log_origin: Option<String>,
    #[serde(default = "default_user")]
    pub run_as: String,
    #[serde(default = "default_recorder_socket")]
    pub recorder_socket: PathBuf,
    #[serde(default = "default_recorder_dir")]
    pub recorder_dir: PathBuf,
    pub ship_state_dir: Option<PathBuf>,
    pub forward_state_dir: Option<PathBuf>,
    #[serde(default = "default_certificate")]
    pub tls_certificate: PathBuf,
    #[serde(default = "default_key")]
    pub tls_key: PathBuf,
    #[serde(default = "default_target")]
    pub gate_target: String,
    #[serde(default)]
    pub gate_targets: Vec<String>,
    pub gate_owner: Option<GateOwner>,
    #[serde(default = "default_owner_socket")]
    pub owner_socket: PathBuf,
    #[serde(default)]
    pub gate_host_security: HostSecurity,
    pub gate_host_credential: Option<PathBuf>,
    pub gate_nla_users: Option<PathBuf>,
    #[serde(default = "default_attempts")]
    pub gate_nla_attempts: PathBuf,
    #[serde(default = "default_channels")]
    pub gate_channels: Vec<String>,
    #[serde(default)]
    pub gate_graphics: bool,
    pub metrics: Option<MetricsPlace>,
}

/// What tells a gate whose desktop it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateOwner {
    /// The kernel, through `sudare-owner`.
    Kernel,
    /// What was proved to `sudare-nla`.
    Credentials,
    /// The name that the client gives at log-on.
    Policy,
}

/// How the host behind a gate wants to be told who logs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostSecurity {
    /// Inside TLS, by Client Info.
    #[default]
    Tls,
    /// By CredSSP.
    Nla,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 33_890))
}
fn default_width() -> u16 {
    1280
}
fn default_height() -> u16 {
    720
}
fn default_sessions() -> usize {
    16
}
fn default_state() -> PathBuf {
    "/var/lib/sudare".into()
}

fn default_user() -> String {
    "sudare".into()
}
fn default_recorder_socket() -> PathBuf {
    "/run/sudare-recorder/socket".into()
}
fn default_recorder_dir() -> PathBuf {
    "/var/lib/sudare-recorder".into()
}
fn default_certificate() -> PathBuf {
    "/etc/xrdp/cert.pem".into()
}
fn default_key() -> PathBuf {
    "/etc/xrdp/key.pem".into()
}
fn default_target() -> String {
    "unix:/run/sudare-xrdp/socket".into()
}
fn default_owner_socket() -> PathBuf {
    "/run/sudare-owner/socket".into()
}

fn default_attempts() -> PathBuf {
    "/run/sudare-gate/attempts".into()
}

fn default_channels() -> Vec<String> {
    ["resize", "sound"].map(str::to_owned).into()
}

/// The name of a host's log in its checkpoints, unless `log_origin` says another.
#[must_use]
pub fn log_origin(host_id: &str) -> String {
    format!("sudare/{host_id}")
}

impl HostConfig {
    /// Reads the file (if given), then `SUDARE_HOST_<SETTING>` variables, then `flags`; later layers win.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, ConfigError> {
        let mut builder = Config::builder();
        if let Some(path) = file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        let variables = Environment::with_prefix("SUDARE_HOST").prefix_separator("_").try_parsing(true);
        let lists = variables.list_separator(",").with_list_parse_key("gate_channels");
        builder = builder.add_source(lists.with_list_parse_key("gate_targets"));
        for (name, value) in flags {
            builder = builder.set_override(*name, value.clone())?;
        }
        let read = builder.build()?;
        if let Some(name) = GONE.iter().find(|name| read.get::<config::Value>(name).is_ok()) {
            return Err(ConfigError::Gone(name));
        }
        let config: HostConfig = read.try_deserialize()?;
        config.check()?;
        Ok(config)
    }

    pub fn evidence_dir(&self) -> PathBuf {
        self.evidence_dir.clone().unwrap_or_else(|| self.state_dir.join("evidence"))
    }

    /// Where the recorder shows its figures.
    pub fn metrics(&self) -> MetricsPlace {
        let beside = || MetricsPlace::Unix(self.recorder_socket.with_file_name("metrics"));
        self.metrics.clone().unwrap_or_else(beside)
    }

    /// Where the recorder keeps the evidence of all sessions.
    pub fn recorder_evidence_dir(&self) -> PathBuf {
        self.evidence_dir.clone().unwrap_or_else(|| self.recorder_dir.join("evidence"))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let pixels = |name: &'static str, value: u16, step: u16| {
            let fits = (200..=8192).contains(&value) && value.is_multiple_of(step);
            let range = if step == 4 { "a multiple of 4 from 200 to 8192" } else { "200 to 8192" };
            fits.then_some(()).ok_or(ConfigError::Range { name, value: value.to_string(), range })
        };
        pixels("width", self.width, 4)?;
        pixels("height", self.height, 1)?;
        let absolute = |name: &'static str, path: &Path| {
            let range = "an absolute path";
            let value = || path.display().to_string();
            path.is_absolute().then_some(()).ok_or_else(|| ConfigError::Range { name, value: value(), range })
        };
        absolute("recorder_socket", &self.recorder_socket)?;
        absolute("recorder_dir", &self.recorder_dir)?;
        absolute("tls_certificate", &self.tls_certificate)?;
        absolute("tls_key", &self.tls_key)?;
        absolute("owner_socket", &self.owner_socket)?;
        absolute("gate_nla_attempts", &self.gate_nla_attempts)?;
        let secret =
            |name, path: &Option<PathBuf>| path.as_deref().map_or(Ok(()), |path| absolute(name, path));
        secret("gate_nla_users", &self.gate_nla_users)?;
        secret("gate_host_credential", &self.gate_host_credential)?;
        if !(1..=1024).contains(&self.max_sessions) {
            let value = self.max_sessions.to_string();
            return Err(ConfigError::Range { name: "max_sessions", value, range: "1 to 1024" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, flags: &[(&str, String)]) -> Result<HostConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.toml");
        std::fs::write(&path, text).unwrap();
        HostConfig::load(Some(&path), flags)
    }

    #[test]
    fn flags_win_over_the_file_and_the_rest_is_default() {
        let config = load("width = 800\nheight = 600", &[("width", "1024".into())]).unwrap();
        assert_eq!((config.width, config.height, config.max_sessions), (1024, 600, 16));
        assert_eq!(config.evidence_dir(), Path::new("/var/lib/sudare/evidence"));
        assert_eq!(config.metrics().to_string(), "unix:/run/sudare-recorder/metrics");
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused_by_name() {
        let unknown = load("widht = 800", &[]).unwrap_err().to_string();
        assert!(unknown.contains("widht"), "{unknown}");
        let range = load("width = 801", &[]).unwrap_err().to_string();
        assert!(range.contains("width = 801") && range.contains("multiple of 4"), "{range}");
        assert!(load("max_sessions = 0", &[]).is_err());
        // A relative path would depend on the service's working directory.
        assert!(load("recorder_dir = \"evidence\"", &[]).is_err());
        assert!(load("listen = \"nowhere\"", &[]).is_err());
        let metrics = load("metrics = \"tcp:192.0.2.7:9464\"", &[]).unwrap_err().to_string();
        assert!(metrics.contains("loopback") && metrics.contains("192.0.2.7"), "{metrics}");
    }

    #[test]
    fn settings_of_the_cover_that_the_gate_replaced_are_refused_with_what_to_do() {
        for name in GONE {
            let error = load(&format!("{name} = \"/x\""), &[]).unwrap_err();
            assert!(matches!(error, ConfigError::Gone(said) if said == name), "{error}");
        }
    }

    #[test]
    fn the_table_names_every_setting() {
        for (name, default, says) in SETTINGS {
            assert!(!default.is_empty() && says.ends_with('.'), "{name}");
            let known = load(&format!("{name} = \"?\""), &[]);
            assert!(!known.is_err_and(|e| e.to_string().contains("unknown field")), "{name} is in no struct");
        }
    }
}
