//! `cargo xtask …`: the commands of the README, each of which sets the machine up first.
//!
//! ```text
//!   setup ──► packages ─► build ─► python ─► models ─► photographs ─► cargo-deny
//!     ▲          apt       cargo     venv      sudare     sudare        cargo
//!     ├── demo   ─► target/debug/sudare-demo, with --xrdp target/debug/sudare-stack
//!     ├── test   ─► tidy, format, clippy, deny, tests, fuzz
//!     ├── bench  ─► target/release/sudare-bench
//!     ├── accuracy ► target/release/sudare-accuracy
//!     └── package ─► target/package/*.deb
//! ```
//! Every step of the set-up looks first and works only where something is missing, so a
//! second run is quick and needs no network. What is made lies in `target/xtask`.
//! This package depends on none of our others: a fresh clone builds it before anything
//! that they need is installed.
//!
//! | module | what |
//! |---|---|
//! | `setup` | packages, build, Python, models, photographs |
//! | `demo`, `test`, `bench`, `accuracy`, `package` | the commands |
//! | `tidy` | rules that no compiler knows |
//! | `steps`, `report`, `run`, `project` | what a command is made of |

mod accuracy;
mod bench;
mod demo;
mod package;
mod project;
mod report;
mod run;
mod setup;
mod steps;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;

/// Sets this machine up and runs what you ask for.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install and fetch what the other commands need (they do it themselves as well)
    Setup,
    /// Play the main job on this machine: a stranger looks, the remote desktop turns black
    Demo {
        /// Watch the webcam of this machine instead of the scene made from photographs
        #[arg(long)]
        camera: bool,
        /// Play on a real xrdp session with xfreerdp and the plugin (needs root; in namespaces of its own)
        #[arg(long, conflicts_with = "camera")]
        xrdp: bool,
    },
    /// Check format, lints, licences and structure, and run all tests
    Test {
        /// More seeds in the simulation and longer fuzzing
        #[arg(long)]
        long: bool,
    },
    /// Measure, beside the same work in OpenCV
    Bench {
        /// One part alone: seat, evidence, gate, fleet, field or build
        #[arg(long)]
        only: Option<String>,
        /// Ten times as many pictures to see whether memory grows
        #[arg(long)]
        long: bool,
    },
    /// Make Debian packages of everything that people install, in target/package
    Package {
        /// Build all of it once more in another folder, and see whether the bytes are the same
        #[arg(long)]
        twice: bool,
    },
    /// Measure how far the eyes can be trusted, on clips of people that you give
    Accuracy {
        /// Folder with a clip, or a folder of pictures, of each person
        #[arg(long)]
        people: Option<PathBuf>,
        /// A few people and scenes, in two minutes
        #[arg(long)]
        quick: bool,
        /// One part alone: identity, alone, onlooker_2m, street and others
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    match Project::locate().and_then(|project| start(&project, &Arguments::parse().task)) {
        Ok(code) => code,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(project: &Project, task: &Task) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::command(project),
        Task::Demo { xrdp: true, .. } => demo::xrdp(project),
        Task::Demo { camera, .. } => demo::command(project, *camera),
        Task::Test { long } => test::command(project, *long),
        Task::Bench { only, long } => bench::command(project, only.as_deref(), *long),
        Task::Package { twice } => package::command(project, *twice),
        Task::Accuracy { people, quick, only } => {
            let wanted = accuracy::Wanted { people: people.as_deref(), quick: *quick, only: only.as_deref() };
            accuracy::command(project, &wanted)
        }
    }
}
