//! Programs of the session's user that want to be seen under a cover, or to hear what is typed at it.
//!
//! Everything here needs only `DISPLAY` and `XAUTHORITY`. Each attack is a mode of the program `sudare-hostile`.

pub mod display;
pub mod hostile;
pub mod inside;
pub mod pictures;
mod program;
pub mod senses;

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use sudare_test_kit::program;

use display::{Access, Running};
use hostile::{Attack, Outcome};
use inside::Inside;
use pictures::Pictures;
use senses::Senses;

/// What an attack comes to where nothing covers, so that its row can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Its pixels are at the client.
    Picture,
    /// Its pointer is.
    Pointer,
    /// It hears what is typed at the client, or where the client's pointer goes.
    Input,
    /// The client rings.
    Sound,
}

/// What the attack of this name is after.
pub fn aim(name: &str) -> Aim {
    match (Inside::from_name(name), Senses::from_name(name)) {
        (Some(Inside::Pointers), _) | (_, Some(Senses::AnimatedPointers)) => Aim::Pointer,
        (_, Some(Senses::Bell)) => Aim::Sound,
        (Some(Inside::RawKeys | Inside::Keymap), _) | (_, Some(_)) => Aim::Input,
        _ => Aim::Picture,
    }
}

/// Attacks the display of the environment for so long.
pub fn attack(name: &str, duration: Duration) -> anyhow::Result<Outcome> {
    if let Some(attack) = Attack::from_name(name) {
        hostile::attack(attack, duration)
    } else if let Some(attack) = Inside::from_name(name) {
        inside::attack(attack, duration)
    } else if let Some(attack) = Pictures::from_name(name) {
        pictures::attack(attack, duration)
    } else if let Some(attack) = Senses::from_name(name) {
        senses::attack(attack, duration)
    } else {
        bail!("there is no attack {name}")
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attack_is_found_by_its_name_alone() {
        let names = Attack::ALL.map(Attack::name).into_iter().chain(Inside::ALL.map(Inside::name));
        let names = names.chain(Pictures::ALL.map(Pictures::name)).chain(Senses::ALL.map(Senses::name));
        let names: Vec<&str> = names.collect();
        for (n, name) in names.iter().enumerate() {
            assert!(!names[n + 1..].contains(name), "two attacks are called {name}");
        }
        for (name, after) in [
            ("raise", Aim::Picture),
            ("noise", Aim::Picture),
            ("pointers", Aim::Pointer),
            ("animated-pointers", Aim::Pointer),
            ("keymap", Aim::Input),
            ("record", Aim::Input),
            ("bell", Aim::Sound),
        ] {
            assert!(names.contains(&name) && aim(name) == after, "{name}");
        }
    }
}
