//! `sudare-host`, the VDI admin's program: makes keys, enrols devices, and checks this host.
//!
//! ```text
//!  invite ────► pairing code ─► employee      approve ─► a device that waits      revoke ─► a key that counts no more
//!  init, key ─► key files ─► security team signs ─► records
//!  device ────► registry of enrolled devices                    doctor ─► settings, keys, gate, xrdp, services: ok?
//!  pin ───────► the certificate of a host that a gate is to stand before
//! ```
//!
//! | module | what |
//! |---|---|
//! | `invite` | pairing codes, and what the organisation takes back |
//! | `device` | enrols devices, lets in those that wait |
//! | `devices` | all devices in one table |
//! | `status` | one screen about the host, and what needs a person |
//! | `doctor` | what is wrong on this host, and what can be mended |
//!
//! Deliberately absent: the organisation's secret key (`sudare-authority`), reading or erasing evidence
//! (`sudare-audit`). Doctor reports, and says what to do; with `--fix` it mends what is safe, and nothing else.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod device;
mod devices;
mod doctor;
mod invite;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sudare_base::config::HostConfig;
use sudare_base::program::{self, Settings};
use sudare_base::{files, output};
use sudare_protocol::{VerifyingKey, keyfile};
use sudare_records::keys;
use sudare_records::state::HostState;

/// Set up and check a host that Sudare guards.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-host",
    version,
    after_help = "\
Examples:
  sudare-host init --state-dir /var/lib/sudare         make this host's keys
  sudare-host key --state-dir /var/lib/sudare          the line that the security team signs
  sudare-host device add laptop.record --operator alice.operator --state-dir /var/lib/sudare
                                                       enrol a device; root becomes the folder's owner
  sudare-host invite alice                             a pairing code for one PC of alice
  sudare-host pin 192.0.2.7:3389                       the pin for gate_target; compare it with that host's own
  sudare-host devices                                  whose devices are let in, and until when
  sudare-host status                                   one screen about this host
  sudare-host doctor                                   what is wrong, and how to fix it
  sudare-host doctor --fix                             mend what is safe to mend, and say what is left"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the keys of this host that do not exist yet
    Init {
        /// Make only the recorder's key, in the recorder's folder
        #[arg(long)]
        recorder: bool,
    },
    /// Print this host's public key line, for the security team to sign
    Key,
    /// Say whether this host's keys and records can be used together
    Records,
    /// Report what is wrong with this host, and how to fix it
    Doctor(doctor::Doctor),
    Status(status::Status),
    /// Print the pin of an RDP host's certificate, for `gate_target`
    Pin {
        /// The host's name or address, and its port
        #[arg(value_name = "ADDRESS:PORT")]
        host: String,
    },
    /// Say by the exit code whether this user gets in at a socket; doctor runs it as another user
    #[command(hide = true)]
    Knock {
        socket: PathBuf,
    },
    /// Print what a gate meets when it begins; doctor runs it as the gates' user
    #[command(hide = true)]
    AsGate,
    /// Print whether a folder can be written; doctor runs it as the recorder's user
    #[command(hide = true)]
    TryWrite {
        folder: PathBuf,
    },
    /// Make a pairing code for one device of a user
    Invite(invite::Invite),
    /// Let devices in that wait for it
    Approve(device::Approve),
    /// Keep what the organisation took back: the key of an enroller or a device
    Revoke {
        /// The record that `sudare-authority revoke` wrote
        record: PathBuf,
    },
    Devices(devices::Devices),
    /// Manage enrolled devices and their operators
    #[command(subcommand)]
    Device(device::Device),
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    if let Command::Knock { socket } = &cli.command {
        return doctor::alone::knock(socket);
    }
    if let Command::TryWrite { folder } = &cli.command {
        return doctor::writable::try_write(folder);
    }
    if let Command::Status(status) = &cli.command {
        return status.run(&cli.settings);
    }
    program::run("sudare-host", || run(&cli))
}

/// Of the recorder, where there is one. A log that settings give a name of its own is named to the security team by hand.
fn log_key(config: &HostConfig) -> anyhow::Result<Option<VerifyingKey>> {
    if config.log_origin.is_some() || !config.recorder_dir.exists() {
        return Ok(None);
    }
    let path = config.recorder_dir.join("log.key");
    let key = keys::read_secret(&path, "Run `sudare-host init --recorder` as root")?;
    Ok(Some(key.verifying_key()))
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let settings = &cli.settings;
    match &cli.command {
        Command::Init { recorder: true } => {
            let dir = settings.load(&[])?.recorder_dir;
            files::become_owner(&dir)?;
            keys::init_recorder(&dir)?;
            output::line(&format!(
                "The recorder's key is in {}. Next: put organisation.pub and host.record there too.",
                dir.display()
            ));
            Ok(())
        }
        Command::Init { recorder: false } => {
            let dir = settings.load(&[])?.state_dir;
            files::become_owner(&dir)?;
            keys::init(&dir)?;
            output::line(&format!("Keys are in {}. Next: `sudare-host key`.", dir.display()));
            Ok(())
        }
        Command::Key => {
            let config = settings.load(&[])?;
            let host = keys::read_secret(&config.state_dir.join("host.key"), "Run `sudare-host init`")?;
            let log = log_key(&config)?;
            output::line(keyfile::host_line(&host.verifying_key(), log.as_ref()).trim_end());
            Ok(())
        }
        Command::Records => {
            let state = HostState::load(&settings.load(&[])?.state_dir)?;
            let (host, policy) = (state.host_record.record(), state.policy.record());
            output::line(&format!("host {}, policy {}", host.host_id, policy.serial));
            Ok(())
        }
        Command::Pin { host } => pin(host),
        Command::AsGate => {
            doctor::as_gate::print(settings);
            Ok(())
        }
        Command::Knock { .. } | Command::TryWrite { .. } | Command::Status(_) => Ok(()),
        Command::Doctor(doctor) => doctor.run(settings),
        Command::Invite(invite) => invite.run(settings),
        Command::Approve(approve) => approve.run(settings),
        Command::Revoke { record } => invite::revoke(settings, record),
        Command::Devices(devices) => devices.run(settings),
        Command::Device(device::Device::List) => devices::list(settings),
        Command::Device(device) => device.run(settings),
    }
}

/// Anybody may have answered, so what is printed has to be compared with what the host itself says.
fn pin(host: &str) -> anyhow::Result<()> {
    let met = doctor::probe::tcp(host);
    let met =
        met.map_err(|e| anyhow::anyhow!("{host}: {e}. Look at the address, and whether that host is on"))?;
    output::line(&doctor::certificate::pin(&met.cert_sha256));
    Ok(())
}
