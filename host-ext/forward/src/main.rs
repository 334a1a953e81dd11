//! `sudare-forward`: sends alarms from the evidence log to a SIEM.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, ValueEnum};
use sudare_base::signals::Reloads;
use sudare_base::{files, output, program};
use sudare_evidence::reader::Store;
use sudare_evidence::status::forward::{self, Status};
use sudare_forward::http::Collector;
use sudare_forward::receiver::Receiver;
use sudare_forward::syslog::Framing;
use sudare_forward::tls::Tls;
use sudare_forward::{Format, Forwarder, Settings, Target, confine};
use sudare_protocol::text::given;
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::tlog::note::MAX_VKEY_BYTES;
use zeroize::Zeroizing;

/// Not an option, because command lines are visible in every process list.
const TOKEN_VARIABLE: &str = "SUDARE_HEC_TOKEN";

/// Send alarms from the evidence log to a SIEM until stopped.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-forward",
    version,
    after_help = "\
Examples:
  sudare-forward --store /var/lib/sudare-recorder/evidence --key /etc/sudare/log.vkey --state /var/lib/sudare-forward \\
    --to tls://siem.example:6514
  sudare-forward --state /var/lib/sudare-forward --status           print the status and exit
The token of an HTTP Event Collector comes from the environment: SUDARE_HEC_TOKEN."
)]
struct Forward {
    /// Folder of the evidence store, the one that contains `checkpoint`
    #[arg(long, value_name = "DIR", required_unless_present = "status")]
    store: Option<PathBuf>,
    /// Folder for this forwarder's own state; one for each receiver
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// File with the log's public line, as the auditors received it
    #[arg(long, value_name = "FILE", required_unless_present = "status")]
    key: Option<PathBuf>,
    /// tcp://HOST:PORT, tls://HOST:PORT, https://HOST:PORT/services/collector (perhaps with ?channel=GUID) or file:PATH
    #[arg(long, value_name = "RECEIVER", required_unless_present = "status")]
    to: Option<String>,
    /// Format of events
    #[arg(long, value_enum, default_value = "ocsf")]
    format: Form,
    /// How a receiver of syslog (tcp://, tls://) tells events apart; octet unless given
    #[arg(long, value_enum)]
    framing: Option<Frames>,
    /// Certificate authority of the receiver (PEM); by default those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// This host's certificate and key in one PEM file, if the receiver requires one
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Send what is waiting and exit
    #[arg(long)]
    once: bool,
    /// Print the status and exit
    #[arg(long)]
    status: bool,
    /// With --status: print it as JSON
    #[arg(long, requires = "status")]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// OCSF Detection Finding, one JSON object for each event
    Ocsf,
    /// Common Event Format
    Cef,
    /// The OCSF object for Splunk's HTTP Event Collector
    Hec,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Frames {
    /// By the length before each (RFC 6587 octet counting, RFC 5425)
    Octet,
    /// By lines, for receivers that read lines
    Newline,
}

fn main() -> ExitCode {
    let forward: Forward = output::parse();
    program::run("sudare-forward", || forward.run())
}

impl Forward {
    fn run(&self) -> anyhow::Result<()> {
        if self.status {
            return self.show_status();
        }
        let reloads = Reloads::hear()?;
        let (Some(store), Some(key), Some(to)) = (&self.store, &self.key, &self.to) else {
            bail!("--store, --key and --to are required");
        };
        let target: Target = to.parse()?;
        let format = match self.format {
            Form::Ocsf => Format::Ocsf,
            Form::Cef => Format::Cef,
            Form::Hec => Format::Hec,
        };
        target.check(format)?;
        if self.framing.is_some() && !target.is_syslog() {
            bail!("--framing is for tcp:// and tls:// only. Leave it out");
        }
        let settings = Settings {
            store: store.clone(),
            state: self.state.clone(),
            verifier: read_key(store, key)?,
            format,
            syslog: target.is_syslog(),
            to: target.to_string(),
            receiver: self.receiver(target.clone())?,
        };
        // After the files of the command line were read, so that errors in them are reported as such.
        let own = [Some(key), self.ca.as_ref(), self.identity.as_ref()];
        confine::confine(store, &self.state, own.into_iter().flatten(), &target)?;
        let mut forwarder = Forwarder::open(settings)?;
        if self.once {
            return Ok(forwarder.run_once()?);
        }
        forwarder.run(&reloads, || Ok((read_key(store, key)?, self.receiver(target.clone())?)))
    }

    fn receiver(&self, target: Target) -> anyhow::Result<Receiver> {
        let framing = match self.framing {
            Some(Frames::Newline) => Framing::Newline,
            Some(Frames::Octet) | None => Framing::Octet,
        };
        let tls = || Tls::new(self.ca.as_deref(), self.identity.as_deref());
        Ok(match target {
            Target::File(path) => Receiver::File(path),
            Target::Tcp(address) => Receiver::Syslog { address, tls: None, framing },
            Target::Tls(address) => Receiver::Syslog { address, tls: Some(tls()?), framing },
            Target::Http { tls: encrypted, address, path } => {
                let token = std::env::var(TOKEN_VARIABLE).with_context(|| {
                    format!("{TOKEN_VARIABLE} is not set. Put the collector's token there")
                })?;
                let tls = encrypted.then(tls).transpose()?;
                Receiver::Collector(Collector::new(address, path, tls, Zeroizing::new(token))?)
            }
        })
    }

    fn show_status(&self) -> anyhow::Result<()> {
        let status = forward::read(&self.state)?.unwrap_or_default();
        if self.json {
            output::json(&serde_json::to_string(&status)?);
        } else {
            words(&status).iter().for_each(|line| output::line(line));
        }
        Ok(())
    }
}

fn words(status: &Status) -> Vec<String> {
    let running = if status.running { "running" } else { "not running" };
    let mut lines = vec![
        format!("{running}; {} to {}", status.origin, status.to),
        format!(
            "{} events accepted, up to entry {} of {}; {} wait",
            status.accepted_events, status.accepted_entries, status.verified_entries, status.waiting_events
        ),
    ];
    lines.extend(
        status.last_error.iter().map(|error| format!("failed {} times: {error}", status.failed_tries)),
    );
    lines
}

/// A key inside the store proves nothing: whoever changed the store could have changed it too.
fn read_key(store: &Path, path: &Path) -> anyhow::Result<VerifierKey> {
    let inside = match (path.canonicalize(), Store::open(store)?.dir().canonicalize()) {
        (Ok(path), Ok(store)) => path.starts_with(store),
        _ => false,
    };
    if inside {
        bail!(
            "{} is inside the store that it should verify. Use the line that was kept elsewhere",
            path.display()
        );
    }
    let bytes = files::read_bounded(path, MAX_VKEY_BYTES)?.with_context(|| {
        format!("{} does not exist. Give the file with the log's public line", path.display())
    })?;
    let text = given(&bytes).with_context(|| format!("{} is not text", path.display()))?;
    Ok(text.parse()?)
}
