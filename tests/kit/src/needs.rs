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

/// The folder of photographs, from which seats are enrolled. Says so where there is none, and fails where
/// `SUDARE_REQUIRE_TOOLS` demands them.
#[allow(clippy::print_stdout, reason = "a test that was not run says so")]
pub fn photographs() -> Option<PathBuf> {
    let folder = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    if folder.is_none() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "photographs"), "the photographs are missing");
        println!("not run: the photographs are missing. `cargo xtask test` sets everything up");
    }
    folder
}
