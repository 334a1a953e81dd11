//! `sudare-ship`: copies a host's evidence off the host.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sudare_base::files::read_bounded;
use sudare_base::signals::Signals;
use sudare_base::{output, program, reload};
use sudare_evidence::status::ship::Status;
use sudare_protocol::text::given;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_protocol::tlog::{VerifierKey, WitnessKey};
use sudare_ship::{Ended, Keys, Notaries, Options, Stopper, confine, follow, prepare_process};

/// Copy evidence to a folder or a bucket, resuming where it was interrupted.
///
/// Runs until stopped (SIGTERM). It reads the store and writes its own folder, and confines itself to that (Landlock):
/// run it as a user of its own. Credentials of a bucket come from the environment (AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL), and so do certificate authorities that the system does not have
/// (SSL_CERT_FILE, or SSL_CERT_DIR, folders with colons between them).
#[derive(Debug, Parser)]
#[command(
    name = "sudare-ship",
    version,
    after_help = "\
Examples:
  sudare-ship --store /var/lib/sudare-recorder/evidence --key log.vkey --state /var/lib/sudare-ship \\
    --to s3://evidence/vdi-0042 --headers s3://evidence-headers/vdi-0042
  sudare-ship --store ./evidence --key log.vkey --state ./ship --to file:///mnt/audit/vdi-0042 --once
  cat /var/lib/sudare-ship/status.json          how it goes, and why it fails"
)]
struct Ship {
    /// Folder of the evidence store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// File with the log's public line
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The shipper's own folder, for its progress
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Destination: file:///FOLDER or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    to: String,
    /// Another destination for the headers of pictures, which must remain deletable
    #[arg(long, value_name = "URL")]
    headers: Option<String>,
    /// Accept a bucket from which everything can be deleted
    #[arg(long)]
    allow_unlocked: bool,
    /// Address of a witness that cosigns what was shipped, such as https://witness.example
    #[arg(long, value_name = "URL", requires = "witness_key")]
    witness: Option<String>,
    /// File with the witness's public line
    #[arg(long, value_name = "FILE", requires = "witness")]
    witness_key: Option<PathBuf>,
    /// Address of a time-stamp service (RFC 3161), asked at most every ten minutes
    #[arg(long, value_name = "URL")]
    timestamps: Option<String>,
    /// Exit once everything has been shipped
    #[arg(long)]
    once: bool,
    /// With --once: print the status as JSON, as in status.json
    #[arg(long, requires = "once")]
    json: bool,
}

fn main() -> ExitCode {
    let ship: Ship = output::parse();
    program::run("sudare-ship", || ship.run())
}

impl Ship {
    fn run(self) -> anyhow::Result<()> {
        let (once, json) = (self.once, self.json);
        let before =
            Status { destination: self.to.clone(), error: Some("start".into()), ..Status::default() };
        let (status, result) = match self.ship() {
            Ok(Ended { status, result }) => (status, result.map_err(anyhow::Error::from)),
            Err(error) => (Status { detail: Some(format!("{error:#}")), ..before }, Err(error)),
        };
        if json {
            // Also of a failure, for the script that reads it.
            output::json(&serde_json::to_string(&status)?);
        } else if once && result.is_ok() {
            output::line(&format!("{} entries are at {}.", status.shipped, status.destination));
        }
        result
    }

    fn ship(self) -> anyhow::Result<Ended> {
        let signals = Signals::hear()?;
        let keys = self.keys()?;
        let options = Options {
            store: self.store.clone(),
            key: keys.log,
            state: self.state.clone(),
            to: self.to.clone(),
            headers: self.headers.clone(),
            allow_unlocked: self.allow_unlocked,
            once: self.once,
            notaries: Notaries {
                witness: self.witness.clone().zip(keys.witness),
                stamper: self.timestamps.clone(),
            },
        };
        let notaries = [self.witness.as_deref(), self.timestamps.as_deref()];
        let places = [Some(self.to.as_str()), self.headers.as_deref()];
        let keys: Vec<&Path> = [Some(&self.key), self.witness_key.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        confine::confine(&self.store, &self.state, &keys, places.into_iter().chain(notaries).flatten())?;
        prepare_process();
        let stopper = Stopper::default();
        let from_outside = stopper.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            signals.until_end(|| self.reload(&from_outside));
            from_outside.stop();
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(follow(&options, &stopper)))
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        let witness = self.witness_key.as_deref().map(public_line).transpose()?;
        let witness = witness.map(|line| line.parse::<WitnessKey>()).transpose()?;
        Ok(Keys { log: public_line(&self.key)?.parse::<VerifierKey>()?, witness })
    }

    fn reload(&self, running: &Stopper) {
        match self.keys() {
            Ok(keys) => {
                tracing::info!(
                    "keys and certificate authorities are read anew. Options and variables, such as credentials, count \
                     from the next start"
                );
                running.renew(keys);
            }
            Err(error) => reload::kept(&error),
        }
    }
}

fn public_line(path: &Path) -> anyhow::Result<String> {
    let bytes = read_bounded(path, MAX_VKEY_BYTES)?;
    let bytes = bytes
        .with_context(|| format!("{} does not exist. Give the file with the public line", path.display()))?;
    given(&bytes).with_context(|| format!("{} is not text", path.display()))
}
