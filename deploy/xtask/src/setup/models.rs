//! The face models and ONNX Runtime, fetched by our own program.

use anyhow::{Context, Result};
use std::ffi::OsString;

use super::Purpose;
use crate::project::Project;
use crate::run::Job;

/// Lets `sudare models fetch` do its work: it looks into its cache first, knows the hashes,
/// and takes a mirror folder from `SUDARE_MODEL_MIRROR`.
pub(super) fn fetch(project: &Project, purpose: Purpose, path: &OsString) -> Result<((), String)> {
    Job::new(project.program(purpose.profile(), "sudare"))
        .args(["models", "fetch"])
        .env("PATH", path)
        .dir(&project.root)
        .run()
        .context("the models are not complete")?;
    Ok(((), String::new()))
}
