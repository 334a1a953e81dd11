//! The only place of this program that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is the program's output")]

pub(crate) fn line(text: &str) {
    println!("{text}");
}

pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("sudare-host: {error:#}");
}
