//! Operators of this device: their files, and the device's secret that rotates their vectors.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sudare_client_core::face::marked::Marked;
use sudare_client_core::face::rotate::{Known, Rotated, Rotation};
use sudare_protocol::limits::{OPERATORS_MAX, TEMPLATE_MAX_BYTES};
use sudare_protocol::message::Digest;
use sudare_protocol::template::{OperatorTemplate, TemplateError};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::random;
use crate::{durable, platform};

/// Why operators cannot be used.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}. Check the path, and that the file is yours")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// Neither `SUDARE_HOME`, `XDG_CONFIG_HOME` nor `HOME` is set.
    #[error(
        "this device's folder is unknown: neither SUDARE_HOME, XDG_CONFIG_HOME nor HOME is set. Set SUDARE_HOME to a folder of yours"
    )]
    NoHome,
    /// The seed file is not 32 bytes.
    #[error(
        "{path} is damaged: it has {bytes} bytes instead of 32. Delete it and enrol every operator of this device again"
    )]
    DamagedSeed { path: PathBuf, bytes: usize },
    /// The operating system has no randomness.
    #[error("the operating system provides no random numbers. Restart this computer and try again")]
    NoRandomness,
    /// The file is not an operator file.
    #[error("{path}: {source}")]
    NotAnOperator { path: PathBuf, source: TemplateError },
    /// It was made on another device.
    #[error(
        "{path} was enrolled on another device, or this device's seed has changed. Enrol again on this device: sudare enroll"
    )]
    OtherDevice { path: PathBuf },
    /// It was made with another face model.
    #[error(
        "{path} was enrolled with another face model, whose vectors cannot be compared with those of this one. Enrol again: sudare enroll"
    )]
    OtherModel { path: PathBuf },
    /// Too many.
    #[error("{count} operators were given, but a seat has at most {OPERATORS_MAX}. Give fewer")]
    TooMany { count: usize },
}

/// Where this device keeps its own files: `SUDARE_HOME`, else `sudare` in the XDG configuration directory.
///
/// # Errors
/// No variable names it.
pub fn device_dir() -> Result<PathBuf, OperatorError> {
    let chosen = std::env::var_os("SUDARE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    chosen.or_else(platform::config_folder).ok_or(OperatorError::NoHome)
}

/// The rotation of this device, from `device.seed` in `dir`, which is created at first use.
///
/// # Errors
/// The seed cannot be read or created.
pub fn device_rotation(dir: &Path) -> Result<Rotation, OperatorError> {
    let path = dir.join("device.seed");
    match File::open(&path) {
        Ok(file) => read_seed(file, &path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            make_seed(dir, &path)?;
            // Read back, because another process may have been first.
            let file = File::open(&path).map_err(|source| io("read", &path, source))?;
            read_seed(file, &path)
        }
        Err(source) => Err(io("read", &path, source)),
    }
}

/// Reads operator files and checks that they belong to this device and model.
///
/// # Errors
/// The first file that cannot be used, and why.
pub fn load(paths: &[PathBuf], rotation: Rotation, model: Digest) -> Result<Known, OperatorError> {
    let mut templates = Vec::new();
    for path in paths {
        let mut bytes = Zeroizing::new(Vec::new());
        let file = File::open(path).map_err(|source| io("read", path, source))?;
        let cap = TEMPLATE_MAX_BYTES as u64 + 1;
        file.take(cap).read_to_end(&mut bytes).map_err(|source| io("read", path, source))?;
        let template = OperatorTemplate::from_bytes(&bytes)
            .map_err(|source| OperatorError::NotAnOperator { path: path.clone(), source })?;
        templates.push((path.clone(), template));
    }
    known(&templates, rotation, model)
}

/// Operators whose templates came through the channel. Templates of an earlier seed or model are ignored: they stay on
/// the host until an administrator removes them.
///
/// # Errors
/// As [`load`], if none can be used.
pub fn from_templates(
    templates: Vec<OperatorTemplate>,
    rotation: Rotation,
    model: Digest,
) -> Result<Known, OperatorError> {
    let usable = |t: &OperatorTemplate| t.rotation_id == rotation.id() && t.model_sha256 == model;
    let named: Vec<_> =
        templates.into_iter().map(|t| (PathBuf::from("the operator sent by the host"), t)).collect();
    if named.iter().any(|(_, t)| usable(t)) {
        let (usable, old): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, t)| usable(t));
        if !old.is_empty() {
            tracing::warn!(
                count = old.len(),
                "ignored operators of another device or model; the administrator should remove them"
            );
        }
        return known(&usable, rotation, model);
    }
    known(&named, rotation, model)
}

/// Writes a private file durably, so that a reader never sees half of it.
///
/// # Errors
/// The operating system refused.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), OperatorError> {
    durable::write(path, bytes).map_err(|source| io("write", path, source))
}

fn known(
    templates: &[(PathBuf, OperatorTemplate)],
    rotation: Rotation,
    model: Digest,
) -> Result<Known, OperatorError> {
    if templates.len() > OPERATORS_MAX {
        return Err(OperatorError::TooMany { count: templates.len() });
    }
    let mut vectors = Vec::new();
    for (path, template) in templates {
        if template.rotation_id != rotation.id() {
            return Err(OperatorError::OtherDevice { path: path.clone() });
        }
        if template.model_sha256 != model {
            return Err(OperatorError::OtherModel { path: path.clone() });
        }
        vectors.extend(template.vectors.iter().filter_map(|v| Rotated::from_template(v)));
    }
    let marked = Marked::of(templates.iter().flat_map(|(_, template)| template.regions.iter().copied()));
    // Of several operators nobody knows whose looks these are.
    let self_cosine = match templates {
        [(_, only)] => only.self_cosine,
        _ => None,
    };
    Ok(Known { rotation, vectors, marked, self_cosine })
}

fn read_seed(file: File, path: &Path) -> Result<Rotation, OperatorError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(64).read_to_end(&mut bytes).map_err(|source| io("read", path, source))?;
    let seed: &[u8; 32] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| OperatorError::DamagedSeed { path: path.to_owned(), bytes: bytes.len() })?;
    Ok(Rotation::from_seed(seed))
}

fn make_seed(dir: &Path, path: &Path) -> Result<(), OperatorError> {
    durable::create_folder(dir).map_err(|source| io("create", dir, source))?;
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(random().map_err(|_| OperatorError::NoRandomness)?);
    durable::create(path, seed.as_slice()).map_err(|source| io("write", path, source))
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> OperatorError {
    OperatorError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn template(rotation: &Rotation, model: Digest) -> OperatorTemplate {
        let mut vector = vec![0.0; 128];
        vector[5] = 1.0;
        OperatorTemplate {
            operator_id: [1; 16],
            model_sha256: model,
            rotation_id: rotation.id(),
            vectors: vec![vector],
            regions: Vec::new(),
            self_cosine: None,
        }
    }

    #[test]
    fn the_seed_is_made_once_private_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("new");
        let first = device_rotation(&home).unwrap();
        assert_eq!(first.id(), device_rotation(&home).unwrap().id());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&home), mode(&home.join("device.seed"))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
        std::fs::write(home.join("device.seed"), b"short").unwrap();
        assert!(matches!(device_rotation(&home), Err(OperatorError::DamagedSeed { bytes: 5, .. })));
    }

    #[test]
    fn an_old_operator_on_the_host_does_not_lock_the_device_out() {
        let model = [1; 32];
        let here = || Rotation::from_seed(&[1; 32]);
        let elsewhere = Rotation::from_seed(&[2; 32]);
        let both = vec![template(&elsewhere, model), template(&here(), model)];
        assert_eq!(from_templates(both, here(), model).unwrap().vectors.len(), 1);
        let only_old = vec![template(&elsewhere, model)];
        assert!(matches!(from_templates(only_old, here(), model), Err(OperatorError::OtherDevice { .. })));
    }

    #[test]
    fn operators_of_other_devices_and_models_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.operator");
        let model = [1; 32];
        let here = || Rotation::from_seed(&[1; 32]);
        write_private(&path, &template(&here(), model).to_bytes().unwrap()).unwrap();
        let load = |rotation, model| load(std::slice::from_ref(&path), rotation, model);
        assert_eq!(load(here(), model).unwrap().vectors.len(), 1);
        assert!(matches!(load(Rotation::from_seed(&[2; 32]), model), Err(OperatorError::OtherDevice { .. })));
        assert!(matches!(load(here(), [2; 32]), Err(OperatorError::OtherModel { .. })));
        std::fs::write(&path, b"no operator").unwrap();
        assert!(matches!(load(here(), model), Err(OperatorError::NotAnOperator { .. })));
    }
}
