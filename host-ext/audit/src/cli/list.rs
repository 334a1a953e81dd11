//! `list`: the incidents of a log, one line each.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sudare_base::language::Language;

use crate::cli::inputs::collect;
use crate::cli::{messages, output};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder of the evidence store, or a copy of it
    dir: PathBuf,
    /// File with the log's public key
    #[arg(long)]
    key: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(crate) fn list(args: &ListArgs, language: Language) -> anyhow::Result<bool> {
    let (_, report, incidents) = collect(&args.dir, &args.key)?;
    if args.json {
        output::json(&json!({ "ok": report.ok, "findings": report.findings, "incidents": incidents }))?;
    } else {
        incidents.iter().for_each(|incident| output::line(&messages::incident(incident, language)));
        output::line(&messages::listed(&report, incidents.len(), language));
    }
    Ok(report.ok)
}
