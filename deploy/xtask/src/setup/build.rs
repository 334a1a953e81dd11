//! Builds our programs once, in the way that the following command builds them again.

use anyhow::Result;

use super::Purpose;
use crate::project::{Profile, Project};
use crate::run::Job;

pub(super) fn programs(project: &Project, purpose: Purpose) -> Result<((), String)> {
    Job::cargo(&project.root).args(arguments(purpose)).run()?;
    Ok(((), String::new()))
}

/// `cargo test` resolves features with the dev-dependencies, so the tests' build does so from
/// the start: otherwise shared crates would be compiled twice.
fn arguments(purpose: Purpose) -> Vec<&'static str> {
    let mut arguments = vec!["build", "--workspace", "--bins"];
    if purpose.profile() == Profile::Release {
        arguments.extend(["--release", "--exclude", "xtask"]);
    }
    if purpose == Purpose::Test {
        arguments.push("--tests");
    }
    arguments
}
