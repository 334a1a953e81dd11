//! `cargo xtask accuracy`: how far the eyes can be trusted, on people that you give.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::project::Project;
use crate::run::Job;
use crate::setup::{self, Purpose};
use crate::steps::Steps;

/// Where the people are, when `--people` does not say it.
const PEOPLE_VARIABLE: &str = "SUDARE_PEOPLE";

/// What is passed on to `sudare-accuracy`, which knows the parts.
pub(crate) struct Wanted<'a> {
    pub(crate) people: Option<&'a Path>,
    pub(crate) quick: bool,
    pub(crate) only: Option<&'a str>,
}

pub(crate) fn command(project: &Project, wanted: &Wanted<'_>) -> Result<ExitCode> {
    if wanted.people.is_none() && std::env::var_os(PEOPLE_VARIABLE).is_none() {
        bail!(
            "there are no people to measure with, and none belong to the project. Give a folder of clips with --people, see docs/accuracy.md"
        );
    }
    // It needs what the benchmark needs: an optimised build, and the Python with OpenCV, which unpacks the clips.
    let purpose = Purpose::Bench;
    // The program starts in the checkout, and people type from where they are.
    let people = wanted.people.map(std::path::absolute).transpose()?;
    let mut steps = Steps::default();
    let ready = setup::run(project, purpose, &mut steps)?;
    steps.require_all()?;
    let mut job = Job::new(project.program(purpose.profile(), "sudare-accuracy"))
        .dir(&project.root)
        .env("SUDARE_BIN_DIR", project.programs(purpose.profile()));
    if let Some(python) = ready.python {
        job = job.env("SUDARE_BENCH_PYTHON", python);
    }
    if let Some(people) = people {
        job = job.args(["--people"]).args([people]);
    }
    if wanted.quick {
        job = job.args(["--quick"]);
    }
    if let Some(part) = wanted.only {
        job = job.args(["--only", part]);
    }
    job.run()?;
    Ok(ExitCode::SUCCESS)
}
