//! `sudare-embedded`: an RDP host with a synthetic desktop, for the demo and the tests.
//!
//! Exit codes: 0 ended by a signal, 1 it could not start, 2 wrong arguments.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::process::ExitCode;

use clap::Parser;
use sudare_base::output;
use sudare_base::program::{self, Settings};
use sudare_base::signals::Signals;
use sudare_embedded::host;

/// Run an RDP host with a synthetic desktop, to try Sudare without xrdp. Not for production.
///
/// Runs until stopped (Ctrl-C or SIGTERM); then all sessions are covered and ended. Its folder needs the same keys and
/// records as that of a host: run `sudare-host init`, then add what the security team signs.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-embedded",
    version,
    after_help = "\
Examples:
  sudare-embedded --state-dir ./state
  sudare-embedded --state-dir ./state --listen 127.0.0.1:0 --json"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Print one JSON object when ready: {"ready":true,"listen","log_vkey"}
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    program::run("sudare-embedded", || cli.run())
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        let config = self.settings.load(&[("listen", self.listen.clone())])?;
        let signals = Signals::hear()?;
        let host = host::start(&config)?;
        let (listen, vkey) = (host.rdp.local_addr(), &host.log_vkey);
        if self.json {
            output::json(
                &serde_json::json!({ "ready": true, "listen": listen.to_string(), "log_vkey": vkey })
                    .to_string(),
            );
        } else {
            output::line(&format!("Listening on {listen}. Give this line to the auditors:"));
            output::line(vkey);
        }
        signals.until_end(|| tracing::warn!("nothing is read anew here; restart sudare-embedded instead"));
        drop(host);
        Ok(())
    }
}
