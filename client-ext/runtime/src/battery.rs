//! Whether this PC runs on its battery, so that the eyes may spare it.
//!
//! Linux tells it in a folder per supply: `type` (Mains, USB, Battery, …), `online`, `status`, and `scope`, which is
//! `Device` for the battery of a mouse. Whatever cannot be read counts as mains: then nothing is spared.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::platform;

/// A supply is asked for no more often than this: some take a while to answer.
const EACH_MS: u64 = 30_000;
/// Supplies that are looked at, and the bytes of one answer.
const SUPPLIES_MAX: usize = 32;
const ANSWER_MAX_BYTES: u64 = 64;

/// When the battery is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sparing {
    /// While the PC runs on it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a way to spare the battery. Use auto, on or off")]
pub struct UnknownSparing(String);

impl FromStr for Sparing {
    type Err = UnknownSparing;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Sparing::Auto),
            "on" => Ok(Sparing::On),
            "off" => Ok(Sparing::Off),
            _ => Err(UnknownSparing(text.chars().take(64).collect())),
        }
    }
}

/// Remembers what the supplies said.
#[derive(Debug)]
pub struct Battery {
    sparing: Sparing,
    /// Of the supplies; `None` where the system does not tell.
    folder: Option<PathBuf>,
    asked_ms: Option<u64>,
    in_use: bool,
}

impl Battery {
    #[must_use]
    pub fn new(sparing: Sparing) -> Self {
        Self::with(sparing, platform::power_supplies())
    }

    fn with(sparing: Sparing, folder: Option<PathBuf>) -> Self {
        Battery { sparing, folder, asked_ms: None, in_use: false }
    }

    /// Whether to spare it now. The supplies are asked only where that depends on them.
    pub fn is_spared(&mut self, now_ms: u64) -> bool {
        match self.sparing {
            Sparing::On => true,
            Sparing::Off => false,
            Sparing::Auto => {
                if self.asked_ms.is_none_or(|at| now_ms.saturating_sub(at) >= EACH_MS) {
                    self.asked_ms = Some(now_ms);
                    self.in_use = self.folder.as_deref().is_some_and(is_in_use);
                }
                self.in_use
            }
        }
    }
}

/// Whether a battery of the PC itself feeds it: nothing else is online, and it is neither charging nor full.
fn is_in_use(folder: &Path) -> bool {
    let Ok(supplies) = std::fs::read_dir(folder) else { return false };
    let mut drains = false;
    for supply in supplies.take(SUPPLIES_MAX).flatten() {
        let supply = supply.path();
        let kind = answer(&supply, "type");
        // Kinds of USB have names of their own, such as USB_C; a supply whose voltage is negotiated says 2.
        if kind == "Mains" || kind == "Wireless" || kind.starts_with("USB") {
            if matches!(answer(&supply, "online").as_str(), "1" | "2") {
                return false;
            }
        } else if kind == "Battery" && answer(&supply, "scope") != "Device" {
            let rests = ["Charging", "Full", "Not charging"].contains(&answer(&supply, "status").as_str());
            drains |= !rests && answer(&supply, "present") != "0";
        }
    }
    drains
}

/// The words of one file; none if there is no such file.
fn answer(supply: &Path, name: &str) -> String {
    let mut text = String::new();
    let file = File::open(supply.join(name));
    match file.and_then(|file| file.take(ANSWER_MAX_BYTES).read_to_string(&mut text)) {
        Ok(_) => text.trim().to_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a PC with these supplies, each with its files, runs on its battery.
    fn in_use(supplies: &[&[(&str, &str)]]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), supplies);
        Battery::with(Sparing::Auto, Some(folder.path().to_owned())).is_spared(0)
    }

    fn write(folder: &Path, supplies: &[&[(&str, &str)]]) {
        for (i, files) in supplies.iter().enumerate() {
            let supply = folder.join(format!("supply{i}"));
            std::fs::create_dir_all(&supply).unwrap();
            for (name, text) in *files {
                std::fs::write(supply.join(name), format!("{text}\n")).unwrap();
            }
        }
    }

    const DRAINS: &[(&str, &str)] = &[("type", "Battery"), ("status", "Discharging"), ("present", "1")];
    const PLUGGED: &[(&str, &str)] = &[("type", "Mains"), ("online", "1")];
    const UNPLUGGED: &[(&str, &str)] = &[("type", "Mains"), ("online", "0")];

    #[test]
    fn a_battery_is_in_use_while_it_drains_and_nothing_else_is_online() {
        assert!(in_use(&[UNPLUGGED, DRAINS]) && in_use(&[DRAINS]));
        assert!(in_use(&[UNPLUGGED, &[("type", "Battery")]]), "one that says little");
        assert!(!in_use(&[DRAINS, PLUGGED]) && !in_use(&[PLUGGED, DRAINS]));
        assert!(!in_use(&[DRAINS, &[("type", "USB_C"), ("online", "2")]]));
        assert!(in_use(&[DRAINS, &[("type", "USB"), ("online", "0")]]));
        assert!(!in_use(&[UNPLUGGED, &[("type", "Battery"), ("status", "Charging")]]));
        assert!(!in_use(&[UNPLUGGED, &[("type", "Battery"), ("present", "0")]]), "taken out");
    }

    #[test]
    fn a_pc_without_a_battery_of_its_own_runs_on_mains() {
        let mouse: &[(&str, &str)] = &[("type", "Battery"), ("status", "Discharging"), ("scope", "Device")];
        assert!(!in_use(&[]) && !in_use(&[UNPLUGGED]) && !in_use(&[mouse]));
        assert!(!in_use(&[&[("type", "UPS")], &[("status", "Discharging")], &[]]));
        assert!(!Battery::with(Sparing::Auto, None).is_spared(0));
        let nowhere = Path::new("/no/such/folder").to_owned();
        assert!(!Battery::with(Sparing::Auto, Some(nowhere)).is_spared(0));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[DRAINS]);
        // More than an answer has, and bytes that are no text.
        std::fs::write(folder.path().join("supply0/type"), [0xff; 4096]).unwrap();
        std::fs::write(folder.path().join("file"), "Battery").unwrap();
        assert!(!is_in_use(folder.path()));
    }

    #[test]
    fn the_supplies_are_asked_every_half_minute_and_not_at_all_where_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[DRAINS, PLUGGED]);
        let with = |sparing| Battery::with(sparing, Some(folder.path().to_owned()));
        let (mut auto, mut on, mut off) = (with(Sparing::Auto), with(Sparing::On), with(Sparing::Off));
        assert_eq!([auto.is_spared(500), on.is_spared(500), off.is_spared(500)], [false, true, false]);
        write(folder.path(), &[DRAINS, UNPLUGGED]);
        assert_eq!([500, 30_499, 30_500].map(|now_ms| auto.is_spared(now_ms)), [false, false, true]);
        assert!(!off.is_spared(60_000));
    }

    #[test]
    fn words_on_the_command_line_are_these_three() {
        let parsed = ["auto", "on", "off"].map(|word| word.parse::<Sparing>().unwrap());
        assert_eq!(parsed, [Sparing::Auto, Sparing::On, Sparing::Off]);
        let error = "yes".parse::<Sparing>().unwrap_err().to_string();
        assert!(error.contains("\"yes\"") && error.ends_with("Use auto, on or off"), "{error}");
    }
}
