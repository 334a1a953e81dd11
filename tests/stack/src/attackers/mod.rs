//! Programs of the session's user that want to be seen under a cover, or to hear what is typed at it.
//!
//! Everything here needs only `DISPLAY` and `XAUTHORITY`. Each attack is a mode of the program `sudare-hostile`.

pub mod display;
pub mod hostile;
pub mod inside;

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sudare_test_kit::program;

use display::{Access, Running};
use hostile::Outcome;

/// Starts an attacker by its name.
pub fn start(access: &Access, name: &str, lasts: Duration) -> anyhow::Result<Running> {
    let mut command = access.command(program("sudare-hostile")?);
    command.args([name, &lasts.as_millis().to_string()]).stdout(Stdio::piped());
    Ok(Running(command.spawn()?))
}

/// Waits for an attacker's own result.
pub fn finish(hostile: &mut Running) -> anyhow::Result<Outcome> {
    let mut text = String::new();
    hostile.0.stdout.take().context("no output")?.read_to_string(&mut text)?;
    ensure!(hostile.0.wait()?.success(), "the attacker crashed");
    let (strikes, keys) = text.trim().split_once(' ').context("the attacker printed no result")?;
    Ok(Outcome { strikes: strikes.parse()?, keys: keys.parse()? })
}
