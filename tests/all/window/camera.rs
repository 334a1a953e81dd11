//! The window's own use of the camera, over the emulated webcam: open only while the preview shows so.

use std::time::{Duration, Instant};

use sudare_test_kit::{Pace, program, wait_until};

use super::screen::{SPACE, Screen, TAB};
use super::shots;
use crate::camera::emulated::with_shim;

/// From the start of the program, with the key that opens the preview.
const FIRST_PICTURE_MAX: Duration = Duration::from_secs(1);

#[test]
fn the_preview_opens_the_camera_within_a_second_and_closes_it_again() {
    let Some(screen) = Screen::start() else { return };
    let pace = Pace::start();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("client.toml"), "camera = \"camera:77\"\n").unwrap();
    // Colour bars; the largest part of the first is white, and no white is in the window at that place.
    let command = with_shim(program("sudare-window").unwrap(), &[("SHIM_FORMATS", "YUYV:640x480@30")]);
    let shown = screen.show_by(command, home.path(), &["--language", "en"]);
    let is_open = || opened(shown.child.id());
    wait_until("the first page", || Ok(shown.pixel([14, 66]) == [84, 92, 104])).unwrap();
    assert!(!is_open(), "a camera is open because a window is");
    // Without a connection, "cover now" is no stop.
    (0..8).for_each(|_| shown.press_and_see(&[TAB]));
    shown.press(&[SPACE]);
    let yellow = |[r, g, b]: [u8; 3]| r > 230 && g > 230 && b < 40;
    wait_until("colour bars", || Ok((240..600).any(|y| yellow(shown.pixel([390, y]))))).unwrap();
    let first = shown.started.elapsed();
    assert!(is_open());
    println!("window: first picture of the camera {} ms after its start", first.as_millis());
    shown.shoot(&shots().join("state-own-preview.png"));
    shown.press(&[SPACE]);
    let since = Instant::now();
    wait_until("the camera to be closed", || Ok(!is_open())).unwrap();
    println!("window: camera closed after {} ms", since.elapsed().as_millis());
    assert!(first <= pace.allow(FIRST_PICTURE_MAX), "{} ms", first.as_millis());
}

/// The emulated camera keeps its buffers in a file of memory, as long as it is open.
fn opened(pid: u32) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut names = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    names.any(|name| name.to_string_lossy().contains("memfd:"))
}
