//! Whether the recorder could write, tried as its account and with its mounts, without leaving anything behind.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Access, access};
use rustix::io::Errno;
use sudare_base::accounts::{self, GateAccount};
use sudare_base::output;

use super::as_user;

const WRITES: &str = "can be written";
/// As a small entry of the log.
const BYTES: [u8; 4096] = [0; 4096];

/// `recorder` is the process, if one runs.
pub(super) fn check(dir: &Path, uid: u32, recorder: Option<i32>) -> Result<String, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can try it as the recorder. Run doctor as root".into());
    }
    let user = accounts::name_of(uid).unwrap_or_else(|| uid.to_string());
    // The uid of a folder that nobody with a name owns.
    let account = GateAccount::of(&user).map_err(|e| format!("{}: {e}", dir.display()))?;
    let said = as_user::output(&user, &account, recorder, &["try-write".as_ref(), dir.as_os_str()])?;
    judged(&said, dir)
}

fn judged(said: &str, dir: &Path) -> Result<String, String> {
    match said {
        WRITES => Ok(format!("the recorder can write to {}", dir.display())),
        why => Err(format!(
            "the recorder cannot write to {}, so desktops stay covered: {why}. See the disk (`df`, `mount`, `journalctl -k`), and the folder's owner",
            dir.display()
        )),
    }
}

/// What the account does: writes to a file without a name, which is gone at the end.
pub(crate) fn try_write(dir: &Path) -> ExitCode {
    match unnamed(dir) {
        Ok(()) => output::line(WRITES),
        Err(error) => output::line(&error.to_string()),
    }
    ExitCode::SUCCESS
}

fn unnamed(dir: &Path) -> io::Result<()> {
    let flags = i32::try_from(rustix::fs::OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
    match OpenOptions::new().write(true).mode(0o600).custom_flags(flags).open(dir) {
        // Space may be promised at first and refused on the way to the disk.
        Ok(mut file) => file.write_all(&BYTES).and_then(|()| file.sync_all()),
        // Some file systems have no such files.
        Err(e)
            if [Errno::OPNOTSUPP, Errno::ISDIR, Errno::INVAL]
                .map(|e| Some(e.raw_os_error()))
                .contains(&e.raw_os_error()) =>
        {
            Ok(access(dir, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_leaves_nothing_and_finds_what_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        unnamed(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(unnamed(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(unnamed(&file).is_err());
        assert!(judged(WRITES, dir.path()).is_ok());
        let said = judged("No space left on device (os error 28)", dir.path()).unwrap_err();
        assert!(said.contains("No space left") && said.contains("df"), "{said}");
    }
}
