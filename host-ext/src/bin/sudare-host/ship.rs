//! `sudare-host ship`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use sudare_host_ext::ship::{self, Options, Stopper};
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;

use crate::output;
use crate::serve::wait_for_end;

/// Copies evidence to a folder or a bucket, and goes on where it was interrupted.
///
/// Runs until it is told to stop (SIGTERM). It needs to read the store and to write its own folder,
/// nothing else: run it as a user of its own. Credentials of a bucket come from the environment
/// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-host ship --store /var/lib/sudare/evidence --key log.vkey --state /var/lib/sudare-ship \\
    --to s3://evidence/vdi-0042 --headers s3://evidence-headers/vdi-0042
  sudare-host ship --store ./evidence --key log.vkey --state ./ship --to file:///mnt/audit/vdi-0042 --once
  cat /var/lib/sudare-ship/status.json          what it does, and why it does not")]
pub(crate) struct Ship {
    /// Folder of the evidence store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// File with the log's public line
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder of the shipper's own: how far it has come
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// file:///FOLDER or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    to: String,
    /// Another place for the headers of pictures, which must stay deletable
    #[arg(long, value_name = "URL")]
    headers: Option<String>,
    /// Accept a bucket from which everything can be deleted
    #[arg(long)]
    allow_unlocked: bool,
    /// End when all that is there has been shipped
    #[arg(long)]
    once: bool,
    /// With --once: print one JSON object, the same as in status.json
    #[arg(long, requires = "once")]
    json: bool,
}

impl Ship {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let line =
            std::fs::read(&self.key).with_context(|| format!("{} cannot be read", self.key.display()))?;
        let line = String::from_utf8_lossy(line.get(..MAX_VKEY_BYTES).unwrap_or(&line)).into_owned();
        let options = Options {
            store: self.store.clone(),
            key: line.parse::<VerifierKey>()?,
            state: self.state.clone(),
            to: self.to.clone(),
            headers: self.headers.clone(),
            allow_unlocked: self.allow_unlocked,
            once: self.once,
        };
        ship::prepare_process();
        let stopper = Stopper::default();
        let at_end = stopper.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            if let Err(error) = wait_for_end() {
                tracing::error!(%error, "signals cannot be waited for: ending");
            }
            at_end.stop();
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let status = runtime.block_on(ship::follow(&options, &stopper))?;
        if self.json {
            output::line(&serde_json::to_string(&status)?);
        } else if self.once {
            output::line(&format!("{} entries are at {}.", status.shipped, status.destination));
        }
        Ok(())
    }
}
