//! The one place that prints.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program's results go to standard output")]

use indicatif::{ProgressBar, ProgressStyle};
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

/// How far it has come, on standard error, and only if that is a terminal.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}
