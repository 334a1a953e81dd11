//! `sudare-recorder`: keeps the evidence of all sessions of this machine.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use clap::Parser;
use sudare_base::notify::Notifier;
use sudare_base::program::{self, Settings};
use sudare_base::{harden, output, signals};
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_evidence::store::{Durable, OsDisk, StoreError};
use sudare_recorder::{confine, server, setup};

/// Of the time after which systemd takes silence as a failure: how often it is looked whether all is well.
const LOOKS_PER_PATIENCE: u32 = 6;

/// Keep the evidence of all sessions of this machine.
///
/// Runs under an account of its own until it is told to stop (Ctrl-C or SIGTERM). While it does not run, sessions
/// whose policy requires evidence stay covered. Once it has read its key it confines itself to the evidence and its
/// socket (Landlock).
#[derive(Debug, Parser)]
#[command(
    name = "sudare-recorder",
    version,
    after_help = "\
Examples:
  systemctl restart sudare-recorder                                     as installed
  sudare-recorder --config /etc/sudare/host.toml --print-key            the log's public line, for the auditors"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Only print the line that auditors need to verify this host's log, and exit
    #[arg(long)]
    print_key: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    program::run("sudare-recorder", || cli.run())
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        let config = self.settings.load(&[])?;
        if self.print_key {
            output::line(&setup::log_vkey(&config)?);
            return Ok(());
        }
        harden::protect()?;
        let mut options = setup::recorder_options(&config)?;
        // The watchdog below asks as this user.
        options.allowed_uids.push(rustix::process::geteuid().as_raw());
        let notifier = Notifier::from_environment()?;
        // Rules are about what is there.
        let evidence = config.recorder_evidence_dir();
        Durable::new(OsDisk, &evidence).make_dirs(&evidence)?;
        server::make_socket_dir(&options.socket)?;
        if let Some(missing) = config.ship_state_dir.as_deref().filter(|dir| !dir.exists()) {
            tracing::warn!(
                ship_state_dir = %missing.display(),
                "is not there; once the shipper has made it, restart the recorder, which cannot look at it until then"
            );
        }
        harden::confine(&confine::rules(&config))?;
        let mut recorder = server::start(options)?;
        tracing::info!(
            log_vkey = recorder.log_vkey,
            "recording; auditors need this line, which stays the same"
        );
        if let Some(ended) = recorder.take_ended() {
            end_with(ended)?;
        }
        if let Some(notifier) = notifier {
            notifier.ready();
            watch(notifier, config.recorder_socket)?;
        }
        signals::wait_for_end()?;
        drop(recorder);
        Ok(())
    }
}

/// A recorder that lost a thread records nothing, and looks alive: it ends at once, and systemd starts it anew.
fn end_with(ended: Receiver<&'static str>) -> anyhow::Result<()> {
    std::thread::Builder::new().name("ended".into()).spawn(move || {
        if let Ok(thread) = ended.recv() {
            tracing::error!(thread, "a part of the recorder died; its own words stand above. It starts anew");
            std::process::exit(1);
        }
    })?;
    Ok(())
}

/// Asks as guards do, so that an answer means that the log's thread answers; systemd starts the recorder
/// anew after a long silence. The thread ends with the process.
fn watch(notifier: Notifier, socket: PathBuf) -> anyhow::Result<()> {
    let Some(patience) = notifier.watchdog else { return Ok(()) };
    let pause = (patience / LOOKS_PER_PATIENCE).max(Duration::from_millis(100));
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        loop {
            match Remote::connect(&socket, [0; 16]).and_then(|mut remote| remote.state()) {
                Err(error @ StoreError::NoRecorder { .. }) => {
                    tracing::error!(%error, "the recorder does not answer itself");
                }
                // A disk that refuses is an answer, too: a restart would not mend it.
                Ok(_) | Err(_) => notifier.alive(),
            }
            std::thread::sleep(pause);
        }
    })?;
    Ok(())
}
