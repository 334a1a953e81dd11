//! `sudare-host device`: the enrolled devices and their operators.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use sudare_base::program::Settings;
use sudare_base::{clock, files, output};
use sudare_protocol::hex::{hex, unhex};
use sudare_protocol::limits::{RECORD_MAX_BYTES, TEMPLATE_MAX_BYTES};
use sudare_protocol::message::Id;
use sudare_protocol::template::OperatorTemplate;
use sudare_records::registry::Registry;
use sudare_records::registry::seats::Waiting;
use sudare_records::state;

/// Devices whose invitation asks for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-host approve              which devices wait
  sudare-host approve 4f3c…        let one of them in")]
pub(crate) struct Approve {
    /// The device's id (32 hexadecimal digits); without it, those that wait are listed
    id: Option<String>,
}

impl Approve {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let dir = settings.load(&[])?.state_dir;
        files::become_owner(&dir)?;
        let registry = state::registry(&dir)?;
        let Some(id) = &self.id else {
            let waiting = registry.waiting()?;
            waiting.iter().for_each(|device| output::line(&waits(device)));
            if waiting.is_empty() {
                output::line("No device waits for approval.");
            }
            return Ok(());
        };
        let user = registry.approve(&device_id(id)?)?;
        output::line(&format!("Device {id} is let in for {user}, who connects again."));
        Ok(())
    }
}

fn waits(device: &Waiting) -> String {
    format!("{}  waits  1 operator(s)  {}", hex(&device.device_id), device.user)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Enrol a device whose record the security team signed
    Add {
        /// The signed record
        record: PathBuf,
        /// Operator files made by `sudare enroll` on that device
        #[arg(long, value_name = "FILE")]
        operator: Vec<PathBuf>,
    },
    /// Add operators to an enrolled device
    Operator {
        /// The device's id (32 hexadecimal digits)
        id: String,
        /// Operator files made by `sudare enroll` on that device
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Refuse a device from now on
    Revoke {
        /// The device's id (32 hexadecimal digits)
        id: String,
    },
    /// Remove the operators of devices whose people took their consent back (a unit does it by itself)
    ForgetWithdrawn,
    /// The same as `sudare-host devices`
    #[command(hide = true)]
    List,
}

impl Device {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let state_dir = settings.load(&[])?.state_dir;
        // Read while this is still root, to whom they may belong; and before anything is enrolled, since a device
        // without operators is of no use.
        let templates = match self {
            Device::Add { operator: files, .. } | Device::Operator { files, .. } => read_operators(files)?,
            Device::Revoke { .. } | Device::ForgetWithdrawn | Device::List => Vec::new(),
        };
        let record = match self {
            Device::Add { record, .. } => read_record(record)?,
            _ => Vec::new(),
        };
        files::become_owner(&state_dir)?;
        let registry = state::registry(&state_dir)?;
        match self {
            Device::Add { .. } => {
                let id = registry.add(&record, clock::wall_ms())?;
                add_operators(&registry, &id, templates)?;
                output::line(&format!("Device {} is enrolled.", hex(&id)));
            }
            Device::Operator { id, .. } => add_operators(&registry, &device_id(id)?, templates)?,
            Device::Revoke { id } => {
                registry.revoke(&device_id(id)?)?;
                output::line(&format!("Device {id} is revoked."));
            }
            Device::ForgetWithdrawn => match registry.forget_withdrawn()? {
                0 => output::line("No operator of a device whose consent was taken back is left."),
                count => output::line(&format!(
                    "The operators of {count} device(s) were removed, because consent was taken back."
                )),
            },
            // Of `sudare-host devices`.
            Device::List => {}
        }
        Ok(())
    }
}

fn read_record(path: &Path) -> anyhow::Result<Vec<u8>> {
    files::read_bounded(path, RECORD_MAX_BYTES)?.with_context(|| {
        format!("{} is missing. Give the record that the security team signed", path.display())
    })
}

fn read_operators(files: &[PathBuf]) -> anyhow::Result<Vec<OperatorTemplate>> {
    let read = |path: &PathBuf| {
        let bytes = files::read_bounded(path, TEMPLATE_MAX_BYTES)?
            .with_context(|| format!("{} is missing. Make it with `sudare enroll`", path.display()))?;
        OperatorTemplate::from_bytes(&bytes).with_context(|| path.display().to_string())
    };
    files.iter().map(read).collect()
}

fn add_operators(registry: &Registry, id: &Id, templates: Vec<OperatorTemplate>) -> anyhow::Result<()> {
    for template in templates {
        let count = registry.add_operator(id, template)?;
        output::line(&format!("Device {} has {count} operator(s).", hex(id)));
    }
    Ok(())
}

fn device_id(text: &str) -> anyhow::Result<Id> {
    match unhex(text) {
        Some(id) => Ok(id),
        None => bail!("{text:?} is not a device id. `sudare-host devices` shows them"),
    }
}
