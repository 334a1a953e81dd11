//! `sudare-host recorder`.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use clap::Args;
use sudare_host_ext::harden::{self, Rules};
use sudare_host_ext::notify::Notifier;
use sudare_host_ext::recorder::{EvidenceSink as _, Remote, server};
use sudare_host_ext::serve;
use sudare_host_ext::store::{Durable, OsDisk, StoreError};

use crate::serve::wait_for_end;
use crate::{Settings, output};

/// Of the time after which systemd takes silence as a failure: how often it is looked whether all is well.
const LOOKS_PER_PATIENCE: u32 = 6;

/// Keeps the evidence of all sessions of this machine, as a user of its own, until it is told to stop
/// (Ctrl-C or SIGTERM). While it does not run, sessions whose policy requires evidence stay covered.
///
/// Once it has read its key it closes everything to itself but the evidence and its socket (Landlock).
#[derive(Debug, Args)]
pub(crate) struct Recorder {
    /// Only print the line that auditors need to verify this host's log, and end
    #[arg(long)]
    print_key: bool,
}

impl Recorder {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let config = settings.load(&[])?;
        if self.print_key {
            output::line(&serve::log_vkey(&config)?);
            return Ok(());
        }
        harden::protect()?;
        let mut options = serve::recorder_options(&config)?;
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
        harden::confine(&Rules::recorder(&config))?;
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
        wait_for_end()?;
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
