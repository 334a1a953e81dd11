//! The X11 cover on Xvfb, alone and under attack.
//!
//! Needs the package xvfb; says so and does nothing without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::time::Duration;

use sudare_blanker::wire::Rect;
use sudare_tests::blanking::blanker::Blanker;
use sudare_tests::blanking::desktop::{Desktop, Typist};
use sudare_tests::blanking::display::{Xvfb, is_installed};
use sudare_tests::blanking::hostile::Attack;
use sudare_tests::blanking::matrix::{control, matrix};
use sudare_tests::blanking::sampler::Screen;

const PANEL: Rect = Rect { x: 200, y: 150, width: 400, height: 200 };
const NOTHING: Rect = Rect { x: 0, y: 0, width: 0, height: 0 };

fn xvfb(width: u16, height: u16, depth: u8) -> Option<Xvfb> {
    if !is_installed("Xvfb") {
        println!("SKIPPED: no Xvfb here. Install the package xvfb to test the cover of X11 displays");
        return None;
    }
    Some(Xvfb::start(width, height, depth).unwrap())
}

#[test]
fn covers_shows_and_covers_again() {
    let Some(server) = xvfb(800, 600, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let typist = Typist::new(access).unwrap();
    let mut screen = Screen::open(access).unwrap();
    typist.type_letters(3).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 6, "the typist works without a cover");
    assert!(screen.strangers(NOTHING).unwrap() > 400_000, "the desktop is seen without a cover");

    let mut blanker = Blanker::start(access).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.strangers(NOTHING).unwrap(), 0, "it starts covered");
    typist.type_letters(5).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 0);

    blanker.paint(PANEL, 0x00_40_c0).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.pixel(300, 200).unwrap(), 0x00_40_c0, "the words are on the cover");
    assert_eq!(screen.strangers(PANEL).unwrap(), 0);

    for _ in 0..3 {
        blanker.uncover().unwrap();
        assert!(screen.strangers(NOTHING).unwrap() > 400_000, "the desktop is back");
        typist.type_letters(2).unwrap();
        assert_eq!(desktop.delivered().unwrap(), 4, "and its input too");
        blanker.cover().unwrap();
        assert_eq!(screen.strangers(PANEL).unwrap(), 0);
        typist.type_letters(2).unwrap();
        assert_eq!(desktop.delivered().unwrap(), 0);
    }
    assert!(blanker.health.iter().all(|(_, pixels, input)| *pixels && *input), "{:?}", blanker.health);
    println!("{:?} {:?}", blanker.layout, blanker.notices);
}

#[test]
fn nothing_comes_through_under_attack() {
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let (seen, keys) = control(&server.access, Duration::from_millis(500)).unwrap();
    assert!(seen.leaked_frames == seen.samples && keys > 10, "without a cover: {seen:?}, {keys} keys");
    let lines = matrix(&server.access, &attacks(), Duration::from_secs(2)).unwrap();
    for line in &lines {
        println!("{line}");
    }
    let leaks: Vec<_> = lines.iter().filter(|line| !line.is_tight()).map(|line| line.attack).collect();
    assert!(leaks.is_empty(), "came through: {leaks:?}");
}
fn attacks() -> Vec<Attack> {
    match std::env::var("SUDARE_ATTACK") {
        Ok(n) => vec![Attack::from_name(&n).unwrap()],
        Err(_) => Attack::ALL.to_vec(),
    }
}
