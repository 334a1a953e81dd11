//! The only place that prints: the guard keeps what this program says on standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one output module of this program")]

/// Tells the administrator.
pub(crate) fn log(text: &str) {
    eprintln!("sudare-blanker: {text}");
}

/// A line that another program reads.
pub(crate) fn answer(line: &str) {
    println!("{line}");
}
