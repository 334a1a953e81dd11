//! A plugin's settings: one table, three layers (client.toml, SUDARE_CLIENT_… variables, the arguments that the RDP
//! client passes), and nothing unknown.

use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;
use sudare_vision::camera::{CameraFault, SourceSpec};

use crate::battery::{Sparing, UnknownSparing};
use crate::operator::{self, OperatorError};

/// (name, default, sentence) of each setting, for the documents and their test.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "home",
        "SUDARE_HOME, else ~/.config/sudare",
        "Folder of this device's key and seed; private to its user.",
    ),
    ("organisation", "<home>/organisation.pub", "File with the organisation's public key."),
    ("camera", "0", "Number of the camera, or a source as `sudare watch --source` takes it."),
    (
        "battery",
        "auto",
        "Whether the eyes look less often to spare a battery: auto (while it is in use), on or off.",
    ),
    ("log_level", "warn", "What is written to standard error: error, warn, info, debug or trace."),
];

/// (argument, its setting); the argument `config` names the file.
const ARGUMENTS: &[(&str, &str)] = &[("camera", "camera"), ("log", "log_level")];
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{0:?} is not an argument. Use config:FILE, camera:SOURCE or log:LEVEL")]
    Argument(String),
    #[error("cannot read the settings: {0}. Correct the file or the SUDARE_CLIENT_… variable")]
    Read(#[from] config::ConfigError),
    #[error("log_level = {0:?} is not a level. Use error, warn, info, debug or trace")]
    Level(String),
    #[error(transparent)]
    Camera(#[from] CameraFault),
    #[error("battery = {0}")]
    Battery(#[from] UnknownSparing),
    #[error(transparent)]
    Home(#[from] OperatorError),
}

/// The settings in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub home: PathBuf,
    pub organisation: Option<PathBuf>,
    pub camera: SourceSpec,
    pub battery: Sparing,
    pub log_level: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    home: Option<PathBuf>,
    organisation: Option<PathBuf>,
    #[serde(default = "default_camera")]
    camera: String,
    #[serde(default = "default_battery")]
    battery: String,
    #[serde(default = "default_level")]
    log_level: String,
}

fn default_camera() -> String {
    "0".to_owned()
}
fn default_battery() -> String {
    "auto".to_owned()
}
fn default_level() -> String {
    "warn".to_owned()
}

impl Settings {
    /// Reads `name:value` arguments, and the file and variables below them.
    pub fn load(arguments: &[String]) -> Result<Self, SettingsError> {
        let mut file: Option<PathBuf> = None;
        let mut given = Vec::new();
        for argument in arguments {
            let (name, value) = argument.split_once(':').unwrap_or((argument.as_str(), ""));
            let setting = ARGUMENTS.iter().find(|(known, _)| *known == name).map(|(_, setting)| *setting);
            match (name, setting) {
                _ if value.is_empty() => return Err(SettingsError::Argument(shortened(argument))),
                ("config", _) => file = Some(value.into()),
                (_, Some(setting)) => given.push((setting, value)),
                (_, None) => return Err(SettingsError::Argument(shortened(argument))),
            }
        }
        Self::from_layers(file.as_deref(), &given)
    }

    fn from_layers(file: Option<&Path>, given: &[(&str, &str)]) -> Result<Self, SettingsError> {
        let mut builder = Config::builder();
        let found = match file {
            Some(path) => Some(path.to_owned()),
            // It may be absent: every setting has a default.
            None => operator::device_dir().ok().map(|home| home.join("client.toml")).filter(|p| p.exists()),
        };
        if let Some(path) = found {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        builder = builder.add_source(Environment::with_prefix("SUDARE_CLIENT").prefix_separator("_"));
        for (name, value) in given {
            builder = builder.set_override(*name, *value)?;
        }
        let raw: Raw = builder.build()?.try_deserialize()?;
        if !LEVELS.contains(&raw.log_level.as_str()) {
            return Err(SettingsError::Level(shortened(&raw.log_level)));
        }
        let home = raw.home.map_or_else(operator::device_dir, Ok)?;
        Ok(Settings {
            home,
            organisation: raw.organisation,
            camera: camera(&raw.camera)?,
            battery: raw.battery.parse()?,
            log_level: raw.log_level,
        })
    }
}

fn camera(text: &str) -> Result<SourceSpec, CameraFault> {
    match text.parse() {
        Ok(number) => Ok(SourceSpec::Camera(number)),
        Err(_) => text.parse(),
    }
}

/// Messages quote an argument only up to this length.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, arguments: &[&str]) -> Result<Settings, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.toml");
        std::fs::write(&path, toml).unwrap();
        let mut all = vec![format!("config:{}", path.display())];
        all.extend(arguments.iter().map(|a| (*a).to_owned()));
        Settings::load(&all)
    }

    #[test]
    fn arguments_win_over_the_file_and_the_rest_is_default() {
        let settings = load("home = \"/srv/device\"\ncamera = \"3\"", &["camera:mjpeg:/run/feed"]).unwrap();
        assert_eq!(settings.camera, SourceSpec::Mjpeg("/run/feed".into()));
        assert_eq!(
            (settings.home.as_path(), settings.log_level.as_str()),
            (Path::new("/srv/device"), "warn")
        );
        let plain = load("home = \"/x\"", &[]).unwrap();
        assert_eq!((plain.camera, plain.battery), (SourceSpec::Camera(0), Sparing::Auto));
        let spared = load("home = \"/x\"\nbattery = \"on\"", &[]).unwrap();
        assert_eq!(spared.battery, Sparing::On);
    }

    #[test]
    fn what_is_unknown_or_wrong_is_refused_by_name() {
        for (toml, arguments, names) in [
            ("hme = \"/x\"", &[][..], "hme"),
            ("", &["camra:0"], "camra:0"),
            ("", &["camera"], "camera"),
            ("", &["config:"], "config:"),
            ("", &["log:loud"], "loud"),
            ("", &["camera:film.mp4"], "film.mp4"),
            ("battery = \"yes\"", &[], "battery = \"yes\""),
        ] {
            let error = load(toml, arguments).unwrap_err().to_string();
            assert!(error.contains(names), "{names}: {error}");
        }
        let missing = Settings::load(&["config:/no/such/client.toml".to_owned()]).unwrap_err().to_string();
        assert!(missing.contains("client.toml"), "{missing}");
    }

    #[test]
    fn the_table_names_every_setting() {
        for (name, default, says) in SETTINGS {
            assert!(!default.is_empty() && says.ends_with('.'), "{name}");
            let known = load(&format!("{name} = 1"), &[]);
            assert!(!known.is_err_and(|e| e.to_string().contains("unknown field")), "{name} is in no struct");
        }
    }
}
