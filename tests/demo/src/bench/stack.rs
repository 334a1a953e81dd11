//! Figures of the real stack, from scenarios of `sudare-stack`, each in namespaces of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;
use sudare_stack::blanking::attacks::Matrix;
use sudare_stack::xrdp::Report;

use super::table::{Needed, Table, summary};

const KEYS: [&str; 2] = ["xrdp_lock_to_black_ms", "heartbeat_loss_to_black_ms"];

/// The attack matrix in an xrdp session. The inner error is why it could not be tried.
pub fn matrix(programs: &Path, out: &Path) -> anyhow::Result<Result<Matrix, String>> {
    let report = play("attacks", programs, out)?;
    if let Some(why) = report.skipped {
        return Ok(Err(why));
    }
    let Some(found) = report.figures.get("matrix") else {
        return Ok(Err(broken(&report)));
    };
    Ok(Ok(serde_json::from_value(found.clone())?))
}

/// How soon the cover comes in an xrdp session.
pub fn cover_latency(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let report = play("figures", programs, out)?;
    let why = report.skipped.clone().unwrap_or_else(|| broken(&report));
    let found = KEYS.map(|key| report.figures.get(key).and_then(times).map(summary));
    for (key, found) in KEYS.into_iter().zip(&found) {
        match found {
            Some(found) => table.keep(key, found.clone()),
            None => table.leave_out(&[key], &why),
        }
    }
    for check in report.checks.iter().filter(|check| !check.ok) {
        table.broke_off("servers", &format!("{}: {}", check.name, check.detail));
    }
    let failed = report.figures.get("rounds_failed").and_then(Value::as_array).map(Vec::len);
    match failed {
        Some(failed) => {
            table.keep("rounds_failed", failed);
            let count = u32::try_from(failed).ok().map(f64::from);
            table.row("xrdp: rounds that went wrong", count, "", Needed::Nothing);
        }
        None => table.leave_out(&["rounds_failed"], &why),
    }
    let [lock, silence] = found;
    if let Some(lock) = lock {
        table.row("xrdp: lock to black, p50", lock["p50"].as_f64(), "ms", Needed::Nothing);
        table.row("xrdp: lock to black, p95", lock["p95"].as_f64(), "ms", Needed::AtMost(250.0));
    }
    if let Some(silence) = silence {
        let max = silence["max"].as_f64();
        table.row("xrdp: lost heartbeat to black, max", max, "ms", Needed::AtMost(3_100.0));
    }
    Ok(())
}

fn times(found: &Value) -> Option<Vec<f64>> {
    found.as_array()?.iter().map(Value::as_f64).collect()
}

/// Why a scenario that was tried has no figure.
fn broken(report: &Report) -> String {
    let failed: Vec<&str> =
        report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    let error = report.error.as_deref().unwrap_or("no figure was told");
    format!("the scenario {} broke off: {error} {failed:?}", report.scenario)
}

fn play(scenario: &str, programs: &Path, out: &Path) -> anyhow::Result<Report> {
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
