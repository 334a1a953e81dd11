//! `open` and `release`: open pictures for a review, alone or together with a custodian.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sudare_audit::live_log::AuditWriter;
use sudare_audit::open::views::Viewing;
use sudare_audit::open::{self, Custody, Request, Shown, custody};
use sudare_base::clock;
use sudare_base::language::Language::{self, En, Ja};
use sudare_protocol::tlog::VerifierKey;

use crate::cli::inputs::{collect, find_one, read_identity, read_key, remark};
use crate::cli::{messages, output};

const OPEN_EXAMPLES: &str = "\
Examples:
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose 'case 12' --out ./case-12
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --full --released ./released \\
      --purpose 'case 12, hearing' --out ./case-12-full
  sudare-audit open /var/lib/sudare-recorder/evidence 3f5c --key log.vkey --identity auditor.age --purpose 'case 12' \\
      --recorder /run/sudare-recorder/socket --purpose-code 3 --out ./case-12

Without --full, only screenshots and pictures with pixelated bystanders are opened.
Each opening is recorded in views.jsonl in the folder before the picture is written. With --recorder (on the host, as
root or as the recorder's user), it is first recorded in the log; without a record no picture is opened.
Exit codes: 0 opened and intact, 1 findings or pictures that could not be opened, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = OPEN_EXAMPLES)]
pub(crate) struct OpenArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or its first digits
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// File with your age identity, as age-keygen wrote it
    #[arg(long)]
    identity: PathBuf,
    /// The custodian's age identity, if one person may hold both
    #[arg(long)]
    custodian_identity: Option<PathBuf>,
    /// Folder with the headers that the custodian released
    #[arg(long)]
    released: Option<PathBuf>,
    /// Open the full pictures as well, on which bystanders can be recognised
    #[arg(long)]
    full: bool,
    /// Why you open them: a case number, no names
    #[arg(long)]
    purpose: String,
    #[command(flatten)]
    log: ViewArgs,
    /// Folder for the pictures; created if it does not exist
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What is needed to record openings in the log.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// Socket of the running recorder, which records each opening in its log before a picture can be seen
    #[arg(long, requires = "identity")]
    recorder: Option<PathBuf>,
    /// The purpose for that entry, as a number that your organisation defines; the log holds no free text
    #[arg(long, default_value_t = 0)]
    pub(crate) purpose_code: u16,
}

impl ViewArgs {
    /// Connects before anything is opened.
    pub(crate) fn connect(&self, verifier: &VerifierKey) -> anyhow::Result<Option<AuditWriter>> {
        let connect = |socket: &PathBuf| AuditWriter::connect(socket, verifier);
        Ok(self.recorder.as_ref().map(connect).transpose()?)
    }
}

const RELEASE_EXAMPLES: &str = "\
Examples:
  sudare-audit release /srv/evidence 3f5c --key log.vkey --identity custodian.age --reason 'request 7, approved by two' --out ./released

Released pictures can still be opened only with an auditor's identity. Each release is recorded in
releases.jsonl in the folder before the header is written.
Exit codes: 0 released, 1 findings or nothing to release, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or its first digits
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// File with the custodian's age identity
    #[arg(long)]
    identity: PathBuf,
    /// Why they are released: a request's number and its approvals, no names
    #[arg(long)]
    reason: String,
    /// Folder for the released headers; created if it does not exist
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn open(args: &OpenArgs, language: Language) -> anyhow::Result<bool> {
    let purpose = remark(&args.purpose, "--purpose")?;
    let identity = read_identity(&args.identity)?;
    let custodian = args.custodian_identity.as_deref().map(read_identity).transpose()?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let custody = Custody { identity: custodian, released: args.released.clone() };
    let request = Request { identity: &identity, custody, full: args.full };
    let verifier = read_key(&args.dir, &args.key)?;
    let mut recorder = args.log.connect(&verifier)?;
    let shown = open::open(&store, incident, &request, &args.out, |blob, viewer| {
        let (log, incident, purpose_code) = (verifier.name(), incident.id.as_str(), args.log.purpose_code);
        let viewing = Viewing { log, incident, viewer, purpose, purpose_code };
        viewing.record(recorder.as_mut(), &args.out, blob, clock::wall_ms())
    })?;
    let left = incident.blobs.len() - shown.len();
    let ok = report.ok && all_there(&shown);
    if args.json {
        output::json(&json!({ "ok": ok, "incident": incident, "opened": shown, "not_chosen": left }))?;
    } else {
        output::line(&messages::incident(incident, language));
        shown.iter().for_each(|picture| output::line(&messages::picture(picture, language)));
        if left > 0 {
            output::line(&match language {
                Ja => format!("  周囲の人が識別できる画像 {left} 枚は開いていません（--full で開きます）。"),
                En => format!(
                    "  {left} pictures on which bystanders can be recognised were not opened (--full opens them)."
                ),
            });
        }
        output::line(&messages::verdict(&report, language));
    }
    Ok(ok)
}

pub(crate) fn release(args: &ReleaseArgs, language: Language) -> anyhow::Result<bool> {
    let reason = remark(&args.reason, "--reason")?;
    let identity = read_identity(&args.identity)?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let released = custody::release(&store, incident, &identity, reason, &args.out, clock::wall_ms())?;
    let ok = report.ok && !released.is_empty() && all_there(&released);
    if args.json {
        output::json(&json!({ "ok": ok, "incident": incident, "released": released }))?;
    } else {
        released.iter().for_each(|picture| output::line(&messages::picture(picture, language)));
        if released.is_empty() {
            output::line(match language {
                Ja => "このインシデントに、保管者の封印がある画像はありません。",
                En => "No picture of this incident is under a custodian's seal.",
            });
        }
        output::line(&messages::verdict(&report, language));
    }
    Ok(ok)
}

fn all_there(shown: &[Shown]) -> bool {
    shown.iter().all(|picture| picture.problem.is_none())
}
