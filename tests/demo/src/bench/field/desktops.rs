//! What a cover hides, seen at the client's pixels under every attack, and what it leaves of a user's desktop: scenarios
//! of `sudare-stack`.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use sudare_stack::xrdp::Report;

use crate::bench::scenario::{number, play_until, tell_failed, why_missing};
use crate::bench::table::{Needed, Table};

/// Xorg, where most rows are, and the X server whose pictures come in another form.
const ATTACKS: [&str; 2] = ["attacks", "attacks-xvnc"];
const LOCKERS: &str = "lockers";
const OF_ATTACKS: [&str; 4] = ["leaked_frames_client", "looks", "looks_per_second_min", "keys_heard"];
const OF_LOCKERS: [&str; 3] = ["lockers_opened", "windows_lost", "keys_heard"];

pub(super) fn measure(table: &mut Table, programs: &Path, out: &Path, until: Instant) -> anyhow::Result<()> {
    let mut attacks = Vec::new();
    for name in ATTACKS {
        attacks.push(play_until(name, programs, out, until)?);
    }
    let lockers = play_until(LOCKERS, programs, out, until)?;
    tell(table, &attacks, &lockers);
    Ok(())
}

fn tell(table: &mut Table, attacks: &[Report], lockers: &Report) {
    let heard = [tell_matrix(table, attacks), tell_lockers(table, lockers)];
    // Of a part that was not tried nobody knows what was heard.
    if let [Some(attackers), Some(listeners)] = heard {
        let all = attackers + listeners;
        table.keep("keys_heard", all);
        table.row("field: keys heard by programs of sessions", number(all), "", Needed::AtMost(0.0));
    }
    attacks.iter().chain([lockers]).for_each(|report| tell_failed(table, "field", report));
}

/// Gives how many keys were heard.
fn tell_matrix(table: &mut Table, reports: &[Report]) -> Option<u64> {
    let is_told = |report: &Report| report.error.is_none() && report.figures.contains_key("matrix");
    if let Some(report) = reports.iter().find(|report| !is_told(report)) {
        table.leave_out(&OF_ATTACKS, &why_missing(report));
        return None;
    }
    let rows = || reports.iter().filter_map(|report| report.figures.get("matrix")?.as_array()).flatten();
    let sum = |key: &str| rows().filter_map(|row| row[key].as_u64()).sum::<u64>();
    let rates = rows().filter_map(|row| row["samples_per_second"].as_f64());
    let (looks, rate) = (sum("samples"), rates.fold(f64::INFINITY, f64::min));
    let leaked = sum("leaked_frames") + sum("pointers_seen") + sum("bells_heard");
    let controls = rows().filter(|row| row["leaks_uncovered"] == true).count();
    table.keep("leaked_frames_client", leaked);
    table.keep("looks", looks);
    table.keep("looks_per_second_min", rate);
    table.keep("field_matrix", json!(rows().collect::<Vec<_>>()));
    table.row("field: attacks, each at 1920x1080", number(rows().count() as u64), "", Needed::Nothing);
    table.row(
        "field: of these, seen or heard uncovered",
        number(controls as u64),
        "",
        Needed::AtLeast(rows().count() as f64),
    );
    table.row("field: looks at the client's screen", number(looks), "", Needed::AtLeast(1.0));
    table.row("field: looks a second, least of a row", Some(rate), "", Needed::AtLeast(100.0));
    table.row("field: leaked pictures at the client", number(leaked), "", Needed::AtMost(0.0));
    Some(sum("keys_delivered"))
}

/// Gives how many keys were heard.
fn tell_lockers(table: &mut Table, report: &Report) -> Option<u64> {
    let tally = report.figures.get("tally").filter(|_| report.error.is_none());
    let count = |key: &str| tally?.get(key).and_then(Value::as_u64);
    let Some(tried) = count("lockers_locked").filter(|tried| *tried > 0) else {
        let why = if tally.is_some() { "no locker locks here".to_owned() } else { why_missing(report) };
        table.leave_out(&OF_LOCKERS, &why);
        return None;
    };
    table.row("field: lockers under a cover", number(tried), "", Needed::AtLeast(1.0));
    for (key, name) in [
        ("lockers_opened", "lockers opened by a cover"),
        ("windows_lost", "windows lost by a cover"),
        ("focus_lost", "covers that took the focus"),
        ("keys_hanging", "keys that hung after a cover"),
    ] {
        table.row(&format!("field: {name}"), count(key).and_then(number), "", Needed::AtMost(0.0));
        table.keep(key, count(key));
    }
    table.keep("lockers_tried", tried);
    for pair in report.figures.get("not_tried").and_then(Value::as_array).into_iter().flatten() {
        table.tell(format!("NOT TRIED: {}", pair.as_str().unwrap_or_default()));
    }
    count("keys_heard")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attacks(leaked: u64, control: bool) -> Report {
        let mut report = Report::new("attacks");
        let row = json!({
            "attack": "raise", "samples": 800, "samples_per_second": 380.0, "leaked_frames": leaked,
            "pointers_seen": 0, "bells_heard": 0, "keys_delivered": 0, "leaks_uncovered": control
        });
        report.figure("matrix", json!([row]));
        report
    }

    fn lockers(tried: u64, opened: u64) -> Report {
        let mut report = Report::new("lockers");
        let tally = json!({
            "lockers_locked": tried, "lockers_opened": opened, "windows_lost": 0, "focus_lost": 0,
            "keys_hanging": 0, "keys_heard": 0
        });
        report.figure("tally", tally);
        report.figure("not_tried", json!(["marco is not installed"]));
        report
    }

    fn told(attacks: Report, lockers: &Report) -> (Table, usize) {
        let mut table = Table::default();
        tell(&mut table, &[attacks], lockers);
        let missed = table.lines().filter(|line| line.ends_with("MISSED")).count();
        (table, missed)
    }

    #[test]
    fn a_leak_a_locker_that_opened_and_a_control_that_showed_nothing_are_missed() {
        assert_eq!(told(attacks(0, true), &lockers(3, 0)).1, 0);
        assert_eq!(told(attacks(1, true), &lockers(3, 0)).1, 1);
        assert_eq!(told(attacks(0, false), &lockers(3, 0)).1, 1);
        assert_eq!(told(attacks(0, true), &lockers(3, 1)).1, 1);
    }

    #[test]
    fn what_could_not_be_tried_is_missing_and_no_zero() {
        let skipped = |name| Report { skipped: Some("no root".into()), ..Report::new(name) };
        let (table, _) = told(skipped("attacks"), &lockers(3, 0));
        assert_eq!(table.figures()["leaked_frames_client"], Value::Null);
        assert_eq!(table.figures()["keys_heard"], Value::Null);
        assert_eq!(table.figures()["lockers_opened"], json!(0));
        let (table, _) = told(attacks(0, true), &skipped("lockers"));
        assert_eq!(table.figures()["lockers_opened"], Value::Null);
        assert_eq!(table.figures()["keys_heard"], Value::Null);
        let (table, _) = told(attacks(0, true), &lockers(0, 0));
        assert_eq!(table.figures()["lockers_opened"], Value::Null);
        assert!(table.missing().iter().any(|line| line.contains("no locker locks here")));
    }
}
