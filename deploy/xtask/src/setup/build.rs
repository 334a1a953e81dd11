//! Builds our programs once, in the way that the following command builds them again.

use anyhow::Result;

use super::Purpose;
use crate::project::{Profile, Project};
use crate::run::Job;

pub(super) fn programs(project: &Project, purpose: Purpose) -> Result<((), String)> {
    Job::cargo(&project.root).args(arguments(purpose)).run()?;
    Ok(((), String::new()))
}

/// Naming the examples makes cargo resolve features with the dev-dependencies, as `cargo test`
/// does. Without that some thirty shared crates, serde among them, would be compiled once for
/// the programs and once more for the tests. Libraries are named because FreeRDP's plugin is one:
/// nothing of ours links it, so nothing else would build it.
fn arguments(purpose: Purpose) -> Vec<&'static str> {
    let mut arguments = vec!["build", "--workspace", "--lib", "--bins", "--examples"];
    if purpose.profile() == Profile::Release {
        arguments.push("--release");
    }
    if matches!(purpose, Purpose::Test | Purpose::LongTest) {
        arguments.push("--tests");
    } else {
        // This program runs already.
        arguments.extend(["--exclude", "xtask"]);
    }
    arguments
}
