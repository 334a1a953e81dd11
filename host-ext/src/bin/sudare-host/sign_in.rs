//! `sudare-host sign-in`, which PAM runs for sesman.

use anyhow::Context as _;
use clap::Args;
use sudare_host_ext::supervise::accounts;
use sudare_host_ext::supervise::sign_in;

use crate::{Settings, syslog};

/// Has the running sessions of whoever signs in covered before xrdp hands them over (PAM starts this).
///
/// In /etc/pam.d/xrdp-sesman, before every other `account` line:
///
///   account required pam_exec.so quiet /usr/local/bin/sudare-host --config /etc/sudare/host.toml sign-in
///
/// The user's name is that in PAM_USER. Fails, and with it the sign-in, if a session stays in view, the
/// supervisor does not run or the settings cannot be read. Why stands in the journal (authpriv), too.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SignIn {}

impl SignIn {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        // pam_exec gives what is written here to nobody.
        cover(settings).inspect_err(|error| syslog::tell(&format!("a sign-in was refused: {error:#}")))
    }
}

fn cover(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.load(&[])?;
    let user = std::env::var_os("PAM_USER")
        .context("PAM_USER is not set. PAM runs this for xrdp (deploy/linux/host/README.md)")?;
    let uid = user.to_str().and_then(accounts::uid_of);
    let uid = uid.context("the name service does not know who signs in. Nothing was covered")?;
    Ok(sign_in::ask(&config.run_dir, uid)?)
}
