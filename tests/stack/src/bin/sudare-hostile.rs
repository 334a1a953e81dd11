//! Attacks the cover of the display in the environment: `sudare-hostile ATTACK MILLISECONDS`.

#![allow(clippy::print_stdout, reason = "a program of a test: its output is one line")]

use std::time::Duration;

use anyhow::{Context as _, bail};
use sudare_stack::attackers::hostile::{self, Attack};
use sudare_stack::attackers::inside::{self, Inside};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().context("name an attack")?;
    let duration_ms = arguments.next().context("give the number of milliseconds")?.parse()?;
    let duration = Duration::from_millis(duration_ms);
    let outcome = if let Some(attack) = Attack::from_name(&name) {
        hostile::attack(attack, duration)?
    } else if let Some(attack) = Inside::from_name(&name) {
        inside::attack(attack, duration)?
    } else {
        bail!("unknown attack {name}")
    };
    println!("{} {}", outcome.strikes, outcome.keys);
    Ok(())
}
