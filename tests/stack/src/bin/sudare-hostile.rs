//! Attacks the cover of the display in the environment: `sudare-hostile ATTACK MILLISECONDS`.

#![allow(clippy::print_stdout, reason = "a program of a test: its output is one line")]

use std::time::Duration;

use anyhow::Context as _;
use sudare_stack::attackers;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("name an attack")?;
    let duration_ms = arguments.next().context("give the number of milliseconds")?.parse()?;
    let duration = Duration::from_millis(duration_ms);
    let outcome = attackers::attack(&name, duration)?;
    println!("{} {}", outcome.strikes, outcome.keys);
    Ok(())
}
