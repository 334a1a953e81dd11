//! `sudare-sign-in`: PAM runs it for sesman, so that sessions are covered before xrdp hands them over.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sudare_base::accounts;
use sudare_base::program::{self, Settings};
use sudare_supervisor::{sign_in, syslog};

/// Cover running sessions before an xrdp login takes them over (started by PAM).
///
/// In /etc/pam.d/xrdp-sesman, before every other `account` line:
///
///   account required pam_exec.so quiet /usr/local/bin/sudare-sign-in --config /etc/sudare/host.toml
///
/// PAM_USER names the user. The program fails, and the login with it, if a session of that user cannot be covered, if
/// the supervisor is not running, or if the settings cannot be read. The journal (facility authpriv) has the reason
/// too.
#[derive(Debug, Parser)]
#[command(name = "sudare-sign-in", version, verbatim_doc_comment)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    program::run("sudare-sign-in", || {
        // pam_exec discards standard error.
        cover(&cli.settings).inspect_err(|error| syslog::error(&format!("a login was refused: {error:#}")))
    })
}

fn cover(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.load(&[])?;
    let user = std::env::var_os("PAM_USER")
        .context("PAM_USER is not set. PAM runs this program for xrdp (docs/guide/vdi-admin.md)")?;
    let uid = user.to_str().and_then(accounts::uid_of);
    let uid = uid.context(
        "the name service does not know the user who is signing in. Check that the directory service answers",
    )?;
    Ok(sign_in::ask(&config.run_dir, uid)?)
}
