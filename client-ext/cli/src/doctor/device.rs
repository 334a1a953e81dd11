//! What the first connection needs of this device's own folder: settings, the organisation, key and seed, operators.
//! Nothing is made here: a check must not change anything.

use std::path::{Path, PathBuf};

use sudare_client_runtime::plugin::settings::Settings;
use sudare_client_runtime::{device, operator};
use sudare_models::{Role, Store};
use sudare_vision::camera::SourceSpec;
use sudare_vision::camera::trial::Trial;

use super::Check;

/// `given` are files that the user names.
pub(super) fn checks(given: &[PathBuf], store: Option<&Store>) -> Vec<(&'static str, Check)> {
    let settings = match Settings::load(&[]) {
        Ok(settings) => settings,
        Err(error) => return vec![("settings", Err(error.to_string()))],
    };
    let home = &settings.home;
    let organisation = device::organisation(home, settings.organisation.as_deref());
    let mut checks = vec![
        ("settings", Ok("read".to_owned())),
        ("organisation", organisation.map(|_| "its key is known".to_owned()).map_err(|e| e.to_string())),
        ("device key", key(home)),
        ("device seed", seed(home)),
    ];
    let files = files(home, given);
    if home.join("device.seed").exists() {
        checks.extend(files.iter().map(|file| ("operator", belongs(file, home, store))));
    }
    checks
}

fn key(home: &Path) -> Check {
    if !home.join("device.key").exists() {
        return Err(format!("not created yet; `sudare device-key` creates it in {}", home.display()));
    }
    device::device_key(home).map(|_| "can be used".to_owned()).map_err(|e| e.to_string())
}

fn seed(home: &Path) -> Check {
    if !home.join("device.seed").exists() {
        return Err(format!("not created yet; `sudare enroll` creates it in {}", home.display()));
    }
    operator::device_rotation(home).map(|_| home.display().to_string()).map_err(|e| e.to_string())
}

/// Those that are named, and those that lie in the device's folder. Most devices have none: their host sends them.
fn files(home: &Path, given: &[PathBuf]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "operator")).collect();
    files.extend(given.iter().cloned());
    files.sort_unstable();
    files.dedup();
    files
}

fn belongs(file: &Path, home: &Path, store: Option<&Store>) -> Check {
    let model = store.and_then(|store| store.load(Role::FaceEmbedder).ok());
    // Which model is missing, another line says.
    let Some(model) = model else {
        return Err(format!(
            "{}: not compared, because the face models are incomplete. Run `sudare models fetch`",
            file.display()
        ));
    };
    let rotation = operator::device_rotation(home).map_err(|e| e.to_string())?;
    let known = operator::load(&[file.to_owned()], rotation, *model.vectors_of.as_bytes());
    known.map(|_| format!("{} is of this device", file.display())).map_err(|e| e.to_string())
}

/// The camera that the plugin would open, which may be none of those that work.
pub(super) fn chosen(trials: &[Trial]) -> Option<Check> {
    let settings = Settings::load(&[]).ok()?;
    match settings.camera {
        SourceSpec::Camera(number) => Some(works(number, trials)),
        // A name finds its camera when it is opened, and a stream may begin later.
        _ => None,
    }
}

fn works(number: u32, trials: &[Trial]) -> Check {
    match trials.iter().find(|trial| trial.camera.index == number) {
        Some(trial) if trial.found.is_ok() => Ok(format!("the plugin opens camera:{number}")),
        // Why, its own line says.
        _ => {
            let other = trials.iter().find(|trial| trial.found.is_ok()).map_or(String::new(), |trial| {
                format!(
                    " Choose another: `camera = \"{}\"` in client.toml, or /dvc:sudare,camera:{0}",
                    trial.camera.index
                )
            });
            Err(format!("the plugin opens camera:{number}, which gives no picture.{other}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use sudare_vision::camera::CameraFault;
    use sudare_vision::camera::native::CameraInfo;
    use sudare_vision::camera::trial::Found;

    use super::*;

    #[test]
    fn a_device_that_is_not_set_up_is_none_that_is_well() {
        let home = std::env::temp_dir().join(format!("sudare-device-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        assert!(key(&home).unwrap_err().contains("device-key"));
        assert!(seed(&home).unwrap_err().contains("not created yet; "));
        device::device_key(&home).unwrap();
        operator::device_rotation(&home).unwrap();
        assert!(key(&home).is_ok() && seed(&home).is_ok());
        std::fs::write(home.join("device.seed"), "short").unwrap();
        std::fs::write(home.join("device.key"), "no key").unwrap();
        assert!(key(&home).is_err() && seed(&home).unwrap_err().contains("enrol"));

        std::fs::write(home.join("me.operator"), "").unwrap();
        let given = [PathBuf::from("/other.operator")];
        assert_eq!(files(&home, &given), [given[0].clone(), home.join("me.operator")]);
        assert!(belongs(&home.join("me.operator"), &home, None).unwrap_err().contains("models fetch"));
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn the_camera_of_the_settings_has_to_be_one_that_works() {
        let found = Found { width: 640, height: 480, is_blocked: false, program: None };
        let busy = CameraFault::Busy { what: "camera:0".to_owned() };
        let trial = |index, found| Trial { camera: CameraInfo { index, name: "C920".to_owned() }, found };
        let trials = [trial(0, Err(busy)), trial(2, Ok(found))];
        assert!(works(2, &trials).is_ok());
        for number in [0, 1] {
            assert!(works(number, &trials).unwrap_err().contains("camera:2"));
        }
        assert!(works(0, &[]).unwrap_err().contains("gives no picture"));
    }
}
