//! `sudare-supervisor`: the root service that guards every session of xrdp.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::process::ExitCode;

use clap::Parser;
use sudare_base::program::{self, Settings};
use sudare_base::signals;
use sudare_supervisor::guard_program::GuardProgram;
use sudare_supervisor::sockets::X_SOCKETS;
use sudare_supervisor::{Options, Supervisor};

/// Guard the xrdp sessions of this machine. Runs as root until it is told to stop (SIGTERM).
#[derive(Debug, Parser)]
#[command(
    name = "sudare-supervisor",
    version,
    after_help = "\
Examples:
  systemctl restart sudare-supervisor                    as installed
  sudare-supervisor --config /etc/sudare/host.toml       in the foreground

It starts sudare-guard, which is installed beside it, once for each session."
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    program::run("sudare-supervisor", || run(&cli.settings))
}

fn run(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.load(&[])?;
    let guard = GuardProgram::beside_supervisor()?;
    let supervisor = Supervisor::new(Options {
        guard_program: guard.path(),
        config: settings.config.as_deref().map(std::path::absolute).transpose()?,
        run_as: config.run_as,
        xrdp_group: config.xrdp_group,
        run_dir: config.run_dir,
        x_sockets: X_SOCKETS.into(),
        max_sessions: config.max_sessions,
    })?;
    let stopper = supervisor.stopper();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Err(error) = signals::wait_for_end() {
            tracing::error!(%error, "waiting for signals failed, so the supervisor ends");
        }
        stopper.stop();
    })?;
    // Guards are started from this open file, so it stays open until the supervisor ends.
    let ended = supervisor.run();
    drop(guard);
    Ok(ended?)
}
