//! Does what `remedy` has planned, and says each thing that it did.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::accounts::GateAccount;
use sudare_base::config::HostConfig;
use sudare_base::files;

use super::remedy::Step;
use super::retention::{HOLDS, LINE};
use super::{owners, recorder, units};

const TIMER: &str = "sudare-retention.timer";
const DISPLAYS: &str = "/tmp/.X11-unix";
/// As in `xrdp.service.d/sudare.conf` of the package.
const WAY: &str = "/run/sudare-xrdp";
const PARTS: &str = "sudare-host.conf";
/// What that file names: folders, and the files in the first of them.
const PLACES: [&str; 8] = [
    "/etc/sudare",
    "/etc/sudare/host.toml",
    HOLDS,
    "/var/lib/sudare",
    "/var/lib/sudare-recorder",
    "/var/lib/sudare-recorder/evidence",
    "/var/lib/sudare-ship",
    "/var/lib/sudare-forward",
];

/// What was done, in the order of the plan; and what could not be, which the findings afterwards show as well.
pub(super) fn all(
    plan: &[(&'static str, Step)],
    config: &HostConfig,
    settings: Option<&Path>,
) -> Vec<(&'static str, Result<String, String>)> {
    let mut told = Vec::new();
    for (part, step) in plan {
        match one(*step, config, settings) {
            Ok(done) => told.extend(done.into_iter().map(|text| (*part, Ok(text)))),
            Err(error) => told.push((*part, Err(error))),
        }
    }
    told
}

fn one(step: Step, config: &HostConfig, settings: Option<&Path>) -> Result<Vec<String>, String> {
    match step {
        Step::Folders => folders(),
        Step::Way => way(config),
        Step::StateFolder => {
            let account = GateAccount::of(&config.run_as).map_err(|e| e.to_string())?;
            owners::private(&config.state_dir, account.uid, account.gid)
        }
        Step::RecorderFolder => owners::recorder(&config.recorder_dir, &config.recorder_evidence_dir()),
        Step::Settings => {
            // One that lies elsewhere is somebody's own.
            let ours = settings.filter(|path| path.parent() == Some(Path::new("/etc/sudare")));
            let files = ours.into_iter().chain([Path::new(HOLDS)]);
            files
                .filter(|path| path.exists())
                .map(owners::public)
                .collect::<Result<Vec<_>, _>>()
                .map(|done| done.into_iter().flatten().collect())
        }
        Step::Displays => displays(),
        Step::Unit(name) => unit(name),
        Step::LogLine => log_line(config),
        Step::Timer => timer(),
    }
}

/// Makes what is missing, and gives modes and owners back; what lies in the folders stays.
fn folders() -> Result<Vec<String>, String> {
    let before = PLACES.map(look);
    let is_there = |name: &str| {
        ["/etc", "/run", "/usr/lib"].iter().any(|at| Path::new(at).join("tmpfiles.d").join(name).exists())
    };
    if !is_there(PARTS) {
        return Err(format!("nothing says which folders there should be: tmpfiles.d/{PARTS} is missing"));
    }
    run("systemd-tmpfiles", &["--create", PARTS])?;
    let changed = PLACES.iter().zip(before).filter(|(path, before)| look(path) != *before);
    Ok(changed.map(|(path, before)| told(path, before)).collect())
}

/// Owner and mode again; the sockets in it, and whoever is connected, stay.
fn way(config: &HostConfig) -> Result<Vec<String>, String> {
    let before = look(WAY);
    run("install", &["-d", "-o", "xrdp", "-g", &config.run_as, "-m", "2750", WAY])?;
    Ok((look(WAY) != before).then(|| told(WAY, before)).into_iter().collect())
}

fn told(path: &str, before: Option<(u32, u32, u32)>) -> String {
    match before {
        None => format!("made {path}"),
        Some((uid, gid, mode)) => {
            format!("gave {path} its owner and mode back (it had {uid}:{gid} and {mode:o})")
        }
    }
}

fn look(path: &str) -> Option<(u32, u32, u32)> {
    let of = |meta: Metadata| (meta.uid(), meta.gid(), meta.mode() & 0o7777);
    std::fs::symlink_metadata(path).ok().map(of)
}

/// Whoever stands in its place is not removed.
fn displays() -> Result<Vec<String>, String> {
    let before = look(DISPLAYS);
    // systemd makes it when the machine starts, and not later unless it is told so.
    run("systemd-tmpfiles", &["--create", "--boot", "x11.conf"])?;
    Ok((look(DISPLAYS) != before).then(|| told(DISPLAYS, before)).into_iter().collect())
}

/// Starts and enables what is stopped or disabled; never ends what runs.
fn unit(name: &'static str) -> Result<Vec<String>, String> {
    let shown = units::shown(name)?;
    let mut done = Vec::new();
    for (what, arguments) in needed(&shown)? {
        run("systemctl", &[arguments, name])?;
        done.push(format!("{what} {name}"));
    }
    Ok(done)
}

/// By what systemd says of a unit.
fn needed(shown: &str) -> Result<Vec<(&'static str, &'static str)>, String> {
    let states = ["LoadState", "ActiveState", "UnitFileState"].map(|name| units::property(shown, name));
    let [load, active, file] = states;
    match load {
        "loaded" => {}
        "masked" => return Err("it is masked, which somebody has done on purpose".into()),
        _ => return Err("it is not installed".into()),
    }
    let mut needed = Vec::new();
    if active == "failed" {
        needed.push(("forgot the failure of", "reset-failed"));
    }
    if file == "disabled" {
        needed.push(("enabled", "enable"));
    }
    if ["failed", "inactive"].contains(&active) {
        needed.push(("started", "start"));
    }
    Ok(needed)
}

/// The public line, as the recorder says it; another one that is there stays.
fn log_line(config: &HostConfig) -> Result<Vec<String>, String> {
    let path = Path::new(LINE);
    if path.symlink_metadata().is_ok() {
        return Ok(owners::public(path)?.into_iter().collect());
    }
    let owner = std::fs::metadata(&config.recorder_dir).map_err(|e| e.to_string())?.uid();
    let reached = recorder::reach(&config.recorder_socket)?;
    if !reached.is_run_by(owner) {
        return Err("the process at the recorder's socket is not the recorder's user".into());
    }
    files::write_public(path, format!("{}\n", reached.log_vkey).as_bytes()).map_err(|e| e.to_string())?;
    Ok(vec![format!("wrote {LINE}, as the recorder says it")])
}

/// Whoever turned it on wants both; whoever did neither is not asked.
fn timer() -> Result<Vec<String>, String> {
    let shown = units::shown(TIMER)?;
    let states = ["ActiveState", "UnitFileState"].map(|name| units::property(&shown, name));
    match states {
        ["active", "disabled"] | ["inactive" | "failed", "enabled"] => unit(TIMER),
        _ => Err("to erase evidence is the organisation's decision".into()),
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("{program}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or("failed")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_started_and_enabled_and_never_ended_or_unmasked() {
        let needed = |load: &str, active: &str, file: &str| {
            needed(&format!("LoadState={load}\nActiveState={active}\nUnitFileState={file}\n"))
                .map(|steps| steps.into_iter().map(|(_, step)| step).collect::<Vec<_>>())
        };
        assert_eq!(needed("loaded", "active", "enabled").unwrap(), Vec::<&str>::new());
        assert_eq!(needed("loaded", "active", "disabled").unwrap(), ["enable"]);
        assert_eq!(needed("loaded", "inactive", "enabled").unwrap(), ["start"]);
        assert_eq!(needed("loaded", "failed", "disabled").unwrap(), ["reset-failed", "enable", "start"]);
        assert_eq!(needed("loaded", "activating", "static").unwrap(), Vec::<&str>::new());
        assert!(needed("masked", "inactive", "masked").unwrap_err().contains("on purpose"));
        assert!(needed("not-found", "inactive", "").is_err());
    }

    #[test]
    fn a_program_that_fails_says_why_and_what_was_done_is_told() {
        let said = run("ls", &["/nonexistent"]).unwrap_err();
        assert!(said.contains("ls /nonexistent: ") && said.contains("No such file"), "{said}");
        assert!(run("true", &[]).is_ok());
        assert_eq!(told("/run/x", None), "made /run/x");
        assert!(told("/run/x", Some((0, 0, 0o755))).contains("it had 0:0 and 755"));
    }
}
