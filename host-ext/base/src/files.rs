//! Small files beside the evidence: keys, records, registry, a daemon's memory and its status. Written whole or not at
//! all, read with a bound. Nothing else on the host writes such files its own way.
//!
//! The evidence itself is written by `sudare_evidence::store::durable`, which syncs many files at once and runs on a
//! disk that tests can break. Both do the same steps in the same order.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::RenameFlags;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::accounts;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(
        "{path} could not be {action}: {source}. Check that it belongs to the user that Sudare runs as, and that the disk has space"
    )]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error(
        "{path} is larger than {max_bytes} bytes, so it is not the file it should be. Restore it, or make it again"
    )]
    TooLarge { path: PathBuf, max_bytes: usize },
    #[error(
        "{dir} belongs to {owner}, who could not read files that {us} writes there. Run the command as root, which becomes {owner}, or as {owner}"
    )]
    NotOurs { dir: PathBuf, owner: String, us: String },
}

impl FileError {
    pub fn new(path: &Path, action: &'static str, source: io::Error) -> Self {
        FileError::Io { path: path.to_owned(), action, source }
    }
}

/// The file's bytes, or `None` if it does not exist.
pub fn read_bounded(path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::new(path, "opened", e)),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| FileError::new(path, "read", e))?;
    if bytes.len() > max_bytes {
        return Err(FileError::TooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(Some(bytes))
}

/// Replaces the file atomically; only its owner may read it. Makes missing folders, also private.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    make_private_dir(folder_of(path))?;
    replace(path, bytes, 0o600).map_err(|e| FileError::new(path, "written", e))
}

/// Replaces the file atomically; every user may read it. Its folder must exist.
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, 0o644).map_err(|e| FileError::new(path, "written", e))
}

/// Writes a private file where it stands, for a process that may rename nothing. A power failure can tear it.
pub fn write_in_place(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    put(file, path, bytes).map_err(|e| FileError::new(path, "written", e))
}

/// As [`write_in_place`], if there is no such file yet; otherwise false.
pub fn write_once(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        file => file,
    };
    put(file, path, bytes).map(|()| true).map_err(|e| FileError::new(path, "written", e))
}

fn put(file: io::Result<File>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = file?;
    file.write_all(bytes)?;
    file.sync_all()?;
    File::open(folder_of(path))?.sync_all()
}

/// Whether a file was written last before this time, by the clock of the wall.
pub fn is_older(path: &Path, age: Duration) -> bool {
    let written = fs::metadata(path).and_then(|meta| meta.modified());
    written.is_ok_and(|at| crate::clock::wall().duration_since(at).is_ok_and(|passed| passed > age))
}

/// Replaces the file so that a reader finds either the old or the new content, even after a power failure.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let (file, temporary) = write_temporary(path, bytes, mode)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder_of(path))?.sync_all()
}

/// Replaces a private file without waiting for the disk: a power cut may bring back the old content, or leave none.
pub fn replace_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (_, temporary) = write_temporary(path, bytes, 0o600)?;
    fs::rename(&temporary, path)
}

/// Puts a folder in the place of another one, in one step, or where there is none; what was there is then where the new one
/// was.
pub fn exchange(new: &Path, place: &Path) -> Result<(), FileError> {
    let cwd = rustix::fs::CWD;
    let exchanged = rustix::fs::renameat_with(cwd, new, cwd, place, RenameFlags::EXCHANGE);
    let put = match exchanged {
        Err(rustix::io::Errno::NOENT) => fs::rename(new, place),
        other => other.map_err(io::Error::from),
    };
    let put = put.and_then(|()| File::open(folder_of(place))?.sync_all());
    put.map_err(|e| FileError::new(place, "replaced", e))
}

/// The new content in a file of its own, in the same folder so that a rename can put it in place.
fn write_temporary(path: &Path, bytes: &[u8], mode: u32) -> io::Result<(File, PathBuf)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = folder_of(path).join(name);
    // Left over from a crash before the rename.
    if let Err(e) = fs::remove_file(&temporary)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(e);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    // Regardless of the umask.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    Ok((file, temporary))
}

/// The parent of a bare name is "", which system calls do not accept as the working directory.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Root becomes the user that the folder belongs to, with that user's group and no other, so that what it writes there can
/// be read by whom it is for. For programs of one thread.
pub fn become_owner(dir: &Path) -> Result<(), FileError> {
    let Ok(meta) = fs::metadata(dir) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || meta.uid() == 0 {
        return check_owner(dir);
    }
    let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
    let step_down = || -> rustix::io::Result<()> {
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)
    };
    step_down().map_err(|e| FileError::new(dir, "written as its owner", e.into()))
}

/// Fails if the folder belongs to another user: that user could not read a private file that we write there.
pub fn check_owner(dir: &Path) -> Result<(), FileError> {
    // A folder that does not exist yet will be ours.
    let Ok(meta) = fs::metadata(dir) else { return Ok(()) };
    check_owner_is(dir, meta.uid(), rustix::process::geteuid().as_raw())
}

fn check_owner_is(dir: &Path, owner: u32, us: u32) -> Result<(), FileError> {
    if owner == us {
        return Ok(());
    }
    let name = |uid: u32| accounts::name_of(uid).unwrap_or_else(|| uid.to_string());
    Err(FileError::NotOurs { dir: dir.to_owned(), owner: name(owner), us: name(us) })
}

pub fn make_private_dir(dir: &Path) -> Result<(), FileError> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| FileError::new(dir, "made", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_whole_and_bounded_when_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/key");
        write_private(&path, b"secret").unwrap();
        write_private(&path, b"newer").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap().as_deref(), Some(&b"newer"[..]));
        assert!(matches!(read_bounded(&path, 4), Err(FileError::TooLarge { .. })));
        assert!(read_bounded(&dir.path().join("none"), 4).unwrap().is_none());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        write_public(&path, b"status").unwrap();
        assert_eq!(mode(&path), 0o644);
        replace_unsynced(&path, b"note").unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"note".to_vec()));
    }

    #[test]
    fn the_error_about_a_folder_of_another_user_names_whom_to_run_as() {
        let dir = tempfile::tempdir().unwrap();
        check_owner(dir.path()).unwrap();
        check_owner(&dir.path().join("none yet")).unwrap();
        let text = check_owner_is(dir.path(), 65_534, 0).unwrap_err().to_string();
        assert!(
            text.contains("belongs to nobody") && text.contains("as root, which becomes nobody"),
            "{text}"
        );
    }

    #[test]
    fn a_name_without_a_folder_is_in_the_working_directory() {
        let name = format!("sudare-bare-name-{}", std::process::id());
        write_private(Path::new(&name), b"x").unwrap();
        fs::remove_file(&name).unwrap();
    }
}
