//! The line of the log, which everything that reads evidence verifies it with; what erases it, and how that went last.

use std::path::Path;
use std::process::{Command, Stdio};

use sudare_base::accounts::GateAccount;

use super::{Finding, access};

/// Where `sudare-setup` puts it.
const LINE: &str = "/etc/sudare/log.vkey";
/// Whoever verifies with it.
const READERS: [&str; 3] = ["sudare-recorder", "sudare-ship", "sudare-forward"];
const UNIT: &str = "sudare-retention";

pub(super) fn checks() -> Vec<Finding> {
    let readers = READERS.into_iter().filter_map(|name| Some((name, GateAccount::of(name).ok()?)));
    vec![("line of the log", line(Path::new(LINE), readers)), ("retention", retention())]
}

fn line(
    path: &Path,
    mut readers: impl Iterator<Item = (&'static str, GateAccount)>,
) -> Result<String, String> {
    if !path.exists() {
        return Err(format!(
            "{} does not exist, so nothing is copied, sent or erased. Run `sudare-setup records DIR` again",
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
        assert!(line(&path, stranger()).unwrap_err().contains("--records"));
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
