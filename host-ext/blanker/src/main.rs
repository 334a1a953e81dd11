//! `sudare-blanker`: covers one X11 display.
//!
//! A program of its own, and a small one, because a cover must outlive whoever asked for it: if the
//! guard ends, this process covers and stays; if this process is killed, the X server keeps the
//! windows and the devices stay cut off until a successor takes over.
//!
//! ```text
//! guard ── standard input (socket, both ways) ── link ── cover (decides) ── run ─┬─ windows, surface
//!                                                                                ├─ input, steal, keys
//!                X server ── display ── events (what they mean) ─────────────────┴─ framebuffer (proves)
//! ```
//!
//! | module | what |
//! |---|---|
//! | `cover` | requests and looks in, steps and replies out; pure; starts covered |
//! | `run`, `link` | the loop; the guard's end: its end, or nonsense from it, covers |
//! | `blanker`, `start` | the steps; the first moments: cover first, grabs afterwards |
//! | `windows`, `surface`, `layout` | the overlay and a window beneath it; the words; monitors |
//! | `framebuffer` | reads the screen back, and takes the screenshot before the cover is mapped |
//! | `input`, `steal`, `keys` | cuts off keyboard and mouse; F1, F2, F3 |
//! | `compositor`, `events` | who may draw above the desktop; what an event means |
//! | `reclaim`, `linger` | windows of a predecessor that died; when the X server ended our connection |
//! | `preflight` | whether a cover can be relied on here |
//! | `display`, `error`, `output` | connection, refusals, printing |

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod blanker;
mod compositor;
mod cover;
mod display;
mod error;
mod events;
mod framebuffer;
mod input;
mod keys;
mod layout;
mod linger;
mod link;
mod output;
mod preflight;
mod reclaim;
mod run;
mod start;
mod steal;
mod surface;
mod windows;

use std::process::ExitCode;

use error::BlankerError;

const HELP: &str =
    "usage: sudare-blanker [--server-pid PID]   covers a display; the guard speaks on standard input
       sudare-blanker --preflight            tells whether the display of $DISPLAY can be covered";

enum Command {
    Cover { server_pid: Option<i32> },
    Preflight,
    Help,
}

fn main() -> ExitCode {
    let result = match command(std::env::args().skip(1)) {
        Ok(Command::Cover { server_pid }) => run::run(server_pid),
        Ok(Command::Preflight) => return run::preflight(),
        Ok(Command::Help) => {
            output::answer(HELP);
            Ok(())
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::log(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn command(mut arguments: impl Iterator<Item = String>) -> Result<Command, BlankerError> {
    let mut command = Command::Cover { server_pid: None };
    while let Some(argument) = arguments.next() {
        command = match argument.as_str() {
            "--server-pid" => {
                let pid = arguments.next().and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
                let wrong = || BlankerError::Arguments("--server-pid needs a process number".into());
                Command::Cover { server_pid: Some(pid.ok_or_else(wrong)?) }
            }
            "--preflight" => Command::Preflight,
            "--help" | "-h" => Command::Help,
            unknown => return Err(BlankerError::Arguments(format!("unknown argument {unknown}"))),
        };
    }
    Ok(command)
}
