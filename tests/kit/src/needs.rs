//! What a test needs of the machine.

use std::path::PathBuf;

/// Where a program lies; the folders of the administrator count even when PATH leaves them out.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Whether a program is there.
pub fn is_installed(name: &str) -> bool {
    find(name).is_some()
}
