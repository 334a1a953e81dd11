//! `sudare device-key`: prints the line that the security team signs to enrol this device.

use clap::Args;
use sudare_client_runtime::{device, operator};
use sudare_protocol::keyfile;

use crate::output;

/// Print this device's public key (and create the key at first use)
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sudare device-key        send this line to the security team")]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let key = device::device_key(&operator::device_dir()?)?;
    output::line(keyfile::public_line(&key.verifying_key()).trim_end());
    Ok(())
}
