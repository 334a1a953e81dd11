//! `cargo xtask bench`: our figures beside the peer's, part by part, in one run.

use std::process::ExitCode;

use anyhow::Result;

use crate::project::Project;
use crate::run::Job;
use crate::setup::{self, PICTURES_VARIABLE, Purpose};
use crate::steps::Steps;

/// The part that measures developers' builds, and needs no other.
const BUILD: &str = "build";

/// `only` names one part, which `sudare-bench` knows.
pub(crate) fn command(project: &Project, only: Option<&str>, long: bool) -> Result<ExitCode> {
    let purpose = if only == Some(BUILD) { Purpose::Demo } else { Purpose::Bench };
    let mut steps = Steps::default();
    let ready = setup::run(project, purpose, &mut steps)?;
    steps.require_all()?;
    let mut job = Job::new(project.program(purpose.profile(), "sudare-bench"))
        .dir(&project.root)
        // It builds the workspace to measure that.
        .unaware_of_us()
        .env("SUDARE_BIN_DIR", project.programs(purpose.profile()));
    if let Some(python) = ready.python {
        job = job.env("SUDARE_BENCH_PYTHON", python);
    }
    if let Some(folder) = ready.photographs {
        job = job.env(PICTURES_VARIABLE, folder);
    }
    if let Some(part) = only {
        job = job.args(["--only", part]);
    }
    if long {
        job = job.args(["--long"]);
    }
    job.run()?;
    Ok(ExitCode::SUCCESS)
}
