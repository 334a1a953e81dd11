//! `sudare doctor`: checks that everything needed for watching is here.

use clap::Args;
use sudare_client_runtime::spool::{self, Waiting};
use sudare_client_runtime::{clock, operator};
use sudare_models::{ModelError, Role, Store};
use sudare_vision::camera::native;
use sudare_vision::engine::Engine;
use thiserror::Error;

use crate::output;

/// Check the camera, the models and this device's files, and say how to fix problems
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sudare doctor        exit code 0: no problems; 2: problems found")]
pub(crate) struct Arguments {}

/// How many checks failed.
#[derive(Debug, Error)]
#[error("{0} problem(s) found. Fix them in the order shown")]
pub(crate) struct Problems(usize);

/// One line of the result.
type Check = Result<String, String>;

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let mut checks = vec![("version", Ok(format!("sudare {}", env!("CARGO_PKG_VERSION"))))];
    match Store::default_dir().and_then(Store::open) {
        Ok(store) => checks.extend(model_checks(&store)),
        Err(error) => checks.push(("models", Err(error.to_string()))),
    }
    checks.push(("device seed", device_check()));
    checks.push(("evidence", evidence_check()));
    checks.push(("camera", camera_check()));
    for (name, check) in &checks {
        let (mark, text) = match check {
            Ok(text) => ("ok     ", text),
            Err(text) => ("PROBLEM", text),
        };
        output::line(&format!("{mark}  {name}: {text}"));
    }
    let problems = checks.iter().filter(|(_, check)| check.is_err()).count();
    if problems == 0 { Ok(()) } else { Err(Problems(problems).into()) }
}

fn model_checks(store: &Store) -> Vec<(&'static str, Check)> {
    let mut checks = vec![("model cache", Ok(store.directory().display().to_string()))];
    for role in [Role::FaceDetector, Role::FaceEmbedder] {
        let check = store.load(role).map(|model| format!("SHA-256 {}", model.sha256));
        checks.push((role.name(), check.map_err(|e| e.to_string())));
    }
    let library = store.runtime_library().map(|path| path.display().to_string());
    checks.push((Role::OnnxRuntime.name(), library.map_err(|e| e.to_string())));
    checks.extend(Role::OPTIONAL.map(|role| (role.name(), optional_check(store, role))));
    if checks.iter().all(|(_, check)| check.is_ok()) {
        checks.push(("trial run", trial(store)));
    }
    checks
}

/// What is not there is no problem, but it is said.
fn optional_check(store: &Store, role: Role) -> Check {
    match store.load(role) {
        Ok(model) => Ok(format!("SHA-256 {}", model.sha256)),
        Err(ModelError::Missing { .. }) => {
            let cost = role.without().unwrap_or_default();
            Ok(format!("not there, so {cost}; sudare models fetch brings it"))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn trial(store: &Store) -> Check {
    let engine = Engine::load(store).map_err(|e| e.to_string())?;
    match (store.load(Role::FaceMesh), engine.mesh) {
        (Ok(_), None) => Err("the face mesh is there and does not work. Report this line".to_owned()),
        (_, Some(_)) => Ok("both models compute correctly, and so does the face mesh".to_owned()),
        (Err(_), None) => Ok("both models compute correctly".to_owned()),
    }
}

fn device_check() -> Check {
    let dir = operator::device_dir().map_err(|e| e.to_string())?;
    // `device_rotation` would create the seed, and a check must not change anything.
    if !dir.join("device.seed").exists() {
        return Ok(format!("not created yet; `sudare enroll` will create it in {}", dir.display()));
    }
    operator::device_rotation(&dir).map(|_| dir.display().to_string()).map_err(|e| e.to_string())
}

/// Evidence waiting to be sent, which is not a problem of this device.
fn evidence_check() -> Check {
    let home = operator::device_dir().map_err(|e| e.to_string())?;
    let Waiting { incidents, bytes, oldest_ms, set_aside } = spool::waiting(&home);
    if set_aside > 0 {
        return Err(format!(
            "{set_aside} files in {} cannot be read and will never be sent. Tell the VDI administrator, then delete them",
            home.join("spool/aside").display()
        ));
    }
    let Some(oldest_ms) = oldest_ms else { return Ok("nothing is waiting to be sent".to_owned()) };
    let age_min = clock::wall_ms().saturating_sub(oldest_ms) / 60_000;
    let kib = bytes.div_ceil(1024);
    Ok(format!(
        "{incidents} incidents ({kib} KiB) are waiting for their host, the oldest for {} h {} min; they will be sent with the next connection to it",
        age_min / 60,
        age_min % 60
    ))
}

fn camera_check() -> Check {
    let cameras = native::list();
    if cameras.is_empty() {
        return Err("no camera found. Plug one in, or watch a file or a stream instead".to_owned());
    }
    let names: Vec<_> = cameras.iter().map(|c| format!("camera:{} ({})", c.index, c.name)).collect();
    Ok(names.join(", "))
}
