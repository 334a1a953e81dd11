//! Units of an older version. Until the programs were divided, `sudare-host` did the work of most of them, and
//! sudare-host.service was the supervisor's unit.

use std::path::Path;

const OLD_UNIT: &str = "sudare-host.service";
const UNITS: &str = "etc/systemd/system";
/// Upgrades an older layout, and repairs the current one.
pub(super) const UPGRADE: &str = "Run `deploy/linux/host/install.sh --programs DIR` of this version";

/// Looks below this root for units that depend on programs or units that no longer exist.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let units = root.join(UNITS);
    let old = units.join(OLD_UNIT);
    // Finds a dangling link too.
    if old.symlink_metadata().is_ok() {
        return Err(format!(
            "{} is an older version's unit, whose command no longer exists. {UPGRADE}",
            old.display()
        ));
    }
    let drop_ins = std::fs::read_dir(units.join("xrdp.service.d"));
    for path in drop_ins.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|end| end == "conf") && needs_old_unit(&path) {
            return Err(format!(
                "{} ties xrdp to {OLD_UNIT}, which no longer exists, so xrdp may not start. Put sudare-supervisor.service there. If you never edited it: {UPGRADE}",
                path.display()
            ));
        }
    }
    Ok("as this version installs them".into())
}

fn needs_old_unit(drop_in: &Path) -> bool {
    let text = std::fs::read_to_string(drop_in).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.any(|line| line.split(['=', ' ', '\t']).any(|word| word == OLD_UNIT))
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
        std::fs::write(&drop_in, "[Unit]\n# once sudare-host.service\nRequires=sudare-supervisor.service\n")
            .unwrap();
        assert!(check(root.path()).is_ok());
        std::fs::write(&drop_in, "[Unit]\nAfter=nss-user-lookup.target sudare-host.service\n").unwrap();
        assert!(check(root.path()).unwrap_err().contains("sudare.conf ties xrdp"));
        std::fs::remove_file(&drop_in).unwrap();
        std::os::unix::fs::symlink("/nonexistent", units.join(OLD_UNIT)).unwrap();
        let said = check(root.path()).unwrap_err();
        assert!(said.contains("sudare-host.service is") && said.contains("install.sh --programs"), "{said}");
    }
}
