//! Whether the gates' account reaches what it needs, and nobody else may change it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sudare_base::accounts::GateAccount;

/// A program that services run: root's own, and there for the account.
pub(super) fn program(path: &Path, fix: &str, account: Option<&GateAccount>) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}. {fix}", path.display()))?;
    if meta.uid() != 0 || meta.mode() & 0o022 != 0 {
        return Err(format!(
            "{} can be changed by users other than root. Run `chown root` and `chmod 755` on it",
            path.display()
        ));
    }
    reachable(path, account, 1).map(|()| format!("{} is installed", path.display()))
}

/// A file that gates' programs read and nobody else may.
pub(super) fn secret(path: &Path, fix: &str, account: Option<&GateAccount>) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("{}: {e}. {fix}", path.display()))?;
    if meta.mode() & 0o077 != 0 {
        return Err(format!(
            "others can read {} (mode {:o}). Run `chmod 600` on it",
            path.display(),
            meta.mode() & 0o777
        ));
    }
    reachable(path, account, 4).map(|()| format!("{} is private", path.display()))
}

/// The folder of keys, records and devices.
pub(super) fn owner(dir: &Path, user: &str, account: GateAccount) -> Result<String, String> {
    match std::fs::metadata(dir) {
        Ok(meta) if meta.uid() == account.uid => {
            readable(dir, &account).map_err(|e| format!("{e}: run `chown -R {user}: {}`", dir.display()))?;
            Ok(format!("{} belongs to {user}", dir.display()))
        }
        Ok(_) => Err(format!(
            "{} does not belong to {user}, so gates cannot read their keys. Run `chown -R {user}: {}`",
            dir.display(),
            dir.display()
        )),
        Err(e) => Err(format!("{}: {e}. Run `sudare-host init` as {user}", dir.display())),
    }
}

/// A single file that root or another user wrote there can lock out a device or the whole host.
fn readable(dir: &Path, account: &GateAccount) -> Result<(), String> {
    let folders = ["devices", "seats", "invitations", "revoked"].map(|folder| dir.join(folder));
    for folder in folders.into_iter().chain([dir.to_owned()]) {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            // The file's existence alone revokes a device.
            if path.is_file() && path.extension().is_none_or(|end| end != "revoked") {
                reachable(&path, Some(account), 4)?;
            }
        }
    }
    // Here gates keep who comes with an invitation.
    let seats = dir.join("seats");
    if seats.exists() { reachable(&seats, Some(account), 3) } else { Ok(()) }
}

/// Whether gates may use the file (4 = read, 1 = execute or enter) and enter all folders above it.
pub(super) fn reachable(path: &Path, account: Option<&GateAccount>, right: u32) -> Result<(), String> {
    // A missing account is a finding already.
    let Some(account) = account else { return Ok(()) };
    let wrong = |path: &Path, e: &dyn std::fmt::Display| {
        format!("{}: {e}. Gates must be able to reach it", path.display())
    };
    let real = path.canonicalize().map_err(|e| wrong(path, &e))?;
    for (step, part) in real.ancestors().enumerate() {
        let meta = std::fs::metadata(part).map_err(|e| wrong(part, &e))?;
        let shift = match meta.uid() == account.uid {
            true => 6,
            false if meta.gid() == account.gid => 3,
            false => 0,
        };
        let needed = if step == 0 { right } else { 1 };
        if (meta.mode() >> shift) & needed == 0 {
            return Err(wrong(part, &format!("mode {:o} keeps gates out", meta.mode() & 0o7777)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_of_root_among_the_keys_and_devices_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str, mode| {
            let path = dir.path().join(name);
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let account = GateAccount { uid: 4_000_000, gid: 4_000_000 };
        std::fs::create_dir(dir.path().join("devices")).unwrap();
        for name in ["host.key", "devices/ab.operators", "devices/ab.revoked"] {
            std::fs::write(dir.path().join(name), "").unwrap();
            set(name, 0o644);
        }
        for (name, mode) in [("", 0o755), ("devices", 0o755), ("devices/ab.revoked", 0o600)] {
            set(name, mode);
        }
        assert_eq!(readable(dir.path(), &account), Ok(()));
        for name in ["host.key", "devices/ab.operators"] {
            set(name, 0o600);
            assert!(readable(dir.path(), &account).unwrap_err().contains(name));
            set(name, 0o644);
        }
    }

    #[test]
    fn a_file_that_gates_cannot_reach_is_reported_with_the_folder_that_keeps_them_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cert.pem");
        std::fs::write(&file, "").unwrap();
        let set =
            |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(dir.path(), 0o755);
        set(&file, 0o644);
        let account = GateAccount { uid: 4_000_000, gid: 4_000_000 };
        assert_eq!(reachable(&file, Some(&account), 4), Ok(()));
        assert!(reachable(&file, Some(&account), 1).is_err());
        set(&file, 0o600);
        assert!(reachable(&file, Some(&account), 4).unwrap_err().contains("cert.pem: mode 600"));
        set(&file, 0o644);
        set(dir.path(), 0o700);
        assert!(reachable(&file, Some(&account), 4).unwrap_err().contains("mode 700"));
    }
}
