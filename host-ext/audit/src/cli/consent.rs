//! `consent`: what was agreed to on which device, one line each.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sudare_base::language::Language;

use crate::cli::inputs::collect_consents;
use crate::cli::{messages, output};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-audit consent /srv/evidence --key log.vkey
  sudare-audit consent /srv/evidence --key log.vkey --org-key organisation.pub --device 3f5c --json")]
pub(crate) struct ConsentArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// File with the organisation's public key: each policy must be signed by it
    #[arg(long, value_name = "FILE")]
    org_key: Option<PathBuf>,
    /// Only devices whose id begins with this
    #[arg(long, value_name = "ID", default_value = "")]
    device: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn consent(args: &ConsentArgs, language: Language) -> anyhow::Result<bool> {
    let (report, consents) = collect_consents(&args.dir, &args.key, args.org_key.as_deref())?;
    let consents = consents.into_list(&args.device);
    if args.json {
        output::json(&json!({ "ok": report.ok, "findings": report.findings, "consents": consents }))?;
    } else {
        consents.iter().for_each(|consent| output::line(&messages::consent(consent, language)));
        output::line(&messages::consents_listed(&report, consents.len(), language));
    }
    Ok(report.ok)
}
