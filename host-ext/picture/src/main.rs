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

fn main() -> ExitCode {
    let checks = std::env::args_os().nth(1).is_some_and(|argument| argument == "--check");
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

/// One line for people. Who does not hear it still has the number.
fn end(code: u8, said: &str) -> ExitCode {
    writeln!(std::io::stderr(), "{said}").ok();
    ExitCode::from(code)
}
