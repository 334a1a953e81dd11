//! Both ends over a real socket, well-behaved and not.

use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Instant;

use sudare_client_core::event::Event;
use sudare_protocol::reason::Reason;

use super::*;
use crate::seat::outbox::{Hub, Pictures, WINDOWS_MAX};
use crate::testing_pictures::picture;

/// Far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Seated {
    _home: tempfile::TempDir,
    hub: SharedHub,
    inbox: Inbox,
    _inputs: crate::inbox::Inputs,
    server: Server,
}

/// Not in XDG_RUNTIME_DIR, which tests share.
fn seated() -> Seated {
    let home = tempfile::tempdir().unwrap();
    let hub = Arc::new(Hub::new("camera:0"));
    let (inbox, inputs) = Inbox::new();
    let server = Server::start(&home.path().join("run"), Arc::clone(&hub), inbox.clone()).unwrap();
    Seated { _home: home, hub, inbox, _inputs: inputs, server }
}

fn until(mut what: impl FnMut() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < PATIENCE, "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_window_sees_the_state_and_pictures_and_asks_for_a_cover() {
    let seat = seated();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = seat.server.path.clone();
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    let found = client::sockets(path.parent().unwrap());
    assert_eq!((found.len(), found[0].pid), (1, std::process::id()));
    let (talk, mut lines) = client::connect(&path).unwrap();
    lines.wait_at_most(PATIENCE).unwrap();
    let Told::State(state) = lines.told().unwrap() else { panic!("no state") };
    assert_eq!((state.host.as_deref(), state.known_reason()), (None, Some(Reason::Starting)));
    seat.hub.event(&Event::Trouble("no camera".into()));
    let Told::State(state) = lines.told().unwrap() else { panic!("no state") };
    assert_eq!(state.trouble.as_deref(), Some("no camera"));
    talk.ask(&Asked::CoverNow).unwrap();
    until(|| seat.inbox.take_wish() == Some(true));
    talk.ask(&Asked::EndCover).unwrap();
    until(|| seat.inbox.take_wish() == Some(false));
    talk.ask(&Asked::Preview { on: true }).unwrap();
    let (mut pictures, mut t_ms) = (Pictures::new(&seat.hub), 0);
    let mut offer = || {
        t_ms += 1_000;
        pictures.offer(&picture(t_ms));
    };
    let (sent, seen) = std::sync::mpsc::channel();
    thread::spawn(move || {
        sent.send(lines.told()).ok();
    });
    until(|| {
        offer();
        seen.try_recv().is_ok_and(|told| matches!(told, Ok(Told::Picture(_))))
    });
    drop(seat);
    assert!(!path.exists() && client::connect(&path).is_err());
}

#[test]
fn a_window_that_reads_nothing_holds_nobody_up() {
    let seat = seated();
    let (talk, _lines) = client::connect(&seat.server.path).unwrap();
    talk.ask(&Asked::Preview { on: true }).unwrap();
    let mut pictures = Pictures::new(&seat.hub);
    let since = Instant::now();
    for n in 0..20_000u64 {
        seat.hub.event(&Event::Trouble(n.to_string()));
        pictures.offer(&picture(n * 1_000));
    }
    assert!(since.elapsed() < PATIENCE, "the driver waited");
}

#[test]
fn whoever_talks_nonsense_too_much_or_too_often_is_dropped_and_others_are_served() {
    let seat = seated();
    let path = &seat.server.path;
    let flood = b"{\"kind\":\"cover-now\"}\n".repeat(100);
    for bytes in [&b"nonsense\n"[..], &[b'x'; 4_096][..], b"{\"kind\":\"hello\",\"version\":99}\n", &flood] {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be dropped before everything was written.
        stream.write_all(bytes).ok();
        let mut rest = Vec::new();
        let ended = std::io::Read::read_to_end(&mut stream, &mut rest).map_err(|error| error.kind());
        // A reset is an end as well.
        assert!(matches!(ended, Ok(_) | Err(std::io::ErrorKind::ConnectionReset)), "{ended:?}");
    }
    let talks: Vec<_> = (0..WINDOWS_MAX).map(|_| served(path)).collect();
    assert_eq!(talks.len(), WINDOWS_MAX);
    // It hears of its end when it says hello, or when it listens.
    let told = client::connect(path).and_then(|(_talk, mut lines)| {
        lines.wait_at_most(PATIENCE)?;
        lines.told()
    });
    assert!(matches!(told, Err(SeatError::Closed | SeatError::Io { .. })), "one too many: {told:?}");
}

/// Connects as soon as there is room.
fn served(path: &Path) -> (client::Talk, client::Lines) {
    let mut served = None;
    until(|| {
        let Ok((talk, mut lines)) = client::connect(path) else { return false };
        lines.wait_at_most(PATIENCE).unwrap();
        let state = matches!(lines.told(), Ok(Told::State(_)));
        served = state.then_some((talk, lines));
        state
    });
    served.unwrap()
}

#[test]
fn what_a_dead_process_left_is_removed_and_a_folder_that_others_can_enter_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("run");
    platform::private_folder(&folder).unwrap();
    // No process has these numbers.
    let (dead, alive) = (folder.join("4194999-0.sock"), folder.join("4194998-0.sock"));
    drop(UnixListener::bind(&dead).unwrap());
    let _listening = UnixListener::bind(&alive).unwrap();
    let (inbox, _inputs) = Inbox::new();
    let hub = || Arc::new(Hub::new("camera:0"));
    let server = Server::start(&folder, hub(), inbox.clone()).unwrap();
    assert!(!dead.exists() && alive.exists() && server.path.exists());
    drop(server);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
    let refused = Server::start(&folder, hub(), inbox).err();
    assert!(matches!(refused, Some(SeatError::NotPrivate { .. })));
}

#[test]
fn a_program_that_is_no_plugin_is_told_from_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("1-0.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let liar = thread::spawn(move || {
        for line in ["{\"kind\":\"hello\",\"version\":2}\n", "{\"kind\":\"song\"}\n", "song\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            // Whoever hangs up before that is nobody to be told from.
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            stream.write_all(line.as_bytes()).unwrap();
        }
    });
    for _ in 0..2 {
        let (_talk, mut lines) = client::connect(&path).unwrap();
        assert!(matches!(lines.told(), Err(SeatError::Version)));
    }
    let (_talk, mut lines) = client::connect(&path).unwrap();
    assert!(matches!(lines.told(), Err(SeatError::Line(_))));
    liar.join().unwrap();
}
