//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sudare_base::language::Language;

use crate::cli::{coverage, erase, export, open, retention, show, verify};

const EXAMPLES: &str = "\
Examples:
  sudare-audit verify /srv/evidence --key log.vkey
  sudare-audit verify /srv/evidence --key log.vkey --receipt checkpoint-of-monday --json
  sudare-audit list /srv/evidence --key log.vkey
  sudare-audit show /srv/evidence 3f5c --key log.vkey
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose \"case 12\" --out ./pictures
  sudare-audit export /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose \"case 12\" --out incident.zip
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub
Each command has examples of its own: sudare-audit COMMAND --help

Exit codes: 0 intact, 1 findings, 2 the audit could not be done.
The key must reach you by another way than the evidence: whoever changed the one could have
changed the other. A receipt is a checkpoint that was kept elsewhere; with it a log that was
cut back or rewritten is noticed.";

/// Verify, list and open Sudare's evidence, offline.
#[derive(Debug, Parser)]
#[command(name = "sudare-audit", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Language of what people read; from LANG unless given
    #[arg(long, global = true, value_enum)]
    pub(crate) lang: Option<Language>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Recompute the log from its entries and check every signature, picture and receipt
    Verify(verify::VerifyArgs),
    /// List the incidents
    List {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// File with the log's public key
        #[arg(long)]
        key: PathBuf,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
    /// Tell what is known of one incident, without opening anything
    Show(show::ShowArgs),
    /// Open pictures for a review: pixelated ones and screenshots, full ones on request
    Open(open::OpenArgs),
    /// As the custodian: take your seal off the full pictures of an incident
    Release(open::ReleaseArgs),
    /// Hand on one incident as a zip that anybody can check offline
    Export(export::ExportArgs),
    /// Check a zip made by `export`
    VerifyExport(export::VerifyExportArgs),
    /// As an approver: sign that an incident may be erased early
    Approve(erase::ApproveArgs),
    /// Erase pictures early, with two approvals
    Erase(erase::EraseArgs),
    /// Show which pictures have been kept long enough, and erase them
    Retention(retention::RetentionArgs),
    /// Report how far sessions were under enforcement in a month, for a client company
    Coverage(coverage::CoverageArgs),
}

impl Args {
    /// Given, or else that of the environment.
    pub(crate) fn language(&self) -> Language {
        Language::choose(self.lang)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
