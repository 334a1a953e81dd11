//! `sudare-audit`: what the security team uses to verify, list and open evidence, offline.
//!
//! Exit codes: 0 intact, 1 findings, 2 the audit could not be done.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{args, commands, output};

fn main() -> ExitCode {
    // clap ends with 2 itself when the arguments are wrong, which is our code for "could not".
    let args = args::Args::parse();
    match commands::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
