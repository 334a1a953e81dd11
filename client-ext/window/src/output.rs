//! What this program says on a terminal: help, and why it could not start.

#![allow(clippy::print_stderr, reason = "the one module that prints")]

use std::io::Write as _;

use clap::Parser;
use sudare_protocol::text::printable;

/// Reads the arguments. Help and errors about them are printed here as well.
pub(crate) fn parse<P: Parser>() -> P {
    P::parse()
}

/// An error with its causes on one line. If standard error is closed, nobody listens.
pub(crate) fn error(error: &anyhow::Error) {
    writeln!(std::io::stderr(), "{}", printable(&format!("sudare-window: {error:#}"))).ok();
}
