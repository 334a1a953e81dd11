//! Whether systemd starts our services now and after the next start of this machine.

use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::config::HostConfig;

use super::Finding;
use super::layout::UPGRADE;

/// A service, and what is lost without it.
struct Unit {
    part: &'static str,
    name: &'static str,
    without: &'static str,
}

const RECORDER: Unit =
    Unit { part: "unit of the recorder", name: "sudare-recorder.service", without: "desktops stay covered" };
const OWNER: Unit =
    Unit { part: "unit of desktop owners", name: "sudare-owner.service", without: "desktops stay covered" };
const SHIP: Unit = Unit {
    part: "unit of the copy",
    name: "sudare-ship.service",
    without: "evidence stays on this host only",
};
const FORWARD: Unit =
    Unit { part: "unit of the alarms", name: "sudare-forward.service", without: "no alarm is sent" };
const CONSENT: Unit = Unit {
    part: "unit of consent taken back",
    name: "sudare-consent.path",
    without: "operators whose consent was taken back are not removed, though nobody uses them",
};
const XRDP: Unit = Unit { part: "unit of xrdp", name: "xrdp.service", without: "nobody can log on" };

/// `is_here`: whether the gate stands before this machine's xrdp.
pub(super) fn checks(config: &HostConfig, is_here: bool) -> Vec<Finding> {
    // That is a finding already, at the port.
    if !Path::new("/run/systemd/system").is_dir() {
        return Vec::new();
    }
    let mut units = vec![RECORDER, CONSENT];
    units.extend(is_here.then_some([OWNER, XRDP]).into_iter().flatten());
    units.extend(config.ship_state_dir.is_some().then_some(SHIP));
    units.extend(config.forward_state_dir.is_some().then_some(FORWARD));
    units.iter().map(|unit| (unit.part, shown(unit.name).and_then(|text| judged(unit, &text)))).collect()
}

pub(super) fn shown(name: &str) -> Result<String, String> {
    let mut command = Command::new("systemctl");
    command.args(["show", name, "--property=LoadState,ActiveState,UnitFileState"]).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("systemctl: {e}. Run doctor as root"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The value of a property, as `systemctl show` prints it.
pub(super) fn property<'t>(shown: &'t str, name: &str) -> &'t str {
    let value = |line: &'t str| line.strip_prefix(name)?.strip_prefix('=');
    shown.lines().find_map(value).unwrap_or_default()
}

fn judged(unit: &Unit, shown: &str) -> Result<String, String> {
    let Unit { name, without, .. } = unit;
    let states =
        ["LoadState", "ActiveState", "UnitFileState"].map(|property_of| property(shown, property_of));
    match states {
        ["masked", ..] => Err(format!(
            "{name} is masked, so {without}. If that is not meant: `systemctl unmask {name}`, then `systemctl enable --now {name}`"
        )),
        ["loaded", "failed", _] => Err(format!(
            "{name} failed, so {without}. See `journalctl -u {name}`, then run `systemctl enable --now {name}`"
        )),
        ["loaded", "active" | "reloading" | "activating", "disabled"] => Err(format!(
            "{name} is not enabled, so after the next start of this machine {without}. Run `systemctl enable {name}`"
        )),
        ["loaded", "active" | "reloading" | "activating", _] => Ok("runs, also after the next start".into()),
        ["loaded", state, _] => {
            Err(format!("{name} is {state}, so {without}. Run `systemctl enable --now {name}`"))
        }
        [state, ..] => Err(format!("{name} is not there ({state}), so {without}. {UPGRADE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_does_not_run_or_will_not_is_found() {
        let said = |load: &str, active: &str, file: &str| {
            judged(&OWNER, &format!("LoadState={load}\nActiveState={active}\nUnitFileState={file}\n"))
        };
        assert!(said("loaded", "active", "enabled").is_ok());
        // Whoever starts it otherwise has no file to enable.
        assert!(said("loaded", "active", "static").is_ok());
        for (load, active, file, says) in [
            ("masked", "inactive", "masked", "unmask"),
            ("loaded", "failed", "enabled", "journalctl"),
            ("loaded", "inactive", "enabled", "enable --now"),
            ("loaded", "active", "disabled", "next start"),
            ("not-found", "inactive", "", "--reinstall"),
            ("", "", "", "--reinstall"),
        ] {
            let said = said(load, active, file).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
