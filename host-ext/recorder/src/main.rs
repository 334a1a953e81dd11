//! `sudare-recorder`: records the evidence of all sessions on this host.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use clap::Parser;
use sudare_base::metrics::MetricsPlace;
use sudare_base::notify::Notifier;
use sudare_base::program::{self, Settings};
use sudare_base::reload::{self, Fixed};
use sudare_base::signals::Signals;
use sudare_base::{harden, output};
use sudare_evidence::report::{EvidenceSink as _, Remote};
use sudare_evidence::store::{Durable, OsDisk, StoreError};
use sudare_recorder::{confine, metrics, server, setup};

/// Checks within the time after which systemd takes silence as a failure.
const CHECKS_PER_WATCHDOG: u32 = 6;

/// It holds its log, its socket and its few rights from the start.
const FIXED: [Fixed; 8] = [
    ("recorder_dir", |of| of.recorder_dir.display().to_string()),
    ("evidence_dir", |of| of.recorder_evidence_dir().display().to_string()),
    ("log_origin", |of| format!("{:?}", of.log_origin)),
    ("recorder_socket", |of| of.recorder_socket.display().to_string()),
    ("run_as", |of| of.run_as.clone()),
    ("ship_state_dir", |of| format!("{:?}", of.ship_state_dir)),
    ("metrics", |of| of.metrics().to_string()),
    ("tls_certificate", |of| of.tls_certificate.display().to_string()),
];

/// Record the evidence of all sessions on this host.
///
/// Runs under an account of its own until stopped (Ctrl-C or SIGTERM). While it is not running, sessions whose policy
/// requires evidence stay covered. After reading its key it confines itself to the evidence and its socket (Landlock).
#[derive(Debug, Parser)]
#[command(
    name = "sudare-recorder",
    version,
    after_help = "\
Examples:
  systemctl restart sudare-recorder                                     as installed
  sudare-recorder --config /etc/sudare/host.toml --print-key            the log's public line, for auditors"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Print the public line that auditors need to verify this host's log, and exit
    #[arg(long)]
    print_key: bool,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
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
        let (mut options, facts) = setup::recorder_options(&config)?;
        // The watchdog below connects as this user.
        options.allowed_uids.push(rustix::process::geteuid().as_raw());
        let notifier = Notifier::from_environment()?;
        // Landlock rules are about existing folders.
        let evidence = config.recorder_evidence_dir();
        Durable::new(OsDisk, &evidence).make_dirs(&evidence)?;
        server::make_socket_dir(&options.socket)?;
        if let Some(missing) = config.ship_state_dir.as_deref().filter(|dir| !dir.exists()) {
            tracing::warn!(
                ship_state_dir = %missing.display(),
                "the shipper's folder does not exist yet; restart the recorder once the shipper has created it"
            );
        }
        // Later it may open no socket for them.
        let figures = figures(&config.metrics());
        let certificate = facts.certificate_files();
        harden::confine(&confine::rules(&config, self.settings.config.as_deref(), &certificate))?;
        let counted = options.metrics.clone();
        let mut recorder = server::start(options)?;
        tracing::info!(
            log_vkey = recorder.log_vkey,
            "recording; auditors need this line, which stays the same"
        );
        if let Some(bound) = figures
            && let Err(error) = metrics::serve(bound, counted, facts)
        {
            tracing::error!(%error, "evidence is recorded, and figures are not shown");
        }
        if let Some(ended) = recorder.take_ended() {
            end_with(ended)?;
        }
        let signals = Signals::hear()?;
        if let Some(notifier) = notifier {
            notifier.ready();
            watch(notifier, config.recorder_socket.clone())?;
        }
        signals.until_end(|| drop(reload::settings(&self.settings, &config, &FIXED)));
        drop(recorder);
        Ok(())
    }
}

/// Evidence is worth more than figures: without their socket it is recorded all the same.
fn figures(place: &MetricsPlace) -> Option<metrics::Bound> {
    metrics::bind(place).unwrap_or_else(|error| {
        tracing::error!(
            %error,
            %place,
            "evidence is recorded, and figures are not shown: their socket cannot be opened. See `metrics` in docs/reference/metrics.md"
        );
        None
    })
}

/// A recorder that lost a thread records nothing and looks alive: it ends at once, and systemd restarts it.
fn end_with(ended: Receiver<&'static str>) -> anyhow::Result<()> {
    std::thread::Builder::new().name("ended".into()).spawn(move || {
        if let Ok(thread) = ended.recv() {
            tracing::error!(
                thread,
                "a thread of the recorder died, as reported above; the recorder restarts"
            );
            std::process::exit(1);
        }
    })?;
    Ok(())
}

/// Asks as guards do, so that an answer proves that the committer works; systemd restarts the recorder after a long
/// silence. The thread ends with the process.
fn watch(notifier: Notifier, socket: PathBuf) -> anyhow::Result<()> {
    let Some(watchdog) = notifier.watchdog else { return Ok(()) };
    let pause = (watchdog / CHECKS_PER_WATCHDOG).max(Duration::from_millis(100));
    std::thread::Builder::new().name("watchdog".into()).spawn(move || {
        loop {
            match Remote::connect(&socket, [0; 16]).and_then(|mut remote| remote.state()) {
                Err(error @ StoreError::NoRecorder { .. }) => {
                    tracing::error!(%error, "the recorder does not answer itself");
                }
                // An error of the disk is an answer, too: a restart would not fix it.
                Ok(_) | Err(_) => notifier.alive(),
            }
            std::thread::sleep(pause);
        }
    })?;
    Ok(())
}
