//! Hosts that this device is paired with, by the name that people type: `<home>/hosts/<name>.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable;

const FILE_MAX_BYTES: u64 = 16 * 1024;
/// Of a host's name on this device.
pub const NAME_MAX_CHARS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    #[error("{0:?} cannot name a host here. Use letters, digits, dots, hyphens and underscores")]
    Name(String),
    #[error(
        "this device is not paired with {0:?}. `sudare open` lists its hosts; `sudare pair CODE` adds one"
    )]
    Unknown(String),
    #[error("{path} cannot be read: {why}. Pair again: sudare pair CODE")]
    Damaged { path: PathBuf, why: String },
    #[error("cannot write {path}: {source}. Check that the folder is yours and that the disk has room")]
    Write { path: PathBuf, source: std::io::Error },
}

/// Where a host is, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedHost {
    /// With its port unless that is 3389.
    pub address: String,
    /// SHA-256 of its certificate, in hexadecimal.
    pub certificate_sha256: String,
    /// For whom this device is enrolled there.
    pub user: Option<String>,
}

impl PairedHost {
    /// The certificate as FreeRDP wants to read it: `AA:BB:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digits = self.certificate_sha256.to_uppercase();
        let bytes: Vec<&str> = (0..digits.len()).step_by(2).filter_map(|at| digits.get(at..at + 2)).collect();
        bytes.join(":")
    }
}

/// Keeps a host under a name, in place of what had it before.
///
/// # Errors
/// The name, or the disk.
pub fn keep(home: &Path, name: &str, host: &PairedHost) -> Result<(), HostsError> {
    let path = path(home, name)?;
    let write = |source| HostsError::Write { path: path.clone(), source };
    path.parent().map_or(Ok(()), durable::create_folder).map_err(write)?;
    let text = serde_json::to_vec_pretty(host).unwrap_or_default();
    durable::write(&path, &text).map_err(write)
}

/// The host of a name.
///
/// # Errors
/// There is none, or its file is damaged.
pub fn find(home: &Path, name: &str) -> Result<PairedHost, HostsError> {
    use std::io::Read as _;
    let path = path(home, name)?;
    let damaged = |why: String| HostsError::Damaged { path: path.clone(), why };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(HostsError::Unknown(name.to_owned()));
        }
        Err(e) => return Err(damaged(e.to_string())),
    };
    let mut text = String::new();
    file.take(FILE_MAX_BYTES).read_to_string(&mut text).map_err(|e| damaged(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))
}

/// Names of all hosts.
#[must_use]
pub fn names(home: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(home.join("hosts")) else { return Vec::new() };
    let name = |path: PathBuf| {
        let is_host = path.extension().is_some_and(|extension| extension == "json");
        is_host.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
    names.sort();
    names
}

/// Whether a host can be kept under a name, before anything is done for it.
///
/// # Errors
/// It cannot.
pub fn check_name(name: &str) -> Result<(), HostsError> {
    path(Path::new(""), name).map(drop)
}

fn path(home: &Path, name: &str) -> Result<PathBuf, HostsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.starts_with('.') || name.len() > NAME_MAX_CHARS || !name.chars().all(is_plain)
    {
        return Err(HostsError::Name(name.to_owned()));
    }
    Ok(home.join("hosts").join(format!("{name}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_by_its_name_and_by_no_path() {
        let dir = tempfile::tempdir().unwrap();
        let host = PairedHost {
            address: "vdi.example:3390".into(),
            certificate_sha256: "00ab".into(),
            user: Some("alice".into()),
        };
        keep(dir.path(), "vdi.example", &host).unwrap();
        assert_eq!(find(dir.path(), "vdi.example").unwrap(), host);
        assert_eq!(host.fingerprint(), "00:AB");
        assert_eq!(names(dir.path()), ["vdi.example"]);
        assert!(matches!(find(dir.path(), "other"), Err(HostsError::Unknown(_))));
        for name in ["", "../x", ".hidden", "a/b", "名"] {
            assert!(matches!(keep(dir.path(), name, &host), Err(HostsError::Name(_))), "{name:?}");
            assert!(check_name(name).is_err());
        }
        std::fs::write(dir.path().join("hosts/vdi.example.json"), "{").unwrap();
        assert!(matches!(find(dir.path(), "vdi.example"), Err(HostsError::Damaged { .. })));
    }
}
