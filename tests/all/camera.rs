//! The webcam path of the client as it is, the binding of Video4Linux included, over the emulated camera of `tests/v4l2-shim`.
//!
//! A library cannot be put before the functions of a program that runs already, so the tests start programs of
//! their own: `sudare-camera-probe`, which only reads the camera, and `sudare` itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

pub(crate) mod emulated;
mod machine;
mod watching;

pub(crate) use watching::ready;

use std::sync::OnceLock;
use std::time::Duration;

use sudare_test_kit::{Pace, program};

use emulated::{Line, bars_as_jpegs, faults, pictures, probe, seen, with_shim};

/// Full colours in the order of the bars.
const COLOURS: [[i64; 3]; 8] = [
    [255, 255, 255],
    [255, 255, 0],
    [0, 255, 255],
    [0, 255, 0],
    [255, 0, 255],
    [255, 0, 0],
    [0, 0, 255],
    [0, 0, 0],
];
/// What JPEG and the conversion of colours may change.
const OFF_MAX: i64 = 8;
/// No machine is so busy that a thread waits this long.
const LATE_MS: u64 = 1_000;

/// How slow this machine is, measured while the cameras are read.
fn pace() -> &'static Pace {
    static PACE: OnceLock<Pace> = OnceLock::new();
    PACE.get_or_init(Pace::start)
}

/// How late something may be told by a machine that is as slow as this one.
fn late_ms() -> u64 {
    u64::try_from(pace().allow(Duration::from_millis(LATE_MS)).as_millis()).unwrap()
}

fn assert_bars<'a>(pictures: impl Iterator<Item = &'a Line>, wanted: impl Fn(i64) -> i64) {
    for line in pictures {
        for (bar, full) in line["bars"].as_array().unwrap().iter().zip(COLOURS) {
            let seen: Vec<i64> = bar.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            let off = seen.iter().zip(full).map(|(seen, full)| (seen - wanted(full)).abs()).max();
            assert!(off <= Some(OFF_MAX), "a bar is {seen:?} and not {:?}", full.map(&wanted));
        }
    }
}

fn assert_right_pixels(lines: &[Line], size: (u64, u64)) {
    assert_bars(pictures(lines), |full| full);
    let number = |line: &Line, name: &str| line[name].as_u64().unwrap();
    assert!(pictures(lines).all(|line| (number(line, "width"), number(line, "height")) == size));
    let strips: Vec<u64> = pictures(lines).map(|line| number(line, "strip")).collect();
    assert!(strips.windows(2).all(|pair| pair[0] != pair[1]), "a picture came twice: {strips:?}");
}

/// Ten a second of the thirty, evenly.
fn assert_pace(lines: &[Line], seconds: u64) {
    let times: Vec<u64> = pictures(lines).map(|line| line["frame_ms"].as_u64().unwrap()).collect();
    let count = u64::try_from(times.len()).unwrap();
    let slower = pace().worst();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozen pictures")]
    let least = ((seconds * 10 - 4) as f64 / slower) as u64;
    assert!((least..=seconds * 10 + 1).contains(&count), "{count} pictures in {seconds} s");
    let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    assert!(
        median >= 90 && median as f64 <= 110.0 * slower,
        "{median} ms between two pictures on a machine {slower:.1} times slower, of {gaps:?}"
    );
}

/// When the last picture before the first fault was taken, and when that fault was told.
fn last_picture_and_fault_ms(lines: &[Line]) -> (u64, u64) {
    let at = lines.iter().position(|line| line["fault"].is_string()).expect("no fault was told");
    let last = pictures(&lines[..at]).last().expect("no picture came before it");
    (last["frame_ms"].as_u64().unwrap(), lines[at]["t_ms"].as_u64().unwrap())
}

fn back_ms(lines: &[Line]) -> u64 {
    let at = lines.iter().rposition(|line| line["fault"].is_string()).expect("no fault was told");
    pictures(&lines[at..]).next().expect("no picture came after it")["frame_ms"].as_u64().unwrap()
}

#[test]
fn yuyv_comes_at_its_pace_with_the_right_colours() {
    let lines = probe(&[("SHIM_FORMATS", "YUYV:640x480@30")], 3);
    assert_right_pixels(&lines, (640, 480));
    assert_pace(&lines, 3);
}

#[test]
fn mjpeg_comes_at_its_pace_with_the_right_colours() {
    let folder = bars_as_jpegs(640, 480);
    let pictures = folder.path().to_str().unwrap();
    // It stands at another size, and YUYV is offered first: MJPEG of 640x480 is what is chosen.
    let formats = "YUYV:1280x720@10,YUYV:640x480@30,MJPG:640x480@30";
    let lines = probe(&[("SHIM_FORMATS", formats), ("SHIM_PICTURES", pictures)], 3);
    assert_right_pixels(&lines, (640, 480));
    assert_pace(&lines, 3);
}

#[test]
fn an_unplugged_camera_is_told_at_once_and_comes_back() {
    let lines = seen("unplug");
    let (last_ms, fault_ms) = last_picture_and_fault_ms(lines);
    assert!(fault_ms - last_ms <= 200 + late_ms(), "told {} ms after the last picture", fault_ms - last_ms);
    assert!(faults(lines).all(|fault| fault == "unplugged"), "{lines:?}");
    // Asked for once a second.
    let back_after_ms = back_ms(lines) - fault_ms;
    assert!((1_500..=2_600 + late_ms()).contains(&back_after_ms), "back after {back_after_ms} ms");
    assert_right_pixels(lines, (160, 120));
}

#[test]
fn a_silent_camera_is_told_in_time_although_its_reader_hangs() {
    let lines = seen("stall");
    let (last_ms, fault_ms) = last_picture_and_fault_ms(lines);
    let after_ms = fault_ms - last_ms;
    assert!((2_000..=2_300 + late_ms()).contains(&after_ms), "told after {after_ms} ms");
    assert!(faults(lines).all(|fault| fault == "stalled"), "{lines:?}");
    assert!(faults(lines).count() > 2, "a stall that lasts is told again: {lines:?}");
    assert!(back_ms(lines) - last_ms >= 3_400);
}

#[test]
fn a_silent_camera_comes_back_when_it_is_plugged_in_again() {
    let lines = seen("stall-replug");
    let told: Vec<&str> = faults(lines).collect();
    assert_eq!((told.first(), told.last()), (Some(&"stalled"), Some(&"unplugged")), "{lines:?}");
    // Silent from 0.5 s to 3 s, and opened a second later.
    assert!((4_000..=4_300 + late_ms()).contains(&back_ms(lines)), "back at {} ms", back_ms(lines));
}

#[test]
fn a_camera_that_is_silent_from_the_start_is_told_in_time() {
    let lines = seen("stall-at-once");
    assert_eq!(pictures(lines).count(), 0);
    let first = lines.first().expect("nothing was told");
    assert_eq!(first["fault"], "stalled");
    assert!((2_000..=2_300 + late_ms()).contains(&first["t_ms"].as_u64().unwrap()), "{first}");
}

#[test]
fn a_frozen_camera_is_told() {
    let lines = seen("freeze");
    assert!(faults(lines).all(|fault| fault == "frozen"), "{lines:?}");
    let (_, fault_ms) = last_picture_and_fault_ms(lines);
    // It froze after one second.
    assert!((2_900..=3_400 + late_ms()).contains(&fault_ms), "told at {fault_ms} ms");
}

#[test]
fn a_camera_in_a_meeting_is_busy_with_advice_and_used_when_it_is_free() {
    for kind in ["busy", "busy-open"] {
        let lines = seen(kind);
        assert_eq!(faults(lines).collect::<Vec<_>>(), ["busy"], "{kind}");
        let text = lines[0]["text"].as_str().unwrap();
        assert!(text.contains("in use by another program. Close the programs"), "{text}");
        assert!(back_ms(lines) >= 700, "{kind}");
    }
}

#[test]
fn a_camera_of_another_group_is_refused_with_advice() {
    let lines = seen("denied");
    assert_eq!(lines[0]["fault"], "denied");
    assert!(lines[0]["text"].as_str().unwrap().contains("group `video`"));
}

#[test]
fn errors_of_the_wire_are_told_and_passed_over() {
    let lines = seen("io");
    assert_eq!(faults(lines).collect::<Vec<_>>(), ["driver"]);
    assert!(back_ms(lines) > 500);
}

#[test]
fn a_camera_whose_formats_cannot_be_read_is_given_up() {
    for (only, code) in [("nv12-only", "NV12"), ("h264-only", "H264")] {
        let lines = seen(only);
        let [line] = lines else { panic!("{only}: {lines:?}") };
        assert_eq!((&line["fault"], &line["final"]), (&"unsupported".into(), &true.into()), "{only}");
        let text = line["text"].as_str().unwrap();
        assert!(text.contains(code) && text.contains("Use a webcam that sends MJPEG or YUYV"), "{text}");
    }
}

#[test]
fn whatever_a_camera_was_left_in_and_however_it_lists_its_formats_it_is_used() {
    for (kind, size) in [
        ("left-in-h264", (640, 480)),
        ("left-at-odd-rate", (640, 480)),
        ("odd-rate-only", (640, 480)),
        ("rate-of-256ths", (160, 120)),
        ("ranges", (640, 480)),
        ("padded-rows", (162, 122)),
        ("uyvy", (160, 120)),
        ("padded-uyvy", (162, 122)),
    ] {
        let lines = seen(kind);
        assert!(faults(lines).count() == 0 && pictures(lines).count() >= 5, "{kind}: {lines:?}");
        assert_right_pixels(lines, size);
    }
}

#[test]
fn readable_pictures_of_odd_cameras_are_read() {
    for kind in ["stray-bytes", "no-end-marker", "two-start-markers"] {
        let folder = bars_as_jpegs(160, 120);
        spoil(folder.path(), kind);
        let pictures_of = folder.path().to_str().unwrap();
        let lines = probe(&[("SHIM_FORMATS", "MJPG:160x120@30"), ("SHIM_PICTURES", pictures_of)], 2);
        assert!(faults(&lines).count() == 0 && pictures(&lines).count() >= 5, "{kind}: {lines:?}");
        assert_right_pixels(&lines, (160, 120));
    }
}

#[test]
fn pictures_that_cannot_be_read_are_named_and_another_format_is_used_if_there_is_one() {
    let folder = bars_as_jpegs(160, 120);
    spoil(folder.path(), "arithmetic");
    let jpegs = ("SHIM_PICTURES", folder.path().to_str().unwrap());
    let lines = probe(&[("SHIM_FORMATS", "MJPG:160x120@30"), jpegs], 4);
    assert_eq!(faults(&lines).next(), Some("unreadable"), "{lines:?}");
    let text = lines[0]["text"].as_str().unwrap();
    assert!(
        text.contains("sends pictures, but they cannot be read: it is compressed by arithmetic"),
        "{text}"
    );
    let lines = probe(&[("SHIM_FORMATS", "MJPG:160x120@30,YUYV:160x120@30"), jpegs], 4);
    assert!(faults(&lines).count() == 0 && pictures(&lines).count() >= 5, "{lines:?}");
    assert_right_pixels(&lines, (160, 120));
}

#[test]
fn a_recording_that_is_played_as_a_camera_is_told() {
    let lines = seen("looped");
    assert_eq!(faults(lines).next(), Some("looped"), "{lines:?}");
    assert!(pictures(lines).count() >= 20);
}

#[test]
fn a_camera_that_comes_back_under_another_number_is_used() {
    let lines = seen("renumbered");
    assert!(faults(lines).all(|fault| fault == "unplugged") && faults(lines).count() > 0, "{lines:?}");
    assert!(back_ms(lines) > 0);
    assert_right_pixels(lines, (160, 120));
}

#[test]
fn a_camera_is_found_by_its_name() {
    for source in ["camera:Emulated camera", "camera:emulated", "camera:/dev/video77"] {
        let lines = emulated::probe_source(source, &[("SHIM_FORMATS", "YUYV:160x120@30")], 1);
        assert!(faults(&lines).count() == 0 && pictures(&lines).count() > 0, "{source}: {lines:?}");
    }
}

/// Makes the JPEGs of a folder odd, as some cameras' are.
fn spoil(folder: &std::path::Path, how: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let tables = bytes.windows(2).position(|two| two == [0xFF, 0xDB]).unwrap();
        let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        match how {
            "stray-bytes" => drop(bytes.splice(tables..tables, [0x00, 0x3F])),
            "no-end-marker" => bytes.truncate(bytes.len() - 2),
            "two-start-markers" => drop(bytes.splice(0..0, [0xFF, 0xD8])),
            "arithmetic" => bytes[frame + 1] = 0xC9,
            other => panic!("{other}"),
        }
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn odd_sizes_and_slow_cameras_work() {
    for (kind, size) in [("odd-size", (162, 122)), ("slow", (160, 120))] {
        let lines = seen(kind);
        assert!(faults(lines).count() == 0 && pictures(lines).count() >= 6, "{kind}: {lines:?}");
        assert_right_pixels(lines, size);
    }
}

#[test]
fn a_camera_that_is_not_there_is_named_with_those_that_are() {
    let probe = with_shim(program("sudare-camera-probe").unwrap(), &[]).args(["camera:78", "1"]).output();
    let said = String::from_utf8(probe.unwrap().stderr).unwrap();
    assert!(said.contains("camera:78 does not exist."), "{said}");
    assert!(said.contains(&format!("{} (Emulated camera)", emulated::SOURCE)), "{said}");
}
