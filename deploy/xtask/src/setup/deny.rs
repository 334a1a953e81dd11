//! cargo-deny: the one that is installed if it is new enough, otherwise our own copy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::project::Project;
use crate::run::{Job, on_path};

/// Built from crates.io with its own lock file. (The wheels on `PyPI` end at 0.14.2 of 2023,
/// which cannot read what today's cargo says about a workspace.)
const VERSION: &str = "0.20.2";
/// Older ones want settings in deny.toml that newer ones refuse.
const OLDEST: (u32, u32) = (0, 18);

/// Returns the program, and builds it first where there is none.
pub(super) fn install(project: &Project) -> Result<(PathBuf, String)> {
    let tools = project.own.join("tools");
    let own = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    for program in on_path("cargo-deny").into_iter().chain([own.clone()]) {
        let words = Job::new(&program).args(["--version"]).stdout();
        if let Some(version) = words.ok().as_deref().and_then(version)
            && version >= OLDEST
        {
            return Ok((program, format!("version {}.{} is there", version.0, version.1)));
        }
    }
    let build = tools.join("build");
    Job::cargo(&project.root)
        // Unoptimised it builds in a minute and reads everything in three seconds.
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--quiet"])
        .args(["--no-track", "--force", "--root"])
        .args([&tools])
        .args(["--target-dir"])
        .args([&build])
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .run()
        .context("cargo-deny could not be built. Check the network")?;
    // Half a gigabyte that nobody needs again; leaving it behind would do no harm.
    fs::remove_dir_all(&build).ok();
    Ok((own, format!("built {VERSION}")))
}

/// Reads `cargo-deny 0.20.2`.
fn version(words: &str) -> Option<(u32, u32)> {
    let mut numbers = words.trim().strip_prefix("cargo-deny ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        assert_eq!(version("cargo-deny 0.20.2\n"), Some((0, 20)));
        assert!(version("cargo-deny 0.9.1").is_some_and(|old| old < OLDEST));
        assert_eq!(version("error: no such command"), None);
    }
}
