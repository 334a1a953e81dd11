//! `sudare-host`: the VDI administrator's program, and the security team's signing desk.

#![allow(clippy::disallowed_methods, reason = "programs are edges")]

mod confine;
mod device;
mod doctor;
mod forward;
mod guard;
mod organisation;
mod output;
mod policy_file;
mod recorder;
mod serve;
mod ship;
mod sign_in;
mod supervise;
mod syslog;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sudare_host_ext::config::HostConfig;

/// Covers the remote session when it must not be seen, and keeps the evidence on the server.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-host",
    version,
    after_help = "\
Examples:
  sudare-host init --state-dir /var/lib/sudare         make this host's keys
  sudare-host key --state-dir /var/lib/sudare          the line that the security team signs
  sudare-host device add laptop.record --operator alice.operator --state-dir /var/lib/sudare
                                                       enrol a device; run it, like init, as the folder's owner
  sudare-host serve --config /etc/sudare/host.toml     run the embedded RDP host
  sudare-host recorder --config /etc/sudare/host.toml  keep the evidence of xrdp's sessions
  sudare-host supervise --config /etc/sudare/host.toml guard the sessions of xrdp, as root
  sudare-host doctor                                   what is wrong, and how to mend it"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Where the settings come from; flags win over SUDARE_HOST_… variables, which win over the file.
#[derive(Debug, Args)]
struct Settings {
    /// Settings file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of keys, policy and registry
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Settings {
    fn load(&self, more: &[(&str, Option<String>)]) -> anyhow::Result<HostConfig> {
        let state = self.state_dir.as_ref().map(|d| d.display().to_string());
        let flags: Vec<(&str, String)> = [("state_dir", state)]
            .into_iter()
            .chain(more.iter().cloned())
            .filter_map(|(name, value)| value.map(|v| (name, v)))
            .collect();
        Ok(HostConfig::load(self.config.as_deref(), &flags)?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this host's keys and certificate (those that are not there yet)
    Init {
        /// Only the recorder's key, in the recorder's folder
        #[arg(long)]
        recorder: bool,
    },
    /// Print this host's public key line, for the security team to sign
    Key,
    /// Run the embedded RDP host
    Serve(serve::Serve),
    /// Keep the evidence of all sessions of this machine
    Recorder(recorder::Recorder),
    /// Guard the sessions of xrdp on this machine
    Supervise(supervise::Supervise),
    /// Cover the sessions of whoever signs in at xrdp (started by PAM)
    SignIn(sign_in::SignIn),
    /// Guard one display of xrdp (started by `supervise`)
    Guard(guard::Guard),
    /// Send alarms from the evidence log to a SIEM
    Forward(forward::Forward),
    /// Copy evidence to a folder or a bucket
    Ship(ship::Ship),
    /// Say what is wrong with this host, and how to mend it
    Doctor(doctor::Doctor),
    /// Enrolled devices and their operators
    #[command(subcommand)]
    Device(device::Device),
    /// For the security team: the organisation key and what it signs
    #[command(subcommand)]
    Organisation(organisation::Organisation),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        // A log file is not a terminal.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let settings = &cli.settings;
    match &cli.command {
        Command::Init { recorder: true } => {
            let dir = settings.load(&[])?.recorder_dir;
            sudare_host_ext::state::init_recorder(&dir)?;
            output::line(&format!(
                "The recorder's key is in {}. Next: put organisation.pub and host.record there, too.",
                dir.display()
            ));
            Ok(())
        }
        Command::Init { recorder: false } => {
            let dir = settings.load(&[])?.state_dir;
            sudare_host_ext::state::init(&dir)?;
            output::line(&format!("Keys are in {}. Next: `sudare-host key`.", dir.display()));
            Ok(())
        }
        Command::Key => {
            let path = settings.load(&[])?.state_dir.join("host.key");
            let key = sudare_host_ext::state::read_secret(&path, "Run `sudare-host init`")?;
            output::line(sudare_protocol::keyfile::public_line(&key.verifying_key()).trim_end());
            Ok(())
        }
        Command::Serve(serve) => serve.run(settings),
        Command::Recorder(recorder) => recorder.run(settings),
        Command::Supervise(supervise) => supervise.run(settings),
        Command::Guard(guard) => guard.run(settings),
        Command::SignIn(sign_in) => sign_in.run(settings),
        Command::Forward(forward) => forward.run(),
        Command::Ship(ship) => ship.run(),
        Command::Doctor(doctor) => doctor.run(settings),
        Command::Device(device) => device.run(settings),
        Command::Organisation(organisation) => organisation.run(),
    }
}
