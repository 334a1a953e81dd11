//! `sudare`: the client's command line, one module per command.
//!
//! ```text
//!  doctor · models · enroll · inspect · device-key · receipts   look at or prepare this device
//!  pair      a code, once · open  the remote desktop, every day · consent  what the organisation tells
//!  watch     the decision, without a session
//!  cover     covers the desktop of running connections
//!  (none)    the employee's window (sudare-window)
//!  connect   a session through the bundled RDP client (sudare-headless)
//! ```
//! Exit code 0: done; 1: the input is at fault; 2: the set-up is at fault. Deliberately absent: any decision of its
//! own. Whatever is printed goes through `output`.
//!
//! | module | what |
//! |---|---|
//! | `doctor`, `models` | what is wrong on this PC; fetches the models |
//! | `pair`, `open`, `consent` | from a code to a seat; the remote desktop; what was accepted |
//! | `enroll`, `device_key`, `receipts` | operator files, this device's line, what was recorded of this seat |
//! | `inspect`, `watch` | faces in pictures; the decision over a film or a camera |
//! | `connect` | the bundled RDP client |
//! | `cover`, `window` | covers a running session; starts the window, a program of its own |
//! | `output` | the only place that prints |

mod connect;
mod consent;
mod cover;
mod device_key;
mod doctor;
mod enroll;
mod inspect;
mod models;
mod open;
mod output;
mod pair;
mod receipts;
mod watch;
mod window;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sudare_client_runtime::operator::OperatorError;
use sudare_models::ModelError;
use sudare_vision::engine::EngineError;
use tracing_subscriber::EnvFilter;

/// Watch the webcam on this PC, so that a remote desktop is shown to its operator only
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "\
Without a command, the window opens. On a command line, start with:
  sudare pair CODE             the code that your administrator gave you
  sudare open NAME             the remote desktop
  sudare doctor                what is wrong on this PC

Settings: SUDARE_HOME (this device's files), SUDARE_CACHE (models), SUDARE_LOG (such as info or debug)."
)]
struct Arguments {
    /// Without one, the window opens
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Connect(connect::Arguments),
    Consent(consent::Arguments),
    Cover(cover::Arguments),
    DeviceKey(device_key::Arguments),
    Doctor(doctor::Arguments),
    Models(models::Arguments),
    Enroll(enroll::Arguments),
    Inspect(inspect::Arguments),
    Open(open::Arguments),
    Pair(pair::Arguments),
    Receipts(receipts::Arguments),
    Watch(watch::Arguments),
}

fn main() -> ExitCode {
    let arguments: Arguments = output::parse();
    let filter = EnvFilter::try_from_env("SUDARE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ort=error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let result = arguments.command.as_ref().map_or_else(window::open, start);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(if is_set_up_at_fault(&error) { 2 } else { 1 })
        }
    }
}

fn start(command: &Command) -> anyhow::Result<()> {
    if matches!(command, Command::Connect(_) | Command::Enroll(_) | Command::Inspect(_) | Command::Watch(_)) {
        models::fetch_at_first_use()?;
    }
    match command {
        Command::Connect(arguments) => connect::run(arguments),
        Command::Consent(arguments) => consent::run(arguments),
        Command::Cover(arguments) => cover::run(arguments),
        Command::DeviceKey(arguments) => device_key::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Enroll(arguments) => enroll::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Open(arguments) => open::run(arguments),
        Command::Pair(arguments) => pair::run(arguments),
        Command::Receipts(arguments) => receipts::run(arguments),
        Command::Watch(arguments) => watch::run(arguments),
    }
}

fn is_set_up_at_fault(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<EngineError>()
            || cause.is::<ModelError>()
            || cause.is::<doctor::Problems>()
            || cause.is::<window::NoWindow>()
            || matches!(
                cause.downcast_ref::<OperatorError>(),
                Some(OperatorError::NoHome | OperatorError::DamagedSeed { .. } | OperatorError::NoRandomness)
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together_and_every_command_has_an_example() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Example"), "{} has no example:\n{help}", sub.get_name());
        }
    }
}
