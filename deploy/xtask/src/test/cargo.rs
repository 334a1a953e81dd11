//! Runs all tests of the workspace and tells them what was set up for them.

use anyhow::{Result, bail};

use super::summary::Summary;
use crate::project::Project;
use crate::run::{Job, on_path};
use crate::setup::{self, PICTURES_VARIABLE, Ready};

/// Programs that tests use where they are installed, by the name a test would type.
const TOOLS: &[&str] = &[
    "Xvfb",
    "age",
    "busybox",
    "convert",
    "depmod",
    "dh",
    "dpkg-buildpackage",
    "go",
    "help2man",
    "import",
    "lintian",
    "mmdebstrap",
    "openssl",
    "qemu-system-x86_64",
    "rsyslogd",
    "systemd-analyze",
    "systemd-nspawn",
    "v4l2-ctl",
    "xdpyinfo",
    "xfreerdp",
    "xfreerdp3",
    "xwd",
    "xwininfo",
];

/// Runs `cargo test` over the workspace.
pub(super) fn test(
    project: &Project,
    ready: &Ready,
    long: bool,
    summary: &mut Summary,
) -> Result<((), String)> {
    let mut job = Job::cargo(&project.root).args(["test", "--workspace", "--no-fail-fast"]);
    if let Some(folder) = &ready.photographs {
        job = job.env(PICTURES_VARIABLE, folder);
    }
    if let Some(python) = &ready.python {
        job = job.env("SUDARE_TEST_PYTHON", python);
    }
    if long {
        job = job.env("SUDARE_LONG", "1");
    }
    job = job.env("SUDARE_REQUIRE_TOOLS", tools(ready).join(","));
    job.each_line(|line| summary.line(line))?;
    if summary.binaries == 0 {
        bail!("no test binary reported. Look at what cargo printed above");
    }
    Ok(((), format!("{} passed in {} binaries", summary.passed, summary.binaries)))
}

/// What a test must not do without: it fails where it would otherwise leave itself out.
fn tools(ready: &Ready) -> Vec<&'static str> {
    let mut tools: Vec<&str> = TOOLS.iter().copied().filter(|tool| on_path(tool).is_some()).collect();
    let made = [
        ("models", ready.models),
        ("photographs", ready.photographs.is_some()),
        ("python", ready.python.is_some()),
    ];
    tools.extend(made.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name));
    if can_raise_a_session() {
        tools.push("stack");
    }
    tools
}

/// Whether a real xrdp session can be raised in namespaces of its own. What is missing beyond
/// this is a fault of the set-up, and the tests fail.
fn can_raise_a_session() -> bool {
    let namespaces = ["--mount", "--pid", "--net", "--ipc", "--fork", "true"];
    setup::is_root() && on_path("xrdp").is_some() && Job::new("unshare").args(namespaces).succeeds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_to_install_is_not_required_of_the_tests() {
        assert!(!tools(&Ready::default()).contains(&"models"));
        let ready = Ready { models: true, ..Ready::default() };
        assert!(tools(&ready).contains(&"models"));
        assert!(!tools(&ready).contains(&"photographs"));
    }
}
