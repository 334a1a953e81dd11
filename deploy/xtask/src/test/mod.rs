//! `cargo xtask test`: everything that must hold before a change is taken.
//!
//! A step that fails does not stop the later ones, so one run shows all that is wrong.

mod cargo;
mod fuzz;
mod reached;
mod seeds;
mod summary;

use std::process::ExitCode;

use anyhow::Result;

use crate::project::Project;
use crate::run::Job;
use crate::setup::{self, Purpose, Ready};
use crate::steps::Steps;
use crate::{report, tidy};
use summary::Summary;

pub(crate) fn command(project: &Project, long: bool) -> Result<ExitCode> {
    let mut steps = Steps::default();
    let purpose = if long { Purpose::LongTest } else { Purpose::Test };
    let ready = setup::run(project, purpose, &mut steps)?;
    check_sources(project, &ready, &mut steps);
    let mut summary = Summary::default();
    if ready.built {
        steps.run("clippy", "the lints of Cargo.toml, each with its reason", || clippy(project));
        let why = if long { "all tests, the long ones too" } else { "all tests" };
        steps.run("tests", why, || cargo::test(project, &ready, long, &mut summary));
        if fuzz::is_present(project) {
            steps.run("fuzz", "what a peer sends must never end a program", || fuzz::smoke(project, long));
        }
    } else {
        for name in ["clippy", "tests"] {
            steps.skip(name, "our programs are not built");
        }
    }
    report::table(steps.rows());
    let failed = summary.failed + failures_without_a_test(&steps, &summary);
    report::result(&format!("xtask test: {} passed, {failed} failed", summary.passed));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The checks that need nothing to be built.
fn check_sources(project: &Project, ready: &Ready, steps: &mut Steps) {
    steps.run("tidy", "sizes, unsafe, leftovers, who depends on whom, the form of errors", || {
        tidy::check(&project.root)
    });
    steps.run("format", "one layout for everybody", || {
        Job::cargo(&project.root).args(["fmt", "--all", "--check"]).run()?;
        Ok(((), String::new()))
    });
    let Some(cargo_deny) = &ready.cargo_deny else {
        steps.skip("licences", "cargo-deny is not there");
        return;
    };
    steps.run("licences", "licences, banned crates and sources: deny.toml", || {
        let arguments = ["--log-level", "error", "check", "licenses", "bans", "sources"];
        Job::new(cargo_deny).args(arguments).dir(&project.root).run()?;
        Ok(((), String::new()))
    });
}

fn clippy(project: &Project) -> Result<((), String)> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"];
    Job::cargo(&project.root).args(arguments).run()?;
    Ok(((), String::new()))
}

/// Steps that failed without a failed test to show for it: the last line must not read
/// "0 failed" beside an exit code that says otherwise.
fn failures_without_a_test(steps: &Steps, summary: &Summary) -> u64 {
    let counted = |name: &&&str| !(**name == "tests" && summary.failed > 0);
    steps.failed().iter().filter(counted).map(|_| 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn a_failed_step_counts_unless_its_tests_are_counted() {
        let mut steps = Steps::default();
        steps.run::<()>("clippy", "", || bail!("a warning"));
        steps.run::<()>("tests", "", || bail!("exit code 101"));
        let with_failed_tests = Summary { passed: 7, failed: 2, binaries: 1 };
        assert_eq!(failures_without_a_test(&steps, &with_failed_tests), 1);
        // A test binary that does not compile or dies prints no count at all.
        assert_eq!(failures_without_a_test(&steps, &Summary::default()), 2);
    }
}
