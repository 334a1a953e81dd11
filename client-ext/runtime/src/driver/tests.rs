use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Who};
use sudare_protocol::eyes::{EyesRules, Recognition};
use sudare_protocol::host::ClientNews;
use sudare_protocol::reason::{Reason, State};

use super::*;
use crate::inbox::{ChannelHandle, NotSent, Overflow};
use crate::membership::Membership;
use crate::testing::{Host, device_key, organisation_key};
use crate::testing_pictures::picture;

const PATIENCE: Duration = Duration::from_secs(300);

/// Remembers what it is asked, and gives the way for looks to the test.
struct Recorder {
    asked: Arc<Mutex<Vec<String>>>,
    looks: Sender<LookSender>,
}

impl Watcher for Recorder {
    fn start(
        &mut self,
        operators: Vec<OperatorTemplate>,
        recognition: Recognition,
        looks: LookSender,
    ) -> anyhow::Result<()> {
        self.asked.lock().unwrap().push(format!("start {} {}", operators.len(), recognition.as_str()));
        self.looks.send(looks)?;
        Ok(())
    }
    fn pause(&mut self, on: bool) {
        self.asked.lock().unwrap().push(format!("pause {on}"));
    }
    fn stop(&mut self) {
        self.asked.lock().unwrap().push("stop".to_owned());
    }
}

struct Wire {
    sent: Sender<Vec<u8>>,
    closed: Arc<Mutex<u32>>,
}

impl Transport for Wire {
    fn send(&self, bytes: Vec<u8>) -> Result<(), NotSent> {
        self.sent.send(bytes).map_err(|_| NotSent("nobody reads".into()))
    }
    fn tls_cert_sha256(&self) -> Option<Digest> {
        None
    }
    fn close(&self) {
        *self.closed.lock().unwrap() += 1;
    }
}

/// A driver on its own thread.
struct Client {
    inbox: Inbox,
    asked: Arc<Mutex<Vec<String>>>,
    looks: Receiver<LookSender>,
    events: Receiver<Event>,
    thread: std::thread::JoinHandle<()>,
    _home: tempfile::TempDir,
}

/// The host's end of a channel.
struct Peer {
    host: Host,
    handle: ChannelHandle,
    sent: Receiver<Vec<u8>>,
    closed: Arc<Mutex<u32>>,
}

impl Client {
    fn start(spools: &Arc<Spools>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pinned = keyfile::public_line(&organisation_key().verifying_key());
        std::fs::write(home.path().join("organisation.pub"), pinned).unwrap();
        let identity = Identity {
            membership: Membership::at(home.path()),
            device_key: device_key(),
            boot_id: [1; 16],
            models: vec![],
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (looks_in, looks) = channel();
        let recorder = Recorder { asked: Arc::clone(&asked), looks: looks_in };
        let driver = Driver::new(identity, Box::new(recorder), Arc::clone(spools)).unwrap();
        let inbox = driver.inbox();
        let (tell, events) = channel();
        let thread = std::thread::spawn(move || driver.run(&mut |event, _| drop(tell.send(event))));
        Client { inbox, asked, looks, events, thread, _home: home }
    }

    fn connect(&self, nonce: u8) -> Peer {
        self.connect_to(Host::new("vdi-1", nonce))
    }

    fn connect_to(&self, (mut host, hello): (Host, Vec<u8>)) -> Peer {
        let (sent_in, sent) = channel();
        let closed = Arc::new(Mutex::new(0));
        let wire = Wire { sent: sent_in, closed: Arc::clone(&closed) };
        let handle = self.inbox.opened(Box::new(wire)).unwrap();
        handle.bytes(&hello).unwrap();
        let ready = host.take(&sent.recv_timeout(PATIENCE).unwrap()).unwrap();
        handle.bytes(&ready).unwrap();
        Peer { host, handle, sent, closed }
    }

    fn wait(&self, what: &str, wanted: impl Fn(&Event) -> bool) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.events.recv_timeout(PATIENCE).is_ok_and(|event| wanted(&event)) {
                return;
            }
        }
        panic!("{what} never came");
    }

    fn end(self) {
        self.inbox.stop();
        self.thread.join().unwrap();
    }
}

impl Peer {
    /// Reads until `wanted` was said.
    fn read(&mut self, wanted: impl Fn(&ClientNews) -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        while !self.host.news.iter().any(&wanted) && Instant::now() < until {
            let Ok(bytes) = self.sent.recv_timeout(Duration::from_millis(100)) else { continue };
            self.host.take(&bytes);
        }
        self.host.news.iter().any(wanted)
    }
}

fn seen(faces: &[Who]) -> Look {
    let t_ms = clock::boottime_ms();
    let face = |who: &Who| FaceSeen::near(u64::from(*who != Who::Operator), *who);
    let observation = Observation::new(t_ms, CameraView::Clear, faces.iter().map(face).collect());
    Look { observation, frame: Some(picture(t_ms)) }
}

/// Shows the same faces at 20 pictures a second, until the host has heard what must come of it.
fn show(looks: &LookSender, faces: &[Who], peer: &mut Peer, wanted: impl Fn(&ClientNews) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !peer.host.news.iter().any(&wanted) {
        assert!(Instant::now() < until, "it never came: {:?}", peer.host.news);
        assert!(looks.send(seen(faces)));
        if let Ok(bytes) = peer.sent.recv_timeout(Duration::from_millis(50)) {
            peer.host.take(&bytes);
        }
    }
}

fn onlooker(news: &ClientNews) -> bool {
    matches!(news, ClientNews::Lock { lock, .. } if lock.reason == Reason::Onlooker)
}

#[test]
fn the_camera_follows_the_session_and_a_break() {
    let client = Client::start(&Arc::default());
    let mut peer = client.connect(1);
    let looks = client.looks.recv_timeout(PATIENCE).unwrap();
    for reason in [Reason::Break, Reason::Starting] {
        let status = peer.host.status(reason);
        peer.handle.bytes(&status).unwrap();
        client.wait("the break", |e| matches!(e, Event::Break(on) if *on == (reason == Reason::Break)));
    }
    drop(peer.handle);
    client.wait("the end", |e| matches!(e, Event::Over { waiting: 0 }));
    let second = client.connect(2);
    client.looks.recv_timeout(PATIENCE).unwrap();
    client.wait("a second session", |e| matches!(e, Event::Ready { .. }));
    looks.trouble("of a watch that is over".to_owned());
    drop(second.handle);
    client.wait("the end", |e| !matches!(e, Event::Trouble(_)));
    let asked = client.asked.lock().unwrap().clone();
    assert_eq!(asked, ["start 1 normal", "pause true", "pause false", "stop", "start 1 normal", "stop"]);
    client.end();
}

#[test]
fn the_watch_is_as_sure_as_the_policy_of_the_host_that_is_live_asks() {
    let client = Client::start(&Arc::default());
    for (nonce, recognition) in (1..).zip(Recognition::ALL) {
        let eyes = EyesRules { recognition, ..EyesRules::default() };
        let peer = client.connect_to(Host::with_eyes(&organisation_key(), "vdi-1", nonce, Some(eyes)));
        client.looks.recv_timeout(PATIENCE).unwrap();
        drop(peer.handle);
        client.wait("the end", |e| matches!(e, Event::Over { .. }));
    }
    let asked = client.asked.lock().unwrap().clone();
    assert_eq!(asked, ["start 1 strict", "stop", "start 1 normal", "stop", "start 1 lenient", "stop"]);
    client.end();
}

#[test]
fn pictures_that_were_being_sealed_at_the_end_wait_for_the_next_connection() {
    let spools = Arc::default();
    let client = Client::start(&spools);
    let mut peer = client.connect(1);
    let looks = client.looks.recv_timeout(PATIENCE).unwrap();
    show(&looks, &[Who::Operator], &mut peer, |n| matches!(n, ClientNews::Unlock { .. }));
    show(&looks, &[Who::Operator, Who::Stranger], &mut peer, onlooker);
    // The connection ends before the picture after the decision was taken.
    client.end();
    assert_eq!(spools.waiting(), 1);

    let again = Client::start(&spools);
    let mut peer = again.connect(2);
    let evidence =
        |n: &ClientNews| matches!(n, ClientNews::Evidence(c) if c.manifest.reason == Reason::Onlooker);
    assert!(peer.read(evidence), "{:?}", peer.host.news);
    again.end();
    assert_eq!(spools.waiting(), 1, "not acknowledged: it is still kept");
}

#[test]
fn a_program_that_ends_at_once_waits_for_the_pictures_of_an_incident() {
    let home = tempfile::tempdir().unwrap();
    let client = Client::start(&Arc::new(Spools::at(home.path())));
    let mut peer = client.connect(1);
    let looks = client.looks.recv_timeout(PATIENCE).unwrap();
    show(&looks, &[Who::Operator], &mut peer, |n| matches!(n, ClientNews::Unlock { .. }));
    show(&looks, &[Who::Operator, Who::Stranger], &mut peer, onlooker);
    client.inbox.stop_and_save(PATIENCE);
    // What FreeRDP would do next is to end the process: what counts is on disk by now.
    assert_eq!(crate::spool::waiting(home.path()).incidents, 1);
    client.thread.join().unwrap();
}

#[test]
fn an_end_without_an_incident_waits_for_nothing() {
    let client = Client::start(&Arc::default());
    client.connect(1);
    let begun = Instant::now();
    client.inbox.stop_and_save(PATIENCE);
    assert!(begun.elapsed() < PATIENCE / 4);
    client.thread.join().unwrap();
}

#[test]
fn a_channel_that_floods_is_told_so_and_the_driver_goes_on() {
    let client = Client::start(&Arc::default());
    let (sent, _keep) = channel();
    let closed = Arc::default();
    let handle = client.inbox.opened(Box::new(Wire { sent, closed: Arc::clone(&closed) })).unwrap();
    assert_eq!(handle.bytes(&vec![0; 8 * 1024 * 1024]), Err(Overflow::Channel));
    handle.bytes(b"\xff\xff\xff\xff").unwrap();
    client.wait("a refusal", |e| matches!(e, Event::Refused { live: false, .. }));
    let mut peer = client.connect(1);
    assert!(
        peer.read(
            |n| matches!(n, ClientNews::Attested(a) if a.attest.cover && a.attest.state == State::Absent)
        )
    );
    assert_eq!((*closed.lock().unwrap(), *peer.closed.lock().unwrap()), (1, 0));
    client.end();
    assert_eq!(handle.bytes(b"x"), Err(Overflow::Ended));
}

#[test]
fn who_asks_for_a_cover_is_covered_whatever_the_queue_holds_and_it_is_no_incident() {
    let client = Client::start(&Arc::default());
    let mut peer = client.connect(1);
    let looks = client.looks.recv_timeout(PATIENCE).unwrap();
    let alone = || looks.send(seen(&[Who::Operator]));
    let until = Instant::now() + PATIENCE;
    let mut covered = true;
    while covered && Instant::now() < until {
        alone();
        std::thread::sleep(Duration::from_millis(20));
        let decided = client.events.try_iter().filter_map(|event| match event {
            Event::Decided(decision) => Some(decision.cover),
            _ => None,
        });
        covered = decided.last().unwrap_or(covered);
    }
    assert!(!covered, "it never opened");
    client.inbox.ask_cover(true);
    let asked = |reason| move |news: &ClientNews| matches!(news, ClientNews::Lock { lock, .. } if lock.reason == reason);
    assert!(peer.read(asked(Reason::OperatorAsked)));
    client.wait(
        "the decision",
        |event| matches!(event, Event::Decided(d) if d.cover && d.reason == Reason::OperatorAsked),
    );
    // The last wish counts, and is not lost among others.
    client.inbox.ask_cover(true);
    client.inbox.ask_cover(false);
    let until = Instant::now() + PATIENCE;
    while !peer.host.news.iter().any(|news| matches!(news, ClientNews::Unlock { .. })) {
        assert!(Instant::now() < until, "no unlock");
        alone();
        if let Ok(bytes) = peer.sent.recv_timeout(Duration::from_millis(20)) {
            peer.host.take(&bytes);
        }
    }
    client.end();
}
