//! `sudare-host status`: one screen about a host, and what on it needs a person.
//!
//! ```text
//! recorder's figures (figures) ─┐
//! doctor's findings ────────────┼─► Host ─► screen, or JSON ─► exit code 0 fine, 1 needs a person, 2 not readable
//! records, certificate, devices ┘
//! ```
//! It says nothing new about what is wrong: that is doctor's.

mod figures;
mod screen;

use std::path::Path;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use clap::Args;
use sudare_base::config::HostConfig;
use sudare_base::metrics::MetricsPlace;
use sudare_base::program::Settings;
use sudare_base::{clock, files, output};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{HostRecord, Policy, Record, Signed};
use sudare_records::keys;
use sudare_records::registry::overview::{Listed, Standing};
use sudare_records::state;

use crate::doctor;
use figures::Figures;

/// Fine, but a person has to do something.
const NEEDS_A_PERSON: u8 = 1;
/// Nobody can say.
const NOT_READABLE: u8 = 2;

/// Show how this host is, on one screen
///
/// Run it as root. The exit code is 0 if all is well, 1 if something needs a person, and 2 if the host could not be looked at. What
/// needs a person is what doctor finds, what ends within 30 days, and who waits for approval.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-host status                                        for people
  sudare-host status --json | jq .needs                     for programs
  watch -n 5 sudare-host status                             while something is going on")]
pub(crate) struct Status {
    /// Print one JSON object (docs/reference/json.md)
    #[arg(long)]
    json: bool,
}

/// Everything that is shown.
#[derive(Debug)]
struct Host {
    host_id: Option<String>,
    /// Or why there are none.
    figures: Result<Figures, String>,
    /// Whether there are to be any.
    shows: bool,
    findings: Vec<doctor::Finding>,
    ends: Vec<End>,
    devices: Vec<Listed>,
    /// Unix time of the newest checkpoint.
    checkpoint_ms: Option<u64>,
    now_ms: u64,
}

/// When something ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    what: &'static str,
    until_ms: u64,
}

/// What a person has to do, and where it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Need {
    part: String,
    text: String,
}

impl Status {
    pub(crate) fn run(&self, settings: &Settings) -> ExitCode {
        let host = match look(settings) {
            Ok(host) => host,
            Err(error) => {
                output::error("sudare-host", &error);
                return ExitCode::from(NOT_READABLE);
            }
        };
        if self.json {
            output::json(&screen::json(&host).to_string());
        } else {
            screen::lines(&host).iter().for_each(|line| output::line(line));
        }
        if host.needs().is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NEEDS_A_PERSON) }
    }
}

fn look(settings: &Settings) -> anyhow::Result<Host> {
    let config = settings.load(&[])?;
    let dir = &config.state_dir;
    std::fs::read_dir(dir).with_context(|| {
        format!("{} cannot be read. Run status as root, on a host that is set up", dir.display())
    })?;
    let host_record = record::<HostRecord>(dir, "host.record");
    // What has ended counts no more, and is told all the same.
    let policy = state::policy(dir).ok().or_else(|| record::<Policy>(dir, "policy.record"));
    let now_ms = clock::wall_ms();
    let ends = [
        ("host record", host_record.as_ref().map(|signed| signed.record().not_after_ms)),
        ("policy", policy.as_ref().map(|signed| signed.record().not_after_ms)),
        ("certificate", doctor::certificate::until_ms(&config.tls_certificate)),
    ];
    let ends = ends.into_iter().filter_map(|(what, until_ms)| Some(End { what, until_ms: until_ms? }));
    Ok(Host {
        host_id: host_record.map(|signed| signed.record().host_id.clone()),
        shows: config.metrics() != MetricsPlace::Off,
        figures: figures::read(&config.metrics()),
        findings: doctor::look(settings),
        ends: ends.collect(),
        devices: state::registry(dir)
            .map(|all| all.overview(now_ms, policy.as_ref().map(Signed::record)))
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default(),
        checkpoint_ms: checkpoint_ms(&config),
        now_ms,
    })
}

/// What is wrong with a record is doctor's to say.
fn record<R: Record>(dir: &Path, name: &str) -> Option<Signed<R>> {
    let organisation = keys::read_public(&dir.join("organisation.pub"), "").ok()?;
    let bytes = files::read_bounded(&dir.join(name), RECORD_MAX_BYTES).ok()??;
    Signed::verify_any_time(&organisation, &bytes).ok()
}

fn checkpoint_ms(config: &HostConfig) -> Option<u64> {
    let written = config.recorder_evidence_dir().join("checkpoint").metadata().ok()?.modified().ok()?;
    u64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

impl Host {
    /// What needs a person, the worst first.
    fn needs(&self) -> Vec<Need> {
        let problems = self.findings.iter().filter_map(|(part, result)| {
            Some(Need { part: (*part).to_owned(), text: result.as_ref().err()?.clone() })
        });
        let soon = self.ends.iter().filter_map(|end| {
            let days = doctor::dates::days_if_soon(end.until_ms, self.now_ms)?;
            let text = match end.what {
                "certificate" => {
                    format!("ends in {days} days. Make a new one, and give everybody its pin before")
                }
                _ => format!("ends in {days} days. Ask the security team for a new one"),
            };
            Some(Need { part: end.what.to_owned(), text })
        });
        // Where the recorder is well, and where there are to be figures.
        let is_well = |(part, result): &doctor::Finding| *part == "recorder" && result.is_ok();
        let missing = self.figures.as_ref().err().filter(|_| self.shows && self.findings.iter().any(is_well));
        let missing = missing.map(|why| Need {
            part: "figures".into(),
            text: format!("{why}. See `journalctl -u sudare-recorder`, then restart it while nobody works"),
        });
        let waiting = self.count(&Standing::Waiting);
        let waiting = (waiting > 0).then(|| Need {
            part: "devices".into(),
            text: format!(
                "{waiting} wait for approval. `sudare-host approve` lists them, and lets one in by its id"
            ),
        });
        problems.chain(missing).chain(soon).chain(waiting).collect()
    }

    fn count(&self, standing: &Standing) -> usize {
        self.devices.iter().filter(|device| device.standing == *standing).count()
    }
}
