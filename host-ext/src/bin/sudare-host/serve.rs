//! `sudare-host serve`.

use clap::Args;
use sudare_host_ext::serve;

use crate::{Settings, output};

/// Runs until it is told to stop (Ctrl-C or SIGTERM); then all sessions end, covered.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Print one JSON object when ready: {"ready":true,"listen","log_vkey"}
    #[arg(long)]
    json: bool,
}

impl Serve {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let config = settings.load(&[("listen", self.listen.clone())])?;
        let host = serve::start(&config)?;
        let (listen, vkey) = (host.rdp.local_addr(), &host.log_vkey);
        if self.json {
            output::line(
                &serde_json::json!({ "ready": true, "listen": listen.to_string(), "log_vkey": vkey })
                    .to_string(),
            );
        } else {
            output::line(&format!("Listening on {listen}. Give this line to the auditors:\n{vkey}"));
        }
        wait_for_end()?;
        drop(host);
        Ok(())
    }
}

pub(crate) fn wait_for_end() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}
