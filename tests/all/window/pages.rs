//! Every page and state, in both languages, by keyboard alone; and what an idle window costs.

use std::time::{Duration, Instant};

use sudare_client_runtime::Event;
use sudare_client_runtime::receipts::Receipt;
use sudare_protocol::reason::{Reason, State};
use sudare_test_kit::wait_until;

use super::plugin::{Plugin, WALL};
use super::screen::{ALT, CONTROL, F9, SPACE, Screen, Shown, TAB};
use super::shots;

/// Within the coloured field of the first page.
const FIELD: [i16; 2] = [14, 66];
const QUIET: [u8; 3] = [84, 92, 104];
const GOOD: [u8; 3] = [20, 115, 60];
const WANTED: [u8; 3] = [32, 84, 160];
const WAITING: [u8; 3] = [150, 92, 0];
const ALARM: [u8; 3] = [170, 30, 36];
const IDLE: Duration = Duration::from_secs(10);
/// Of a core: this and the memory are promised.
const IDLE_PERCENT_MAX: f64 = 1.0;
const MEMORY_MAX_KB: u64 = 120 * 1024;

/// Waits for the colour of a state, and takes a picture of it.
struct Album<'a> {
    shown: &'a Shown<'a>,
    language: &'a str,
}

impl Album<'_> {
    fn state(&self, name: &str, colour: [u8; 3]) {
        self.shown.wait_colour(name, FIELD, colour);
        self.page(name);
    }

    fn page(&self, name: &str) {
        self.shown.shoot(&shots().join(format!("{name}-{}.png", self.language)));
    }
}

fn digit(n: u32) -> u32 {
    u32::from(b'0') + n
}

fn receipt(home: &std::path::Path) {
    let receipt = Receipt {
        incident: "1d".repeat(16),
        host: "vdi-1.example".into(),
        organisation: "00".repeat(32),
        reason: "onlooker".into(),
        sealed_ms: 1_800_000_000_000,
        received_ms: 1_800_000_060_000,
        leaf_index: 70_000,
        checkpoint: "note".into(),
    };
    std::fs::create_dir_all(home.join("receipts")).unwrap();
    let json = serde_json::to_vec(&receipt).unwrap();
    std::fs::write(home.join("receipts/0000000000000001-x.json"), json).unwrap();
}

#[test]
fn every_page_and_state_is_seen_in_both_languages_by_keyboard_alone() {
    let Some(screen) = Screen::start() else { return };
    for language in ["ja", "en"] {
        let home = tempfile::tempdir().unwrap();
        receipt(home.path());
        // One in the light theme, and one as the system has it.
        if language == "en" {
            std::fs::write(home.path().join("window.toml"), "theme = \"light\"\n").unwrap();
        }
        let shown = screen.show(home.path(), &["--language", language]);
        let album = Album { shown: &shown, language };
        album.state("state-not-connected", QUIET);
        pages(&album);
        let mut plugin = Plugin::start(home.path());
        states(&album, &plugin);
        preview(&album, &mut plugin);
        cover_keys(&shown, &plugin);
        drop(plugin);
        shown.wait_colour("the end of the connection", FIELD, QUIET);
    }
}

fn pages(album: &Album<'_>) {
    for (n, name) in [(2, "enrol"), (3, "receipts"), (4, "check"), (5, "settings")] {
        album.shown.press_and_see(&[CONTROL, digit(n)]);
        album.page(name);
    }
    check(album);
    // Twice the size, and back.
    (0..10).for_each(|_| album.shown.press_and_see(&[CONTROL, u32::from(b'=')]));
    album.page("settings-200-percent");
    album.shown.press_and_see(&[CONTROL, digit(1)]);
    album.page("state-200-percent");
    album.shown.press_and_see(&[CONTROL, digit(0)]);
    album.shown.wait_colour("the first page", FIELD, QUIET);
}

/// Nothing is set up in this folder, so there are problems.
fn check(album: &Album<'_>) {
    album.shown.press_and_see(&[CONTROL, digit(4)]);
    (0..8).for_each(|_| album.shown.press_and_see(&[TAB]));
    album.shown.press(&[SPACE]);
    wait_until("a problem", || Ok((60..570).step_by(2).any(|y| near(album.shown.pixel([10, y]), ALARM))))
        .unwrap();
    album.page("check-over");
    album.shown.press_and_see(&[CONTROL, digit(5)]);
}

fn states(album: &Album<'_>, plugin: &Plugin) {
    album.state("state-connecting", QUIET);
    plugin.ready();
    album.state("state-starting", WAITING);
    plugin.seen(State::Clear, Reason::None);
    album.state("state-visible", GOOD);
    plugin.seen(State::Onlooker, Reason::Onlooker);
    album.state("state-onlooker", ALARM);
    plugin.seen(State::Absent, Reason::Absent);
    album.state("state-absent", WAITING);
    plugin.event(&Event::Break(true));
    plugin.seen(State::Absent, Reason::Break);
    album.state("state-break", WANTED);
    plugin.event(&Event::Break(false));
    plugin.event(&Event::Trouble(
        "camera:0 is in use by another program. Close the programs that use it".into(),
    ));
    plugin.seen(State::CameraLost, Reason::CameraBusy);
    album.state("state-trouble", WAITING);
    plugin.seen(State::Clear, Reason::OperatorAsked);
    album.state("state-asked", WANTED);
    plugin.seen(State::Clear, Reason::None);
    album.shown.wait_colour("the desktop", FIELD, GOOD);
}

/// The preview is the ninth stop of the Tab key: pages, languages, "cover now", and then the page.
fn preview(album: &Album<'_>, plugin: &mut Plugin) {
    (0..9).for_each(|_| album.shown.press_and_see(&[TAB]));
    album.shown.press(&[SPACE]);
    let found = wait_until("the picture", || {
        plugin.picture();
        Ok((200..570).find(|y| near(album.shown.pixel(wall(*y)), WALL)))
    });
    found.unwrap();
    album.page("state-preview");
    album.shown.press(&[SPACE]);
    wait_until("the end of the picture", || {
        plugin.picture();
        Ok((200..570).all(|y| !near(album.shown.pixel(wall(y)), WALL)))
    })
    .unwrap();
}

/// Near the left edge of the picture, which is beside the facts.
fn wall(y: i16) -> [i16; 2] {
    [420, y]
}

fn near(seen: [u8; 3], wanted: [u8; 3]) -> bool {
    seen.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 16)
}

/// In the window, and from anywhere.
fn cover_keys(shown: &Shown<'_>, plugin: &Plugin) {
    for keys in [&[F9][..], &[CONTROL, ALT, u32::from(b'h')]] {
        shown.press(keys);
        wait_until("the wish", || Ok(plugin.inbox.take_wish() == Some(true))).unwrap();
    }
    plugin.seen(State::Clear, Reason::OperatorAsked);
    shown.wait_colour("the cover", FIELD, WANTED);
    shown.press(&[F9]);
    wait_until("the end of the wish", || Ok(plugin.inbox.take_wish() == Some(false))).unwrap();
    plugin.seen(State::Clear, Reason::None);
    shown.wait_colour("the desktop", FIELD, GOOD);
}

#[test]
fn an_idle_window_costs_nearly_nothing() {
    let Some(screen) = Screen::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let plugin = Plugin::start(home.path());
    plugin.ready();
    let shown = screen.show(home.path(), &["--language", "ja"]);
    plugin.seen(State::Clear, Reason::None);
    shown.wait_colour("the state", FIELD, GOOD);
    let opened_ms = shown.started.elapsed().as_millis();
    let (before, _) = shown.costs();
    let since = Instant::now();
    std::thread::sleep(IDLE);
    let (after, memory_kb) = shown.costs();
    // A tick is 10 ms.
    #[allow(clippy::cast_precision_loss, reason = "a few ticks")]
    let percent = (after - before) as f64 / since.elapsed().as_secs_f64();
    println!("window: {percent:.2} % of a core idle, {memory_kb} kB, state shown after {opened_ms} ms");
    assert!(percent <= IDLE_PERCENT_MAX, "{percent:.2} % of a core while nothing happens");
    assert!(memory_kb <= MEMORY_MAX_KB, "{memory_kb} kB");
}
