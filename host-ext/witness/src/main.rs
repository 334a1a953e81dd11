//! `sudare-witness`: cosigns checkpoints of logs, and remembers what they said.
//!
//! Exit codes: 0 in order, 1 a log contradicted itself or is silent, 2 it could not be done.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use sudare_base::files::write_private;
use sudare_base::language::Language::{self, En, Ja};
use sudare_base::{clock, output};
use sudare_evidence::store::OsDisk;
use sudare_evidence::store::disk::read_bounded;
use sudare_protocol::keyfile;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use sudare_protocol::tlog::{Cosigner, VerifierKey};
use sudare_witness::pull::{PullError, cosign_folder};
use sudare_witness::server::Server;
use sudare_witness::status::{Hearing, SILENCE_S, Status, status};
use sudare_witness::{Desk, Memory};
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

Exit codes: 0 in order, 1 a log contradicted itself or is silent, 2 it could not be done.
Run the witness on another machine than the logs, under other people: what it adds is that nobody
alone can rewrite what was cosigned.";

/// Cosign the checkpoints of logs, and remember what they said.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = EXAMPLES)]
struct Cli {
    /// Language of what people read; from LANG unless given
    #[arg(long, global = true, value_enum)]
    lang: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the key and the memory of a new witness; prints the line that auditors are given
    Keygen {
        /// Name of the witness, such as witness.example/audit
        #[arg(long)]
        name: String,
        /// File for the private key; must not exist
        #[arg(long)]
        key: PathBuf,
        /// Folder for its memory
        #[arg(long)]
        state: PathBuf,
    },
    /// Cosign what logs send (C2SP tlog-witness), until it is ended
    Serve {
        /// Address and port; put a reverse proxy with TLS in front of it for others than this machine
        #[arg(long, default_value = "127.0.0.1:8790")]
        listen: SocketAddr,
        /// Folder of its memory
        #[arg(long)]
        state: PathBuf,
        /// File with the private key
        #[arg(long)]
        key: PathBuf,
        /// File with public lines of logs; may be given several times
        #[arg(long, required = true)]
        log: Vec<PathBuf>,
        /// Seconds after which a log that has not sent raises an alarm
        #[arg(long, default_value_t = SILENCE_S)]
        silence: u64,
    },
    /// Say which logs were cosigned when; exit 1 if one is silent or an alarm is on record
    Status {
        /// Folder of its memory
        #[arg(long)]
        state: PathBuf,
        /// Seconds after which a log counts as silent
        #[arg(long, default_value_t = SILENCE_S)]
        silence: u64,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Cosign the checkpoint of a store folder or a copy of one, without network
    Check {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// Folder of the memory of the witness
        #[arg(long)]
        state: PathBuf,
        /// File with the private key of the witness
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
    let cli = Cli::parse();
    // clap exits with 2 by itself when the arguments are wrong, which is our code for "could not".
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
        bail!("{} exists and is not overwritten. Give another name, or move it away.", key.display());
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
    let mut desk = open(state, key, logs)?;
    let watched = desk.logs().to_vec();
    desk.memory().change(|memory| memory.set_logs(&watched))?;
    runtime()?.block_on(async {
        let server = Server::bind(listen, desk, silence).await;
        let server = server.with_context(|| format!("{listen} cannot be listened on"))?;
        output::line(&format!("listening on http://{}", server.address()?));
        server.run().await;
        Ok(true)
    })
}

fn show(state: &Path, silence: u64, json: bool, language: Language) -> anyhow::Result<bool> {
    let memory = Memory::open_any(OsDisk, state)?;
    let status = status(&memory, clock::wall_ms() / 1000, silence)?;
    if json {
        output::line(&serde_json::to_string(&status)?);
    } else {
        words(&status, language).iter().for_each(|line| output::line(line));
    }
    Ok(status.ok)
}

fn check(dir: &Path, state: &Path, key: &Path, log: &Path, out: &Path) -> anyhow::Result<bool> {
    let mut desk = open(state, key, &[log.to_owned()])?;
    let Some(log) = desk.logs().first().cloned() else { bail!("{} names no log.", log.display()) };
    match cosign_folder(&mut desk, &log, dir, clock::wall_ms() / 1000) {
        Ok(note) => {
            desk.memory().change(|memory| memory.add_checked(&log))?;
            keep(out, note.as_bytes())
        }
        Err(error @ (PullError::RolledBack { .. } | PullError::Forked { .. })) => contradicted(error),
        Err(error) => Err(error.into()),
    }
}

fn open(state: &Path, key: &Path, logs: &[PathBuf]) -> anyhow::Result<Desk<OsDisk>> {
    let secret = Zeroizing::new(read(key, SECRET_MAX_BYTES)?);
    let secret = std::str::from_utf8(&secret).with_context(|| format!("{} is no text", key.display()))?;
    let secret =
        keyfile::parse_secret(secret).with_context(|| format!("{} cannot be used", key.display()))?;
    let name = Memory::open_any(OsDisk, state)?.witness().name().to_owned();
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
    Ok(Desk::open(OsDisk, state, Cosigner::new(&name, secret)?, keys)?)
}

/// A finding, not a failure: the exit code says so.
fn contradicted(error: PullError) -> anyhow::Result<bool> {
    output::error(NAME, &error.into());
    Ok(false)
}

fn keep(out: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    write_private(out, bytes)?;
    Ok(true)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path, sudare_witness::memory::MAX_LOGS * MAX_VKEY_BYTES)?;
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

fn read(path: &Path, max_bytes: usize) -> anyhow::Result<Vec<u8>> {
    read_bounded(path, max_bytes).with_context(|| format!("{} cannot be read", path.display()))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    clock::random().map_err(|error| anyhow::anyhow!("The system gave no randomness: {error}."))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("No threads could be started")
}

fn words(status: &Status, language: Language) -> Vec<String> {
    let log = |log: &sudare_witness::status::LogStatus| {
        let age = log.age_s.unwrap_or(0);
        match (log.state, language) {
            (Hearing::Heard, Ja) => format!("  {}: {} 件、{age} 秒前に副署", log.origin, log.size),
            (Hearing::Heard, En) => format!("  {}: {} entries, cosigned {age} s ago", log.origin, log.size),
            (Hearing::Silent, Ja) => {
                format!("  沈黙: {}: {} 件、最後の副署は {age} 秒前", log.origin, log.size)
            }
            (Hearing::Silent, En) => {
                format!("  SILENT: {}: {} entries, last {age} s ago", log.origin, log.size)
            }
            (Hearing::Never, Ja) => format!("  未受信: {}", log.origin),
            (Hearing::Never, En) => format!("  NEVER HEARD: {}", log.origin),
        }
    };
    let mut lines: Vec<String> = status.logs.iter().map(log).collect();
    lines.extend(verdicts(status, language));
    lines
}

/// One line for each thing that needs a look, since each has its own remedy; or that there is none.
fn verdicts(status: &Status, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |ja: String, en: String| {
        lines.push(match language {
            Ja => ja,
            En => en,
        });
    };
    let alarms = status.serious_alarms;
    let all = status.logs.len();
    let silent = status.logs.iter().filter(|log| log.state != Hearing::Heard).count();
    if status.logs.is_empty() {
        say(
            "要確認：まだどのログも知りません（`serve` または `check` で登録されます）。".to_owned(),
            "Needs attention: no log is known yet (`serve` and `check` remember theirs).".to_owned(),
        );
    }
    if silent > 0 {
        say(
            format!(
                "要確認：{all} 件のうち {silent} 件のログが途絶えているか、未受信です（ホストと `ship` を確認してください。`check` だけで使う場合は --silence で間隔を指定します）。"
            ),
            format!(
                "Needs attention: {silent} of {all} logs silent or never heard (look at the host and at `ship`; for logs that are only checked, say with --silence how old they may be)."
            ),
        );
    }
    if alarms > 0 {
        say(
            format!("要確認：重大な警報 {alarms} 件（alarms.jsonl を読み、別の場所へ移してください）。"),
            format!(
                "Needs attention: {alarms} serious alarms are on record (read alarms.jsonl, then move it away)."
            ),
        );
    }
    if status.alarms_full_or_damaged {
        say(
            "要確認：alarms.jsonl が満杯か、壊れています（読んで、別の場所へ移してください）。".to_owned(),
            "Needs attention: alarms.jsonl is full or damaged (read it, then move it away).".to_owned(),
        );
    }
    if status.ok {
        say("異常はありません。".to_owned(), "All logs were heard, and none contradicted itself.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use sudare_witness::status::LogStatus;

    #[test]
    fn silence_and_alarms_are_told_apart() {
        let status = |state, serious_alarms| Status {
            ok: state == Hearing::Heard && serious_alarms == 0,
            witness: String::new(),
            logs: vec![LogStatus { origin: "a".into(), state, size: 3, last_s: Some(1), age_s: Some(9) }],
            serious_alarms,
            alarms_full_or_damaged: false,
        };
        let told = |status: &Status| verdicts(status, En).join(" ");
        assert!(told(&status(Hearing::Heard, 0)).contains("none contradicted"));
        let silent = told(&status(Hearing::Silent, 0));
        assert!(silent.contains("1 of 1 logs silent") && !silent.contains("alarms"), "{silent}");
        let alarms = told(&status(Hearing::Heard, 2));
        assert!(alarms.contains("2 serious alarms") && !alarms.contains("silent"), "{alarms}");
        let nobody = Status { logs: Vec::new(), ok: false, ..status(Hearing::Heard, 0) };
        assert!(told(&nobody).contains("no log is known"));
    }
}
