//! `cargo xtask demo`: the main job on this machine, over a real RDP connection.

use anyhow::Result;
use std::process::ExitCode;

use crate::project::{Profile, Project};
use crate::run::Job;
use crate::setup::{self, PICTURES_VARIABLE, Purpose};
use crate::steps::Steps;

pub(crate) fn command(project: &Project, camera: bool) -> Result<ExitCode> {
    let mut steps = Steps::default();
    let ready = setup::run(project, Purpose::Demo, &mut steps)?;
    steps.require_all()?;
    let mut job = Job::new(project.program(Profile::Debug, "sudare-demo"))
        .dir(&project.root)
        .env("SUDARE_BIN_DIR", project.programs(Profile::Debug));
    if let Some(folder) = ready.photographs {
        job = job.env(PICTURES_VARIABLE, folder);
    }
    if camera {
        job = job.args(["--camera"]);
    }
    job.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The same on xrdp, xorgxrdp and xfreerdp as Debian has them.
pub(crate) fn xrdp(project: &Project) -> Result<ExitCode> {
    let mut steps = Steps::default();
    let ready = setup::run(project, Purpose::Stack, &mut steps)?;
    steps.require_all()?;
    let mut job = Job::new(project.program(Profile::Debug, "sudare-stack")).dir(&project.root).args([
        "story",
        "--out",
        "target/demo-xrdp",
    ]);
    if let Some(folder) = ready.photographs {
        job = job.env(PICTURES_VARIABLE, folder);
    }
    job.run()?;
    Ok(ExitCode::SUCCESS)
}
