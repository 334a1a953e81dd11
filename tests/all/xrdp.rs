//! Debian's xrdp and xfreerdp with a session of their own, in namespaces. `sudare-stack` plays;
//! here it is asserted that every check held, that it was tried at all, and that nothing stayed.
//!
//! Needs root and Debian's packages; says so and does nothing without them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod debian_13;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sudare_stack::xrdp::{Report, needs};
use sudare_test_kit::{Pace, wait_until};

/// The exit code of `sudare-stack` when it could not try.
const SKIPPED: i32 = 77;

/// The program, and beside it those that it starts.
fn sudare_stack() -> PathBuf {
    sudare_test_kit::programs(&needs::OURS).unwrap().join("sudare-stack")
}

/// What a scenario must not change on the machine.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    mounts: String,
    users: String,
    sockets: BTreeSet<PathBuf>,
}

impl Machine {
    fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap();
        // Other tests open displays at the same time; sessions would take these numbers.
        let sockets = ["/tmp/.X11-unix/X10", "/tmp/.X10-lock", "/run/xrdp", "/var/log/xrdp-sesman.log"];
        let there = |path: &PathBuf| path.exists();
        Machine {
            mounts: read("/proc/self/mountinfo"),
            users: read("/etc/passwd") + &read("/etc/group"),
            sockets: sockets.map(PathBuf::from).into_iter().filter(there).collect(),
        }
    }
}

/// Plays a scenario and asserts that each of its checks holds.
fn check(scenario: &str) -> Option<Report> {
    if let Some(reason) = needs::missing() {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "stack"), "the stack is required: {reason}");
        println!("NOT RUN: the real xrdp session ({scenario}): {reason}");
        return None;
    }
    let dir = tempfile::Builder::new().prefix("sudare-stack-").tempdir().unwrap();
    let out = std::env::var_os("SUDARE_KEEP_SCREENSHOTS").map_or(dir.path().join("out"), PathBuf::from);
    let before = Machine::look();
    let run = Command::new(sudare_stack()).args([scenario, "--json", "--out"]).arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let words = String::from_utf8_lossy(&run.stderr);
    assert_ne!(run.status.code(), Some(SKIPPED), "{said}{words}");
    let report: Report = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}{words}"));
    if !report.ok {
        // The picture of the worst leak, and the logs.
        println!("{} is kept", dir.keep().display());
    }
    assert!(report.ok && run.status.success(), "{scenario}: {report:#?}{words}");
    assert!(report.skipped.is_none() && !report.checks.is_empty());
    assert_eq!(before, Machine::look(), "{scenario} changed the machine");
    assert_eq!(left_behind(&report), Vec::<PathBuf>::new(), "{scenario} left processes behind");
    Some(report)
}

/// The same, for scenarios in which somebody is before the camera.
fn check_with_models(scenario: &str) -> Option<Report> {
    let pictures = std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from);
    if pictures.is_none_or(|folder| !folder.join("obama.jpg").exists()) {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "photographs"), "the photographs are required");
        println!(
            "NOT RUN: the real xrdp session ({scenario}): no photographs. `cargo xtask setup` fetches them"
        );
        return None;
    }
    check(scenario)
}

/// A short leak between two looks would pass unseen.
fn assert_sampled_often(seen: &serde_json::Value) {
    let (samples, gap_ms) = (seen["samples"].as_u64().unwrap(), seen["sample_gap_ms_max"].as_u64().unwrap());
    assert!(samples > 300 && gap_ms < 250, "{samples} samples, {gap_ms} ms between two");
}

/// Processes that are still in the scenario's namespace.
fn left_behind(report: &Report) -> Vec<PathBuf> {
    let namespace = report.figures["pid_namespace"].as_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let links = entries.map(|entry| entry.path().join("ns/pid"));
    links.filter(|link| std::fs::read_link(link).is_ok_and(|name| name == Path::new(namespace))).collect()
}

#[test]
fn without_sudare_the_desktop_is_seen_and_keys_arrive() {
    let Some(report) = check("control") else { return };
    for name in ["the desktop is seen", "typed keys arrive", "ending xrdp's process disconnects"] {
        assert!(report.checks.iter().any(|check| check.name == name), "{name} was not tried");
    }
}

#[test]
fn without_sudare_what_log_on_scripts_draw_is_seen() {
    check("control-hostile");
}

#[test]
fn without_sudare_what_is_copied_leaves_the_session() {
    check("control-channels");
}

#[test]
fn the_same_holds_with_xvnc() {
    check("control-xvnc");
}

#[test]
fn without_the_plugin_only_the_cover_is_seen() {
    let Some(report) = check_with_models("no-plugin") else { return };
    for name in ["watched-a-refused-channel", "watched-no-channels"] {
        assert_sampled_often(&report.figures[name]);
    }
}

#[test]
fn the_main_job_is_done_on_the_real_stack() {
    let Some(report) = check_with_models("story") else { return };
    // Log-on, stranger, away, unplugged, connected again, without plugin: each with its picture.
    assert!(report.pictures.len() >= 11, "{:?}", report.pictures);
}

#[test]
fn what_log_on_scripts_draw_is_seen_with_the_desktop_and_not_before() {
    check_with_models("hostile");
}

#[test]
fn a_host_that_is_missing_or_another_one_is_said_on_the_clients_screen() {
    check_with_models("refused");
}

#[test]
fn somebody_elses_desktop_stays_covered_whoever_is_recognised() {
    let Some(report) = check_with_models("other-user") else { return };
    assert_sampled_often(&report.figures["watched-at-connecting"]);
}

#[test]
fn a_code_makes_a_seat_behind_the_gate_and_what_let_it_in_can_be_taken_back() {
    let Some(report) = check_with_models("pairing") else { return };
    let figure = |name: &str| report.figures[name].as_f64().unwrap();
    assert!(figure("pair_s") <= 20.0 && figure("revoke_to_black_s") <= 90.0, "{:?}", report.figures);
}

#[test]
fn a_clipboard_passes_the_gate_only_where_settings_open_it_and_only_while_the_desktop_is_seen() {
    let Some(report) = check_with_models("channels") else { return };
    assert!(report.checks.iter().any(|check| check.name == "under a cover nothing leaves the session"));
}

#[test]
fn a_gate_with_nla_logs_on_to_xrdp_whoever_has_proved_a_password() {
    let Some(report) = check_with_models("nla") else { return };
    for name in ["nobody of them reached xrdp", "whoever logs on reaches xrdp"] {
        assert!(report.checks.iter().any(|check| check.name == name), "{name} was not tried");
    }
}

#[test]
fn a_gate_with_nla_logs_on_to_a_host_that_speaks_nothing_else() {
    for scenario in ["nla-shadow", "nla-graphics"] {
        let Some(report) = check_with_models(scenario) else { return };
        assert!(report.pictures.len() >= 6, "{:?}", report.pictures);
    }
}

#[test]
fn a_second_client_without_the_plugin_sees_only_the_cover_of_a_session_it_takes_over() {
    let Some(report) = check_with_models("takeover") else { return };
    // A race is tried more than once.
    for name in ["takeover-1", "takeover-2", "takeover-3", "stalled"] {
        assert_sampled_often(&report.figures[name]);
    }
    assert!(
        report.checks.iter().any(|check| check.name.starts_with("half-open: the older connection is ended"))
    );
}

#[test]
fn whatever_is_killed_or_stopped_shows_nothing_new_and_the_user_can_do_nothing() {
    let Some(report) = check_with_models("faults") else { return };
    for fault in [
        "recorder killed",
        "owner killed",
        "gate stopped",
        "client stopped",
        "gate killed",
        "xrdp killed",
        "chansrv killed",
        "X socket cleaned",
    ] {
        assert!(report.checks.iter().any(|check| check.name.starts_with(fault)), "{fault} was not tried");
    }
}

#[test]
fn covers_and_uncovers_may_follow_each_other_at_any_pace() {
    let Some(report) = check_with_models("toggles") else { return };
    assert!(report.figures["pairs"].as_u64().unwrap() >= 100);
}

#[test]
fn a_window_may_change_its_size_at_any_time() {
    check_with_models("resize");
}

#[test]
fn programs_of_the_session_neither_paint_through_the_cover_nor_hear_what_is_typed_at_it() {
    let Some(report) = check_with_models("attacks-worst") else { return };
    for name in ["paint-through", "overlay-child", "pointers", "raw-keys", "server-grab"] {
        assert!(report.checks.iter().any(|check| check.name == name), "{name} was not tried");
    }
    // The benchmark asks for 100. Here other tests run beside, and all that matters is that somebody looked.
    let rate = report.figures["looks_per_second_min"].as_f64().unwrap();
    assert!(rate > 20.0, "{rate} looks a second");
}

/// Every attack, another X server, and screen lockers as far as they are installed: minutes, so only when asked for.
#[test]
fn all_attacks_and_lockers_are_held_off() {
    if std::env::var_os("SUDARE_LONG").is_none() {
        return;
    }
    for (scenario, rows) in [("attacks", 31), ("attacks-xvnc", 10)] {
        let Some(report) = check_with_models(scenario) else { return };
        let matrix = report.figures["matrix"].as_array().unwrap();
        assert_eq!(matrix.len(), rows, "{scenario}");
        // Each is looked at, and gets through where nothing covers.
        assert!(matrix.iter().all(|row| row["samples"].as_u64() > Some(0) && row["leaks_uncovered"] == true));
        let rate = report.figures["looks_per_second_min"].as_f64().unwrap();
        assert!(rate > 20.0, "{rate} looks a second");
    }
    let Some(report) = check_with_models("lockers") else { return };
    let tally = &report.figures["tally"];
    for lost in ["lockers_opened", "windows_lost", "focus_lost", "keys_heard", "keys_hanging"] {
        assert_eq!(tally[lost], 0, "{lost}");
    }
    assert!(tally["covers"].as_u64() > Some(0));
    println!("lockers did not try: {}", report.figures["not_tried"]);
}

/// Whoever kills the program in the middle finds nothing left either.
#[test]
fn a_killed_run_leaves_nothing_behind() {
    if needs::missing().is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let before = Machine::look();
    let mut run = Command::new(sudare_stack()).args(["control", "--out"]).arg(dir.path()).spawn().unwrap();
    // The first picture with pixels of the session.
    let marks = dir.path().join("control/leak-control.png");
    // Other scenarios come first, one at a time; however many, the last of them is there some minutes later.
    while wait_until("the scenario to start", || Ok(marks.exists())).is_err() {
        assert!(run.try_wait().unwrap().is_none(), "the scenario ended before it began");
    }
    let pace = Pace::start();
    let out = dir.path().to_str().unwrap().to_owned();
    assert!(!running_with(&out).is_empty(), "the scenario runs");
    run.kill().unwrap();
    run.wait().unwrap();
    // Less than the scenario would still need to end by itself.
    let patience = std::time::Instant::now() + pace.allow(std::time::Duration::from_secs(1));
    while !running_with(&out).is_empty() {
        assert!(std::time::Instant::now() < patience, "{:?} still run", running_with(&out));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(before, Machine::look());
}

/// Programs, other than this one, that were started with this argument.
fn running_with(argument: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(argument)).collect()
}
