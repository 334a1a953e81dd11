//! The one place that prints.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's results go to standard output")]

use serde::Serialize;

/// A line for people.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// The result as one JSON object.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// Why nothing could be done.
pub(crate) fn error(text: &str) {
    eprintln!("sudare-audit: {text}");
}
