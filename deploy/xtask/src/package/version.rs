//! Which version a checkout is: what every package of it is called, and the time that all files inside have.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run::Job;

pub(super) struct Version {
    /// As Debian reads it.
    pub(super) text: String,
    /// Of the commit, in seconds since 1970.
    pub(super) time_s: String,
    pub(super) has_changes: bool,
}

impl Version {
    /// A commit that is tagged with the version is that version; any other one comes before it, in the order of time.
    pub(super) fn of(source: &Path) -> Result<Self> {
        let manifest = fs::read_to_string(source.join("Cargo.toml"))
            .context("the workspace's Cargo.toml cannot be read")?;
        let released = declared(&manifest)
            .context("the workspace's Cargo.toml names no version in [workspace.package]")?;
        let git = |arguments: &[&str]| Job::new("git").dir(source).args(arguments).env("TZ", "UTC").stdout();
        let time_s = git(&["log", "-1", "--format=%ct"])
            .context("packages are made from a checkout of git, whose commit names their version and time")?;
        let tags = git(&["tag", "--points-at", "HEAD"])?;
        let when = git(&["log", "-1", "--abbrev=12", "--date=format-local:%Y%m%d%H%M%S", "--format=%cd.%h"])?;
        let has_changes = !git(&["status", "--porcelain"])?.trim().is_empty();
        let is_released = tags.lines().any(|tag| tag == format!("v{released}")) && !has_changes;
        let text = if is_released { released } else { format!("{released}~git{}", when.trim()) };
        Ok(Self { text, time_s: time_s.trim().to_owned(), has_changes })
    }
}

/// `version` of the section `[workspace.package]`.
fn declared(manifest: &str) -> Option<String> {
    let section = manifest.split("[workspace.package]").nth(1)?.split("\n[").next()?;
    let line = section.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(line.split('"').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_s_version_is_read_and_no_other() {
        let manifest = "[dependencies]\nversion = \"9\"\n[workspace.package]\nversion = \"0.1.0\"\n[x]\nversion = \"8\"\n";
        assert_eq!(declared(manifest).as_deref(), Some("0.1.0"));
        assert_eq!(declared("[workspace.package]\n[x]\nversion = \"8\"\n"), None);
    }
}
