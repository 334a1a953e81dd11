//! `sudare-authority`: the organisation's secret key, and the records that the security team signs with it, offline.
//!
//! ```text
//!  new ─► organisation.key (offline) ─► sign-host, sign-enroller, sign-device, sign-policy, revoke ─► record ─► VDI admin ─► host
//!     └─► organisation.pub ─► every host and device        new-auditor ─► age identity: opens evidence
//! ```
//! A program of its own, which no host installs, so that the key never needs to be where a host's programs are.
//! Deliberately absent: the network, hosts' keys and the registry of devices.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod bundle;
mod policy_file;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sudare_base::config::log_origin;
use sudare_base::{clock, files, output, program};
use sudare_protocol::enrol::{EnrollerRecord, Revocation};
use sudare_protocol::keyfile;
use sudare_protocol::records::{DeviceRecord, HostRecord, Record, Signed};
use sudare_protocol::seal::Identity;
use sudare_protocol::tlog::VerifierKey;
use sudare_records::keys;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Make the organisation's keys, and sign hosts, devices and policies. Keep this program's keys offline.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-authority",
    version,
    after_help = "\
Examples:
  sudare-authority new --out keys/organisation.key               once; writes organisation.pub too
  sudare-authority new-auditor --out keys/auditor-1.age          at least two of them
  sudare-authority sign-host --key keys/organisation.key --host-id vdi-0042 --public-key LINE --out host.record
  sudare-authority new-enroller --out keys/enroller.key          once for each desk that invites devices
  sudare-authority sign-enroller --key keys/organisation.key --name desk --user @staff --public-key LINE --out enroller.record
  sudare-authority revoke --key keys/organisation.key --public-key LINE --out enroller.revocation
  sudare-authority sign-policy --key keys/organisation.key --in policy.toml --out policy.record"
)]
struct Cli {
    #[command(subcommand)]
    command: Authority,
}

#[derive(Debug, Subcommand)]
enum Authority {
    /// Make the organisation key (keep it offline) and its public half
    New {
        /// Where to write the secret key; the public half gets the same name with .pub
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make an enroller's key, with which a VDI admin invites devices, and its public half
    NewEnroller {
        /// Where to write the secret key; the public half gets the same name with .pub
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make an auditor's age identity (or use age-keygen)
    NewAuditor {
        /// Where to write the identity; the recipient is printed
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign the record of a host
    SignHost {
        #[command(flatten)]
        sign: Sign,
        /// Name of the host
        #[arg(long)]
        host_id: String,
        /// The line that `sudare-host key` printed
        #[arg(long, value_name = "LINE")]
        public_key: String,
        /// Another log than the one that the host's line names, by the line that `sudare-recorder --print-key` printed:
        /// clients forget evidence only if the log of the record proves that it holds it
        #[arg(long, value_name = "LINE")]
        log: Option<String>,
    },
    /// Sign the record of a device
    SignDevice {
        #[command(flatten)]
        sign: Sign,
        /// RDP user who may use the device
        #[arg(long)]
        user: String,
        /// The line that `sudare device-key` printed
        #[arg(long, value_name = "LINE")]
        public_key: String,
    },
    /// Say who may invite devices: for whom, how many, and until when
    SignEnroller {
        #[command(flatten)]
        sign: Sign,
        /// A name for people, such as "help desk Tokyo"
        #[arg(long)]
        name: String,
        /// The line of the enroller's .pub file
        #[arg(long, value_name = "LINE")]
        public_key: String,
        /// A user, @GROUP for the members of a group of the host, or * for everybody; may be repeated
        #[arg(long = "user", value_name = "USER", required = true)]
        users: Vec<String>,
        /// How many devices it may invite in all
        #[arg(long, value_name = "N", default_value_t = 500)]
        devices: u32,
    },
    /// Take a key back, for good: an enroller's with all its devices, or a device's
    Revoke {
        /// The organisation's secret key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The line of the key that counts no more
        #[arg(long, value_name = "LINE")]
        public_key: String,
        /// Where to write the signed record
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put all records of a folder into one file, from which every host takes what is new (docs/guide/security-team.md)
    Bundle {
        /// The organisation's secret key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The folder with the signed records, such as one that is kept in git; folders in it are read as well
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// Where to write the bundle
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Hosts that may use it; may be repeated. Without it: all of them
        #[arg(long = "host", value_name = "HOST_ID")]
        hosts: Vec<String>,
        /// Hosts refuse one that is lower than what they had; by default the Unix time in seconds
        #[arg(long, value_name = "N")]
        serial: Option<u64>,
    },
    /// Sign a policy written in TOML (docs/guide/security-team.md shows one)
    SignPolicy {
        #[command(flatten)]
        sign: Sign,
        /// The policy
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Sign {
    /// The organisation's secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write the signed record
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For how many days the record is valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3660))]
    days: u64,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    program::run("sudare-authority", || cli.command.run())
}

impl Authority {
    fn run(&self) -> anyhow::Result<()> {
        match self {
            Authority::New { out } | Authority::NewEnroller { out } => {
                let public = keyfile::public_line(&keys::new_key(out)?);
                files::write_private(&out.with_extension("pub"), public.as_bytes())?;
                output::line(public.trim_end());
            }
            Authority::NewAuditor { out } => {
                anyhow::ensure!(
                    !out.exists(),
                    "{} exists already, and keys are never overwritten. Move it away if you mean to replace it",
                    out.display()
                );
                let identity = Identity::generate();
                files::write_private(out, identity.to_file().as_bytes())?;
                output::line(&identity.recipient());
            }
            Authority::SignHost { sign, host_id, log, public_key } => {
                let (host_key, log_key) = keyfile::parse_host(public_key)?;
                let host_key = host_key.to_bytes();
                let (not_before_ms, not_after_ms) = sign.validity();
                let host_id = host_id.clone();
                let named = log_key.map(|key| VerifierKey::new(&log_origin(&host_id), key)).transpose()?;
                let log = log.clone().or_else(|| named.map(|named| named.to_string()));
                sign.write(&HostRecord { host_id, host_key, not_before_ms, not_after_ms, log })?;
            }
            Authority::SignDevice { sign, user, public_key } => {
                let key = keyfile::parse_public(public_key)?;
                let (not_before_ms, not_after_ms) = sign.validity();
                let device_id = keyfile::device_id(&key);
                let device_key = key.to_bytes();
                sign.write(&DeviceRecord {
                    device_id,
                    device_key,
                    user: user.clone(),
                    not_before_ms,
                    not_after_ms,
                })?;
            }
            Authority::SignEnroller { sign, name, public_key, users, devices } => {
                let (not_before_ms, not_after_ms) = sign.validity();
                sign.write(&EnrollerRecord {
                    name: name.clone(),
                    key: keyfile::parse_public(public_key)?.to_bytes(),
                    users: users.clone(),
                    devices_max: *devices,
                    not_before_ms,
                    not_after_ms,
                })?;
            }
            Authority::Revoke { key, public_key, out } => {
                let revoked = keyfile::parse_public(public_key)?.to_bytes();
                write(key, out, &Revocation { key: revoked, at_ms: clock::wall_ms() })?;
            }
            Authority::Bundle { key, from, out, hosts, serial } => {
                let key = keys::read_secret(key, "Make it with `sudare-authority new`")?;
                bundle::write(&key, from, out, hosts, *serial)?;
            }
            Authority::SignPolicy { sign, input } => {
                sign.write(&policy_file::read(input, sign.validity())?)?;
            }
        }
        Ok(())
    }
}

impl Sign {
    /// Valid from an hour ago, so that a host whose clock is slightly behind accepts it at once.
    fn validity(&self) -> (u64, u64) {
        let now_ms = clock::wall_ms();
        (now_ms.saturating_sub(DAY_MS / 24), now_ms.saturating_add(self.days.saturating_mul(DAY_MS)))
    }

    fn write<R: Record>(&self, record: &R) -> anyhow::Result<()> {
        write(&self.key, &self.out, record)
    }
}

fn write<R: Record>(key: &Path, out: &Path, record: &R) -> anyhow::Result<()> {
    let key = keys::read_secret(key, "Make it with `sudare-authority new`")?;
    files::write_private(out, &Signed::sign(&key, record)?)?;
    output::line(&format!("Signed: {}", out.display()));
    Ok(())
}
