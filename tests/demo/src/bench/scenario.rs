//! Scenarios of `sudare-stack`, each in namespaces of its own, as benchmarks play them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use sudare_stack::xrdp::Report;

use super::table::Table;

/// Plays one in namespaces of its own, and reads what it tells.
pub(super) fn play(scenario: &str, programs: &Path, out: &Path) -> anyhow::Result<Report> {
    let output = Command::new(programs.join("sudare-stack"))
        .args([scenario, "--json", "--out"])
        .arg(out)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("sudare-stack cannot be started. Build it with `cargo build --workspace --bins`")?;
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).with_context(|| format!("sudare-stack {scenario} told no report: {said}"))
}

/// Why a scenario has no figure: this machine cannot play it, or it broke off.
pub(super) fn why_missing(report: &Report) -> String {
    report.skipped.clone().unwrap_or_else(|| broken(report))
}

/// Why a scenario that was tried has no figure.
fn broken(report: &Report) -> String {
    let failed: Vec<&str> =
        report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    let error = report.error.as_deref().unwrap_or("no figure was told");
    format!("the scenario {} broke off: {error} {failed:?}", report.scenario)
}

/// What a scenario that was played did not hold.
pub(super) fn tell_failed(table: &mut Table, part: &str, report: &Report) {
    for check in report.checks.iter().filter(|check| !check.ok) {
        table.broke_off(part, &format!("{}, {}: {}", report.scenario, check.name, check.detail));
    }
}

pub(super) fn number(count: u64) -> Option<f64> {
    u32::try_from(count).ok().map(f64::from)
}
