//! Figures of the gate before a real xrdp, from scenarios of `sudare-stack`, each in namespaces of its own.

use std::path::Path;

use serde_json::{Value, json};
use sudare_stack::xrdp::Report;

use crate::bench::scenario::{number, play, tell_failed, why_missing};
use crate::bench::table::{Needed, Table, summary};

/// What `figures` tells, and what is needed of it: the name, the percentile, and how many milliseconds. All of it is of
/// bitmaps: behind the gate xrdp 0.9 draws with nothing else.
const TIMES: [(&str, &str, &str, Needed); 4] = [
    ("gate_lock_to_black_ms", "lock to black", "p50", Needed::AtMost(30.0)),
    ("gate_lock_to_black_ms", "lock to black", "p95", Needed::AtMost(60.0)),
    ("gate_visible_ms", "unlock to the whole desktop", "p95", Needed::AtMost(250.0)),
    ("heartbeat_loss_to_cover_ms", "lost heartbeat to cover", "max", Needed::AtMost(3_100.0)),
];
const ATTACKS: [&str; 2] = ["attacks", "attacks-xvnc"];

/// How soon the cover comes and goes in an xrdp session.
pub(super) fn figures(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let report = play("figures", programs, &out.join("alone"))?;
    let why = why_missing(&report);
    for (key, name, percentile, needed) in TIMES {
        match report.figures.get(key).and_then(times).map(summary) {
            Some(found) => {
                table.row(&format!("gate: {name}, {percentile}"), found[percentile].as_f64(), "ms", needed);
                table.keep(key, found);
            }
            None => table.leave_out(&[key], &why),
        }
    }
    match report.figures.get("held_bytes").and_then(times) {
        Some(held) => {
            let held = summary(held.into_iter().map(|bytes| bytes / 1024.0).collect());
            table.row("gate: held by a cover, p99", held["p99"].as_f64(), "KB", Needed::Nothing);
            table.keep("gate_held_peak_kb", held);
        }
        None => table.leave_out(&["gate_held_peak_kb"], &why),
    }
    match report.figures.get("gate_before_first_visible").and_then(Value::as_u64) {
        Some(seen) => {
            table.row("gate: pictures before the first visible", number(seen), "", Needed::AtMost(0.0));
            table.keep("gate_before_first_visible", seen);
        }
        None => table.leave_out(&["gate_before_first_visible"], &why),
    }
    tell_failed(table, "gate", &report);
    match report.figures.get("rounds_failed").and_then(Value::as_array).map(Vec::len) {
        Some(failed) => {
            table.keep("rounds_failed", failed);
            table.row("gate: rounds that went wrong", number(failed as u64), "", Needed::Nothing);
        }
        None => table.leave_out(&["rounds_failed"], &why),
    }
    Ok(())
}

/// The same on a screen with about three times as many pixels.
pub(super) fn figures_full_hd(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let report = play("figures-full-hd", programs, &out.join("full-hd"))?;
    lock(table, &report, ("gate_lock_to_black_full_hd_ms", "at 1920x1080"), Needed::Nothing);
    Ok(())
}

/// The same beside many other connections.
pub(super) fn figures_in_a_crowd(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let report = play("figures", programs, &out.join("crowded"))?;
    lock(
        table,
        &report,
        ("gate_lock_to_black_in_a_crowd_ms", "beside idle connections"),
        Needed::AtMost(60.0),
    );
    Ok(())
}

fn lock(table: &mut Table, report: &Report, (key, name): (&str, &str), needed: Needed) {
    let Some(lock) = report.figures.get("gate_lock_to_black_ms").and_then(times).map(summary) else {
        return table.leave_out(&[key], &why_missing(report));
    };
    table.row(&format!("gate: lock to black {name}, p95"), lock["p95"].as_f64(), "ms", needed);
    table.keep(key, lock);
}

/// How many pictures of a moving desktop arrive, with the gate and without it.
pub(super) fn moving(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let report = play("moving", programs, &out.join("moving"))?;
    let mean = |name: &str| {
        let rates = times(report.figures.get(name)?)?;
        Some(rates.iter().sum::<f64>() / f64::from(u32::try_from(rates.len()).ok()?))
    };
    let (Some(direct), Some(gated)) = (mean("direct_per_second"), mean("gate_per_second")) else {
        let why = why_missing(&report);
        table.leave_out(&["gate_throughput_ratio"], &why);
        return Ok(());
    };
    table.row("gate: pictures a second without it", Some(direct), "", Needed::Nothing);
    table.row("gate: pictures a second through it", Some(gated), "", Needed::Nothing);
    table.row("gate: pictures, ratio", Some(gated / direct), "", Needed::AtLeast(0.95));
    table.keep("gate_throughput_ratio", gated / direct);
    table.keep("gate_pictures_per_second", json!({ "direct": direct, "gate": gated }));
    tell_failed(table, "gate", &report);
    Ok(())
}

/// The attacks and the takeovers. They count only if all of them were tried.
pub(super) fn attacks(table: &mut Table, programs: &Path, out: &Path) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    for name in ATTACKS.into_iter().chain(["takeover"]) {
        reports.push(play(name, programs, out)?);
    }
    tell_matrix(table, &reports);
    Ok(())
}

fn tell_matrix(table: &mut Table, reports: &[Report]) {
    let keys = ["gate_leaked_frames", "gate_keys_heard", "gate_looks_per_second_min", "gate_lit_before_min"];
    // One that failed a check has its figures, and they tell.
    if let Some(report) = reports.iter().find(|report| report.error.is_some() || report.skipped.is_some()) {
        let why = why_missing(report);
        return table.leave_out(&keys, &why);
    }
    let rows = || reports.iter().filter_map(|report| report.figures.get("matrix")?.as_array()).flatten();
    let sum = |key: &str| rows().filter_map(|row| row[key].as_u64()).sum::<u64>();
    let least = |key: &str| rows().filter_map(|row| row[key].as_f64()).fold(f64::INFINITY, f64::min);
    let taken_over = || reports.iter().flat_map(|report| report.figures.values());
    let at_second = taken_over().filter_map(|seen| seen.get("leaked_frames")?.as_u64()).sum::<u64>();
    let leaked = sum("leaked_frames") + sum("pointers_seen") + sum("bells_heard") + at_second;
    let (heard, rate, lit) = (sum("keys_delivered"), least("samples_per_second"), least("lit_before"));
    table.keep("attack_matrix", json!(rows().collect::<Vec<_>>()));
    table.keep("gate_leaked_frames", leaked);
    table.keep("gate_keys_heard", heard);
    table.keep("gate_looks_per_second_min", rate);
    table.keep("gate_lit_before_min", lit);
    table.row("attacks, rows of the matrix", number(rows().count() as u64), "", Needed::Nothing);
    table.row("attacks, pictures looked at", number(sum("samples")), "", Needed::Nothing);
    table.row("attacks and takeovers, leaked pictures", number(leaked), "", Needed::AtMost(0.0));
    table.row("attacks, keys heard", number(heard), "", Needed::AtMost(0.0));
    table.row("attacks, looks a second, least", Some(rate), "", Needed::AtLeast(100.0));
    table.row("before each cover, lit pictures, least", Some(lit), "", Needed::AtLeast(1.0));
    reports.iter().for_each(|report| tell_failed(table, "gate", report));
}

fn times(found: &Value) -> Option<Vec<f64>> {
    found.as_array()?.iter().map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(leaked: u64, seen_elsewhere: u64) -> [Report; 2] {
        let row = json!({
            "attack": "raise", "samples": 800, "samples_per_second": 380.0, "leaked_frames": leaked,
            "pointers_seen": 0, "keys_delivered": 0, "lit_before": 400
        });
        let mut reports = ["attacks", "takeover"].map(Report::new);
        reports[0].figure("matrix", json!([row]));
        reports[1].figure("takeover-1", json!({ "leaked_frames": seen_elsewhere }));
        reports
    }

    #[test]
    fn a_leak_anywhere_is_a_leak_and_what_was_not_tried_proves_nothing() {
        let told = |reports: &[Report]| {
            let mut table = Table::default();
            tell_matrix(&mut table, reports);
            let missed = table.lines().filter(|line| line.ends_with("MISSED")).count();
            (table.figures()["gate_leaked_frames"].clone(), missed)
        };
        assert_eq!(told(&report(0, 0)), (json!(0), 0));
        assert_eq!(told(&report(2, 0)), (json!(2), 1));
        assert_eq!(told(&report(0, 3)), (json!(3), 1));
        let [mut attacks, takeover] = report(0, 0);
        attacks.skipped = Some("no root".into());
        assert_eq!(told(&[attacks, takeover]), (json!(null), 0));
    }
}
