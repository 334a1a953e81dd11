//! `sudare-nla`: who may log on to the gate by NLA; and, started by a gate, ends CredSSP for one connection.
//!
//! Exit codes: 0 done, 1 it failed or somebody was refused, 2 wrong arguments.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sudare_base::config::HostConfig;
use sudare_base::program::Settings;
use sudare_base::signals::Reloads;
use sudare_base::{accounts, files, output};
use sudare_nla::credential::CREDENTIAL_MAX_BYTES;
use sudare_nla::users::{NtHash, USERS_MAX_BYTES, User};
use sudare_nla::{Attempts, HostCredential, HostLeg, Serving, Users, sandbox, serve};
use zeroize::Zeroizing;

/// A password may be this long.
const PASSWORD_MAX_BYTES: usize = 511;
/// A refusal waits this long.
const REFUSAL_DELAY: Duration = Duration::from_secs(1);

/// Say who may log on to the gate by NLA.
///
/// The file of users is the setting gate_nla_users. Its lines are those of WinPR's SAM files, as winpr-hash prints
/// them: whoever reads it can log on as everybody in it.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-nla",
    version,
    after_help = "\
Examples:
  sudare-nla add --config /etc/sudare/host.toml hanako      reads the password from standard input
  sudare-nla list --config /etc/sudare/host.toml"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let somebody log on with the password on standard input, or change the password
    Add(Name),
    /// Let somebody log on no more
    Remove(Name),
    /// Print who may log on
    List,
    /// End CredSSP for the gate that is standard input
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Name {
    /// The name, as the host behind the gate knows it
    #[arg(value_name = "USER")]
    user: String,
    /// Only with this domain; without it, with any
    #[arg(long, value_name = "DOMAIN", default_value = "", hide_default_value = true)]
    domain: String,
}

#[derive(Debug, Args)]
struct Serve {
    #[arg(long)]
    users: PathBuf,
    #[arg(long)]
    attempts: PathBuf,
    #[arg(long)]
    host: Leg,
    #[arg(long)]
    credential: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Leg {
    Tls,
    Nla,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    // No log: what the libraries trace are tokens and names.
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error("sudare-nla", &error);
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        let name = match &self.command {
            Command::Serve(serve) => return serve.run(),
            Command::Add(name) | Command::Remove(name) => Some(name),
            Command::List => None,
        };
        let config = self.settings.load(&[])?;
        let path = config.gate_nla_users.as_deref();
        let path = path.context("no file of users is set. Write gate_nla_users into the settings")?;
        let mut users = if path.exists() { read_users(path)? } else { Users::default() };
        match (&self.command, name) {
            (Command::Add(_), Some(Name { user, domain })) => {
                let hash = NtHash::of(&password()?);
                users.set(User { name: user.clone(), domain: domain.clone(), hash })?;
                write(path, &users, &config)?;
                output::line(&format!("{user} may log on to the gate."));
            }
            (Command::Remove(_), Some(Name { user, domain })) => {
                if !users.remove(user, domain) {
                    bail!("{user} is not in {}. `sudare-nla list` prints who is", path.display());
                }
                write(path, &users, &config)?;
                output::line(&format!("{user} may log on no more. Sessions that run go on."));
            }
            _ => users.names().for_each(|(name, domain)| output::line(&shown(name, domain))),
        }
        Ok(())
    }
}

fn shown(name: &str, domain: &str) -> String {
    if domain.is_empty() { name.to_owned() } else { format!("{domain}\\{name}") }
}

/// The first line of standard input.
fn password() -> anyhow::Result<Zeroizing<String>> {
    let mut read = Zeroizing::new(String::new());
    // Its end of line, and one more to see that it is too long.
    let most = u64::try_from(PASSWORD_MAX_BYTES)?.saturating_add(2);
    std::io::stdin().lock().take(most).read_to_string(&mut read).context("the password cannot be read")?;
    let password = Zeroizing::new(read.lines().next().unwrap_or_default().to_owned());
    if password.is_empty() || password.len() > PASSWORD_MAX_BYTES {
        bail!("the password is empty or too long. Write it as one line to standard input, up to 511 bytes");
    }
    Ok(password)
}

/// For the account that gates run as, if root writes it.
fn write(path: &Path, users: &Users, config: &HostConfig) -> anyhow::Result<()> {
    files::write_private(path, users.write().as_bytes())?;
    let us = std::fs::metadata("/proc/self").map(|of| std::os::unix::fs::MetadataExt::uid(&of))?;
    if us == 0 {
        let uid = accounts::system_uid(&config.run_as)?;
        std::os::unix::fs::chown(path, Some(uid), None)
            .with_context(|| format!("{} cannot be given to {}", path.display(), config.run_as))?;
    }
    Ok(())
}

/// A file that others cannot read.
fn read_secret(path: &Path, setting: &str, max_bytes: usize) -> anyhow::Result<Zeroizing<String>> {
    let bytes = files::read_bounded(path, max_bytes)?;
    let bytes =
        bytes.with_context(|| format!("there is no {}. Make it, or correct `{setting}`", path.display()))?;
    let bytes = Zeroizing::new(bytes);
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("others can read {} (mode {mode:o}). Run `chmod 600 {}`", path.display(), path.display());
    }
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{} is no text", path.display()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn read_users(path: &Path) -> anyhow::Result<Users> {
    let text = read_secret(path, "gate_nla_users", USERS_MAX_BYTES)?;
    Users::read(&text).with_context(|| format!("{} cannot be used", path.display()))
}

impl Serve {
    fn run(&self) -> anyhow::Result<()> {
        // It was read for this one log-on, and a reload must not end that.
        let _reloads = Reloads::hear()?;
        let credential = match &self.credential {
            Some(path) => {
                let text = read_secret(path, "gate_host_credential", CREDENTIAL_MAX_BYTES)?;
                let read = HostCredential::read(&text);
                Some(read.with_context(|| format!("{} cannot be used", path.display()))?)
            }
            None => None,
        };
        let serving = Serving {
            users: read_users(&self.users)?,
            attempts: Attempts::open(&self.attempts)?,
            host: match self.host {
                Leg::Tls => HostLeg::Tls,
                Leg::Nla => HostLeg::Nla,
            },
            credential,
            refusal_delay: REFUSAL_DELAY,
        };
        let gate = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        sandbox::enter()?;
        // Refusals are the gate's to tell; of an end of the gate nobody has to be told.
        serve(gate, serving).ok();
        Ok(())
    }
}
