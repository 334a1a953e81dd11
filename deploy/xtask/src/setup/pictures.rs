//! Photographs of people for the demo and the tests. Their owners do not allow us to hand
//! them on, so they are fetched, never committed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Purpose;
use crate::project::Project;
use crate::run::Job;

/// Where a person's own choice of photographs is given, and where tests find them.
pub(crate) const VARIABLE: &str = "SUDARE_TEST_PICTURES";

pub(super) fn fetch(project: &Project, purpose: Purpose, path: &OsString) -> Result<(PathBuf, String)> {
    if let Some(folder) = std::env::var_os(VARIABLE) {
        return Ok((folder.into(), format!("from {VARIABLE}")));
    }
    let folder = project.own.join("photographs");
    // The manifest pins the photographs; another one may ask for others.
    let manifest = project.root.join("models/manifest.toml");
    let wanted = fs::read(&manifest)
        .with_context(|| format!("{} is missing from the checkout", manifest.display()))?;
    let stamp = project.own.join("photographs.stamp");
    if has_pictures(&folder) && fs::read(&stamp).is_ok_and(|fetched| fetched == wanted) {
        return Ok((folder, "all there".to_owned()));
    }
    Job::new(project.program(purpose.profile(), "sudare"))
        .args(["models", "fetch", "--test-photographs"])
        .args([&folder])
        .env("PATH", path)
        .dir(&project.root)
        .run()
        .context("the test photographs are not there")?;
    if !has_pictures(&folder) {
        bail!("{} is still empty. Remove it and try again", folder.display());
    }
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok((folder, String::new()))
}

fn has_pictures(folder: &Path) -> bool {
    let is_jpeg = |path: PathBuf| path.extension().is_some_and(|extension| extension == "jpg");
    fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|e| is_jpeg(e.path()))))
}
