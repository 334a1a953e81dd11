//! What versions before the package left: programs, units, and a line of PAM's that names a program that is gone.

use std::path::Path;

/// Versions that covered inside of xrdp's sessions. In the oldest of them sudare-host did the work of most programs.
const OLD_UNITS: [&str; 2] = ["sudare-host.service", "sudare-supervisor.service"];
const UNITS: &str = "etc/systemd/system";
const PAM: &str = "etc/pam.d/xrdp-sesman";
/// Restores what belongs to the package.
pub(super) const UPGRADE: &str = "Run `apt install --reinstall ./sudare-host_*.deb`";
/// Removes what no package knows.
const REMOVE: &str =
    "Run `install.sh --uninstall` of that version, then `apt install --reinstall ./sudare-host_*.deb`";
/// Where older versions put their programs, which the shell finds before those of the package.
const PROGRAMS: &str = "usr/local/bin";

/// Looks below this root for units and lines that depend on programs that no longer exist.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let units = root.join(UNITS);
    // Finds a dangling link too.
    if let Some(old) =
        OLD_UNITS.iter().map(|name| units.join(name)).find(|old| old.symlink_metadata().is_ok())
    {
        return Err(format!(
            "{} is an older version's unit, whose program no longer exists. {REMOVE}",
            old.display()
        ));
    }
    let programs = root.join(PROGRAMS);
    if let Some(old) =
        ["sudare-gate", "sudare-host"].iter().map(|name| programs.join(name)).find(|old| old.exists())
    {
        return Err(format!("{} is an older version's program. {REMOVE}", old.display()));
    }
    let drop_ins = std::fs::read_dir(units.join("xrdp.service.d"));
    for path in drop_ins.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "conf") && needs_old_unit(&path) {
            return Err(format!(
                "{} ties xrdp to a unit that no longer exists, so xrdp does not start. Remove that line. If you never edited it: {REMOVE}",
                path.display()
            ));
        }
    }
    let pam = root.join(PAM);
    if std::fs::read_to_string(&pam).unwrap_or_default().lines().any(asks_old_program) {
        return Err(format!(
            "{} still asks a program that no longer exists, so nobody can sign in. {REMOVE}",
            pam.display()
        ));
    }
    Ok("as this version installs them".into())
}

fn needs_old_unit(drop_in: &Path) -> bool {
    let text = std::fs::read_to_string(drop_in).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.any(|line| line.split(['=', ' ', '\t']).any(|word| OLD_UNITS.contains(&word)))
}

fn asks_old_program(line: &str) -> bool {
    let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    let names = |program: &str| words.iter().any(|word| word.ends_with(&format!("/{program}")));
    matches!(words.first(), Some(&"account" | &"-account"))
        && (names("sudare-sign-in") || names("sudare-host") && words.contains(&"sign-in"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_an_older_version_are_found() {
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join(UNITS);
        let drop_in = units.join("xrdp.service.d/sudare.conf");
        assert!(check(root.path()).is_ok());
        std::fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
        std::fs::write(&drop_in, "[Unit]\n# once sudare-host.service\nWants=sudare-gate.socket\n").unwrap();
        assert!(check(root.path()).is_ok());
        for old in OLD_UNITS {
            std::fs::write(&drop_in, format!("[Unit]\nAfter=nss-user-lookup.target {old}\n")).unwrap();
            assert!(check(root.path()).unwrap_err().contains("sudare.conf ties xrdp"));
            std::fs::remove_file(&drop_in).unwrap();
            std::os::unix::fs::symlink("/nonexistent", units.join(old)).unwrap();
            let said = check(root.path()).unwrap_err();
            assert!(said.contains(&format!("{old} is")) && said.contains("install.sh --uninstall"), "{said}");
            std::fs::remove_file(units.join(old)).unwrap();
        }
    }

    #[test]
    fn programs_of_an_older_version_are_found() {
        let root = tempfile::tempdir().unwrap();
        let programs = root.path().join(PROGRAMS);
        std::fs::create_dir_all(&programs).unwrap();
        assert!(check(root.path()).is_ok());
        std::fs::write(programs.join("sudare-host"), "").unwrap();
        assert!(check(root.path()).unwrap_err().contains("install.sh --uninstall"));
    }

    #[test]
    fn a_line_of_pam_that_asks_a_program_that_is_gone_is_found() {
        let root = tempfile::tempdir().unwrap();
        let pam = root.path().join(PAM);
        std::fs::create_dir_all(pam.parent().unwrap()).unwrap();
        let others = "#%PAM-1.0\n@include common-account\n#account required pam_exec.so /x/sudare-sign-in\n";
        std::fs::write(&pam, others).unwrap();
        assert!(check(root.path()).is_ok());
        for line in [
            "account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /c",
            "-account required pam_exec.so quiet /usr/local/bin/sudare-host --config /c sign-in # ours",
        ] {
            std::fs::write(&pam, format!("{others}{line}\n")).unwrap();
            assert!(check(root.path()).unwrap_err().contains("nobody can sign in"), "{line}");
        }
    }
}
