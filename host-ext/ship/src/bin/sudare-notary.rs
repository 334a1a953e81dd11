//! `sudare-notary`: has a checkpoint cosigned by a witness, or dated by a time-stamp service.
//!
//! Exit codes: 0 done, 1 the witness contradicts this store, 2 it could not be done.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use sudare_base::files::write_private;
use sudare_base::{clock, output};
use sudare_evidence::reader::Store;
use sudare_evidence::store::disk::read_bounded;
use sudare_protocol::text::given;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_protocol::tlog::{SignedCheckpoint, VerifierKey, WitnessKey};
use sudare_ship::notary::cosign::{SubmitError, Submitter};
use sudare_ship::notary::stamp::Stamper;

const NAME: &str = "sudare-notary";

/// Have the checkpoint of an evidence store cosigned by a witness or dated by a time-stamp service.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    after_help = "\
Examples:
  sudare-notary cosign /srv/copy --log log.vkey --url https://witness.example --witness witness.vkey \\
    --out checkpoint.cosigned
  sudare-notary stamp /srv/copy --log log.vkey --url https://tsa.example --out checkpoint.tsr
sudare-ship does both for everything it copies. This program is for a copy elsewhere.

Exit codes: 0 done, 1 the witness contradicts this store, 2 it could not be done."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask a witness for a cosignature on the checkpoint of a store folder
    Cosign {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// File with the public line of the log
        #[arg(long)]
        log: PathBuf,
        /// Address of the witness, such as https://witness.example
        #[arg(long)]
        url: String,
        /// File with the public line of the witness
        #[arg(long)]
        witness: PathBuf,
        /// File for the cosigned checkpoint
        #[arg(long)]
        out: PathBuf,
    },
    /// Ask a time-stamp service (RFC 3161) for a token on the checkpoint of a store folder
    Stamp {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// File with the public line of the log
        #[arg(long)]
        log: PathBuf,
        /// Address of the time-stamp service
        #[arg(long)]
        url: String,
        /// File for the response; `openssl ts -verify` checks its signature
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    // clap exits with 2 for wrong arguments, which is our code for "could not be done".
    let done = match output::parse::<Cli>().command {
        Command::Cosign { dir, log, url, witness, out } => cosign(&dir, &log, &url, &witness, &out),
        Command::Stamp { dir, log, url, out } => stamp(&dir, &log, &url, &out),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::error(NAME, &error);
            ExitCode::from(2)
        }
    }
}

fn cosign(dir: &Path, log: &Path, url: &str, witness: &Path, out: &Path) -> anyhow::Result<bool> {
    let witness: WitnessKey =
        text(witness)?.parse().with_context(|| format!("{} is not valid", witness.display()))?;
    let (store, checkpoint) = checkpoint(dir, log)?;
    let cosigned =
        runtime()?.block_on(async { Submitter::new(url, witness)?.submit(&store, &checkpoint).await });
    match cosigned {
        Ok(cosigned) => keep(out, cosigned.note.as_bytes()),
        Err(error @ (SubmitError::RolledBack { .. } | SubmitError::Forked { .. })) => contradicted(error),
        Err(error) => Err(error.into()),
    }
}

fn stamp(dir: &Path, log: &Path, url: &str, out: &Path) -> anyhow::Result<bool> {
    let (_, checkpoint) = checkpoint(dir, log)?;
    let nonce = random()?;
    let fetch = async { Stamper::new(url)?.fetch(checkpoint.note().as_bytes(), nonce).await };
    let stamped = runtime()?.block_on(fetch)?;
    output::line(&stamped.token.time);
    keep(out, &stamped.response)
}

/// The checkpoint of the store, if the log's key signed it: nothing else is submitted.
fn checkpoint(dir: &Path, log: &Path) -> anyhow::Result<(Store, SignedCheckpoint)> {
    let key: VerifierKey = text(log)?.parse().with_context(|| format!("{} is not valid", log.display()))?;
    let store = Store::open(dir)?;
    let Some(note) = store.checkpoint()? else { bail!("{} does not contain a `checkpoint`", dir.display()) };
    let checkpoint = SignedCheckpoint::open(&note, &key)?;
    Ok((store, checkpoint))
}

/// A finding, not a failure: the exit code says so.
fn contradicted(error: SubmitError) -> anyhow::Result<bool> {
    output::error(NAME, &error.into());
    Ok(false)
}

fn keep(out: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    write_private(out, bytes)?;
    Ok(true)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path, MAX_VKEY_BYTES)?;
    given(&bytes).with_context(|| format!("{} is not text", path.display()))
}

fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    read_bounded(path, max_bytes).with_context(|| format!("{} cannot be read", path.display()))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    clock::random().map_err(|error| anyhow::anyhow!("the system provided no randomness: {error}"))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("threads could not be started")
}
