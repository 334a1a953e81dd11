//! Which service needs what: paths and rights only, nothing is opened here.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a process may do with a path and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// List names, and sync the folder.
    List,
    /// Read.
    Read,
    /// Read, if it exists on this machine.
    ReadIfThere,
    /// Create, read and write files, and sync the folder, if it exists on this machine. Nothing is renamed or removed.
    WriteIfThere,
    /// Create, read, write, rename and remove files and folders.
    Keep,
    /// Create a socket, and remove that of the process before.
    Listen,
    /// Start this program, if it exists on this machine.
    RunIfThere,
    /// Read and write a device that keeps nothing, such as /dev/null.
    Device,
}

impl Right {
    /// Whether the service must not start if the path is missing.
    pub fn must_exist(self) -> bool {
        !matches!(self, Right::ReadIfThere | Right::WriteIfThere | Right::RunIfThere | Right::Device)
    }
}

/// Everything that a process may do with files and the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub paths: Vec<(PathBuf, Right)>,
    /// Whether it may open TCP connections. No service may listen on TCP.
    pub connects: bool,
}

/// Where name resolution, certificate authorities and time zones are read from. Folders instead of files, because the
/// files are replaced while a service runs.
const SYSTEM: [&str; 10] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/run/systemd/resolve",
    "/run/resolvconf",
];

impl Rules {
    /// What a service that connects needs of the system.
    pub fn system() -> impl Iterator<Item = (PathBuf, Right)> {
        SYSTEM.into_iter().map(|path| (path.into(), Right::ReadIfThere))
    }

    /// A service that reads evidence and sends it elsewhere: to `folders`, and over the network if it `connects`. It reads
    /// `files` again and again, also once others were put in their places.
    pub fn reader(store: &Path, state: &Path, files: &[PathBuf], folders: &[&Path], connects: bool) -> Self {
        let mut paths = vec![(store.to_owned(), Right::Read), (state.to_owned(), Right::Keep)];
        // The folder that holds the state folder is synced too.
        paths.push((parent(state), Right::List));
        paths.push(("/dev/urandom".into(), Right::ReadIfThere));
        // The new one is a file of its own: the right to the old one does not cover it.
        let places = files.iter().flat_map(|file| [file.clone(), parent(file)]);
        let places = places.filter(|place| place != Path::new("/"));
        paths.extend(places.map(|place| (place, Right::ReadIfThere)));
        paths.extend(folders.iter().map(|folder| ((*folder).to_owned(), Right::Keep)));
        if connects {
            paths.extend(Self::system());
        }
        Rules { paths, connects }
    }
}

/// Where the environment says the certificate authorities are, instead of the system's locations: a file, and folders
/// with colons between them.
pub fn authorities(file: &OsStr, folders: &OsStr) -> Vec<PathBuf> {
    let file = Some(PathBuf::from(file));
    file.into_iter()
        .chain(std::env::split_paths(folders))
        .filter(|path| !path.as_os_str().is_empty())
        .collect()
}

/// The folder that contains the path.
pub fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        None => "/".into(),
        Some(parent) if parent.as_os_str().is_empty() => ".".into(),
        Some(parent) => parent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rights to a path; a nearer rule does not hide the ones above it.
    fn rights(rules: &Rules, path: &str) -> Vec<Right> {
        let above = rules.paths.iter().filter(|(above, _)| Path::new(path).starts_with(above));
        above.map(|(_, right)| *right).collect()
    }

    #[test]
    fn a_reader_reads_the_store_and_writes_only_to_its_state_and_folders() {
        let (store, state) = (Path::new("/srv/evidence"), Path::new("/var/lib/sudare-ship"));
        let key = ["/etc/sudare/log.vkey".into()];
        let net = Rules::reader(store, state, &key, &[], true);
        assert_eq!(rights(&net, "/srv/evidence/wal"), [Right::Read]);
        assert_eq!(rights(&net, "/etc/ssl/certs"), [Right::ReadIfThere]);
        let local = Rules::reader(store, state, &key, &[Path::new("/mnt/audit")], false);
        assert!(!local.connects && rights(&local, "/mnt/audit/checkpoint") == [Right::Keep]);
        assert_eq!(rights(&local, "/etc/ssl/certs"), []);
        // Also the file that an editor puts in its place.
        assert!(rights(&local, "/etc/sudare/log.vkey.new").contains(&Right::ReadIfThere));
        for rules in [net, local] {
            let kept = rules.paths.iter().filter(|(_, right)| *right == Right::Keep);
            assert!(kept.into_iter().all(|(path, _)| !path.starts_with(store) && !store.starts_with(path)));
        }
    }

    #[test]
    fn the_folders_of_authorities_are_a_list() {
        let of = |file: &str, folders: &str| authorities(OsStr::new(file), OsStr::new(folders));
        assert_eq!(of("/a/ca.pem", "/b:/c"), ["/a/ca.pem", "/b", "/c"].map(PathBuf::from));
        assert_eq!(of("", "/b:"), [PathBuf::from("/b")]);
        assert!(of("", "").is_empty());
    }
}
