//! `sudare-witness`: cosigns checkpoints of logs and remembers them, on another machine under other people.
//!
//! Exit codes: 0 all is well, 1 a log contradicted itself or is silent, 2 it could not be done.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod messages;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use sudare_base::files::write_private;
use sudare_base::language::Language;
use sudare_base::{clock, output, reload};
use sudare_evidence::store::OsDisk;
use sudare_evidence::store::disk::read_bounded;
use sudare_protocol::keyfile;
use sudare_protocol::text::given;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_protocol::tlog::{Cosigner, VerifierKey};
use sudare_witness::pull::{PullError, cosign_folder};
use sudare_witness::server::Server;
use sudare_witness::status::{SILENCE_S, status};
use sudare_witness::{Memory, Witness};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

const NAME: &str = "sudare-witness";
const SECRET_MAX_BYTES: usize = 4096;

const EXAMPLES: &str = "\
Examples:
  sudare-witness keygen --name witness.example/audit --key witness.key --state /var/lib/sudare-witness
  sudare-witness serve --state /var/lib/sudare-witness --key witness.key --log vdi-0042.vkey
  sudare-witness status --state /var/lib/sudare-witness
  sudare-witness check /srv/copy --state /var/lib/sudare-witness --key witness.key --log vdi-0042.vkey \\
      --out checkpoint.cosigned

Exit codes: 0 all is well, 1 a log contradicted itself or is silent, 2 it could not be done.
Run the witness on another machine than the logs, under other people: then nobody can rewrite alone what was
cosigned.";

/// Cosign checkpoints of logs and remember them.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = EXAMPLES)]
struct Cli {
    /// Language of the output; taken from LANG unless given
    #[arg(long, global = true, value_enum)]
    lang: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the key and the memory of a new witness; prints the public line for the auditors
    Keygen {
        /// Name of the witness, such as witness.example/audit
        #[arg(long)]
        name: String,
        /// File for the secret key; must not exist
        #[arg(long)]
        key: PathBuf,
        /// Folder for its memory
        #[arg(long)]
        state: PathBuf,
    },
    /// Cosign what logs send (C2SP tlog-witness), until ended
    Serve {
        /// Address and port; for other machines, put a reverse proxy with TLS in front of it
        #[arg(long, default_value = "127.0.0.1:8790")]
        listen: SocketAddr,
        /// Folder of its memory
        #[arg(long)]
        state: PathBuf,
        /// File with the secret key
        #[arg(long)]
        key: PathBuf,
        /// File with the public lines of logs; may be given several times
        #[arg(long, required = true)]
        log: Vec<PathBuf>,
        /// Seconds after which a log that has sent nothing raises an alarm
        #[arg(long, default_value_t = SILENCE_S)]
        silence: u64,
    },
    /// Show which logs were cosigned when; exits with 1 if one is silent or an alarm is on record
    Status {
        /// Folder of its memory
        #[arg(long)]
        state: PathBuf,
        /// Seconds after which a log counts as silent
        #[arg(long, default_value_t = SILENCE_S)]
        silence: u64,
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Cosign the checkpoint of a store folder or a copy of one, without a network
    Check {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// Folder of its memory
        #[arg(long)]
        state: PathBuf,
        /// File with the secret key of the witness
        #[arg(long)]
        key: PathBuf,
        /// File with the public line of the log
        #[arg(long)]
        log: PathBuf,
        /// File for the cosigned checkpoint
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    // clap exits with 2 by itself when the arguments are wrong, which is our code for "could not be done".
    match run(&cli.command, Language::choose(cli.lang)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output::error(NAME, &error);
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command, language: Language) -> anyhow::Result<bool> {
    match command {
        Command::Keygen { name, key, state } => keygen(name, key, state),
        Command::Serve { listen, state, key, log, silence } => serve(*listen, state, key, log, *silence),
        Command::Status { state, silence, json } => show(state, *silence, *json, language),
        Command::Check { dir, state, key, log, out } => check(dir, state, key, log, out),
    }
}

fn keygen(name: &str, key: &Path, state: &Path) -> anyhow::Result<bool> {
    if key.exists() {
        bail!(
            "{} is there already and is not overwritten. Give another name, or move it away",
            key.display()
        );
    }
    let secret = Zeroizing::new(random()?);
    let secret = sudare_protocol::SigningKey::from_bytes(&secret);
    let cosigner = Cosigner::new(name, secret.clone())?;
    write_private(key, keyfile::secret_line(&secret).as_bytes())?;
    Memory::create(OsDisk, state, cosigner.public())?;
    output::line(&cosigner.public().to_string());
    Ok(true)
}

fn serve(
    listen: SocketAddr,
    state: &Path,
    key: &Path,
    logs: &[PathBuf],
    silence: u64,
) -> anyhow::Result<bool> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let mut witness = open(state, key, logs)?;
    witness.watch(witness.logs().to_vec())?;
    runtime()?.block_on(async {
        let mut reload = signal(SignalKind::hangup()).context("signals cannot be heard")?;
        let server = Server::bind(listen, witness, silence).await;
        let server = server.with_context(|| format!("cannot listen on {listen}"))?;
        output::line(&format!("listening on http://{}", server.address()?));
        let known = server.logs();
        let reloads = async {
            while reload.recv().await.is_some() {
                // A durable write takes milliseconds, as for a request.
                match public_lines(logs).and_then(|lines| Ok(known.replace(lines)?)) {
                    Ok(()) => tracing::info!(
                        "the public lines of logs were read anew. The witness's own key counts from the next start"
                    ),
                    Err(error) => reload::kept(&format_args!("{error:#}")),
                }
            }
        };
        tokio::join!(server.run(), reloads);
        Ok(true)
    })
}

fn show(state: &Path, silence: u64, json: bool, language: Language) -> anyhow::Result<bool> {
    let memory = Memory::open_any(OsDisk, state)?;
    let status = status(&memory, clock::wall_ms() / 1000, silence)?;
    if json {
        output::json(&serde_json::to_string(&status)?);
    } else {
        messages::status(&status, language).iter().for_each(|line| output::line(line));
    }
    Ok(status.ok)
}

fn check(dir: &Path, state: &Path, key: &Path, log: &Path, out: &Path) -> anyhow::Result<bool> {
    let mut witness = open(state, key, &[log.to_owned()])?;
    let Some(log) = witness.logs().first().cloned() else {
        bail!("{} names no log. Give a file with the public line of a log", log.display())
    };
    match cosign_folder(&mut witness, &log, dir, clock::wall_ms() / 1000) {
        Ok(note) => {
            witness.memory().change(|memory| memory.add_checked(&log))?;
            write_private(out, note.as_bytes())?;
            Ok(true)
        }
        // A finding, not a failure.
        Err(error @ (PullError::RolledBack { .. } | PullError::Forked { .. })) => {
            output::error(NAME, &error.into());
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn open(state: &Path, key: &Path, logs: &[PathBuf]) -> anyhow::Result<Witness<OsDisk>> {
    let secret = Zeroizing::new(read(key, SECRET_MAX_BYTES)?);
    let secret = std::str::from_utf8(&secret).with_context(|| format!("{} is not text", key.display()))?;
    let secret =
        keyfile::parse_secret(secret).with_context(|| format!("{} cannot be used", key.display()))?;
    let name = Memory::open_any(OsDisk, state)?.key().name().to_owned();
    Ok(Witness::open(OsDisk, state, Cosigner::new(&name, secret)?, public_lines(logs)?)?)
}

fn public_lines(logs: &[PathBuf]) -> anyhow::Result<Vec<VerifierKey>> {
    let mut keys = Vec::new();
    for path in logs {
        for line in
            text(path)?.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            keys.push(
                line.parse::<VerifierKey>().with_context(|| format!("{} cannot be used", path.display()))?,
            );
        }
    }
    Ok(keys)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path, sudare_witness::memory::MAX_LOGS * MAX_VKEY_BYTES)?;
    given(&bytes).with_context(|| format!("{} is not text", path.display()))
}

fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    read_bounded(path, max_bytes).with_context(|| format!("{} cannot be read", path.display()))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    clock::random().map_err(|error| anyhow::anyhow!("the system's random source failed: {error}"))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the threads of the server could not be started")
}
