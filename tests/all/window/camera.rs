//! The window's own use of the camera, over the emulated webcam: open only while the page shows so.

use std::process::Command;
use std::time::{Duration, Instant};

use sudare_test_kit::scene::{ALONE, Seat, jpeg};
use sudare_test_kit::{Pace, program, wait_until};

use super::screen::{CONTROL, SPACE, Screen, Shown, TAB};
use super::shots;
use crate::camera::emulated::with_shim;

/// From the start of the program to its first page, and from the key to the first picture.
const FIRST_PICTURE_MAX: Duration = Duration::from_secs(1);
/// Pictures of the scene that the emulated camera sends over and over.
const PICTURES: u64 = 60;

/// The window on a PC with this camera.
fn window(settings: &[(&str, &str)]) -> Command {
    with_shim(program("sudare-window").unwrap(), settings)
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("client.toml"), "camera = \"camera:77\"\n").unwrap();
    home
}

/// Whether the camera is open, which is then one timer more than without it.
struct Camera {
    pid: u32,
    without: usize,
}

impl Camera {
    fn of(shown: &Shown<'_>) -> Self {
        let pid = shown.child.id();
        Camera { pid, without: timers(pid) }
    }

    fn is_open(&self) -> bool {
        timers(self.pid) > self.without
    }

    fn wait_closed(&self) {
        wait_until("the camera to be closed", || Ok(!self.is_open())).unwrap();
    }
}

/// The emulated camera's descriptor is a timer.
fn timers(pid: u32) -> usize {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let names = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    names.filter(|name| name.to_string_lossy().contains("timerfd")).count()
}

#[test]
fn the_preview_opens_the_camera_within_a_second_and_closes_it_again() {
    let Some(screen) = Screen::start() else { return };
    let pace = Pace::start();
    let home = home();
    // Colour bars, of which the window has none.
    let command = window(&[("SHIM_FORMATS", "YUYV:640x480@30")]);
    let shown = screen.show_by(command, home.path(), &["--language", "en"]);
    shown.wait_colour("the first page", [14, 66], [84, 92, 104]);
    let page = shown.started.elapsed();
    let camera = Camera::of(&shown);
    // Without a connection, "cover now" is no stop.
    (0..8).for_each(|_| shown.press_and_see(&[TAB]));
    assert!(!camera.is_open(), "a camera is open because a window is");
    let asked = Instant::now();
    shown.press(&[SPACE]);
    let yellow = |[r, g, b]: [u8; 3]| r > 230 && g > 230 && b < 40;
    wait_until("colour bars", || Ok((240..600).step_by(8).any(|y| yellow(shown.pixel([390, y]))))).unwrap();
    let first = page + asked.elapsed();
    assert!(camera.is_open(), "or nothing would be seen of its end");
    shown.shoot(&shots().join("state-own-preview-en.png"));
    shown.press(&[SPACE]);
    let asked = Instant::now();
    camera.wait_closed();
    let (first_ms, closed_ms) = (first.as_millis(), asked.elapsed().as_millis());
    println!("window: first picture of the camera after {first_ms} ms, closed {closed_ms} ms after the key");
    // Another page closes it as well.
    shown.press(&[SPACE]);
    wait_until("the camera", || Ok(camera.is_open())).unwrap();
    shown.press(&[CONTROL, u32::from(b'3')]);
    camera.wait_closed();
    assert!(first <= pace.allow(FIRST_PICTURE_MAX), "{first_ms} ms");
}

/// The enrolment of somebody who never moves, which says in the end what is missing, and of somebody who gives up.
#[test]
fn an_enrolment_is_guided_by_the_picture_and_closes_the_camera_however_it_ends() {
    let Some(screen) = Screen::start() else { return };
    let Some(photographs) = crate::camera::ready() else { return };
    let film = tempfile::tempdir().unwrap();
    let seat = Seat::load(&photographs).unwrap();
    for number in 0..PICTURES {
        let picture = jpeg(&seat.frame(&ALONE, number)).unwrap();
        std::fs::write(film.path().join(format!("{number:03}.jpg")), picture).unwrap();
    }
    let pictures = film.path().display().to_string();
    for language in ["ja", "en"] {
        let home = home();
        let command = window(&[("SHIM_FORMATS", "MJPG:640x480@30"), ("SHIM_PICTURES", &pictures)]);
        let shown = screen.show_by(command, home.path(), &["--language", language, "--page", "enrol"]);
        let album = |name: &str| shots().join(format!("{name}-{language}.png"));
        wait_until("the page", || Ok(shown.pixel([200, 20]) != [0, 0, 0])).unwrap();
        (0..8).for_each(|_| shown.press_and_see(&[TAB]));
        let camera = Camera::of(&shown);
        shown.press(&[SPACE]);
        wait_until("the camera", || Ok(camera.is_open())).unwrap();
        // The models, and a few looks.
        std::thread::sleep(Duration::from_secs(6));
        shown.shoot(&album("enrol-running"));
        if language == "en" {
            // Another page gives it up.
            shown.press(&[CONTROL, u32::from(b'1')]);
        }
        camera.wait_closed();
        shown.shoot(&album("enrol-over"));
        let has_file = home.path().join("me.operator").exists();
        assert!(language == "ja" || !has_file, "given up, and kept all the same");
        println!("window: an enrolment in {language} ended, file: {has_file}");
    }
}
