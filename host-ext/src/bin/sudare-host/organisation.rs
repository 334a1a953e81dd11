//! `sudare-host organisation`: what the security team signs, away from any host.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sudare_host_ext::{clock, files, state};
use sudare_protocol::keyfile;
use sudare_protocol::records::{DeviceRecord, HostRecord, Record, Signed};
use sudare_protocol::seal::Identity;

use crate::{output, policy_file};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Organisation {
    /// Make the organisation key (keep it offline) and its public half beside it
    New {
        /// Where to put the secret key; the public half gets the same name with .pub
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make an auditor's age identity (or use age-keygen)
    NewAuditor {
        /// Where to put the identity; the recipient is printed
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
    },
    /// Sign the record of a device
    SignDevice {
        #[command(flatten)]
        sign: Sign,
        /// RDP user who may use it
        #[arg(long)]
        user: String,
        /// The line that `sudare device-key` printed
        #[arg(long, value_name = "LINE")]
        public_key: String,
    },
    /// Sign a policy written in TOML (docs/operating.md shows one)
    SignPolicy {
        #[command(flatten)]
        sign: Sign,
        /// The policy
        #[arg(long = "in", value_name = "FILE")]
        input: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The organisation's secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to put the signed record
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it is valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3660))]
    days: u64,
}

impl Organisation {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Organisation::New { out } => {
                let public = keyfile::public_line(&state::new_key(out)?);
                files::write_private(&out.with_extension("pub"), public.as_bytes())?;
                output::line(public.trim_end());
            }
            Organisation::NewAuditor { out } => {
                anyhow::ensure!(
                    !out.exists(),
                    "{} is there already. Move it away if you mean to",
                    out.display()
                );
                let identity = Identity::generate();
                files::write_private(out, identity.to_file().as_bytes())?;
                output::line(&identity.recipient());
            }
            Organisation::SignHost { sign, host_id, public_key } => {
                let host_key = keyfile::parse_public(public_key)?.to_bytes();
                let (not_before_ms, not_after_ms) = sign.validity();
                sign.write(&HostRecord { host_id: host_id.clone(), host_key, not_before_ms, not_after_ms })?;
            }
            Organisation::SignDevice { sign, user, public_key } => {
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
            Organisation::SignPolicy { sign, input } => {
                sign.write(&policy_file::read(input, sign.validity())?)?;
            }
        }
        Ok(())
    }
}

impl Sign {
    /// From an hour ago, so that a clock slightly behind accepts it at once.
    fn validity(&self) -> (u64, u64) {
        let now_ms = clock::wall_ms();
        (now_ms.saturating_sub(DAY_MS / 24), now_ms.saturating_add(self.days.saturating_mul(DAY_MS)))
    }

    fn write<R: Record>(&self, record: &R) -> anyhow::Result<()> {
        let key = state::read_secret(&self.key, "Make it with `sudare-host organisation new`")?;
        files::write_private(&self.out, &Signed::sign(&key, record)?)?;
        output::line(&format!("Signed: {}", self.out.display()));
        Ok(())
    }
}
