//! `sudare-audit`: what the security team uses to verify, list, open, export and erase evidence, offline.
//!
//! Exit codes: 0 intact, 1 findings, 2 the audit could not be done.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod cli;

use std::process::ExitCode;

use sudare_base::output;

use cli::{args, dispatch};

fn main() -> ExitCode {
    // clap exits with 2 by itself when the arguments are wrong, which is our code for "could not be done".
    let args: args::Args = output::parse();
    match dispatch::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::error(args::NAME, &error);
            ExitCode::from(2)
        }
    }
}
