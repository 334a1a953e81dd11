//! `open` and `release`: pictures for a review, alone or together with a custodian.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use sudare_audit::live_log::Tender;
use sudare_audit::open::views::Viewing;
use sudare_audit::open::{self, Custody, Request, Shown, custody};
use sudare_base::clock;
use sudare_base::language::Language::{self, En, Ja};
use sudare_protocol::tlog::VerifierKey;

use crate::cli::commands::{collect, find_one, read_identity, read_key};
use crate::cli::{output, words};

/// Longest purpose or reason.
const WORDS_MAX_BYTES: usize = 400;

const OPEN_EXAMPLES: &str = "\
Examples:
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose 'case 12' --out ./case-12
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --full --released ./released \\
      --purpose 'case 12, hearing' --out ./case-12-full
  sudare-audit open /var/lib/sudare-recorder/evidence 3f5c --key log.vkey --identity auditor.age --purpose 'case 12' \\
      --recorder /run/sudare-recorder/socket --purpose-code 3 --out ./case-12

Without --full, only pictures are opened on which bystanders are pixelated, and the screenshots.
Each opening is written to views.jsonl in the folder before the picture is. With --recorder (on the host, as root or
as the recorder's user) it is an entry of the log before that; what cannot be recorded is not opened.
Exit codes: 0 opened and intact, 1 findings or pictures that stayed closed, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = OPEN_EXAMPLES)]
pub(crate) struct OpenArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or how it begins
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// Your age identity, as age-keygen wrote it
    #[arg(long)]
    identity: PathBuf,
    /// The custodian's age identity, where one person may hold both
    #[arg(long)]
    custodian_identity: Option<PathBuf>,
    /// Folder with what the custodian released
    #[arg(long)]
    released: Option<PathBuf>,
    /// Also the full pictures, on which bystanders can be recognised
    #[arg(long)]
    full: bool,
    /// Why you look: a case number, no names
    #[arg(long)]
    purpose: String,
    #[command(flatten)]
    log: ViewArgs,
    /// Folder for the pictures; made if it is missing
    #[arg(long)]
    out: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What it takes to have views in the log.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// Socket of the running recorder: each opening is an entry of its log before anything can be seen
    #[arg(long, requires = "identity")]
    recorder: Option<PathBuf>,
    /// The purpose as a number of your organisation, for that entry; the log holds no texts
    #[arg(long, default_value_t = 0)]
    pub(crate) purpose_code: u16,
}

impl ViewArgs {
    /// Connects before anything is opened.
    pub(crate) fn connect(&self, verifier: &VerifierKey) -> anyhow::Result<Option<Tender>> {
        let connect = |socket: &PathBuf| Tender::connect(socket, verifier);
        Ok(self.recorder.as_ref().map(connect).transpose()?)
    }
}

const RELEASE_EXAMPLES: &str = "\
Examples:
  sudare-audit release /srv/evidence 3f5c --key log.vkey --identity custodian.age --reason 'request 7, approved by two' --out ./released

What is released still opens only with an auditor's identity. Each release is written to
releases.jsonl in the folder before the header is.
Exit codes: 0 released, 1 findings or nothing to release, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or how it begins
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// The custodian's age identity
    #[arg(long)]
    identity: PathBuf,
    /// Why: a request's number and its approvals, no names
    #[arg(long)]
    reason: String,
    /// Folder for the released headers; made if it is missing
    #[arg(long)]
    out: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn open(args: &OpenArgs, language: Language) -> anyhow::Result<bool> {
    let purpose = said(&args.purpose, "--purpose")?;
    let identity = read_identity(&args.identity)?;
    let custodian = args.custodian_identity.as_deref().map(read_identity).transpose()?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let custody = Custody { identity: custodian, released: args.released.clone() };
    let request = Request { identity: &identity, custody, full: args.full };
    let viewer = identity.recipient();
    let verifier = read_key(&args.dir, &args.key)?;
    let mut recorder = args.log.connect(&verifier)?;
    let viewing = Viewing {
        log: verifier.name(),
        incident: &incident.id,
        viewer: &viewer,
        purpose,
        purpose_code: args.log.purpose_code,
    };
    let shown = open::open(&store, incident, &request, &args.out, |blob| {
        viewing.record(recorder.as_mut(), &args.out, blob, clock::wall_ms())
    })?;
    let left = incident.blobs.len() - shown.len();
    let ok = report.ok && all_there(&shown);
    if args.json {
        output::json(&json!({ "ok": ok, "incident": incident, "opened": shown, "not_chosen": left }))?;
    } else {
        output::line(&words::incident(incident, language));
        shown.iter().for_each(|picture| output::line(&words::picture(picture, language)));
        if left > 0 {
            output::line(&match language {
                Ja => format!("  周囲の人が識別できる画像 {left} 枚は開いていません（--full で開きます）。"),
                En => format!(
                    "  {left} pictures on which bystanders can be recognised stay closed (--full opens them)."
                ),
            });
        }
        output::line(&words::verdict(&report, language));
    }
    Ok(ok)
}

pub(crate) fn release(args: &ReleaseArgs, language: Language) -> anyhow::Result<bool> {
    let reason = said(&args.reason, "--reason")?;
    let identity = read_identity(&args.identity)?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let released = custody::release(&store, incident, &identity, reason, &args.out, clock::wall_ms())?;
    let ok = report.ok && !released.is_empty() && all_there(&released);
    if args.json {
        output::json(&json!({ "ok": ok, "incident": incident, "released": released }))?;
    } else {
        released.iter().for_each(|picture| output::line(&words::picture(picture, language)));
        if released.is_empty() {
            output::line(match language {
                Ja => "このインシデントに、保管者の封印がある画像はありません。",
                En => "No picture of this incident is under a custodian's seal.",
            });
        }
        output::line(&words::verdict(&report, language));
    }
    Ok(ok)
}

fn all_there(shown: &[Shown]) -> bool {
    shown.iter().all(|picture| picture.problem.is_none())
}

/// Words that go into a record: there, short, and on one line.
pub(crate) fn said<'a>(text: &'a str, flag: &str) -> anyhow::Result<&'a str> {
    let text = text.trim();
    if text.is_empty() || text.len() > WORDS_MAX_BYTES || text.chars().any(char::is_control) {
        bail!(
            "{flag} must say something in one line of at most {WORDS_MAX_BYTES} bytes. It is kept with the record."
        );
    }
    Ok(text)
}
