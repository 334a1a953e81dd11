//! Doctor is never green where a log-on would fail: a matrix of breakages, on machines with systemd.

use sudare_stack::booted::doctor::{ROWS, enrol, play};
use sudare_stack::booted::{BOOKWORM, Release, TRIXIE};
use sudare_test_kit::wait_until;

use super::{follow_the_page, seat};

fn is_never_green(release: Release) {
    let Some(seat) = seat(release) else { return };
    follow_the_page(&seat, "## 2. ");
    enrol(&seat.machine).unwrap();
    let outcome = play(&seat.machine, ROWS).unwrap();
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

/// With somebody connected, whose gate, client and X server stay the same processes.
#[test]
fn what_doctor_mends_ends_no_connection() {
    let Some(mut seat) = seat(TRIXIE) else { return };
    follow_the_page(&seat, "## 2. ");
    enrol(&seat.machine).unwrap();
    seat.sit_down().unwrap();
    seat.connect(false).unwrap();
    seat.wait_for_session().unwrap();
    let (machine, state) = (&seat.machine, || seat.state().unwrap());
    let before = wait_until("a desktop behind the gate", || {
        let state = state();
        Ok((state.contains("ino:") && !state.contains("Xorg gate")).then_some(state))
    });
    let before = before.unwrap();
    let mended: Vec<_> = ROWS.iter().filter(|row| row.mends).copied().collect();
    assert!(mended.len() > 20);
    for row in mended {
        let outcome = play(machine, &[row]).unwrap();
        assert_eq!(outcome.rows[0].fault, None, "{}", row.name);
        assert_eq!(state(), before, "{}", row.name);
    }
    // What is looked at is not this test's imagination.
    machine.must("kill $(pgrep -x sudare-gate)", "").unwrap();
    wait_until("the connection to end with its gate", || Ok((state() != before).then_some(()))).unwrap();
}
