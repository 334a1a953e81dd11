//! Sets a machine up: what the build, the demo, the tests and the benchmark need.
//!
//! Each step looks first and works only where something is missing. A step that fails
//! does not hide the later ones; who calls decides whether it can go on.

mod apt;
mod build;
mod models;
mod pictures;
mod python;
mod services;
mod tool;

pub(crate) use apt::is_root;
pub(crate) use pictures::VARIABLE as PICTURES_VARIABLE;
pub(crate) use tool::CYCLONEDX;

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::project::{Profile, Project};
use crate::report;
use crate::steps::Steps;

/// What the machine is set up for. Each asks for no more than it needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// All of the others.
    Everything,
    Demo,
    /// The demo on a real xrdp session.
    Stack,
    Test,
    /// The tests with those that take long.
    LongTest,
    Bench,
    /// To make packages.
    Package,
}

/// What is there after the set-up. A missing value says that its step failed.
#[derive(Default)]
pub(crate) struct Ready {
    /// Our programs are built.
    pub(crate) built: bool,
    /// The models and ONNX Runtime are in the cache.
    pub(crate) models: bool,
    /// The Python with the pinned packages of this purpose.
    pub(crate) python: Option<PathBuf>,
    /// The folder with the test photographs.
    pub(crate) photographs: Option<PathBuf>,
    pub(crate) cargo_deny: Option<PathBuf>,
}

/// `cargo xtask setup`.
pub(crate) fn command(project: &Project) -> Result<ExitCode> {
    let mut steps = Steps::default();
    run(project, Purpose::Everything, &mut steps)?;
    report::table(steps.rows());
    steps.require_all()?;
    Ok(ExitCode::SUCCESS)
}

/// Does the set-up for one purpose.
///
/// # Errors
/// Only when another set-up cannot be waited for; failed steps are written down in `steps`.
pub(crate) fn run(project: &Project, purpose: Purpose, steps: &mut Steps) -> Result<Ready> {
    let _alone = wait_for_others(project)?;
    let mut ready = Ready::default();
    if !system_packages(project, purpose, steps) {
        for name in ["build", "python", "models", "photographs"] {
            steps.skip(name, "packages are missing");
        }
        return Ok(ready);
    }
    let python = steps.run("python", "a private Python with pinned packages, also for pip", || {
        python::install_missing(project, purpose)
    });
    let build = steps.run("build", "our own programs", || build::programs(project, purpose));
    ready.built = build.is_some();
    if ready.built {
        let path = python::search_path(project)?;
        ready.models = fetch_models(project, purpose, &path, steps);
        ready.photographs = fetch_photographs(project, purpose, &path, steps);
    } else {
        steps.skip("models", "our programs are not built");
        steps.skip("photographs", "our programs are not built");
    }
    ready.python = python;
    if purpose.runs_tests() {
        ready.cargo_deny =
            steps.run("cargo-deny", "reads the licences and sources of what we build on", || {
                tool::DENY.install(project)
            });
    }
    Ok(ready)
}

/// What comes from Debian, for this purpose.
pub(crate) fn system_packages(project: &Project, purpose: Purpose, steps: &mut Steps) -> bool {
    let why = "the compilers, fonts and tools that come from Debian";
    steps.run("packages", why, || apt::install_missing(project, purpose)).is_some()
}

impl Purpose {
    pub(crate) fn runs_tests(self) -> bool {
        matches!(self, Self::Test | Self::LongTest | Self::Everything)
    }

    /// Whether it raises displays and sessions with Debian's programs.
    pub(crate) fn raises_sessions(self) -> bool {
        self.runs_tests() || matches!(self, Self::Stack | Self::Bench)
    }

    /// The profile of the programs that this purpose runs.
    pub(crate) fn profile(self) -> Profile {
        // Figures of an unoptimised build would say nothing.
        if self == Self::Bench { Profile::Release } else { Profile::Debug }
    }
}

fn fetch_models(project: &Project, purpose: Purpose, path: &OsString, steps: &mut Steps) -> bool {
    let why = "the face models and ONNX Runtime, checked by hash";
    steps.run("models", why, || models::fetch(project, purpose, path)).is_some()
}

fn fetch_photographs(
    project: &Project,
    purpose: Purpose,
    path: &OsString,
    steps: &mut Steps,
) -> Option<PathBuf> {
    let why = "pictures of people for demo and tests, never part of the repository";
    steps.run("photographs", why, || pictures::fetch(project, purpose, path))
}

/// Two set-ups at once would install into each other; the second waits.
fn wait_for_others(project: &Project) -> Result<File> {
    let path = project.own.join("setup.lock");
    let file = File::create(&path)
        .with_context(|| format!("cannot create {}. Check that the disk is writable", path.display()))?;
    if file.try_lock().is_err() {
        report::note("another set-up of this checkout is running: waiting for it");
        file.lock().context("cannot wait for the other set-up. Try again when it has ended")?;
    }
    Ok(file)
}
