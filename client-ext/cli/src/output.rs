//! Everything this program prints. Results go to standard output, progress and errors to standard error, so that
//! `--json` stays machine readable.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one module that prints")]

use std::io::{self, Write as _};
use std::process;

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use sudare_protocol::text::{printable, printable_json};

/// As a shell reports a program that SIGPIPE ended: the reader has seen enough.
const READER_GONE: i32 = 141;
/// The result could not be told.
const NOT_WRITTEN: i32 = 2;

/// One line of a result. Whatever in it would do something else than be seen is replaced: names and advice of a host are
/// among it.
pub(crate) fn line(text: &str) {
    write(&printable(text));
}

/// One line of JSON. Hidden characters are spelt out, so that it says the same.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    write(&printable_json(&serde_json::to_string(value)?));
    Ok(())
}

/// Reads the arguments. Help and errors about them are printed here as well.
pub(crate) fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| {
        let printed = error.print();
        // Where standard error goes nowhere, the code still says what was wrong.
        if !error.use_stderr() {
            finish(printed);
        }
        process::exit(error.exit_code())
    })
}

fn write(text: &str) {
    let mut out = io::stdout().lock();
    finish(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Ends the program if its output goes nowhere: quietly if the reader has gone, and with a word if the disk is full.
fn finish(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(READER_GONE),
        Err(error) => {
            complain(&format!(
                "sudare: the output cannot be written: {error}. Free space where it goes, or send it elsewhere"
            ));
            process::exit(NOT_WRITTEN)
        }
    }
}

/// An error with its causes on one line. A cause that the message quotes already is not repeated.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    complain(&format!("sudare: {text}"));
}

/// A remark that is not a result; it may have several lines.
pub(crate) fn note(text: &str) {
    text.lines().for_each(complain);
}

/// One line on standard error. If that is closed too, nobody listens.
fn complain(text: &str) {
    writeln!(io::stderr(), "{}", printable(text)).ok();
}

/// A progress bar on standard error; invisible if that is not a terminal, or in JSON mode.
pub(crate) fn bar(length: u64, quiet: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), target(quiet));
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The same without a known length.
pub(crate) fn spinner(quiet: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target(quiet));
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

fn target(quiet: bool) -> ProgressDrawTarget {
    if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}
