//! `sudare-picture`: one recording on standard input, its pixels on standard output.
//!
//! It is started by `sudare-gate`, and by `--check`, which looks from the inside whether the sandbox holds.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use sudare_picture::{decode, sandbox};
use sudare_relay::limits::RECORDING_MAX_BYTES;

/// How it ends, for the gate.
const DONE: u8 = 0;
const UNDECODABLE: u8 = 2;
const NO_SANDBOX: u8 = 3;
/// Anything else, such as a gate that has ended.
const FAILED: u8 = 4;

const HELP: &str = "\
Decode what a client was sent into a screenshot, in a sandbox

Usage: sudare-picture [OPTIONS]

Gates start it, one for each screenshot: a recording on standard input, its pixels on standard output.

Options:
      --check    Say from the inside whether the sandbox holds
  -h, --help     Print help
  -V, --version  Print version";

fn main() -> ExitCode {
    // No parser of options, which would be code beside the decoder.
    let option = std::env::args_os().nth(1);
    let checks = option.as_ref().is_some_and(|option| option == "--check");
    if let Some(said) = option.as_ref().and_then(|option| option.to_str()).and_then(about) {
        return writeln!(std::io::stdout(), "{said}")
            .map_or(ExitCode::from(FAILED), |()| ExitCode::from(DONE));
    }
    // Before the first byte of anybody.
    if let Err(error) = sandbox::enter() {
        return end(NO_SANDBOX, &error.to_string());
    }
    if checks {
        let holes = sandbox::holes();
        return if holes.is_empty() {
            end(DONE, "the sandbox holds")
        } else {
            end(NO_SANDBOX, &format!("the sandbox has holes: {}. Report this", holes.join(", ")))
        };
    }
    let mut recording = Vec::new();
    let most = u64::try_from(RECORDING_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(error) = std::io::stdin().lock().take(most).read_to_end(&mut recording) {
        return end(FAILED, &format!("the recording cannot be read: {error}. The gate ended in between"));
    }
    match decode(&recording) {
        Ok(pixels) => match std::io::stdout().lock().write_all(&pixels) {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => {
                end(FAILED, &format!("the picture cannot be written: {error}. The gate ended in between"))
            }
        },
        Err(error) => end(UNDECODABLE, &error.to_string()),
    }
}

fn about(option: &str) -> Option<&'static str> {
    match option {
        "-h" | "--help" => Some(HELP),
        "-V" | "--version" => Some(concat!("sudare-picture ", env!("CARGO_PKG_VERSION"))),
        _ => None,
    }
}

/// One line for people. Who does not hear it still has the number.
fn end(code: u8, said: &str) -> ExitCode {
    writeln!(std::io::stderr(), "{said}").ok();
    ExitCode::from(code)
}
