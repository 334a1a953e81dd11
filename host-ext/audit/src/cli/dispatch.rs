//! Runs the command that was given; `Ok(true)` means that nothing was found wrong.

use crate::cli::args::{Args, Command};
use crate::cli::{consent, coverage, erase, export, list, open, retention, show, verify};

pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let language = args.language();
    match &args.command {
        Command::Verify(args) => verify::verify(args, language),
        Command::List(args) => list::list(args, language),
        Command::Show(args) => show::show(args, language),
        Command::Consent(args) => consent::consent(args, language),
        Command::Open(args) => open::open(args, language),
        Command::Release(args) => open::release(args, language),
        Command::Export(args) => export::export(args, language),
        Command::VerifyExport(args) => export::verify_export(args, language),
        Command::Approve(args) => erase::approve(args, language),
        Command::Erase(args) => erase::erase(args, language),
        Command::Retention(args) => retention::retention(args, language),
        Command::Coverage(args) => coverage::coverage(args, language),
    }
}
