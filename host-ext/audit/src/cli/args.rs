//! What can be typed: the commands with their arguments, and the help.

use clap::{Parser, Subcommand};
use sudare_base::language::Language;

use crate::cli::{consent, coverage, erase, export, list, open, retention, show, verify};

/// Name of this program.
pub(crate) const NAME: &str = "sudare-audit";

const EXAMPLES: &str = "\
Examples:
  sudare-audit verify /srv/evidence --key log.vkey
  sudare-audit verify /srv/evidence --key log.vkey --receipt checkpoint-of-monday --json
  sudare-audit list /srv/evidence --key log.vkey
  sudare-audit show /srv/evidence 3f5c --key log.vkey
  sudare-audit consent /srv/evidence --key log.vkey --org-key organisation.pub
  sudare-audit open /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose \"case 12\" --out ./pictures
  sudare-audit export /srv/evidence 3f5c --key log.vkey --identity auditor.age --purpose \"case 12\" --out incident.zip
  sudare-audit retention /srv/evidence --key log.vkey --org-key organisation.pub
For more examples of a command: sudare-audit COMMAND --help

Exit codes: 0 intact, 1 findings, 2 the audit could not be done.
The key must reach you by another way than the evidence: whoever changed one could have changed the other.
A receipt is a checkpoint that was kept elsewhere; it reveals a log that was truncated or rewritten.";

/// Verify, list, open, export and erase Sudare's evidence, offline.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Language of the output; taken from LANG unless given
    #[arg(long, global = true, value_enum)]
    lang: Option<Language>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Recompute the log from its entries and check every signature, picture and receipt
    Verify(verify::VerifyArgs),
    /// List the incidents
    List(list::ListArgs),
    /// Show what is known about one incident, without opening any picture
    Show(show::ShowArgs),
    /// Show which device had agreed to which notice, and when
    Consent(consent::ConsentArgs),
    /// Open pictures for a review: pixelated ones and screenshots, full ones on request
    Open(open::OpenArgs),
    /// As the custodian: remove your seal from the full pictures of an incident
    Release(open::ReleaseArgs),
    /// Export one incident for offline verification
    Export(export::ExportArgs),
    /// Verify a zip made by `export`
    VerifyExport(export::VerifyExportArgs),
    /// As an approver: sign that pictures of an incident may be erased early
    Approve(erase::ApproveArgs),
    /// Erase pictures early, with two approvals
    Erase(erase::EraseArgs),
    /// Show which pictures have reached the end of their retention period, and erase them
    Retention(retention::RetentionArgs),
    /// Make a report for a client company: how much of a month a site's sessions were under enforcement
    Coverage(coverage::CoverageArgs),
}

impl Args {
    /// The language that was asked for, or else that of the environment.
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
