//! Subcommands of cargo that others make: the one that is installed if it is new enough, otherwise our own copy.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::project::Project;
use crate::run::{Job, on_path};

/// A program of crates.io, built with its own lock file.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// Older ones do not do what is asked of them here.
    oldest: (u32, u32),
    /// Says which version it is.
    about: &'static [&'static str],
}

/// Reads licences and sources. Older ones want settings in deny.toml that newer ones refuse. (The wheels on `PyPI` end at
/// 0.14.2 of 2023, which cannot read what today's cargo says about a workspace.)
pub(crate) const DENY: Tool =
    Tool { name: "cargo-deny", version: "0.20.2", oldest: (0, 18), about: &["--version"] };
/// Writes what a program is made of, in OWASP's format CycloneDX.
pub(crate) const CYCLONEDX: Tool =
    Tool { name: "cargo-cyclonedx", version: "0.5.9", oldest: (0, 5), about: &["cyclonedx", "--version"] };

impl Tool {
    /// Returns the program, and builds it first where there is none.
    pub(crate) fn install(&self, project: &Project) -> Result<(PathBuf, String)> {
        let tools = project.own.join("tools");
        let own = tools.join("bin").join(format!("{}{}", self.name, std::env::consts::EXE_SUFFIX));
        for program in on_path(self.name).into_iter().chain([own.clone()]) {
            let words = Job::new(&program).args(self.about).stdout();
            if let Some(version) = words.ok().as_deref().and_then(version)
                && version >= self.oldest
            {
                return Ok((program, format!("version {}.{} is there", version.0, version.1)));
            }
        }
        let build = tools.join("build");
        Job::cargo(&project.root)
            // Unoptimised it builds in a minute and reads everything in three seconds.
            .args(["install", self.name, "--version", self.version, "--locked", "--debug", "--quiet"])
            .args(["--no-track", "--force", "--root"])
            .args([&tools])
            .args(["--target-dir"])
            .args([&build])
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .run()
            .with_context(|| format!("{} could not be built. Check the network", self.name))?;
        // Half a gigabyte that nobody needs again; leaving it behind would do no harm.
        fs::remove_dir_all(&build).ok();
        Ok((own, format!("built {}", self.version)))
    }
}

/// Reads `cargo-deny 0.20.2`.
fn version(words: &str) -> Option<(u32, u32)> {
    let mut numbers = words.trim().strip_prefix("cargo-")?.split_once(' ')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        assert_eq!(version("cargo-deny 0.20.2\n"), Some((0, 20)));
        assert!(version("cargo-deny 0.9.1").is_some_and(|old| old < DENY.oldest));
        assert_eq!(version("cargo-cyclonedx-cyclonedx 0.5.9"), Some((0, 5)));
        assert_eq!(version("error: no such command"), None);
    }
}
