//! Doctor is never green where a log-on would fail: a matrix of breakages, on machines with systemd.

use sudare_stack::booted::doctor::{ROWS, enrol, play};
use sudare_stack::booted::{BOOKWORM, Release, TRIXIE};

use super::{follow_the_page, machine};

fn is_never_green(release: Release) {
    let Some(machine) = machine(release) else { return };
    follow_the_page(&machine, "## 2. ");
    enrol(&machine).unwrap();
    let outcome = play(&machine, ROWS).unwrap();
    let faults: Vec<_> = outcome.rows.iter().filter(|row| row.fault.is_some()).collect();
    println!("{} rows, doctor_false_green {}", outcome.rows.len(), outcome.false_green());
    assert!(outcome.rows.len() >= 30);
    assert_eq!(outcome.false_green(), 0, "{faults:#?}");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn on_debian_12_doctor_is_never_green_where_a_log_on_would_fail() {
    is_never_green(BOOKWORM);
}

#[test]
fn on_debian_13_doctor_is_never_green_where_a_log_on_would_fail() {
    is_never_green(TRIXIE);
}
