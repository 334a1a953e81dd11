//! The output of the host's programs. Nothing else prints, so that `--json` stays machine-readable and no text that
//! somebody else wrote can command the reader's terminal.

use std::io::{self, IsTerminal as _, Write};
use std::process;

use clap::Parser;

use crate::text::{printable, printable_json};

/// As a shell reports a program that SIGPIPE ended: the reader has seen enough.
const READER_GONE: i32 = 141;
/// The result could not be told.
const NOT_WRITTEN: i32 = 2;

/// Prints a line on standard output. Whatever in it would do something else than be seen is replaced.
pub fn line(text: &str) {
    write(&printable(text));
}

/// Prints a remark that is not a result, on standard error.
pub fn note(text: &str) {
    complain(text);
}

/// Whether people see the results at once.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints JSON on standard output; hidden characters are spelt out, so that it says the same.
pub fn json(text: &str) {
    write(&printable_json(text));
}

/// Prints the error and its causes on one line of standard error.
pub fn error(program: &str, error: &anyhow::Error) {
    complain(&format!("{program}: {}", sentence(error)));
}

/// Reads the arguments. Help and errors about them are printed here as well.
pub fn parse<P: Parser>() -> P {
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
                "the output cannot be written: {error}. Free space where it goes, or send it elsewhere"
            ));
            process::exit(NOT_WRITTEN)
        }
    }
}

/// One line on standard error. If that is closed too, nobody listens.
fn complain(text: &str) {
    writeln!(io::stderr(), "{}", printable(text)).ok();
}

/// The error and its causes. Most of our messages contain their cause already; it is not repeated.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_printed_once() {
        let denied = io::Error::other("Permission denied");
        let file = crate::files::FileError::new("key".as_ref(), "opened", denied);
        let text = sentence(&anyhow::Error::from(file));
        assert_eq!(text.matches("Permission denied").count(), 1, "{text}");
        let wrapped = Err::<(), _>(io::Error::other("full")).context("it cannot be written");
        assert_eq!(sentence(&wrapped.unwrap_err()), "it cannot be written: full");
    }
}
