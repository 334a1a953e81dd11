//! The matrix of doctor: a guarded machine on which one thing is broken at a time, so that a log-on fails, evidence is not
//! kept, or what is due is not erased. Doctor must never be green meanwhile.
//!
//! The machine is one on which the admin's page was followed, with what the security team has in [`OFFICE`].

mod records;
mod table;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Machine;
pub use records::enrol;
pub use table::ROWS;

/// Where the security team keeps `organisation.key` and `policy.toml`.
pub const OFFICE: &str = "/srv/office";
/// Words that the scripts of the table use.
const WORDS: &str = r#"
    S=/var/lib/sudare R=/var/lib/sudare-recorder E=$R/evidence
    # A file as it was, with its time: doctor compares it with when xrdp was started.
    keep() { cp -a "$1" "/srv/kept-$(basename "$1")"; }
    back() { rm -f "$1"; mv "/srv/kept-$(basename "$1")" "$1"; }
    xrdp_is_there() { for try in $(seq 120); do [ ! -S /run/sudare-xrdp/socket ] || return 0; sleep 0.5; done; return 1; }
"#;

/// A thing to break.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// A script that breaks it, and one that puts it back; this one is run after a mend, too.
    pub spoil: &'static str,
    pub undo: &'static str,
    /// The part of which doctor has to say that it is wrong, and a word of what it has to say.
    pub part: &'static str,
    pub says: &'static str,
    /// Whether `--fix` mends it.
    pub mends: bool,
}

/// What doctor made of a row.
#[derive(Debug, Clone)]
pub struct Played {
    pub name: &'static str,
    /// Doctor did not say that this part is wrong.
    pub was_green: bool,
    /// What else was not as it should be: the advice, or the mend.
    pub fault: Option<String>,
}

/// All rows.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub rows: Vec<Played>,
}

impl Outcome {
    /// The figure of the benchmark.
    #[must_use]
    pub fn false_green(&self) -> usize {
        self.rows.iter().filter(|row| row.was_green).count()
    }
}

/// Plays these rows on a machine on which doctor is green, and is green again afterwards.
///
/// # Errors
/// The machine is not well before or after, or a script of the table fails.
pub fn play(machine: &Machine, rows: &[Row]) -> anyhow::Result<Outcome> {
    well(machine).context("before the first row")?;
    let mut outcome = Outcome::default();
    for row in rows {
        script(machine, row.spoil).with_context(|| format!("{}: it cannot be broken", row.name))?;
        let seen = doctor(machine, "--json")?;
        let said = problem(&seen, row.part);
        let mut fault = match &said {
            Some(text) if text.contains(row.says) => None,
            Some(text) => Some(format!("it does not say {:?}: {text}", row.says)),
            None => Some(format!("{} is not wrong: {:?}", row.part, problems(&seen))),
        };
        if row.mends {
            fault = fault.or(mended(machine)?);
        }
        script(machine, row.undo).with_context(|| format!("{}: it cannot be put back", row.name))?;
        let played = Played { name: row.name, was_green: said.is_none(), fault };
        tell(&played, &seen);
        outcome.rows.push(played);
    }
    well(machine).context("after the last row")?;
    Ok(outcome)
}

#[allow(clippy::print_stdout, reason = "whoever waits for minutes sees how far it is")]
fn tell(played: &Played, seen: &Value) {
    let mark = if played.was_green { "GREEN" } else { "seen" };
    println!("{mark:<6} {}: {:?}", played.name, problems(seen));
    if let Some(fault) = &played.fault {
        println!("       {fault}");
    }
}

/// What `--fix` did not do, if anything.
fn mended(machine: &Machine) -> anyhow::Result<Option<String>> {
    let seen = doctor(machine, "--fix --json")?;
    let fixed = seen["fixed"].as_array().is_some_and(|fixed| !fixed.is_empty());
    Ok(match (seen["ok"] == true, fixed) {
        (true, true) => None,
        (true, false) => Some("it says nothing of what it mended".to_owned()),
        (false, _) => Some(format!("after --fix: {:?}, left {}", problems(&seen), seen["left"])),
    })
}

fn well(machine: &Machine) -> anyhow::Result<()> {
    let seen = doctor(machine, "--json")?;
    ensure!(seen["ok"] == true, "doctor is not green: {:?}", problems(&seen));
    Ok(())
}

/// It ends with an error while there is a problem.
fn doctor(machine: &Machine, how: &str) -> anyhow::Result<Value> {
    let output = machine.run(&format!("sudare-host doctor {how}"), "")?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(|| format!("doctor printed no JSON: {complaint}"))
}

fn problem(seen: &Value, part: &str) -> Option<String> {
    let findings = seen["findings"].as_array()?;
    let wrong = findings.iter().find(|finding| finding["part"] == part && finding["ok"] == false)?;
    Some(wrong["text"].as_str()?.to_owned())
}

fn problems(seen: &Value) -> Vec<String> {
    let findings = seen["findings"].as_array().into_iter().flatten();
    let wrong = findings.filter(|finding| finding["ok"] == false);
    wrong.map(|finding| format!("{}: {}", finding["part"], finding["text"])).collect()
}

fn script(machine: &Machine, script: &str) -> anyhow::Result<()> {
    machine.must(&format!("set -e\n{WORDS}\n{script}"), "").map(drop)
}
