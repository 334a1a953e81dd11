//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  sudare-audit verify /srv/evidence --key log.vkey
  sudare-audit verify /srv/evidence --key log.vkey --receipt checkpoint-of-monday --json
  sudare-audit list /srv/evidence --key log.vkey
  sudare-audit show /srv/evidence 3f5c --key log.vkey --identity auditor.age --out ./pictures

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    Ja,
    En,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Recompute the log from its entries and check every signature, picture and receipt
    Verify {
        /// Folder of the evidence store, or a copy of it
        dir: PathBuf,
        /// File with the log's public key (name+hexid+base64)
        #[arg(long)]
        key: PathBuf,
        /// Checkpoint or receipt kept elsewhere; may be given several times
        #[arg(long)]
        receipt: Vec<PathBuf>,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
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
    /// Open the pictures of one incident
    Show {
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
        /// Folder for the pictures; made if it is missing
        #[arg(long)]
        out: PathBuf,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    /// Given, or else what LC_ALL, LC_MESSAGES or LANG say.
    pub(crate) fn language(&self) -> Language {
        let from_environment = || {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
            let first = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
            if first.starts_with("ja") { Language::Ja } else { Language::En }
        };
        self.lang.unwrap_or_else(from_environment)
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
