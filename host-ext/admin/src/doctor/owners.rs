//! Gives our files their owners and modes back. Nothing is read, and no bit is added but for the two files that services
//! read in /etc/sudare.
//!
//! Some of the folders belong to accounts that could put a link there while root looks: each file is opened by its name in
//! its folder, without following links, and one that has a second name is left alone.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, open, openat};

/// A store has three levels.
const DEPTH_MAX: usize = 6;

/// Whose a file is to be, and which bits of its mode may stay.
#[derive(Clone, Copy)]
struct Want {
    uid: u32,
    gid: u32,
    bits: u32,
    depth: usize,
    /// The file that is its owner's alone.
    secret: Option<&'static str>,
}

/// A folder of which nothing is anybody else's, with the folder of devices.
pub(super) fn private(dir: &Path, uid: u32, gid: u32) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    walk(dir, Want { uid, gid, bits: 0o700, depth: 1, secret: None }, &mut done)?;
    Ok(done)
}

/// The recorder's folder and its evidence. Whose they are, its folder says, which systemd-tmpfiles has mended before.
pub(super) fn recorder(dir: &Path, evidence: &Path) -> Result<Vec<String>, String> {
    let meta = std::fs::metadata(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    if meta.uid() == 0 {
        return Err(format!("{} belongs to root, so it is not known whose it should be", dir.display()));
    }
    let want = Want { uid: meta.uid(), gid: meta.gid(), bits: 0o2750, depth: 0, secret: Some("log.key") };
    let mut done = Vec::new();
    walk(dir, want, &mut done)?;
    if evidence.exists() {
        walk(evidence, Want { depth: DEPTH_MAX, secret: None, ..want }, &mut done)?;
    }
    Ok(done)
}

/// A file that every service reads, and root alone writes.
pub(super) fn public(path: &Path) -> Result<Option<String>, String> {
    let failed = |e: rustix::io::Errno| format!("{}: {e}", path.display());
    let file =
        open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty()).map_err(failed)?;
    let stat = fstat(&file).map_err(failed)?;
    if !is_plain(&stat) {
        return Err(format!("{} is no plain file", path.display()));
    }
    let is_well = stat.st_uid == 0 && stat.st_mode & 0o7777 == 0o644;
    if is_well {
        return Ok(None);
    }
    fchown(&file, Some(Uid::ROOT), Some(Gid::ROOT)).map_err(failed)?;
    fchmod(&file, Mode::from_raw_mode(0o644)).map_err(failed)?;
    Ok(Some(changed(path, &stat)))
}

fn walk(dir: &Path, want: Want, done: &mut Vec<String>) -> Result<(), String> {
    let failed = |e: rustix::io::Errno| format!("{}: {e}", dir.display());
    // What leads there is an administrator's, who may use links.
    let folder = open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
    inside(&folder, dir, want, done)
}

fn inside(folder: &OwnedFd, path: &Path, want: Want, done: &mut Vec<String>) -> Result<(), String> {
    let failed = |e: rustix::io::Errno| format!("{}: {e}", path.display());
    mended(folder, path, want, done)?;
    for entry in Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        // A link, a socket, or what has gone.
        let Ok(file) = openat(folder, entry.file_name(), flags, Mode::empty()) else { continue };
        let stat = fstat(&file).map_err(failed)?;
        let below = path.join(name);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            if let Some(depth) = want.depth.checked_sub(1) {
                inside(&file, &below, Want { depth, ..want }, done)?;
            }
        } else if is_plain(&stat) {
            let bits = if want.secret.is_some_and(|secret| name == secret) { 0o600 } else { want.bits };
            mended(&file, &below, Want { bits, ..want }, done)?;
        }
    }
    Ok(())
}

/// A second name may lie anywhere.
fn is_plain(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1
}

fn mended(file: impl AsFd, path: &Path, want: Want, done: &mut Vec<String>) -> Result<(), String> {
    let failed = |e: rustix::io::Errno| format!("{}: {e}", path.display());
    let stat = fstat(&file).map_err(failed)?;
    let mode = stat.st_mode & 0o7777;
    // Its owner must be able to use it, and nobody may whom it is closed to.
    let uses = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { 0o700 } else { 0o600 };
    let right = mode & want.bits | uses;
    if stat.st_uid == want.uid && mode == right {
        return Ok(());
    }
    if stat.st_uid != want.uid {
        fchown(&file, Some(Uid::from_raw(want.uid)), Some(Gid::from_raw(want.gid))).map_err(failed)?;
    }
    // A change of the owner may have taken bits away.
    fchmod(&file, Mode::from_raw_mode(right)).map_err(failed)?;
    done.push(changed(path, &stat));
    Ok(())
}

fn changed(path: &Path, before: &Stat) -> String {
    format!(
        "gave {} its owner and mode back (it had {}:{} and {:o})",
        path.display(),
        before.st_uid,
        before.st_gid,
        before.st_mode & 0o7777
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn me() -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    #[test]
    fn what_others_could_read_is_closed_and_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let (key, devices) = (dir.path().join("host.key"), dir.path().join("devices"));
        std::fs::create_dir(&devices).unwrap();
        std::fs::write(&key, "secret").unwrap();
        std::fs::write(devices.join("ab.record"), "").unwrap();
        set(dir.path(), 0o755);
        set(&devices, 0o755);
        set(&key, 0o644);
        set(&devices.join("ab.record"), 0o600);
        let (uid, gid) = me();
        let done = private(dir.path(), uid, gid).unwrap();
        assert_eq!(done.len(), 3, "{done:?}");
        assert!(done.iter().any(|done| done.contains("host.key") && done.contains("644")), "{done:?}");
        assert_eq!((mode(dir.path()), mode(&devices), mode(&key)), (0o700, 0o700, 0o600));
        assert_eq!(private(dir.path(), uid, gid).unwrap(), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&key).unwrap(), "secret");
    }

    #[test]
    fn links_and_second_names_lead_nowhere() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = elsewhere.path().join("shadow");
        std::fs::write(&victim, "").unwrap();
        set(&victim, 0o644);
        symlink(&victim, dir.path().join("link")).unwrap();
        std::fs::hard_link(&victim, dir.path().join("second")).unwrap();
        symlink(elsewhere.path(), dir.path().join("devices")).unwrap();
        let (uid, gid) = me();
        private(dir.path(), uid, gid).unwrap();
        assert_eq!(mode(&victim), 0o644);
        assert!(public(&dir.path().join("link")).is_err());
    }

    #[test]
    fn the_recorders_files_are_its_own_again_and_nothing_is_opened_further() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let evidence = dir.path().join("evidence");
        std::fs::create_dir_all(evidence.join("tile/0")).unwrap();
        let own = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        assert!(recorder(dir.path(), &evidence).unwrap_err().contains("root"));
        for (name, bits) in [
            ("log.key", 0o640),
            ("host.record", 0o644),
            ("evidence/wal", 0o600),
            ("evidence/tile/0/1", 0o640),
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
            set(&dir.path().join(name), bits);
        }
        own(dir.path(), 4_000_000);
        set(dir.path(), 0o750);
        set(&evidence, 0o2750);
        recorder(dir.path(), &evidence).unwrap();
        for (name, bits) in [
            ("", 0o750),
            ("log.key", 0o600),
            ("host.record", 0o640),
            ("evidence", 0o2750),
            ("evidence/wal", 0o600),
            ("evidence/tile/0/1", 0o640),
        ] {
            let path = dir.path().join(name);
            assert_eq!((path.metadata().unwrap().uid(), mode(&path)), (4_000_000, bits), "{name}");
        }
        assert_eq!(recorder(dir.path(), &evidence).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_services_read_is_roots_and_everybody_may_read_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("host.toml");
        std::fs::write(&file, "").unwrap();
        set(&file, 0o600);
        assert!(public(&file).unwrap().unwrap().contains("600"));
        assert_eq!((mode(&file), public(&file)), (0o644, Ok(None)));
    }
}
