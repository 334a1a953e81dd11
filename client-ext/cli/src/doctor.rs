//! `sudare doctor`: checks that everything needed for watching is here, and for the first connection.

mod device;
mod plugin;

use std::path::PathBuf;

use clap::Args;
use sudare_client_runtime::spool::{self, Waiting};
use sudare_client_runtime::{clock, operator};
use sudare_models::{Lacking, ModelError, Role, Store};
use sudare_vision::camera::CameraFault;
use sudare_vision::camera::trial::{self, Found, Trial};
use sudare_vision::engine::Engine;
use thiserror::Error;

use crate::output;

/// Check the camera, the models, the plugin and this device's files, and say how to fix problems
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sudare doctor        exit code 0: no problems; 2: problems found")]
pub(crate) struct Arguments {
    /// Also check this operator file, made by `sudare enroll`; may be repeated
    #[arg(long, value_name = "FILE")]
    operator: Vec<PathBuf>,
}

/// How many checks failed.
#[derive(Debug, Error)]
#[error("{0} problem(s) found. Fix them in the order shown")]
pub(crate) struct Problems(usize);

/// One line of the result.
type Check = Result<String, String>;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut checks = vec![("version", Ok(format!("sudare {}", env!("CARGO_PKG_VERSION"))))];
    let mut lacking = Vec::new();
    let store = Store::default_dir().and_then(Store::open);
    match &store {
        Ok(store) => checks.extend(model_checks(store, &mut lacking)),
        Err(error) => checks.push(("models", Err(error.to_string()))),
    }
    checks.extend(plugin::checks().into_iter().map(|check| ("plugin", check)));
    checks.extend(device::checks(&arguments.operator, store.as_ref().ok()));
    checks.push(("evidence", evidence_check()));
    let trials = trial::all(clock::boottime_ms);
    checks.extend(camera_checks(&trials).into_iter().map(|check| ("camera", check)));
    checks.extend(device::chosen(&trials).map(|check| ("chosen camera", check)));
    for (name, check) in &checks {
        let (mark, text) = match check {
            Ok(text) => ("ok     ", text),
            Err(text) => ("PROBLEM", text),
        };
        output::line(&format!("{mark}  {name}: {text}"));
    }
    // Nothing is wrong with the set-up, but it sees less.
    for lacking in &lacking {
        output::line(&format!("missing  {}: {lacking}", lacking.role));
    }
    let problems = checks.iter().filter(|(_, check)| check.is_err()).count();
    if problems == 0 { Ok(()) } else { Err(Problems(problems).into()) }
}

fn model_checks(store: &Store, lacking: &mut Vec<Lacking>) -> Vec<(&'static str, Check)> {
    let mut checks = vec![("model cache", Ok(store.directory().display().to_string()))];
    for role in [Role::FaceDetector, Role::FaceEmbedder] {
        let check = store.load(role).map(|model| format!("SHA-256 {}", model.sha256));
        checks.push((role.name(), check.map_err(|e| e.to_string())));
    }
    let library = store.runtime_library().map(|path| path.display().to_string());
    checks.push((Role::OnnxRuntime.name(), library.map_err(|e| e.to_string())));
    let is_complete = checks.iter().all(|(_, check)| check.is_ok());
    for role in Role::OPTIONAL {
        let check = match store.load(role) {
            Ok(model) => Ok(format!("SHA-256 {}", model.sha256)),
            Err(ModelError::Missing { .. }) => match Lacking::of(role) {
                Ok(what) => {
                    lacking.push(what);
                    continue;
                }
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        checks.push((role.name(), check));
    }
    if is_complete {
        checks.push(("trial run", trial(store)));
    }
    checks
}

fn trial(store: &Store) -> Check {
    let engine = Engine::load(store).map_err(|e| e.to_string())?;
    match engine.lacking.iter().find(|lacking| !lacking.is_missing) {
        Some(lacking) => Err(lacking.why.clone()),
        None => Ok("both models compute correctly".to_owned()),
    }
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

/// A line for each camera. One of a kind that is not read, as for infra-red light, is a problem only if there is no
/// other.
fn camera_checks(trials: &[Trial]) -> Vec<Check> {
    if trials.is_empty() {
        return vec![Err("no camera found. Plug one in, or watch a file or a stream instead".to_owned())];
    }
    let one_works = trials.iter().any(|trial| trial.found.is_ok());
    let check = |trial: &Trial| {
        let name = format!("camera:{} ({})", trial.camera.index, trial.camera.name);
        match &trial.found {
            Ok(found) => Ok(format!("{name}: {}", told(found))),
            Err(fault @ CameraFault::Unsupported { .. }) if one_works => {
                Ok(format!("{name} is not used: {fault}"))
            }
            Err(fault) => Err(format!("{name}: {fault}")),
        }
    };
    trials.iter().map(check).collect()
}

fn told(found: &Found) -> String {
    let Found { width, height, is_blocked, program } = found;
    let mut text = format!("a picture of {width}x{height}");
    if *is_blocked {
        text.push_str(", dark or uniform: is its lens covered?");
    }
    if let Some(why) = program {
        text.push_str(&format!("; it seems to be a program, since {why}, and the record will say so"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_vision::camera::native::CameraInfo;

    const WORKS: Found = Found { width: 640, height: 480, is_blocked: false, program: None };

    fn trial(index: u32, found: Result<Found, CameraFault>) -> Trial {
        Trial { camera: CameraInfo { index, name: "C920".to_owned() }, found }
    }

    fn grey() -> CameraFault {
        CameraFault::Unsupported { what: "camera:2".to_owned(), detail: String::new(), advice: String::new() }
    }

    #[test]
    fn a_camera_that_gives_no_picture_is_a_problem() {
        let busy = CameraFault::Busy { what: "camera:0".to_owned() };
        let denied = CameraFault::Denied { what: "camera:0".to_owned() };
        for fault in [busy, denied, grey()] {
            let said = camera_checks(&[trial(0, Err(fault.clone()))]);
            assert!(matches!(&said[..], [Err(text)] if text.contains(&fault.to_string())), "{said:?}");
        }
        assert!(matches!(&camera_checks(&[])[..], [Err(_)]));
    }

    #[test]
    fn a_second_camera_that_is_not_read_is_none_and_a_busy_one_is() {
        let busy = CameraFault::Busy { what: "camera:1".to_owned() };
        let said = camera_checks(&[trial(0, Ok(WORKS)), trial(1, Err(busy)), trial(2, Err(grey()))]);
        assert!(matches!(&said[..], [Ok(_), Err(_), Ok(_)]), "{said:?}");
    }

    #[test]
    fn a_program_and_a_covered_lens_are_told() {
        let found = Found { is_blocked: true, program: Some("it is plugged into nothing"), ..WORKS };
        let said = told(&found);
        assert!(said.contains("lens covered") && said.contains("it is plugged into nothing"), "{said}");
        assert_eq!(told(&WORKS), "a picture of 640x480");
    }

    #[test]
    fn an_optional_model_that_is_not_there_is_said_with_its_cost_and_is_no_problem() {
        let folder = std::env::temp_dir().join(format!("sudare-doctor-{}", std::process::id()));
        let store = Store::open(&folder).unwrap();
        let mut lacking = Vec::new();
        let checks = model_checks(&store, &mut lacking);
        assert_eq!(lacking.iter().map(|what| what.role).collect::<Vec<_>>(), Role::OPTIONAL);
        let text = lacking[2].to_string();
        assert!(text.contains("so phones are not noticed") && text.contains("yolox_nano.onnx"), "{text}");
        assert!(text.contains("models fetch --from"), "{text}");
        assert!(lacking[1].to_string().contains("2.7_80x80_MiniFASNetV2.onnx"));
        let of = |checks: &[(&'static str, Check)], role: Role| {
            checks.iter().find(|(name, _)| *name == role.name()).map(|(_, check)| check.clone())
        };
        assert_eq!(of(&checks, Role::PhoneDetector), None);
        assert!(of(&checks, Role::FaceDetector).unwrap().is_err(), "without this one nothing works");

        let sha256 = "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14";
        std::fs::write(folder.join(format!("phone-detector-{sha256}.onnx")), b"damaged").unwrap();
        let checks = model_checks(&store, &mut lacking);
        let damaged = of(&checks, Role::PhoneDetector).unwrap();
        assert!(damaged.unwrap_err().contains("damaged or changed"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
