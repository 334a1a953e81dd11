//! `sudare-host supervise`.

use clap::Args;
use sudare_host_ext::supervise::sockets::X_SOCKETS;
use sudare_host_ext::supervise::{Options, Supervisor};

use crate::Settings;
use crate::serve::wait_for_end;

/// Guards the sessions of xrdp on this machine; runs as root until it is told to stop (SIGTERM).
#[derive(Debug, Args)]
pub(crate) struct Supervise {}

impl Supervise {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let config = settings.load(&[])?;
        let supervisor = Supervisor::new(Options {
            // What runs now, also when an update has put another file in its place.
            guard_program: "/proc/self/exe".into(),
            config: settings.config.as_deref().map(std::path::absolute).transpose()?,
            run_as: config.run_as,
            xrdp_group: config.xrdp_group,
            run_dir: config.run_dir,
            x_sockets: X_SOCKETS.into(),
            max_sessions: config.max_sessions,
        })?;
        let stopper = supervisor.stopper();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            if let Err(error) = wait_for_end() {
                tracing::error!(%error, "signals cannot be waited for: ending");
            }
            stopper.stop();
        })?;
        Ok(supervisor.run()?)
    }
}
