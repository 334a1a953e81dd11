//! The cover of an X display of our own: the attack matrix, and from the request to black.

use serde_json::json;
use sudare_stack::blanking::attacks::{self, Matrix};
use sudare_stack::blanking::display::Xvfb;
use sudare_stack::blanking::latency;
use sudare_test_kit::needs::is_installed;

use super::table::{Needed, Table, summary};

const SIZE: (u16, u16) = (1920, 1080);
const ROUNDS: usize = 120;
const NO_XVFB: &str = "Xvfb is not installed. apt-get install xvfb";

/// The matrix on Xvfb.
pub fn matrix() -> anyhow::Result<Result<Matrix, String>> {
    if !is_installed("Xvfb") {
        return Ok(Err(NO_XVFB.to_owned()));
    }
    let server = Xvfb::start(SIZE.0, SIZE.1, 24)?;
    Ok(Ok(attacks::all(&server.access, "Xvfb")?))
}

/// From the request at the host's blanker to black, the snapshot included.
pub fn cover_latency(table: &mut Table) -> anyhow::Result<()> {
    let key = "cover_request_to_black_ms";
    if !is_installed("Xvfb") {
        table.leave_out(&[key], NO_XVFB);
        return Ok(());
    }
    let server = Xvfb::start(SIZE.0, SIZE.1, 24)?;
    let latency = latency::measure(&server.access, ROUNDS)?;
    let found = summary(latency.to_black_ms);
    table.row("request to black at the host, p50", found["p50"].as_f64(), "ms", Needed::Nothing);
    table.row("request to black at the host, p99", found["p99"].as_f64(), "ms", Needed::AtMost(15.0));
    table.keep(key, found);
    table.keep("cover_request_to_confirmed_ms", summary(latency.to_covered_ms));
    table.keep("cover_request_to_picture_ms", summary(latency.to_picture_ms));
    Ok(())
}

/// The matrix of both servers, in one. It counts only if both were attacked.
pub fn tell_matrix(table: &mut Table, found: &[Result<Matrix, String>]) {
    let all: Vec<&Matrix> = found.iter().flatten().collect();
    let rows = || all.iter().flat_map(|matrix| &matrix.rows);
    table.keep("attack_matrix", json!(rows().collect::<Vec<_>>()));
    let not_tried: Vec<&String> = all.iter().flat_map(|matrix| &matrix.not_tried).collect();
    table.keep("attacks_not_tried", json!(not_tried));
    not_tried.iter().for_each(|attack| table.tell(format!("NOT TRIED: {attack}")));
    let missing: Vec<&String> = found.iter().filter_map(|matrix| matrix.as_ref().err()).collect();
    if let Some(why) = missing.first() {
        let keys = ["leaked_frames", "keys_delivered", "sample_gap_ms_max", "control_leaked_frames"];
        table.leave_out(&keys, why);
        return;
    }
    let sum = |of: fn(&attacks::Row) -> u64| rows().map(of).sum::<u64>();
    let (leaked, keys) = (sum(|row| row.leaked_frames), sum(|row| row.keys_delivered));
    let gap_ms = rows().map(|row| row.sample_gap_ms_max).fold(0.0, f64::max);
    let rate = rows().map(|row| row.samples_per_second).fold(f64::INFINITY, f64::min);
    // The control of each server has to leak, so the lesser one counts.
    let control = all.iter().map(|matrix| matrix.control_leaked_frames).min().unwrap_or(0);
    for (key, value) in
        [("leaked_frames", leaked), ("keys_delivered", keys), ("control_leaked_frames", control)]
    {
        table.keep(key, value);
    }
    table.keep("sample_gap_ms_max", gap_ms);
    table.keep("samples_per_second_min", rate);
    let number = |count: u64| u32::try_from(count).ok().map(f64::from);
    let samples = sum(|row| row.samples);
    table.row(
        "attacks, rows of the matrix",
        u32::try_from(rows().count()).ok().map(f64::from),
        "",
        Needed::Nothing,
    );
    table.row("attacks, frames looked at", number(samples), "", Needed::Nothing);
    table.row("attacks, leaked frames", number(leaked), "", Needed::AtMost(0.0));
    table.row("attacks, keys delivered", number(keys), "", Needed::AtMost(0.0));
    table.row("attacks, looks a second, least", Some(rate), "", Needed::AtLeast(200.0));
    table.row("attacks, longest gap between looks", Some(gap_ms), "ms", Needed::Nothing);
    table.row("without a cover, leaked frames", number(control), "", Needed::AtLeast(1.0));
    for row in rows().filter(|row| !row.is_tight()) {
        table.row(
            &format!("  {} on {}", row.attack, row.server),
            number(row.leaked_frames),
            "",
            Needed::AtMost(0.0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(server: &str, leaked_frames: u64) -> Matrix {
        let row = attacks::Row {
            server: server.into(),
            attack: "raise".into(),
            samples: 900,
            samples_per_second: 450.0,
            leaked_frames,
            keys_delivered: 0,
            sample_gap_ms_max: 7.0,
        };
        Matrix { rows: vec![row], control_leaked_frames: 9, ..Matrix::default() }
    }

    #[test]
    fn a_leak_on_one_server_is_a_leak_and_one_server_alone_proves_nothing() {
        let told = |found: &[Result<Matrix, String>]| {
            let mut table = Table::default();
            tell_matrix(&mut table, found);
            let missed = table.lines().filter(|line| line.ends_with("MISSED")).count();
            (table.figures()["leaked_frames"].clone(), missed)
        };
        let good = || Ok(matrix("Xvfb", 0));
        assert_eq!(told(&[good(), Ok(matrix("xorgxrdp", 0))]), (json!(0), 0));
        assert_eq!(told(&[good(), Ok(matrix("xorgxrdp", 2))]), (json!(2), 2));
        assert_eq!(told(&[good(), Err("no root".into())]), (json!(null), 0));
    }
}
