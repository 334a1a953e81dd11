//! The line of the log, which everything that reads evidence verifies it with; what erases it, and how that went last.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use sudare_base::accounts::GateAccount;
use sudare_base::config::HostConfig;
use sudare_base::files;
use sudare_records::state::HostState;

use super::{Finding, access, units};

/// Where `sudare-setup` puts it.
pub(super) const LINE: &str = "/etc/sudare/log.vkey";
const LINE_MAX_BYTES: usize = 4096;
/// Whoever verifies with it.
const READERS: [&str; 3] = ["sudare-recorder", "sudare-ship", "sudare-forward"];
const UNIT: &str = "sudare-retention";
const TIMER: &str = "sudare-retention.timer";
/// Without it nothing is erased, whoever waits for that.
pub(super) const HOLDS: &str = "/etc/sudare/holds.txt";
/// Enough to find an old one, however large the store is.
const LOOKED_AT_MAX: usize = 100_000;
/// A run comes once a day, and a host may have been off.
const GRACE_HOURS: u32 = 48;

/// `log_vkey` is what the recorder says, if it answers.
pub(super) fn checks(config: &HostConfig, log_vkey: Option<&str>) -> Vec<Finding> {
    let readers = READERS.into_iter().filter_map(|name| Some((name, GateAccount::of(name).ok()?)));
    let path = Path::new(LINE);
    let line = line(path, readers).and_then(|said| same(path, log_vkey).map(|()| said));
    let mut findings = vec![("line of the log", line), ("retention", retention())];
    if Path::new("/run/systemd/system").is_dir() {
        let state = units::shown(TIMER);
        let overdue = overdue(config);
        findings.push(("retention's timer", state.and_then(|shown| timer(&shown, overdue))));
        let recorder = GateAccount::of("sudare-recorder").ok();
        findings.push(("legal holds", holds(Path::new(HOLDS), recorder.as_ref())));
    }
    findings
}

fn line(
    path: &Path,
    mut readers: impl Iterator<Item = (&'static str, GateAccount)>,
) -> Result<String, String> {
    if !path.exists() {
        return Err(format!(
            "{} does not exist, so nothing is copied, sent or erased. Run `sudare-host doctor --fix`, or `sudare-setup records DIR` again",
            path.display()
        ));
    }
    let kept_out = readers.find(|(_, account)| access::reachable(path, Some(account), 4).is_err());
    match kept_out {
        Some((name, _)) => Err(format!(
            "{} cannot be read by {name}, so nothing is copied, sent or erased. Run `chmod 644` on it, and `chmod 755` on its folder",
            path.display()
        )),
        None => Ok(format!("{} can be read by all who verify with it", path.display())),
    }
}

/// Another line verifies nothing, and may be the sign that a key was changed.
fn same(path: &Path, log_vkey: Option<&str>) -> Result<(), String> {
    let Some(log_vkey) = log_vkey else { return Ok(()) };
    let bytes = files::read_bounded(path, LINE_MAX_BYTES).map_err(|e| e.to_string())?;
    match String::from_utf8_lossy(&bytes.unwrap_or_default()).trim() == log_vkey {
        true => Ok(()),
        false => Err(format!(
            "{} is not the line of the log that the recorder keeps, so nothing is copied, sent or erased. If nobody changed the recorder's key on purpose, tell the security team; otherwise run `sudare-setup records DIR` again",
            path.display()
        )),
    }
}

/// Whether pictures are here that no policy keeps so long, unless they are on hold.
fn overdue(config: &HostConfig) -> bool {
    let Ok(state) = HostState::load(&config.state_dir) else { return false };
    let hours = state.policy.record().rules().retention_hours.saturating_add(GRACE_HOURS);
    let before = sudare_base::clock::wall().checked_sub(Duration::from_secs(u64::from(hours) * 3_600));
    before.is_some_and(|before| is_older(&config.recorder_evidence_dir().join("headers"), before))
}

fn is_older(headers: &Path, before: SystemTime) -> bool {
    let files = std::fs::read_dir(headers).into_iter().flatten().flatten().take(LOOKED_AT_MAX);
    files
        .map(|file| file.metadata().and_then(|meta| meta.modified()))
        .any(|at| at.is_ok_and(|at| at < before))
}

/// Erasing is an organisation's decision, so a timer that is off is none of our problems until pictures outlive their
/// time.
fn timer(shown: &str, is_overdue: bool) -> Result<String, String> {
    let on = "Run `systemctl enable --now sudare-retention.timer`";
    let states = ["LoadState", "ActiveState", "UnitFileState"].map(|name| units::property(shown, name));
    match states {
        ["loaded", "active", "enabled" | "enabled-runtime"] => Ok("is on".into()),
        ["loaded", "active", _] => {
            Err(format!("is not enabled, so nothing is erased after the next start of this machine. {on}"))
        }
        ["loaded", _, "enabled" | "enabled-runtime"] => {
            Err(format!("was turned on and does not run, so nothing is erased. {on}"))
        }
        ["masked", ..] | ["loaded", ..] if is_overdue => Err(format!(
            "is off, and pictures are kept for longer than the policy says. {on}; what is on hold stays"
        )),
        _ => Ok(format!("is off, so nothing is erased, whatever the policy says. {on}")),
    }
}

fn holds(path: &Path, recorder: Option<&GateAccount>) -> Result<String, String> {
    if !path.exists() {
        return Err(format!(
            "{} does not exist, so nothing is erased. Restore it with the incidents that are on hold; an empty file if there are none",
            path.display()
        ));
    }
    access::reachable(path, recorder, 4).map_err(|_| {
        format!(
            "{} cannot be read by sudare-recorder, so nothing is erased. Run `chmod 644` on it",
            path.display()
        )
    })?;
    Ok(format!("{} can be read", path.display()))
}

fn retention() -> Result<String, String> {
    let mut command = Command::new("systemctl");
    command.args(["show", "-p", "LoadState,Result,ExecMainStatus,ExecMainExitTimestamp", UNIT]);
    match command.stdin(Stdio::null()).output() {
        Ok(output) => last_run(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => Ok(format!("not known, because systemctl does not run: {error}")),
    }
}

fn last_run(shown: &str) -> Result<String, String> {
    let value = |name: &str| {
        shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    match (value("LoadState"), value("Result"), value("ExecMainExitTimestamp")) {
        ("loaded", "success", "" | "n/a") => Ok("has not run since this machine started".into()),
        ("loaded", "success", when) => Ok(format!("ran last at {when}")),
        ("loaded", result, when) => Err(format!(
            "its run at {when} failed ({result}, status {}), so what is due was not erased. See `journalctl -u {UNIT}`, then run `systemctl start {UNIT}`",
            value("ExecMainStatus")
        )),
        _ => Ok("is not installed".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_line_that_a_reader_cannot_read_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.vkey");
        let stranger = || [("sudare-recorder", GateAccount { uid: 65_534, gid: 65_534 })].into_iter();
        assert!(line(&path, stranger()).unwrap_err().contains("sudare-setup records"));
        std::fs::write(&path, "line").unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(dir.path(), 0o755);
        set(&path, 0o600);
        let told = line(&path, stranger()).unwrap_err();
        assert!(told.contains("sudare-recorder") && told.contains("chmod 644"), "{told}");
        set(&path, 0o644);
        assert!(line(&path, stranger()).is_ok());
        set(dir.path(), 0o700);
        assert!(line(&path, stranger()).is_err(), "the folder counts, too");
    }

    #[test]
    fn another_line_than_the_recorders_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.vkey");
        std::fs::write(&path, "sudare/vdi-1+ab+cd\n").unwrap();
        assert!(same(&path, Some("sudare/vdi-1+ab+cd")).is_ok() && same(&path, None).is_ok());
        assert!(same(&path, Some("sudare/vdi-1+ab+ce")).unwrap_err().contains("security team"));
    }

    #[test]
    fn a_timer_that_stopped_or_leaves_old_pictures_is_found() {
        let said = |active: &str, file: &str, overdue| {
            timer(&format!("LoadState=loaded\nActiveState={active}\nUnitFileState={file}\n"), overdue)
        };
        assert!(said("active", "enabled", true).is_ok());
        assert!(said("inactive", "disabled", false).unwrap().contains("nothing is erased"));
        for (active, file, overdue, word) in [
            ("active", "disabled", false, "next start"),
            ("inactive", "enabled", false, "does not run"),
            ("failed", "enabled", false, "does not run"),
            ("inactive", "disabled", true, "longer than the policy"),
        ] {
            let said = said(active, file, overdue).unwrap_err();
            assert!(said.contains(word) && said.contains("enable --now"), "{said}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ab"), "").unwrap();
        let now = SystemTime::now();
        assert!(!is_older(dir.path(), now.checked_sub(Duration::from_secs(60)).unwrap()));
        assert!(is_older(dir.path(), now.checked_add(Duration::from_secs(60)).unwrap()));
        assert!(!is_older(&dir.path().join("none"), now));
    }

    #[test]
    fn a_list_of_holds_that_is_gone_or_closed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("holds.txt");
        let recorder = GateAccount { uid: 65_534, gid: 65_534 };
        assert!(holds(&path, Some(&recorder)).unwrap_err().contains("nothing is erased"));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(holds(&path, Some(&recorder)).unwrap_err().contains("chmod 644"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(holds(&path, Some(&recorder)).is_ok());
    }

    #[test]
    fn a_run_that_failed_is_a_problem_and_none_yet_is_not() {
        let failed =
            "Result=exit-code\nExecMainStatus=2\nExecMainExitTimestamp=Sun 2026-11-29\nLoadState=loaded\n";
        let told = last_run(failed).unwrap_err();
        assert!(
            told.contains("Sun 2026-11-29") && told.contains("status 2") && told.contains("journalctl"),
            "{told}"
        );
        assert!(
            last_run("Result=success\nExecMainExitTimestamp=n/a\nLoadState=loaded")
                .unwrap()
                .contains("not run")
        );
        let well =
            last_run("LoadState=loaded\nResult=success\nExecMainExitTimestamp=Mon 2026-11-30").unwrap();
        assert!(well.contains("Mon"), "{well}");
        assert!(last_run("LoadState=not-found\nResult=success").is_ok() && last_run("").is_ok());
    }
}
