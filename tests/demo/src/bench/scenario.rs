//! Scenarios of `sudare-stack`, each in namespaces of its own, as benchmarks play them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sudare_stack::xrdp::Report;

use super::table::Table;

const NOT_BUILT: &str = "sudare-stack cannot be started. Build it with `cargo build --workspace --bins`";
/// No scenario takes a tenth of it.
const LONGEST: Duration = Duration::from_secs(3_600);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Plays one in namespaces of its own, and reads what it tells.
pub(super) fn play(scenario: &str, programs: &Path, out: &Path) -> anyhow::Result<Report> {
    play_until(scenario, programs, out, Instant::now() + LONGEST)
}

/// The same, ended at this time; what it would still have told is missing then.
pub(super) fn play_until(
    scenario: &str,
    programs: &Path,
    out: &Path,
    until: Instant,
) -> anyhow::Result<Report> {
    std::fs::create_dir_all(out)?;
    let told = out.join(format!("{scenario}.json"));
    let mut running = Command::new(programs.join("sudare-stack"))
        .args([scenario, "--json", "--out"])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(File::create(&told)?)
        .spawn()
        .context(NOT_BUILT)?;
    while running.try_wait()?.is_none() {
        if Instant::now() >= until {
            // Whatever it has started ends with it.
            running.kill()?;
            running.wait()?;
            let late = "the time of this part was over. Measure it on a machine with less to do".to_owned();
            return Ok(Report { ok: false, skipped: Some(late), ..Report::new(scenario) });
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let said = std::fs::read_to_string(&told)?;
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
