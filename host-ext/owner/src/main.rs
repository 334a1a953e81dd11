//! `sudare-owner`: tells gates whose desktop they show.
//!
//! Exit codes: 0 stopped by a signal, 1 it could not start, 2 wrong arguments.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::process::ExitCode;

use clap::Parser;
use sudare_base::config::HostConfig;
use sudare_base::notify::Notifier;
use sudare_base::program::{self, Settings};
use sudare_base::reload::{self, Fixed};
use sudare_base::signals::Signals;
use sudare_base::{accounts, harden, output};
use sudare_owner::server::{self, Askers};

const FIXED: [Fixed; 1] = [("owner_socket", |of| of.owner_socket.display().to_string())];

/// Tell gates whose desktop they show.
///
/// Runs under an account of its own, with the one right to look at other processes' sockets (CAP_SYS_PTRACE), until
/// stopped (Ctrl-C or SIGTERM). While it is not running, gates before this machine's xrdp stay covered.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-owner",
    version,
    after_help = "\
Example:
  systemctl restart sudare-owner        as installed"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    program::run("sudare-owner", || cli.run())
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        let config = self.settings.load(&[])?;
        harden::protect()?;
        let askers = Askers::new(accounts::system_uid(&config.run_as)?);
        let notifier = Notifier::from_environment()?;
        let listener = server::open(&config.owner_socket)?;
        server::check(&listener)?;
        let signals = Signals::hear()?;
        let asking = askers.clone();
        std::thread::Builder::new().name("gates".into()).spawn(move || server::run(&listener, &asking))?;
        tracing::info!("answering gates");
        if let Some(notifier) = notifier {
            notifier.ready();
        }
        signals.until_end(|| self.reload(&config, &askers));
        Ok(())
    }

    /// For gates that ask from here on; those that were let in stay.
    fn reload(&self, started: &HostConfig, askers: &Askers) {
        let Some(now) = reload::settings(&self.settings, started, &FIXED) else { return };
        match accounts::system_uid(&now.run_as) {
            Ok(uid) => askers.change(uid),
            Err(error) => reload::kept(&error),
        }
    }
}
