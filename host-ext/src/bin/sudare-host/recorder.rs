//! `sudare-host recorder`.

use clap::Args;
use sudare_host_ext::serve;

use crate::serve::wait_for_end;
use crate::{Settings, output};

/// Keeps the evidence of all sessions of this machine, as a user of its own, until it is told to stop
/// (Ctrl-C or SIGTERM). While it does not run, sessions whose policy requires evidence stay covered.
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
        let recorder = serve::record(&config)?;
        tracing::info!(
            log_vkey = recorder.log_vkey,
            "recording; auditors need this line, which stays the same"
        );
        wait_for_end()?;
        drop(recorder);
        Ok(())
    }
}
