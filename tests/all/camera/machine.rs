//! The camera code on a real kernel's Video4Linux: the driver `vivid` in a virtual machine. With `--long` only: a
//! machine without hardware to help takes about a minute.

use std::time::{Duration, Instant};

use sudare_stack::camera_vm::{self, Machine, TOOLS};
use sudare_test_kit::{needs, program};

use super::emulated::{Line, faults, lines, pictures, target};

const LIMIT: Duration = Duration::from_secs(1_200);
/// Three times: as it is, while every picture is dropped, and with the device gone. `vivid` gives it back as soon as
/// nobody has it open any more.
const SCRIPT: &str = "\
play() { sudare-camera-probe camera:0 $2 >/tmp/$1; sed \"s/^/@@$1 /\" </tmp/$1; }
set_to() { v4l2-ctl -d /dev/video0 -c $1 || echo \"@@wrong $1\"; }
play frames 6
(sleep 4; set_to percentage_of_dropped_buffers=100; sleep 4; set_to percentage_of_dropped_buffers=0) &
play stall 12
(sleep 4; set_to disconnect=1) &
play unplug 8";
/// What the script prints behind a name.
fn of(printed: &[String], name: &str) -> Vec<Line> {
    let prefix = format!("@@{name} ");
    let text: Vec<&str> = printed.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
    lines(text.join("\n").as_bytes())
}

/// The machine, or `None` with a loud word. With `--long` a missing tool fails where the set-up promised it.
fn machine() -> Option<Machine> {
    let skip = |why: &str| {
        println!("SKIPPED: a camera in a virtual machine: {why}");
        None
    };
    if std::env::var_os("SUDARE_LONG").is_none() {
        return skip("only `cargo xtask test --long` runs it");
    }
    if !camera_vm::is_possible_here() {
        return skip("it is built from Debian's amd64 packages");
    }
    let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
    let required = TOOLS.iter().all(|(tool, _)| required.split(',').any(|name| name == *tool));
    let built = match camera_vm::missing() {
        Some(install) => Err(format!("type {install}")),
        None => build().map_err(|error| format!("{error:#}")),
    };
    match built {
        Ok(machine) => Some(machine),
        Err(why) => {
            assert!(!required, "the virtual machine should be possible: {why}");
            skip(&why)
        }
    }
}

fn build() -> anyhow::Result<Machine> {
    let folder = target().join("camera-vm");
    std::fs::create_dir_all(&folder)?;
    let v4l2_ctl = needs::find("v4l2-ctl").unwrap_or_default();
    Machine::build(&folder, &[&program("sudare-camera-probe")?, &v4l2_ctl], SCRIPT)
}

#[test]
fn frames_stall_and_unplug_on_a_real_kernel() {
    let started = Instant::now();
    let Some(machine) = machine() else { return };
    let built_s = started.elapsed().as_secs_f32();
    let printed = machine.run(LIMIT).unwrap();
    println!("built in {built_s:.0} s, run in {:.0} s", started.elapsed().as_secs_f32() - built_s);
    let wrong = printed.iter().any(|line| line.starts_with("@@wrong"));
    assert!(!wrong, "{printed:#?}");
    check(&of(&printed, "frames"), &of(&printed, "stall"), &of(&printed, "unplug"));
}

fn check(frames: &[Line], stall: &[Line], unplug: &[Line]) {
    assert_eq!(faults(frames).count(), 0, "{frames:#?}");
    let count = pictures(frames).count();
    // Emulation and loading the program are slow; later the machine keeps up with ten a second.
    assert!(count >= 30, "{count} pictures in 6 s");
    println!("{count} pictures in 6 s");
    // The driver's bars have three quarters of full colours.
    super::assert_bars(pictures(frames), |full| full * 3 / 4);

    assert!(faults(stall).count() > 0 && faults(stall).all(|fault| fault == "stalled"), "{stall:#?}");
    assert!(stall.last().unwrap()["fault"].is_null(), "it did not come back: {stall:#?}");

    assert!(faults(unplug).count() > 0 && faults(unplug).all(|fault| fault == "unplugged"), "{unplug:#?}");
    assert!(unplug.last().unwrap()["fault"].is_null(), "it did not come back: {unplug:#?}");
    for (name, lines) in [("stall", stall), ("unplug", unplug)] {
        let at = lines.iter().position(|line| line["fault"].is_string()).unwrap();
        let gap = |a: &Line, b: &Line| b["t_ms"].as_u64().unwrap() - a["t_ms"].as_u64().unwrap();
        println!("{name} told {} ms after the last picture", gap(&lines[at - 1], &lines[at]));
    }
}
