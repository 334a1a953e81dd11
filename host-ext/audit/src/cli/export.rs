//! `export` and `verify-export`: one incident for offline verification, with or without Sudare.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use sudare_audit::export::{self, Bundle, Outcome};
use sudare_audit::open::views::Viewing;
use sudare_audit::open::{self, Custody};
use sudare_base::clock;
use sudare_base::files::write_private;
use sudare_base::language::Language::{self, En, Ja};

use crate::cli::inputs::{
    collect, find_one, read_identity, read_key, read_note, read_witnesses, remark, require_new,
};
use crate::cli::open::ViewArgs;
use crate::cli::{messages, output};

const EXPORT_EXAMPLES: &str = "\
Examples:
  sudare-audit export /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose 'case 12' --out incident.zip
  sudare-audit export /srv/evidence 3f5c --key log.vkey --out sealed-only.zip
  sudare-audit export /srv/evidence 3f5c --key log.vkey --checkpoint checkpoint.cosigned --out incident.zip

With --identity, the page in the zip shows the pictures to whoever has the zip. Each opening is recorded in
views.jsonl beside the zip, and with --recorder in the log, before the zip is written.
Without --full, pictures on which bystanders can be recognised are left out altogether: a copy that you gave
away is not erased when the retention period ends.
Exit codes: 0 exported, 1 exported from a log with findings, 2 could not be done.";

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// Id of the incident, or its first digits
    incident: String,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// Your age identity; without it the pictures stay sealed
    #[arg(long, requires = "purpose")]
    identity: Option<PathBuf>,
    /// Why the pictures are opened: a case number, no names
    #[arg(long)]
    purpose: Option<String>,
    #[command(flatten)]
    log: ViewArgs,
    /// The custodian's age identity, if one person may hold both
    #[arg(long, requires = "identity")]
    custodian_identity: Option<PathBuf>,
    /// Folder with the headers that the custodian released
    #[arg(long, requires = "identity")]
    released: Option<PathBuf>,
    /// Include the full pictures, on which bystanders can be recognised
    #[arg(long)]
    full: bool,
    /// Cosigned checkpoint of this log, used instead of the store's own
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// File for the zip; must not exist
    #[arg(long)]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  sudare-audit verify-export incident.zip --key log.vkey
  sudare-audit verify-export incident.zip --key log.vkey --witness witness.vkey
  sudare-audit verify-export incident.zip --key log.vkey --page page.html
  python3 verify.py incident.zip --key log.vkey        (the same check without Sudare; verify.py is in the zip)

The folder with the unpacked files does as well, and so does a zip that was made again from it; what a system added
(.DS_Store, Thumbs.db, …) is named and not read.
Exit codes: 0 verified, 1 refused, or something in it is not what this version makes, 2 the check could not be done.";

#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyExportArgs {
    /// The zip, or the folder with its files
    zip: PathBuf,
    /// File with the log's public key, which must not have come with the zip
    #[arg(long)]
    key: PathBuf,
    /// File with a witness's public key: require its cosignature; may be given several times
    #[arg(long)]
    witness: Vec<PathBuf>,
    /// Write the page that this program makes from the verified evidence; the file must not exist
    #[arg(long)]
    page: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn export(args: &ExportArgs, language: Language) -> anyhow::Result<bool> {
    let identity = args.identity.as_deref().map(read_identity).transpose()?;
    let custodian = args.custodian_identity.as_deref().map(read_identity).transpose()?;
    let checkpoint = args.checkpoint.as_deref().map(read_note).transpose()?;
    require_new(&args.out)?;
    let verifier = read_key(&args.dir, &args.key)?;
    let (store, report, incidents) = collect(&args.dir, &args.key)?;
    let incident = find_one(&incidents, &args.incident)?;
    let custody = Custody { identity: custodian, released: args.released.clone() };
    let open = identity.as_ref().map(|identity| open::Request { identity, custody, full: args.full });
    let request = export::Request { open, full: args.full, checkpoint, now_ms: clock::wall_ms() };
    let mut recorder = args.log.connect(&verifier)?;
    let bundle = export::gather(&store, &verifier, &report, incident, &request)?;
    let outcome = export::check(&bundle, &verifier);
    if !outcome.ok {
        let failed = outcome.checks.iter().find(|check| !check.ok);
        let failed = failed.map_or("nothing was checked", |check| check.detail.as_str());
        bail!("the export does not pass its own check: {failed}. This is a bug in sudare-audit: report it");
    }
    if let Some(purpose) = &args.purpose {
        let purpose = remark(purpose, "--purpose")?;
        let folder = args.out.parent().unwrap_or(Path::new("."));
        let (log, purpose_code) = (verifier.name(), args.log.purpose_code);
        for (_, blob) in open::chosen(incident, args.full) {
            let Some(viewer) = bundle.viewer(&blob.blob_id) else { continue };
            let viewing = Viewing { log, incident: &incident.id, viewer, purpose, purpose_code };
            viewing.record(recorder.as_mut(), folder, blob, request.now_ms)?;
        }
    }
    bundle.write(&args.out)?;
    let files = bundle.names().count();
    if args.json {
        output::json(&json!({
            "ok": report.ok, "incident": incident, "file": args.out, "files": files, "checks": outcome.checks,
        }))?;
    } else {
        output::line(&match language {
            Ja => format!(
                "{} に出力しました（{files} ファイル）。中の index.html をブラウザーで開けます。",
                args.out.display()
            ),
            En => format!(
                "Written to {} ({files} files). Open index.html in it with a browser.",
                args.out.display()
            ),
        });
        output::line(&messages::verdict(&report, language));
    }
    Ok(report.ok)
}

pub(crate) fn verify_export(args: &VerifyExportArgs, language: Language) -> anyhow::Result<bool> {
    args.page.as_deref().map(require_new).transpose()?;
    let verifier = read_key(&args.zip, &args.key)?;
    let witnesses = read_witnesses(&args.witness)?;
    let outcome = match Bundle::read(&args.zip) {
        Ok(bundle) => {
            let mut outcome = export::check(&bundle, &verifier);
            if outcome.ok {
                let checks = witnesses.iter().map(|witness| export::check_witness(&bundle, witness));
                outcome.checks.extend(checks);
                outcome.ok = outcome.checks.iter().all(|check| check.ok);
            }
            outcome
        }
        Err(export::ExportError::Refused(why)) => Outcome::refused(why),
        Err(error) => return Err(error.into()),
    };
    if let Some(file) = &args.page {
        let page = outcome.page.as_deref();
        let page = page.context("there is no page, because the evidence is refused: see without --page")?;
        write_private(file, page.as_bytes())?;
    }
    if args.json {
        output::json(&outcome)?;
        return Ok(outcome.ok);
    }
    for check in &outcome.checks {
        let mark = if check.ok { "✓" } else { "✗" };
        output::line(&format!("  {mark} {}: {}", check.name, check.detail));
    }
    if let (Some(time), Some(reason)) = (&outcome.time, &outcome.reason) {
        output::line(&format!("  {time}  {reason}"));
    }
    output::line(match (outcome.ok, language) {
        (true, Ja) => "この出力は、渡された鍵のログの記録と一致します。",
        (true, En) => "This export fits the log whose key you gave.",
        (false, Ja) if outcome.evidence_ok => {
            "証跡はログの記録と一致しますが、✗ の項目は一致しないか照合できません。それらは使わず、--page で作成したページをお読みください。"
        }
        (false, En) if outcome.evidence_ok => {
            "The evidence fits the log whose key you gave, but what is marked ✗ is NOT OK. Do not use it: read the page that --page makes."
        }
        (false, Ja) => "この出力は受け入れられません。使用せず、別の写しを求めてください。",
        (false, En) => "This export is REFUSED. Do not rely on this copy; ask for another one.",
    });
    Ok(outcome.ok)
}
