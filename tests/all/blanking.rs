//! The X11 cover on Xvfb, alone and under attack.
//!
//! Needs the package xvfb; says so and does nothing without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use sudare_blanker::wire::{Key, Notice, Rect, Reply, Request};
use sudare_stack::blanking::blanker::Blanker;
use sudare_stack::blanking::desktop::{BACKGROUND, Desktop, Typist};
use sudare_stack::blanking::display::{Access, Running, Xvfb, resize};
use sudare_stack::blanking::hostile::Attack;
use sudare_stack::blanking::latency;
use sudare_stack::blanking::matrix::{self, PANEL, control, matrix, ready};
use sudare_stack::blanking::sampler::{Screen, ScreenObserver};
use sudare_test_kit::needs::is_installed;
use sudare_test_kit::{Pace, program, wait_until};
use x11rb::connection::Connection as _;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, InputFocus, KEY_PRESS_EVENT,
    KEY_RELEASE_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const NOTHING: Rect = Rect { x: 0, y: 0, width: 0, height: 0 };
const EACH: Duration = Duration::from_secs(2);
/// Key codes on every layout of Xvfb and xorgxrdp.
const LETTER: u8 = 38;
const F_KEYS: [(u8, Key); 3] = [(67, Key::Help), (68, Key::Break), (69, Key::WrongBlock)];

fn has(programs: &[&str]) -> bool {
    for program in programs {
        if !is_installed(program) {
            println!("SKIPPED: no {program} here. Install it to test the cover of X11 displays");
            return false;
        }
    }
    true
}

fn xvfb(width: u16, height: u16, depth: u8) -> Option<Xvfb> {
    has(&["Xvfb"]).then(|| Xvfb::start(width, height, depth).unwrap())
}

#[test]
fn covers_shows_and_covers_again() {
    let Some(server) = xvfb(1024, 768, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let typist = Typist::new(access).unwrap();
    let mut screen = Screen::open(access).unwrap();
    typist.type_letters(3).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 6, "the typist works without a cover");
    assert!(screen.strangers(NOTHING).unwrap() > 700_000, "the desktop is seen without a cover");

    let mut blanker = Blanker::start(access).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.strangers(NOTHING).unwrap(), 0, "it starts covered");
    typist.type_letters(5).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 0);
    assert_eq!(blanker.notices, [Notice::LateStart], "the desktop was there first");

    blanker.paint(PANEL, 0x00_40_c0).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.pixel(PANEL.x + 5, PANEL.y + 5).unwrap(), 0x00_40_c0, "the words are on the cover");
    assert_eq!(screen.strangers(PANEL).unwrap(), 0);

    for _ in 0..3 {
        blanker.uncover().unwrap();
        assert!(screen.strangers(NOTHING).unwrap() > 700_000, "the desktop is back");
        typist.type_letters(2).unwrap();
        assert_eq!(desktop.delivered().unwrap(), 4, "and its input too");
        blanker.cover().unwrap();
        assert_eq!(screen.strangers(PANEL).unwrap(), 0);
        assert_eq!(screen.pixel(PANEL.x + 5, PANEL.y + 5).unwrap(), 0x00_40_c0, "with the words");
        typist.type_letters(2).unwrap();
        assert_eq!(desktop.delivered().unwrap(), 0);
    }
    assert!(blanker.health.iter().all(|(_, pixels, input)| *pixels && *input), "{:?}", blanker.health);
}

#[test]
fn light_is_around_the_words_and_ends_with_the_cover_and_with_the_guard() {
    let Some(server) = xvfb(1024, 768, 24) else { return };
    let desktop = Desktop::show(&server.access).unwrap();
    let mut screen = Screen::open(&server.access).unwrap();
    let mut blanker = ready(&server.access).unwrap();
    blanker.paint(PANEL, 0x00_40_c0).unwrap();
    let (rgb, colour) = ([255, 186, 107], 0xff_ba_6b);
    let around = [(0, 0), (1023, 767), (PANEL.x - 1, PANEL.y + 5), (PANEL.x + 5, PANEL.y - 1)];
    for lit in [[156, 158, 156], [123, 186, 255], rgb] {
        blanker.ask(&Request::Light { rgb: lit }).unwrap();
        blanker.cover().expect("what was asked for is what is read back");
    }
    for (x, y) in around {
        assert_eq!(screen.pixel(x, y).unwrap(), colour, "{x} {y}");
    }
    assert_eq!(screen.pixel(PANEL.x + 5, PANEL.y + 5).unwrap(), 0x00_40_c0, "the words stay");
    blanker.uncover().unwrap();
    assert_eq!(screen.pixel(0, 0).unwrap(), BACKGROUND, "no light on the desktop");
    blanker.ask(&Request::Light { rgb }).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.strangers(PANEL).unwrap(), 0, "every cover begins black");
    blanker.ask(&Request::Light { rgb }).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.pixel(0, 0).unwrap(), colour);
    assert!(blanker.health.iter().all(|(_, pixels, _)| *pixels), "{:?}", blanker.health);
    blanker.end_guard().unwrap();
    wait_until("the light to end with the guard", || screen.is_covered(PANEL)).unwrap();
    drop(desktop);
}

#[test]
fn starts_covered_before_anybody_else_and_checks_who_serves_the_display() {
    let Some(server) = xvfb(640, 480, 24) else { return };
    let access = &server.access;
    let mut blanker = Blanker::start_with(access, &["--server-pid", &server.pid().to_string()]).unwrap();
    blanker.cover().unwrap();
    assert_eq!(blanker.layout, Some((1, 640, 480, vec![Rect { x: 0, y: 0, width: 640, height: 480 }])));
    assert_eq!(blanker.notices, [], "nothing was on the screen before");
    let desktop = Desktop::show(access).unwrap();
    let mut screen = Screen::open(access).unwrap();
    assert_eq!(screen.strangers(NOTHING).unwrap(), 0);
    drop(desktop);

    let mut wrong = Blanker::start_with(access, &["--server-pid", "1"]).unwrap();
    assert!(!wrong.process.0.wait().unwrap().success(), "another process listens than the one named");
}

#[test]
fn the_picture_is_of_the_desktop_and_the_health_goes_on() {
    let Some(server) = xvfb(1024, 768, 24) else { return };
    let desktop = Desktop::show(&server.access).unwrap();
    let mut blanker = ready(&server.access).unwrap();
    blanker.uncover().unwrap();
    desktop.delivered().unwrap();
    for request in [Request::Picture { ticket: 70 }, Request::Cover { ticket: 71, picture: true }] {
        blanker.ask(&request).unwrap();
        let (_, (ticket, width, height, bgra)) = blanker
            .wait_for("picture", |reply| match reply {
                Reply::Picture { ticket, width, height, bgra } => {
                    Some((*ticket, *width, *height, bgra.clone()))
                }
                _ => None,
            })
            .unwrap();
        assert_eq!((width, height, ticket / 10), (1024, 768, 7));
        let pixel = |x: usize, y: usize| &bgra[(y * 1024 + x) * 4..][..3];
        assert_eq!(pixel(1000, 700), &BACKGROUND.to_le_bytes()[..3]);
        assert_eq!(pixel(50, 50), [0, 0, 0xff], "the red stripe, blue first");
    }
    blanker.health.clear();
    let pace = Pace::start();
    let since = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    blanker.catch_up();
    let seconds = since.elapsed().as_secs_f64();
    // Ten looks a second, and fewer only where the machine is slower.
    let (looks, least) = (blanker.health.len() as f64, 8.0 / pace.worst());
    assert!(
        looks >= least.floor() && looks <= 12.0 * seconds,
        "{looks} looks in {seconds:.1} s, not {least:.0} to 12 a second"
    );
}

#[test]
fn the_covers_keys_work_and_others_do_not() {
    let Some(server) = xvfb(800, 600, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let typist = Typist::new(access).unwrap();
    let keyboard = typist.physical_keyboard().unwrap();
    typist.press_on(keyboard, LETTER).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 1, "without a cover the keyboard types");

    let mut blanker = ready(access).unwrap();
    typist.type_letters(3).unwrap();
    for (code, key) in F_KEYS {
        typist.press(code).unwrap();
        assert_eq!(next_key(&mut blanker), key, "typed through XTEST");
    }
    std::thread::sleep(Pace::start().allow(Duration::from_millis(750)));
    for (code, key) in F_KEYS {
        typist.press_on(keyboard, code).unwrap();
        typist.press_on(keyboard, code).unwrap();
        assert_eq!(next_key(&mut blanker), key, "on a floated keyboard, and only once");
    }
    typist.press_on(keyboard, LETTER).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 0);

    blanker.uncover().unwrap();
    typist.press_on(keyboard, LETTER).unwrap();
    typist.press_on(keyboard, F_KEYS[0].0).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 2, "the keyboard is back where it belongs");
}

#[test]
fn physical_keys_do_not_reach_who_holds_the_keyboard() {
    let Some(server) = xvfb(800, 600, 24) else { return };
    let typist = Typist::new(&server.access).unwrap();
    let keyboard = typist.physical_keyboard().unwrap();
    let mut blanker = ready(&server.access).unwrap();
    let pace = Pace::start();
    let (lasts, begun) = (pace.allow(Duration::from_millis(900)), pace.allow(Duration::from_millis(300)));
    for (attack, gets_keys) in [(Attack::RootGrab, false), (Attack::Menu, false)] {
        blanker.uncover().unwrap();
        let mut hostile = matrix::start(&server.access, attack, lasts).unwrap();
        std::thread::sleep(begun);
        blanker.cover().unwrap();
        for _ in 0..10 {
            typist.press_on(keyboard, LETTER).unwrap();
        }
        assert_eq!(matrix::finish(&mut hostile).unwrap().keys > 0, gets_keys, "{attack:?}");
    }
    blanker.uncover().unwrap();
    let mut hostile = matrix::start(&server.access, Attack::RootGrab, lasts).unwrap();
    std::thread::sleep(begun);
    typist.press_on(keyboard, LETTER).unwrap();
    assert_eq!(matrix::finish(&mut hostile).unwrap().keys, 1, "without a cover it hears the key");
}

#[test]
fn a_killed_blanker_leaves_the_cover_and_a_successor_takes_over() {
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let typist = Typist::new(access).unwrap();
    let keyboard = typist.physical_keyboard().unwrap();
    let mut blanker = ready(access).unwrap();
    for guard_dies_too in [false, true] {
        let observer = ScreenObserver::start(access, PANEL).unwrap();
        if guard_dies_too {
            blanker.end_guard().unwrap();
        }
        blanker.kill().unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            typist.type_letters(1).unwrap();
            typist.press_on(keyboard, LETTER).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        blanker = ready(access).unwrap();
        let seen = observer.finish().unwrap();
        println!("killed, guard too: {guard_dies_too}: {seen:?}");
        assert_eq!(seen.leaked_frames, 0, "{seen:?}");
        assert_eq!(desktop.delivered().unwrap(), 0);
        assert_eq!(blanker.notices, [Notice::PredecessorReplaced]);
    }
    blanker.uncover().unwrap();
    typist.type_letters(1).unwrap();
    typist.press_on(keyboard, LETTER).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 3, "nothing of the dead ones is left in the way");
    assert!(Screen::open(access).unwrap().strangers(NOTHING).unwrap() > 2_000_000);
}

/// KillClient on every window of the cover, the focus given away and a key typed, all in one write: the X
/// server does them in one go, before the blanker can learn of it.
#[test]
fn no_key_fits_between_kill_client_and_the_second_connection() {
    let Some(server) = xvfb(800, 600, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let mut blanker = ready(access).unwrap();
    let x = access.connect().unwrap();
    let windows = cover_windows(&x);
    assert_eq!(windows.len(), 2, "the two layers of the cover");
    for window in windows {
        x.kill_client(window).unwrap().ignore_error();
    }
    x.set_input_focus(InputFocus::POINTER_ROOT, desktop.window, x11rb::CURRENT_TIME).unwrap();
    for (down, up, code) in
        [(KEY_PRESS_EVENT, KEY_RELEASE_EVENT, LETTER), (BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, 1)]
    {
        for kind in [down, up] {
            x.xtest_fake_input(kind, code, 0, x11rb::NONE, 0, 0, 0).unwrap();
        }
    }
    x.sync().unwrap();
    assert_eq!(desktop.delivered().unwrap(), 0);
    assert!(!blanker.process.0.wait().unwrap().success(), "its connection was ended");
}

/// The windows that carry the cover's mark, on the root and in the overlay.
fn cover_windows(x: &RustConnection) -> Vec<Window> {
    let tag = x.intern_atom(false, b"_SUDARE_COVER").unwrap().reply().unwrap().atom;
    x.composite_query_version(0, 4).unwrap().reply().unwrap();
    let root = x.setup().roots[0].root;
    let overlay = x.composite_get_overlay_window(root).unwrap().reply().unwrap().overlay_win;
    let children = |window| x.query_tree(window).unwrap().reply().unwrap().children;
    let mut found: Vec<Window> = [root, overlay].into_iter().flat_map(children).collect();
    found.retain(|window| {
        let mark = x.get_property(false, *window, tag, AtomEnum::CARDINAL, 0, 1).unwrap().reply();
        mark.is_ok_and(|mark| mark.value_len > 0)
    });
    found
}

#[test]
fn the_end_of_the_guard_covers_until_a_successor_comes() {
    let Some(server) = xvfb(1024, 768, 24) else { return };
    let access = &server.access;
    let desktop = Desktop::show(access).unwrap();
    let typist = Typist::new(access).unwrap();
    let mut screen = Screen::open(access).unwrap();
    let mut orphan = ready(access).unwrap();
    orphan.uncover().unwrap();
    assert!(!screen.is_covered(PANEL).unwrap());
    let pace = Pace::start();
    orphan.end_guard().unwrap();
    let since = Instant::now();
    while !screen.is_covered(PANEL).unwrap() {
        assert!(since.elapsed() < pace.allow(Duration::from_millis(500)), "still uncovered");
    }
    println!("covered {:?} after the guard's end", since.elapsed());
    typist.type_letters(2).unwrap();
    assert_eq!(desktop.delivered().unwrap(), 0);

    let observer = ScreenObserver::start(access, PANEL).unwrap();
    let mut successor = ready(access).unwrap();
    assert!(!orphan.process.0.wait().unwrap().success(), "the old one ends by itself");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(observer.finish().unwrap().leaked_frames, 0);
    assert_eq!(successor.notices, [Notice::PredecessorReplaced]);
    successor.uncover().unwrap();
    assert!(!screen.is_covered(PANEL).unwrap(), "and nothing holds the screen any more");
}

#[test]
fn nonsense_from_the_guard_covers() {
    let Some(server) = xvfb(640, 480, 24) else { return };
    let _desktop = Desktop::show(&server.access).unwrap();
    let mut screen = Screen::open(&server.access).unwrap();
    let mut blanker = Blanker::start(&server.access).unwrap();
    blanker.uncover().unwrap();
    assert!(!screen.is_covered(NOTHING).unwrap());
    let pace = Pace::start();
    blanker.write_raw(&[1, 0, 0, 0, 99]).unwrap();
    std::thread::sleep(pace.allow(Duration::from_millis(200)));
    assert!(screen.is_covered(NOTHING).unwrap());
}

#[test]
fn a_screen_of_another_size_is_covered_and_told() {
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let access = &server.access;
    let _desktop = Desktop::show(access).unwrap();
    let mut blanker = ready(access).unwrap();
    let x = access.connect().unwrap();
    let mut screen = Screen::open(access).unwrap();
    for (layout, width, height) in [(2, 1280, 720), (3, 1920, 1080)] {
        resize(&x, width, height).unwrap();
        assert!(screen.is_covered(PANEL).unwrap(), "at once");
        let new = |reply: &Reply| matches!(reply, Reply::Layout { .. }).then_some(());
        blanker.wait_for("layout", new).unwrap();
        let (number, told_width, told_height, monitors) = blanker.layout.clone().unwrap();
        assert_eq!((number, told_width, told_height), (layout, width, height));
        assert_eq!(monitors.len(), 1);
        blanker.cover().unwrap();
        assert_eq!(screen.strangers(NOTHING).unwrap(), 0, "the old words are gone");
        blanker.paint(PANEL, 0x00_60_30).unwrap();
        blanker.cover().unwrap();
        assert_eq!(screen.pixel(PANEL.x + 9, PANEL.y + 9).unwrap(), 0x00_60_30);
    }
    let (layout, place) = (1, PANEL);
    blanker.ask(&Request::Paint { layout, place, bgra: vec![0xff; place.bytes()] }).unwrap();
    blanker.cover().unwrap();
    assert_eq!(screen.pixel(PANEL.x, PANEL.y).unwrap(), 0x00_60_30, "words for an old layout are ignored");
}

#[test]
fn two_monitors_are_told_and_each_has_its_words() {
    let Some(server) = xvfb(1600, 600, 24) else { return };
    let access = &server.access;
    let x = access.connect().unwrap();
    let root = x.setup().roots[0].root;
    let outputs = x.randr_get_screen_resources_current(root).unwrap().reply().unwrap().outputs;
    for (name, from, outputs) in [("left", 0, outputs), ("right", 800, Vec::new())] {
        let name = x.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
        let monitor = MonitorInfo {
            name,
            primary: from == 0,
            automatic: false,
            x: from,
            y: 0,
            width: 800,
            height: 600,
            width_in_millimeters: 200,
            height_in_millimeters: 150,
            outputs,
        };
        x.randr_set_monitor(root, monitor).unwrap().check().unwrap();
    }
    let _desktop = Desktop::show(access).unwrap();
    let mut screen = Screen::open(access).unwrap();
    let mut blanker = ready(access).unwrap();
    let half = |x| Rect { x, y: 0, width: 800, height: 600 };
    let mut monitors = blanker.layout.clone().unwrap().3;
    monitors.sort_by_key(|monitor| monitor.x);
    assert_eq!(monitors, [half(0), half(800)]);
    let panel = |of: Rect| Rect { x: of.x + 240, y: 60, width: 320, height: 120 };
    let panels = [(panel(monitors[0]), 0x00_30_60), (panel(monitors[1]), 0x00_60_30)];
    for (panel, colour) in panels {
        blanker.paint(panel, colour).unwrap();
    }
    blanker.cover().unwrap();
    for (panel, colour) in panels {
        assert_eq!(screen.pixel(panel.x + 9, panel.y + 9).unwrap(), colour);
    }
    blanker.uncover().unwrap();
    assert!(!screen.is_covered(NOTHING).unwrap());
}

#[test]
fn nothing_comes_through_under_attack() {
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let (seen, keys) = control(&server.access, Pace::start().allow(Duration::from_millis(500))).unwrap();
    assert!(seen.leaked_frames == seen.samples && keys > 10, "without a cover: {seen:?}, {keys} keys");
    expect_tight(&server.access, &Attack::ALL);
}

#[test]
fn nothing_comes_through_xfwm4s_compositor() {
    if !has(&["xfwm4", "dbus-run-session"]) {
        return;
    }
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let _compositor = compositor(&server.access, &["dbus-run-session", "--", "xfwm4", "--compositor=on"]);
    expect_tight(&server.access, &[Attack::Raise, Attack::NewWindows, Attack::OverlayChild]);
    assert!(compositor_runs(&server.access), "it may go on");
}

#[test]
fn a_compositor_that_draws_on_the_overlay_is_ended() {
    if !has(&["picom"]) {
        return;
    }
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let picom = ["picom", "--config", "/dev/null", "--backend", "xrender"];
    let _compositor = compositor(&server.access, &picom);
    expect_tight(&server.access, &[Attack::Raise, Attack::NewWindows]);
    assert!(!compositor_runs(&server.access));
}

#[test]
fn black_comes_soon() {
    let Some(server) = xvfb(1920, 1080, 24) else { return };
    let pace = Pace::start();
    let latency = latency::measure(&server.access, 20).unwrap();
    for (name, samples) in [
        ("black", &latency.to_black_ms),
        ("covered", &latency.to_covered_ms),
        ("picture", &latency.to_picture_ms),
    ] {
        let [middle, late] = [0.5, 0.99].map(|share| latency::percentile(samples, share));
        println!("request to {name}: p50 {middle:.1} ms, p99 {late:.1} ms");
    }
    // The figure that is promised is measured by the benchmark; here other tests run beside.
    let allowed_ms = pace.allow(Duration::from_millis(100)).as_secs_f64() * 1e3;
    assert!(latency::percentile(&latency.to_black_ms, 0.5) < allowed_ms);
}

#[test]
fn refuses_where_a_cover_cannot_be_relied_on() {
    let Some(server) = xvfb(640, 480, 16) else { return };
    let mut blanker = Blanker::start(&server.access).unwrap();
    let unfit = |reply: &Reply| match reply {
        Reply::Unfit { why } => Some(why.clone()),
        _ => None,
    };
    let (_, why) = blanker.wait_for("refusal", unfit).unwrap();
    assert!(why.contains("depth 16") && why.contains("Use 24 or 32"), "{why}");
    assert!(!blanker.process.0.wait().unwrap().success());
    assert_eq!(preflight(&server.access), (false, format!("unfit: {why}")));

    let server = xvfb(640, 480, 24).unwrap();
    assert_eq!(preflight(&server.access), (true, "fit: this display can be covered".into()));
    let lost = Access { number: 4_000_000, xauthority: "/nowhere".into(), cookie: Vec::new() };
    let (fit, why) = preflight(&lost);
    assert!(!fit && why.contains("no X server answers"), "{why}");
}

fn expect_tight(access: &Access, attacks: &[Attack]) {
    let lines = matrix(access, attacks, EACH).unwrap();
    for line in &lines {
        println!("{line}");
    }
    let leaks: Vec<_> = lines.iter().filter(|line| !line.is_tight()).map(|line| line.attack).collect();
    assert!(leaks.is_empty(), "came through: {leaks:?}");
    let idle: Vec<_> = lines.iter().filter(|line| line.strikes == 0).map(|line| line.attack).collect();
    assert!(idle.is_empty(), "never struck: {idle:?}");
}

fn next_key(blanker: &mut Blanker) -> Key {
    let key = |reply: &Reply| match reply {
        Reply::Key(key) => Some(*key),
        _ => None,
    };
    blanker.wait_for("key", key).unwrap().1
}

fn preflight(access: &Access) -> (bool, String) {
    let mut command = access.command(program("sudare-blanker").unwrap());
    let output = command.arg("--preflight").stdout(Stdio::piped()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().into())
}

/// Starts a compositor and waits until it owns the compositor selection.
fn compositor(access: &Access, command: &[&str]) -> Group {
    let mut program = access.command(command[0]);
    let child = program.args(&command[1..]).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    let running = Group(Running(child));
    wait_until(&format!("{command:?} to own the compositor selection"), || Ok(compositor_runs(access)))
        .unwrap();
    // It owns the selection before it draws.
    std::thread::sleep(Pace::start().allow(Duration::from_millis(500)));
    running
}

/// A program with everything that it starts: a session bus outlives its session otherwise.
struct Group(Running);

impl Drop for Group {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.0.0);
        kill_process_group(group, Signal::TERM).ok();
    }
}

fn compositor_runs(access: &Access) -> bool {
    let x = access.connect().unwrap();
    let place = x.intern_atom(false, b"_NET_WM_CM_S0").unwrap().reply().unwrap().atom;
    x.get_selection_owner(place).unwrap().reply().unwrap().owner != x11rb::NONE
}
