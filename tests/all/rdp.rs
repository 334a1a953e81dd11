//! The embedded host and the headless client over real TLS on the loopback, with a toy in the
//! place of the deciding part: it obeys one-byte commands from the client and reports back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod slow;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use sudare_base::clock::Now;
use sudare_embedded::identity::TlsIdentity;
use sudare_embedded::{EmbeddedHost, HostHandle};
use sudare_guard::cover;
use sudare_guard::cover::fonts::Fonts;
use sudare_guard::screen::{CoverText, Screenshot};
use sudare_guard::transport::{
    Action, CoverEvent, DriverFactory, LinkEvent, SessionDriver, SessionEvent, SessionInfo,
};
use sudare_headless::{
    RdpError, RdpEvent, RdpHandle, RdpOptions, ScreenKind, ScreenState, SendError, connect,
};
use sudare_protocol::message::Shown;
use sudare_test_kit::wait::in_vain;
use sudare_test_kit::{PATIENCE, Pace, wait_until};

const COVER: u8 = b'C';
const UNCOVER: u8 = b'U';
const ECHO: u8 = b'E';
const SNAPSHOT_AND_COVER: u8 = b'S';
const DISCONNECT: u8 = b'D';
const IS_COVERED: u8 = b'c';
const IS_VISIBLE: u8 = b'v';
const HAS_PICTURE: u8 = b'p';

/// What the toy saw, for the test to look at.
#[derive(Default)]
struct Seen {
    log: Vec<&'static str>,
    users: Vec<Option<String>>,
    picture: Option<Screenshot>,
}

#[derive(Clone, Default)]
struct Toys(Arc<Mutex<Seen>>);

impl Toys {
    fn log(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().log.clone()
    }
}

impl DriverFactory for Toys {
    fn session(&self, info: SessionInfo, _now: Now) -> Box<dyn SessionDriver> {
        self.0.lock().unwrap().users.push(info.user);
        Box::new(Toy(self.clone()))
    }
}

struct Toy(Toys);

impl Toy {
    fn note(&self, what: &'static str) {
        self.0.0.lock().unwrap().log.push(what);
    }

    fn text() -> CoverText {
        CoverText {
            lines: vec![
                "画面を隠しています".to_owned(),
                "The screen is covered: somebody else was looking.".to_owned(),
                "It returns when you are alone.".to_owned(),
            ],
        }
    }
}

impl Toy {
    fn on_link(&mut self, event: LinkEvent) -> Vec<Action> {
        let bytes = match event {
            LinkEvent::Bytes(bytes) => bytes,
            LinkEvent::Missing => return Vec::new(),
            LinkEvent::Opened => return self.noted("opened"),
            LinkEvent::Closed => return self.noted("closed"),
            LinkEvent::Disconnected => return self.noted("gone"),
        };
        match bytes.first() {
            Some(&COVER) => vec![Action::Cover(Self::text())],
            Some(&UNCOVER) => vec![Action::Uncover],
            Some(&SNAPSHOT_AND_COVER) => vec![Action::Screenshot(7), Action::Cover(Self::text())],
            Some(&DISCONNECT) => {
                let advice = "The test said so. Nothing to do".to_owned();
                vec![Action::Send(b"bye".to_vec()), Action::Disconnect { advice }]
            }
            _ => vec![Action::Send(bytes)],
        }
    }

    fn on_cover(&mut self, event: CoverEvent) -> Vec<Action> {
        let (what, told) = match event {
            CoverEvent::Painted(Shown::Covered) => ("covered", IS_COVERED),
            CoverEvent::Painted(Shown::Visible) => ("visible", IS_VISIBLE),
            CoverEvent::Screenshot { ticket, screenshot } => {
                assert_eq!(ticket, 7);
                self.0.0.lock().unwrap().picture = Some(screenshot);
                ("picture", HAS_PICTURE)
            }
            CoverEvent::Key(_) | CoverEvent::ScreenshotMissing { .. } => {
                return Vec::new();
            }
        };
        self.note(what);
        vec![Action::Send(vec![told])]
    }

    fn noted(&self, what: &'static str) -> Vec<Action> {
        self.note(what);
        Vec::new()
    }
}

impl SessionDriver for Toy {
    fn handle(&mut self, _now: Now, event: SessionEvent) -> Vec<Action> {
        match event {
            SessionEvent::Tick => Vec::new(),
            SessionEvent::Link(event) => self.on_link(event),
            SessionEvent::Cover(event) => self.on_cover(event),
            SessionEvent::Owner(_) => Vec::new(),
        }
    }
}

struct Host {
    handle: HostHandle,
    toys: Toys,
    cert_sha256: [u8; 32],
}

fn host(max_sessions: usize) -> Host {
    let dir = tempfile::tempdir().unwrap();
    let tls = TlsIdentity::load_or_create(dir.path()).unwrap();
    let (toys, cert_sha256) = (Toys::default(), tls.cert_sha256);
    let factory = Arc::new(toys.clone());
    let listen = "127.0.0.1:0".parse().unwrap();
    let host = EmbeddedHost { listen, tls, factory, width: 1280, height: 720, max_sessions };
    Host { handle: host.start().unwrap(), toys, cert_sha256 }
}

/// One client with what it has seen so far.
struct Seat {
    handle: RdpHandle,
    events: tokio::sync::mpsc::Receiver<RdpEvent>,
    runtime: tokio::runtime::Runtime,
    screen: Option<ScreenState>,
}

fn options(port: u16) -> RdpOptions {
    RdpOptions {
        host: "127.0.0.1".to_owned(),
        port,
        user: "hanako".to_owned(),
        password: "secret".to_owned(),
        width: 1280,
        height: 720,
        connect_timeout: PATIENCE,
    }
}

impl Seat {
    fn connect(port: u16) -> Self {
        let (sender, events) = tokio::sync::mpsc::channel(16);
        let handle = connect(options(port), sender).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { handle, events, runtime, screen: None }
    }

    /// A client whose channel is open.
    fn ready(host: &Host) -> Self {
        let mut seat = Self::connect(host.handle.local_addr().port());
        seat.wait_opened();
        seat
    }

    fn wait_opened(&mut self) {
        self.wait("the channel", |event, _| matches!(event, RdpEvent::ChannelOpened));
    }

    fn next(&mut self) -> RdpEvent {
        let events = &mut self.events;
        let event = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, events.recv()).await });
        let event = event.expect("an event in time").expect("events until Ended");
        if let RdpEvent::Screen(state) = &event {
            self.screen = Some(*state);
        }
        event
    }

    fn wait(&mut self, what: &str, mut done: impl FnMut(&RdpEvent, Option<ScreenState>) -> bool) -> RdpEvent {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < PATIENCE, "{}", in_vain(what, &format!("a screen {:?}", self.screen)));
            let event = self.next();
            if done(&event, self.screen) {
                return event;
            }
        }
    }

    fn wait_message(&mut self, expected: u8) -> Vec<u8> {
        let event = self.wait(
            "a message",
            |event, _| matches!(event, RdpEvent::ChannelBytes(bytes) if bytes.first() == Some(&expected)),
        );
        let RdpEvent::ChannelBytes(bytes) = event else { unreachable!() };
        bytes
    }

    fn wait_screen(&mut self, kind: ScreenKind) -> ScreenState {
        if let Some(state) = self.screen.filter(|state| state.kind == kind) {
            return state;
        }
        self.wait("the screen", |_, state| state.is_some_and(|state| state.kind == kind));
        self.screen.unwrap()
    }

    fn tell(&self, command: u8) {
        self.handle.send(vec![command]).unwrap();
    }

    fn wait_ended(&mut self) -> Option<String> {
        let event = self.wait("the end", |event, _| matches!(event, RdpEvent::Ended { .. }));
        let RdpEvent::Ended { error } = event else { unreachable!() };
        error
    }
}

#[test]
fn starts_black_shows_the_desktop_and_turns_black_again() {
    let host = host(4);
    let mut seat = Seat::connect(host.handle.local_addr().port());
    assert_eq!(seat.handle.tls_cert_sha256, host.cert_sha256);
    let first = seat.wait("a first picture", |event, _| matches!(event, RdpEvent::Screen(_)));
    let RdpEvent::Screen(first) = first else { unreachable!() };
    assert_eq!((first.kind, first.updates), (ScreenKind::Black, 1));
    assert_eq!(host.toys.0.lock().unwrap().users, [Some("hanako".to_owned())]);

    seat.wait_opened();
    seat.tell(UNCOVER);
    seat.wait_message(IS_VISIBLE);
    seat.wait_screen(ScreenKind::Desktop);
    let shown = seat.handle.picture().unwrap();

    seat.tell(SNAPSHOT_AND_COVER);
    seat.wait_message(IS_COVERED);
    assert!(seat.screen.unwrap().is_covered());
    // The host's own picture shows what the client saw, up to the clock's corner.
    seat.wait_message(HAS_PICTURE);
    let taken = host.toys.0.lock().unwrap().picture.take().unwrap();
    let above_the_clock = 1280 * 600 * 4;
    let same = shown.rgba[..above_the_clock]
        .chunks(4)
        .zip(taken.bgra.chunks(4))
        .all(|(a, b)| [a[0], a[1], a[2]] == [b[2], b[1], b[0]]);
    assert!(same);

    seat.wait_screen(ScreenKind::Covered);
    let text = seat.handle.picture().unwrap();
    assert!(text.rgba.chunks(4).any(|pixel| pixel[..3] == [255; 3]), "the text is readable");
    let log = host.toys.log();
    assert_eq!(
        log,
        ["covered", "opened", "visible", "covered", "picture"],
        "black is reported before all else"
    );
}

#[test]
fn large_messages_arrive_whole_both_ways() {
    let host = host(4);
    let mut seat = Seat::ready(&host);
    assert_eq!(seat.handle.send(vec![0; 300 * 1024]), Err(SendError::TooLarge));
    for length in [1, 1589, 1590, 1591, 100_000, 200_000] {
        let mut message: Vec<u8> =
            (0..length).map(|i: usize| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        message[0] = ECHO;
        seat.handle.send(message.clone()).unwrap();
        assert_eq!(seat.wait_message(ECHO), message);
    }
}

#[test]
fn nothing_of_the_desktop_is_sent_while_covered() {
    let host = host(4);
    let mut seat = Seat::ready(&host);
    let seed = 20_261_122;
    let text = cover::draw(&Fonts::load(), &Toy::text(), 1280, 720);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    for round in 0..60 {
        seat.tell(UNCOVER);
        // Often too short for the desktop to be complete, sometimes long enough for the clock.
        std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        seat.tell(COVER);
        let end = Instant::now() + Duration::from_millis(random.random_range(5..130));
        seat.wait_message(IS_COVERED);
        let after = seat.screen.unwrap();
        assert!(after.is_covered(), "seed {seed} round {round}: {after:?}");
        while let Some(rest) = end.checked_duration_since(Instant::now()) {
            let events = &mut seat.events;
            let event = seat.runtime.block_on(async { tokio::time::timeout(rest, events.recv()).await });
            if let Ok(Some(RdpEvent::Screen(state))) = event {
                assert!(state.is_covered(), "seed {seed} round {round}: {state:?}");
                seat.screen = Some(state);
            }
        }
        // Inside the panel, too, there is nothing but black or the text.
        let picture = seat.handle.picture().unwrap();
        let mut pixels = picture.rgba.chunks(4).zip(text.bgra.chunks(4));
        assert!(
            pixels.all(|(seen, drawn)| seen[..3] == [0; 3] || [seen[2], seen[1], seen[0]] == drawn[..3]),
            "seed {seed} round {round}: something else than the cover's text"
        );
    }
}

#[test]
fn a_client_that_leaves_or_is_sent_away() {
    let host = host(2);
    let seat = Seat::ready(&host);
    drop(seat);
    wait_until("the host to notice", || Ok(host.toys.log().contains(&"gone"))).unwrap();

    let mut seat = Seat::ready(&host);
    seat.tell(DISCONNECT);
    assert_eq!(seat.wait_message(b'b'), b"bye", "what was said before the end arrives");
    assert_eq!(seat.wait_ended(), None);
    assert_eq!(seat.handle.send(vec![ECHO]), Err(SendError::NotOpen));

    let mut seat = Seat::ready(&host);
    seat.tell(UNCOVER);
    seat.wait_screen(ScreenKind::Desktop);
    host.handle.stop();
    seat.wait_ended();
    assert!(seat.screen.unwrap().is_covered(), "a host that stops leaves no desktop behind");
}

#[test]
fn refusals_say_who_is_at_fault() {
    let host = host(1);
    let taken = host.handle.local_addr();
    let _seat = Seat::ready(&host);
    let (sender, _events) = tokio::sync::mpsc::channel(16);
    let error = connect(options(taken.port()), sender.clone()).unwrap_err();
    assert!(matches!(error, RdpError::NotRdp(_) | RdpError::Unreachable(_)), "{error}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = connect(options(free), sender.clone()).unwrap_err();
    assert!(matches!(error, RdpError::Refused(_)), "{error}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hasty = RdpOptions { connect_timeout: Duration::from_millis(300), ..options(port) };
    let error = connect(hasty, sender.clone()).unwrap_err();
    assert!(matches!(error, RdpError::TimedOut(_)), "{error}");

    let nowhere = RdpOptions { host: "no-such-host.invalid".to_owned(), ..options(1) };
    let error = connect(nowhere, sender).unwrap_err();
    assert!(matches!(error, RdpError::UnknownHost(_)), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let tls = TlsIdentity::load_or_create(dir.path()).unwrap();
    let factory = Arc::new(Toys::default());
    let again = EmbeddedHost { listen: taken, tls, factory, width: 1280, height: 720, max_sessions: 1 };
    let error = again.start().unwrap_err();
    assert!(error.to_string().contains("choose another"), "{error}");
}

#[test]
fn lock_to_black_is_fast() {
    let host = host(4);
    let pace = Pace::start();
    let mut seat = Seat::ready(&host);
    let mut taken_ms: Vec<f64> = (0..100)
        .map(|round| {
            seat.tell(UNCOVER);
            seat.wait_screen(ScreenKind::Desktop);
            std::thread::sleep(Duration::from_millis(20 + round * 7 % 33));
            let start = Instant::now();
            seat.tell(COVER);
            seat.wait("black", |_, state| state.is_some_and(|state| state.is_covered()));
            (seat.screen.unwrap().at - start).as_secs_f64() * 1000.0
        })
        .collect();
    taken_ms.sort_by(f64::total_cmp);
    let (p50, p99) = (taken_ms[50], taken_ms[99]);
    println!("lock to black over 100 rounds: p50 {p50:.1} ms, p99 {p99:.1} ms");
    let allowed_ms = pace.allow(Duration::from_millis(30)).as_secs_f64() * 1000.0;
    assert!(p50 <= allowed_ms, "p50 {p50:.1} ms, allowed are {allowed_ms:.1} ms");
}
