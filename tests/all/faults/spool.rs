//! The client's real driver with its spool on a disk, against a real guard and recorder: the connection is cut in
//! the middle of the pictures, and what was cut off arrives once, with a receipt.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::Rng as _;
use sudare_audit::{self, Incidents, Walk};
use sudare_client_core::evidence::Picture;
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::frame::Frame;
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Who};
use sudare_client_runtime::Event;
use sudare_client_runtime::clock::boottime_ms;
use sudare_client_runtime::driver::{Driver, Identity};
use sudare_client_runtime::inbox::{Inbox, LookSender, NotSent, Transport};
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::receipts::{Listed, Receipt, Receipts};
use sudare_client_runtime::spool::{Spools, waiting};
use sudare_client_runtime::watcher::{Look, Watcher};
use sudare_demo::faults::{self, Place, Running};
use sudare_evidence::reader::Store;
use sudare_protocol::evidence::event::IncidentComplete;
use sudare_protocol::evidence::{Event as LogEvent, Label};
use sudare_protocol::eyes::Recognition;
use sudare_protocol::hex::hex;
use sudare_protocol::keyfile;
use sudare_protocol::message::{Digest, Shown};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::tlog::VerifierKey;
use sudare_test_kit::wait::in_vain;
use sudare_test_kit::{PATIENCE, pair, wait_until};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nothing but a picture's chunk is so long.
const CHUNK_MIN_BYTES: usize = 16 * 1024;
/// Before, at and after the decision; each as it is, and with bystanders pixelated.
const CAMERA_PICTURES: usize = 6;
const ALONE: &[Who] = &[Who::Operator];
const WATCHED: &[Who] = &[Who::Operator, Who::Stranger];

/// A recorder and one guard.
struct Host {
    place: Place,
    recorder: Running,
    guard: Running,
    dir: tempfile::TempDir,
}

impl Host {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::prepare(dir.path(), &dir.path().join("evidence")).unwrap();
        let recorder = faults::recorder(&place, &super::programs()).unwrap();
        faults::await_socket(&place.recorder_socket()).unwrap();
        let guard = faults::guard(&place, &super::programs(), 0).unwrap();
        faults::await_socket(&place.guard_socket(0)).unwrap();
        Host { place, recorder, guard, dir }
    }

    /// The file of its socket is there a moment before it listens.
    #[track_caller]
    fn meet_guard(&self) -> UnixStream {
        let socket = self.place.guard_socket(0);
        wait_until("the guard to listen", || Ok(UnixStream::connect(&socket).map_err(|e| e.to_string())))
            .unwrap()
    }

    /// Kills the guard; the next one knows nothing of what the first heard.
    fn another_guard(&mut self) {
        self.guard.kill().unwrap();
        let socket = self.place.guard_socket(0);
        fs::remove_file(&socket).unwrap();
        self.guard = faults::guard(&self.place, &super::programs(), 0).unwrap();
        faults::await_socket(&socket).unwrap();
    }

    /// Ends it properly; the log verifies with this receipt, and holds its incident once.
    #[track_caller]
    fn holds_once(self, receipt: &Receipt) {
        let Host { place, recorder, guard, dir: _dir } = self;
        drop(guard);
        recorder.end().unwrap();
        let (dir, verifier) = (place.evidence().unwrap(), place.verifier().unwrap());
        let notes = [receipt.checkpoint.as_bytes().to_vec()];
        let report = sudare_audit::verify_store(&dir, &verifier, &notes).unwrap();
        assert!(report.ok && report.checkpoints == 2, "{report:?}");
        assert_once(&dir, &verifier, &receipt.incident);
    }
}

/// The driver of a client whose camera sees what the test says.
struct Client {
    home: PathBuf,
    inbox: Inbox,
    seen: Arc<Mutex<&'static [Who]>>,
    events: Receiver<Event>,
    thread: JoinHandle<()>,
}

impl Client {
    fn start(home: &Path) -> Self {
        let public = keyfile::public_line(&pair::organisation_key().verifying_key());
        fs::create_dir_all(home).unwrap();
        fs::write(home.join("organisation.pub"), public).unwrap();
        let identity = Identity {
            membership: Membership::at(home),
            device_key: faults::device_key(0),
            boot_id: [1; 16],
            models: vec![],
        };
        let seen = Arc::new(Mutex::new(ALONE));
        let watcher = Box::new(Scripted { seen: Arc::clone(&seen) });
        let driver = Driver::new(identity, watcher, Arc::new(Spools::at(home))).unwrap();
        let inbox = driver.inbox();
        let (tell, events) = channel();
        let thread = thread::spawn(move || driver.run(&mut |event, _| drop(tell.send(event))));
        Client { home: home.to_owned(), inbox, seen, events, thread }
    }

    fn sees(&self, faces: &'static [Who]) {
        *self.seen.lock().unwrap() = faces;
    }

    fn connect(&self, host: &Host, cut: Cut) {
        let completed = host.dir.path().join("evidence/completed");
        let is_kept = move || fs::read_dir(&completed).is_ok_and(|mut files| files.next().is_some());
        let stream = host.meet_guard();
        let cable = Cable { stream: stream.try_clone().unwrap(), cut };
        let line = self.inbox.opened(Box::new(cable)).unwrap();
        thread::spawn(move || {
            let (mut stream, mut bytes) = (stream, [0; 64 * 1024]);
            // The line closes with this thread.
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                if cut == Cut::BeforeTheReceipt && is_kept() {
                    drop(stream.shutdown(Shutdown::Both));
                    return;
                }
                if line.bytes_waiting(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
    }

    #[track_caller]
    fn wait(&self, what: &str, wanted: impl Fn(&Event) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_timeout(until.saturating_duration_since(Instant::now()));
            match event {
                Ok(event) if wanted(&event) => return,
                Ok(Event::Refused { refusal, .. }) => panic!("refused: {refusal}"),
                Ok(_) => {}
                Err(_) => panic!("{}", in_vain(what, &format!("{:?}", waiting(&self.home)))),
            }
        }
    }

    fn receipts(&self) -> Listed {
        Receipts::at(&self.home).list().unwrap()
    }

    fn end(self) {
        self.inbox.stop();
        self.thread.join().unwrap();
    }
}

/// Looks without a camera, with pictures that are long.
struct Scripted {
    seen: Arc<Mutex<&'static [Who]>>,
}

impl Watcher for Scripted {
    fn start(&mut self, _: Vec<OperatorTemplate>, _: Recognition, looks: LookSender) -> anyhow::Result<()> {
        let seen = Arc::clone(&self.seen);
        thread::spawn(move || {
            while looks.send(look(*seen.lock().unwrap())) {
                thread::sleep(LOOK_EVERY);
            }
        });
        Ok(())
    }

    fn pause(&mut self, _: bool) {}
    fn stop(&mut self) {}
}

fn look(faces: &[Who]) -> Look {
    let (width, height, t_ms) = (320, 240, boottime_ms());
    let mut rgb = vec![0; 320 * 240 * 3];
    rand::rng().fill(rgb.as_mut_slice());
    let frame = Arc::new(Frame { width, height, rgb, t_ms, seq: t_ms });
    let thresholds = Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };
    let face = |who: &Who| FaceSeen::near(u64::from(*who != Who::Operator), *who);
    let faces = faces.iter().map(face).collect();
    let observation = Observation::new(t_ms, CameraView::Clear, faces);
    Look {
        observation,
        frame: Some(Picture { frame, marks: Some(vec![]), phones: vec![], camera: None, thresholds }),
    }
}

/// When a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Never,
    /// In the middle of the first long message of the client.
    InAPicture,
    /// The host keeps it, and what says so does not arrive.
    BeforeTheReceipt,
}

/// One connection.
struct Cable {
    stream: UnixStream,
    cut: Cut,
}

impl Transport for Cable {
    fn send(&self, bytes: Vec<u8>) -> Result<(), NotSent> {
        let mut stream = &self.stream;
        let cut = self.cut == Cut::InAPicture && bytes.len() >= CHUNK_MIN_BYTES;
        let whole = if cut { &bytes[..bytes.len() / 2] } else { &bytes[..] };
        let sent = stream.write_all(whole).map_err(|error| NotSent(error.to_string()));
        if cut {
            self.close();
        }
        sent
    }

    fn tls_cert_sha256(&self) -> Option<Digest> {
        None
    }

    fn close(&self) {
        // It may be closed already.
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// Until the keeper's thread has done its part.
#[track_caller]
pub(super) fn await_files(what: &str, home: &Path, incidents: usize, receipts: usize) {
    wait_until(&format!("{incidents} incidents and {receipts} receipts ({what})"), || {
        let (waits, listed) = (waiting(home), Receipts::at(home).list().unwrap());
        if (waits.incidents, listed.receipts.len()) == (incidents, receipts) {
            assert_eq!((waits.set_aside, listed.unreadable), (0, 0), "{what}");
            return Ok(Ok(()));
        }
        Ok(Err(format!("{waits:?}, {} receipts", listed.receipts.len())))
    })
    .unwrap();
}

/// Files in a spool, lock files left out.
pub(super) fn left_in_spool(home: &Path) -> Vec<String> {
    let mut folders = vec![home.join("spool")];
    let mut left = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                left.push(path.display().to_string());
            }
        }
    }
    left
}

/// This incident is in the log once, with all that client and host had of it, and no picture lies twice in the store.
#[track_caller]
pub(super) fn assert_once(dir: &Path, verifier: &VerifierKey, id: &str) {
    let (mut incidents, mut kept) = (Incidents::default(), Vec::new());
    Walk::new(&Store::open(dir).unwrap(), verifier, &[])
        .run(|index, entry, _| {
            incidents.add(index, entry);
            let is_of_it = entry.incident_id.is_some_and(|of| hex(&of) == id);
            // That a session ended before the pictures came is another entry, with another count.
            if is_of_it && entry.event() == Ok(LogEvent::IncidentComplete(IncidentComplete { missing: 0 })) {
                let labels = entry.blobs.iter().filter_map(|blob| Label::from_number(blob.label));
                kept.push(labels.filter(|label| label.is_camera()).count());
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(kept, [CAMERA_PICTURES], "entries of this incident, and the camera's pictures in each");
    let incidents = incidents.into_list();
    let incident = incidents.iter().find(|incident| incident.id == id).unwrap();
    assert_eq!((incident.reason.as_str(), incident.complete), ("onlooker", true), "{incident:?}");
    let listed: usize = incidents.iter().map(|incident| incident.pictures.len()).sum();
    assert_eq!(fs::read_dir(dir.join("blobs")).unwrap().count(), listed);
}

/// An incident whose connection ends so; the driver waits for the next one.
fn cut_off(host: &Host, home: &Path, cut: Cut) -> Client {
    let client = Client::start(home);
    client.connect(host, cut);
    client.wait("the desktop", is_visible);
    client.sees(WATCHED);
    client.wait("the cut", |e| matches!(e, Event::Over { waiting: 1 }));
    client.sees(ALONE);
    await_files("cut off", home, 1, 0);
    client
}

/// It is back: the receipt comes and the files go.
fn delivered(host: Host, client: Client) {
    let home = client.home.clone();
    client.connect(&host, Cut::Never);
    client.wait("the receipt", |e| matches!(e, Event::Receipt(_)));
    await_files("delivered", &home, 0, 1);
    client.wait("the desktop", is_visible);
    let receipt = client.receipts().receipts.remove(0);
    assert_eq!((receipt.host.as_str(), receipt.reason.as_str()), ("vdi-1", "onlooker"));
    client.end();
    assert_eq!(left_in_spool(&home), [""; 0]);

    // A driver that starts afterwards has nothing to send.
    let later = Client::start(&home);
    later.connect(&host, Cut::Never);
    later.wait("the desktop", is_visible);
    later.end();
    await_files("afterwards", &home, 0, 1);
    host.holds_once(&receipt);
}

fn is_visible(event: &Event) -> bool {
    matches!(event, Event::Status(status) if status.shown == Shown::Visible)
}

#[test]
fn pictures_whose_sending_was_cut_arrive_once_when_the_connection_is_back() {
    let host = Host::start();
    let client = cut_off(&host, &host.dir.path().join("device"), Cut::InAPicture);
    delivered(host, client);
}

#[test]
fn pictures_of_a_driver_that_ended_before_they_were_sent_arrive_once_with_the_next_one() {
    let host = Host::start();
    let home = host.dir.path().join("device");
    cut_off(&host, &home, Cut::InAPicture).end();
    await_files("left behind", &home, 1, 0);
    delivered(host, Client::start(&home));
}

#[test]
fn pictures_whose_receipt_was_lost_are_sent_again_and_recorded_once_also_by_another_guard() {
    for another in [false, true] {
        let mut host = Host::start();
        let client = cut_off(&host, &host.dir.path().join("device"), Cut::BeforeTheReceipt);
        if another {
            host.another_guard();
        }
        delivered(host, client);
    }
}
