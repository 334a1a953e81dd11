//! The desktop of the throw-away user in the real-stack tests.
#![allow(clippy::print_stderr, reason = "this program's errors go to the session's log")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sudare_stack::xrdp::secret_desktop::{self, Manner};

/// Fill the screen with known colours
#[derive(Debug, Parser)]
struct Arguments {
    /// Record the input that arrives in this file
    #[arg(long, value_name = "FILE", conflicts_with = "hostile", required_unless_present = "hostile")]
    log: Option<PathBuf>,
    /// Bypass the window manager and stay above all other windows
    #[arg(long)]
    hostile: bool,
}

fn main() -> ExitCode {
    let manner = match Arguments::parse().log {
        Some(log) => Manner::Work { log },
        None => Manner::Hostile,
    };
    match secret_desktop::run(&manner) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("desk: {error:#}");
            ExitCode::FAILURE
        }
    }
}
