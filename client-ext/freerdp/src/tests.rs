//! The plugin against a fake FreeRDP: panics, closing inside a write, several threads, reconnects,
//! liars beside the host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sudare_client_runtime::operator::write_private;
use sudare_protocol::keyfile;
use sudare_protocol::reason::Reason;
use sudare_protocol::screen::CHANNEL_NAME;

use crate::fake::sys::{Board, Fake};
use crate::plugin;
use crate::sys::{Channel, ChannelEvents, Extension, Startup};
use crate::testing::{Host, device_key, organisation_key};

const PATIENCE: Duration = Duration::from_secs(300);

fn errors(board: &Board) -> (usize, usize) {
    (board.errors.load(Ordering::SeqCst), board.dead_writes.load(Ordering::SeqCst))
}

/// An extension that panics wherever it is asked.
struct Panics {
    also_in_opened: bool,
}

struct PanicsAgain;

impl Extension for Panics {
    fn opened(&self, _: Channel) -> Option<Box<dyn ChannelEvents>> {
        assert!(!self.also_in_opened, "in opened");
        Some(Box::new(PanicsAgain))
    }
    fn terminated(&self) {
        panic!("in terminated");
    }
}

impl ChannelEvents for PanicsAgain {
    fn data(&mut self, _: &[u8]) {
        panic!("in data");
    }
}

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("at the end of a channel");
    }
}

#[test]
fn a_panic_behind_any_entry_stays_there_and_no_error_is_told() {
    let fake = Fake::connect(&[], |_| panic!("in the entry"));
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));

    let mut fake = Fake::connect(&[], |_| Box::new(Panics { also_in_opened: true }));
    assert_eq!(fake.open(), None);
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));

    let mut fake = Fake::connect(&[], |_| Box::new(Panics { also_in_opened: false }));
    let id = fake.open().unwrap();
    fake.data(id, b"x");
    fake.data(id, b"y");
    let other = fake.open().unwrap();
    fake.close(id);
    fake.data(other, b"z");
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));
}

/// Gives its channels to the test.
struct Gives;
static GIVEN: Mutex<Vec<Channel>> = Mutex::new(Vec::new());

struct Nothing;

impl Extension for Gives {
    fn opened(&self, channel: Channel) -> Option<Box<dyn ChannelEvents>> {
        GIVEN.lock().unwrap().push(channel);
        Some(Box::new(Nothing))
    }
    fn terminated(&self) {}
}

impl ChannelEvents for Nothing {
    fn data(&mut self, _: &[u8]) {}
}

#[test]
fn a_channel_is_never_used_after_its_end_however_it_ends() {
    let mut fake = Fake::connect(&[], |_| Box::new(Gives));
    let watcher = fake.open().unwrap();
    GIVEN.lock().unwrap().clear();
    for round in 0..300 {
        let id = fake.open().unwrap();
        let channel = GIVEN.lock().unwrap().pop().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..3)
            .map(|_| {
                let (channel, sent) = (channel.clone(), Arc::clone(&sent));
                std::thread::spawn(move || {
                    while channel.send(b"word") {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        while sent.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        if round % 2 == 0 {
            fake.close(id);
        } else {
            channel.close();
            assert!(fake.is_open(id), "not closed from a foreign thread");
            fake.data(id, b"deaf");
            assert!(fake.is_open(id), "not closed inside a callback of its own");
            // Write of nothing, OnClose inside of it, and writers in between.
            fake.data(watcher, b"tick");
        }
        assert!(!fake.is_open(id));
        for writer in writers {
            writer.join().unwrap();
        }
        assert!(!channel.send(b"late"));
        fake.sent(id);
    }
    assert_eq!(errors(&fake.board), (0, 0));
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));
}

#[test]
fn there_are_never_more_channels_than_a_host_needs() {
    let mut fake = Fake::connect(&[], |_| Box::new(Gives));
    let opened = (0..100).filter(|_| fake.open().is_some()).count();
    assert_eq!(opened, 32);
    fake.terminate();
}

/// A device with its keys, and a host that FreeRDP connects it to.
struct Setup {
    arguments: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let organisation = keyfile::public_line(&organisation_key().verifying_key());
        std::fs::write(home.join("organisation.pub"), organisation).unwrap();
        write_private(&home.join("device.key"), keyfile::secret_line(&device_key()).as_bytes()).unwrap();
        let config = dir.path().join("client.toml");
        std::fs::write(&config, format!("home = \"{}\"", home.display())).unwrap();
        let camera = dir.path().join("no-camera");
        let arguments =
            vec![format!("config:{}", config.display()), format!("camera:mjpeg:{}", camera.display())];
        Setup { arguments, _dir: dir }
    }

    fn connect(&self) -> Fake {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Fake::connect(&arguments, plugin::start)
    }
}

/// Makes the handshake on a channel, and reads until the session attests.
fn handshake(fake: &Fake, id: u32, nonce: u8) -> Host {
    let (mut host, hello) = Host::new("vdi-1", nonce);
    // In two parts, as a host may cut it.
    let (first, second) = hello.split_at(hello.len() / 2);
    fake.data(id, first);
    fake.data(id, second);
    attested(fake, id, &mut host);
    host
}

fn attested(fake: &Fake, id: u32, host: &mut Host) {
    let until = Instant::now() + PATIENCE;
    let before = host.news.len();
    while host.news.len() == before {
        assert!(Instant::now() < until, "the plugin did not attest");
        for bytes in fake.sent(id) {
            if let Some(ready) = host.take(&bytes) {
                fake.data(id, &ready);
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_session_survives_liars_and_the_end_of_its_connection() {
    let setup = Setup::new();
    let mut fake = setup.connect();
    assert_eq!(fake.listens_to(), CHANNEL_NAME);
    let id = fake.open().unwrap();
    let mut host = handshake(&fake, id, 1);

    // A second channel lies, a third floods.
    let (liar, flood) = (fake.open().unwrap(), fake.open().unwrap());
    fake.data(liar, b"\0\0\0\x04lies");
    for _ in 0..9 {
        fake.data(flood, &[0xff; 1024 * 1024]);
    }
    let until = Instant::now() + PATIENCE;
    while (fake.is_open(liar) || fake.is_open(flood)) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        // FreeRDP's channel thread comes by with each message of the host.
        let status = host.status(Reason::Starting);
        fake.data(id, &status);
    }
    assert!(!fake.is_open(liar) && !fake.is_open(flood) && fake.is_open(id));
    attested(&fake, id, &mut host);

    // The channel is closed and opened again, then the connection ends and begins anew.
    fake.close(id);
    let id = fake.open().unwrap();
    handshake(&fake, id, 2);
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));
    let mut fake = setup.connect();
    let id = fake.open().unwrap();
    handshake(&fake, id, 3);
    let board = Arc::clone(&fake.board);
    fake.terminate();
    assert_eq!(errors(&board), (0, 0));
}

#[test]
fn without_settings_or_keys_the_connection_goes_on_and_channels_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("client.toml");
    std::fs::write(&config, format!("home = \"{}\"", dir.path().join("new").display())).unwrap();
    let without_keys = format!("config:{}", config.display());
    for arguments in [&["camra:0"][..], &["config:/no/such/file"], &[&without_keys]] {
        let mut fake = Fake::connect(arguments, plugin::start);
        let until = Instant::now() + PATIENCE;
        // The first ones may come before the fault is known; they are given up then.
        while fake.open().is_some() {
            assert!(Instant::now() < until, "{arguments:?}: still accepted");
            std::thread::sleep(Duration::from_millis(200));
        }
        let board = Arc::clone(&fake.board);
        fake.terminate();
        assert_eq!(errors(&board), (0, 0), "{arguments:?}");
    }
}

/// So that `Startup` is looked at as a whole.
#[test]
fn the_arguments_after_the_name_are_told() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let fake = Fake::connect(&["camera:3", "log:debug"], |startup: Startup| {
        *TOLD.lock().unwrap() = startup.arguments;
        assert!(startup.acceptance.accepts_any, "no settings: nothing can be told about certificates");
        Box::new(Gives)
    });
    assert_eq!(*TOLD.lock().unwrap(), ["camera:3", "log:debug"]);
    fake.terminate();
}
