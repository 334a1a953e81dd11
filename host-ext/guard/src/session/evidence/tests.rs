//! The worker on virtual time with a recorder made by hand: what covers, until when, and what the log gets.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use sudare_base::clock::SystemRandom;
use sudare_evidence::report::wire::{ENTRIES_MAX, NewEntry, Receipt, Recorded, State};
use sudare_evidence::report::{EvidenceSink, NewBlob, NewEntries};
use sudare_evidence::store::StoreError;
use sudare_protocol::evidence::event::{IncidentComplete, Note, SessionStart};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::evidence::{Event, Label};
use sudare_protocol::message::{Id, Manifest};
use sudare_protocol::reason::Reason;
use sudare_protocol::rules::{Durable, EvidenceRules};
use sudare_protocol::seal::{Identity, Recipients};
use sudare_protocol::{SigningKey, intake::Complete};

use super::{Evidence, EvidenceThread, Job, OpenSink, RETRY_MS, Turn, What, Worker};
use crate::screen::Screenshot;

const SESSION: Id = [1; 16];
const INCIDENT: Id = [2; 16];
/// Far longer than anything takes.
const PATIENCE_MS: u64 = 10_000;
/// More than two looks at the recorder, and more than one retry.
const A_WHILE_MS: u64 = 800;
const STEP_MS: u64 = 10;

/// What the recorder says and does, and what it was given.
#[derive(Debug)]
struct Received {
    state: State,
    has_room: bool,
    is_down: bool,
    /// Pictures that it still takes before the device's day is used up.
    pictures_left: usize,
    /// Entries of this kind can never be recorded.
    refused_kind: Option<u16>,
    /// Answers to reports that get lost on their way.
    answers_lost: usize,
    last_serial: u64,
    /// Who connected, one after the other.
    sources: Vec<Id>,
    reports: Vec<Vec<NewEntry>>,
}

#[derive(Clone)]
struct Recorder(Arc<Mutex<Received>>);

impl Recorder {
    fn new() -> Self {
        Recorder(Arc::new(Mutex::new(Received {
            state: State { size: 1, shipped: Some(1), behind_ms: Some(0) },
            has_room: true,
            is_down: false,
            pictures_left: usize::MAX,
            refused_kind: None,
            answers_lost: 0,
            last_serial: 0,
            sources: Vec::new(),
            reports: Vec::new(),
        })))
    }

    fn set(&self, change: impl FnOnce(&mut Received)) {
        change(&mut self.0.lock().unwrap());
    }

    fn start(&self, durable: Durable) -> Running {
        let rules = EvidenceRules { durable, ..EvidenceRules::default() };
        let sink: Box<dyn EvidenceSink> = Box::new(self.clone());
        let (worker, evidence) = Worker::new(Some(sink), self.open(), [9; 16], rules, Arc::new(SystemRandom));
        Running { evidence, worker, now_ms: 0, due_ms: 0 }
    }

    fn open(&self) -> OpenSink {
        let this = self.clone();
        Box::new(move |source| {
            this.set(|told| told.sources.push(source));
            Ok(Box::new(this.clone()))
        })
    }

    /// All entries, after everything was worked off as at the end of the program.
    fn events(&self, running: Running) -> Vec<Event> {
        drop(running.evidence);
        super::run(running.worker, &AtomicBool::new(true));
        self.recorded()
    }

    fn recorded(&self) -> Vec<Event> {
        let told = self.0.lock().unwrap();
        assert!(told.reports.iter().all(|entries| entries.len() <= ENTRIES_MAX));
        told.reports.iter().flatten().map(|entry| Event::decode(entry.kind, &entry.body).unwrap()).collect()
    }
}

/// The worker, and the clock that gives it its turns as its thread does.
struct Running {
    evidence: Evidence,
    worker: Worker,
    now_ms: u64,
    due_ms: u64,
}

impl Running {
    fn step(&mut self) {
        self.now_ms += STEP_MS;
        while self.due_ms <= self.now_ms {
            match self.worker.turn(self.now_ms) {
                Turn::Done => {}
                Turn::Idle | Turn::Ended => return,
                Turn::Failing => self.due_ms = self.now_ms + RETRY_MS,
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        (0..ms / STEP_MS).for_each(|_| self.step());
    }

    fn is_kept(&self) -> bool {
        self.evidence.health().is_kept(&SESSION)
    }

    #[track_caller]
    fn await_kept(&mut self, kept: bool) {
        let until_ms = self.now_ms + PATIENCE_MS;
        while self.is_kept() != kept {
            assert!(self.now_ms < until_ms, "never kept = {kept}");
            self.step();
        }
    }

    #[track_caller]
    fn stays_covered(&mut self, mut meanwhile: impl FnMut(&Evidence)) {
        for _ in 0..A_WHILE_MS / STEP_MS {
            meanwhile(&self.evidence);
            assert!(!self.is_kept(), "shown after {} ms", self.now_ms);
            self.step();
        }
    }
}

impl EvidenceSink for Recorder {
    fn put_blob(&mut self, _: &NewBlob) -> Result<(), StoreError> {
        let mut told = self.0.lock().unwrap();
        told.pictures_left = told.pictures_left.checked_sub(1).ok_or(StoreError::Quota)?;
        Ok(())
    }

    fn record(&mut self, new: &NewEntries) -> Result<Recorded, StoreError> {
        let mut told = self.0.lock().unwrap();
        if told.is_down {
            return Err(StoreError::Poisoned);
        }
        if new.entries.iter().any(|entry| Some(entry.kind) == told.refused_kind) {
            return Err(StoreError::Refused("never".into()));
        }
        let last_serial = new.serial + new.entries.len() as u64 - 1;
        if last_serial != told.last_serial {
            told.reports.push(new.entries.clone());
            told.last_serial = last_serial;
        }
        if told.answers_lost > 0 {
            told.answers_lost -= 1;
            return Err(StoreError::Poisoned);
        }
        told.state.size = last_serial + 1;
        let receipt = new.receipt.then(|| Receipt {
            size: told.state.size,
            note: "note".into(),
            entry: None,
            proof: None,
        });
        Ok(Recorded { leaf_index: last_serial, last_serial, receipt })
    }

    fn last_serial(&self, _: &Id) -> u64 {
        self.0.lock().unwrap().last_serial
    }

    fn has_room(&mut self, _: &Id) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap().has_room)
    }

    fn state(&mut self) -> Result<State, StoreError> {
        let told = self.0.lock().unwrap();
        if told.is_down { Err(StoreError::Poisoned) } else { Ok(told.state) }
    }
}

fn keep(evidence: &Evidence, incident_id: Option<Id>, what: What) {
    evidence.keep(Job { session_id: SESSION, incident_id, what });
}

fn note(evidence: &Evidence, value: u64) {
    keep(evidence, None, What::Note(Note { code: 9, value }));
}

fn session_start() -> What {
    What::SessionStart(SessionStart {
        hello: vec![1],
        open: vec![2],
        device_key: SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes(),
        device_record_sha256: [3; 32],
        subject_id: None,
    })
}

fn incident(shots: usize) -> What {
    let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
    let picture = Screenshot { width: 8, height: 8, bgra: vec![5; 8 * 8 * 4].into() };
    What::Incident {
        reason: Reason::Stranger,
        boot_ms: 1,
        shots: vec![(Label::ScreenshotAtCover, picture); shots],
        dropped: 0,
        recipients: Recipients::parse(&auditors).unwrap(),
    }
}

fn pictures(reply: std::sync::mpsc::Sender<sudare_protocol::message::Ack>) -> What {
    let manifest = Manifest {
        incident_id: INCIDENT,
        reason: Reason::Stranger,
        pieces: vec![],
        policy_digest: [0; 32],
        decided_boot_ms: 1,
        wall_ms: 1,
        cosine_milli: None,
        basis: None,
    };
    What::Pictures { complete: Box::new(Complete { manifest, pieces: vec![], message: vec![4] }), reply }
}

fn missing(events: &[Event]) -> Vec<u16> {
    let missing = |event: &Event| match event {
        Event::IncidentComplete(IncidentComplete { missing }) => Some(*missing),
        _ => None,
    };
    events.iter().filter_map(missing).collect()
}

fn notes(events: &[Event]) -> Vec<u16> {
    let code = |event: &Event| if let Event::Note(note) = event { Some(note.code) } else { None };
    events.iter().filter_map(code).collect()
}

#[test]
fn a_late_copy_covers_whatever_else_is_kept_until_it_is_late_no_more() {
    let recorder = Recorder::new();
    let mut running = recorder.start(Durable::Remote);
    running.await_kept(true);
    // Nothing waits for an acknowledgement.
    recorder.set(|told| told.state.behind_ms = Some(60_001));
    running.await_kept(false);
    let mut count = 0;
    running.stays_covered(|evidence| {
        count += 1;
        note(evidence, count);
    });
    recorder.set(|told| told.state.behind_ms = Some(60_000));
    running.await_kept(true);
    recorder.set(|told| told.state = State { shipped: None, behind_ms: None, ..told.state });
    running.await_kept(false);
    running.stays_covered(|_| {});
}

#[test]
fn a_late_copy_is_not_forgotten_with_another_fault() {
    let recorder = Recorder::new();
    recorder.set(|told| told.state.behind_ms = Some(60_001));
    let mut running = recorder.start(Durable::Remote);
    running.stays_covered(|_| {});
    recorder.set(|told| told.is_down = true);
    note(&running.evidence, 1);
    running.pass(A_WHILE_MS);
    recorder.set(|told| told.is_down = false);
    running.stays_covered(|_| {});
    recorder.set(|told| (told.state.behind_ms, told.is_down) = (Some(0), true));
    running.stays_covered(|_| {});
    recorder.set(|told| told.is_down = false);
    running.await_kept(true);
}

#[test]
fn without_the_rule_the_copy_may_be_late() {
    let recorder = Recorder::new();
    recorder.set(|told| told.state = State { size: 9, shipped: Some(0), behind_ms: Some(u64::MAX) });
    let mut running = recorder.start(Durable::Local);
    running.await_kept(true);
    running.pass(A_WHILE_MS);
    assert!(running.is_kept());
}

#[test]
fn pictures_are_acknowledged_once_the_remote_store_has_them() {
    let recorder = Recorder::new();
    let mut running = recorder.start(Durable::Remote);
    let (reply, acks) = channel();
    keep(&running.evidence, Some(INCIDENT), pictures(reply));
    running.pass(A_WHILE_MS);
    assert!(acks.try_recv().is_err(), "the copy has one entry of three");
    recorder.set(|told| told.state.shipped = Some(3));
    running.pass(A_WHILE_MS);
    assert_eq!(acks.try_recv().unwrap().incident_id, INCIDENT);
}

#[test]
fn a_session_is_covered_before_its_device_is_known_to_have_room() {
    // Nobody takes the job here.
    let (jobs, _queue) = channel();
    let evidence = Evidence { jobs, health: Arc::default() };
    assert!(evidence.health().is_kept(&SESSION));
    keep(&evidence, None, session_start());
    assert!(!evidence.health().is_kept(&SESSION));
}

#[test]
fn a_device_without_quota_is_covered_in_its_next_session_until_there_is_room() {
    let recorder = Recorder::new();
    let mut running = recorder.start(Durable::Local);
    keep(&running.evidence, None, session_start());
    running.await_kept(true);
    // Another session of the device exhausted the quota: this one is covered, too, and so is the next.
    recorder.set(|told| told.has_room = false);
    running.await_kept(false);
    keep(&running.evidence, None, What::SessionEnd { reason: Reason::ClientGone, boot_ms: 1 });
    // Nothing is known of a session that has ended; this tells when that job is done.
    running.await_kept(true);
    keep(&running.evidence, None, session_start());
    running.stays_covered(|_| {});
    recorder.set(|told| told.has_room = true);
    running.await_kept(true);
}

#[test]
fn screenshots_that_are_refused_are_declared_missing() {
    for (left, client_delivers, expected) in [(1, false, 1), (0, false, 2), (0, true, 2), (2, true, 0)] {
        let recorder = Recorder::new();
        recorder.set(|told| told.pictures_left = left);
        let running = recorder.start(Durable::Local);
        keep(&running.evidence, Some(INCIDENT), incident(2));
        let (reply, acks) = channel();
        if client_delivers {
            keep(&running.evidence, Some(INCIDENT), pictures(reply));
        }
        keep(&running.evidence, None, What::Uncover { boot_ms: 2 });
        let events = recorder.events(running);
        assert_eq!(missing(&events), [expected], "{left} of two were taken");
        assert_eq!(notes(&events), vec![NoteCode::Quota.number(); usize::from(left < 2)]);
        assert_eq!(acks.try_recv().is_ok(), client_delivers);
        let told = recorder.0.lock().unwrap();
        let listed = told.reports.iter().flatten().map(|entry| entry.blobs.len()).max().unwrap();
        assert_eq!(listed, left, "what was stored is listed");
    }
}

#[test]
fn what_can_never_be_recorded_is_noted_and_the_next_job_is_not_kept_waiting() {
    let recorder = Recorder::new();
    let what = || What::ClientMessage { message: vec![1], pictures_due: true };
    let kind = Event::ClientMessage(sudare_protocol::evidence::event::ClientMessage { message: vec![] });
    recorder.set(|told| told.refused_kind = Some(kind.encode().0));
    let mut running = recorder.start(Durable::Local);
    keep(&running.evidence, Some(INCIDENT), what());
    note(&running.evidence, 1);
    running.pass(A_WHILE_MS);
    assert_eq!(
        notes(&recorder.recorded()),
        [NoteCode::EvidenceRefused.number(), 9],
        "the queue is not blocked"
    );
}

#[test]
fn a_session_whose_start_can_never_be_recorded_stays_covered() {
    let recorder = Recorder::new();
    let What::SessionStart(start) = session_start() else { return };
    recorder.set(|told| told.refused_kind = Some(Event::SessionStart(start).encode().0));
    let mut running = recorder.start(Durable::Local);
    keep(&running.evidence, None, session_start());
    running.stays_covered(|_| {});
    let (reply, acks) = channel();
    let message = What::ClientMessage { message: vec![1], pictures_due: true };
    keep(&running.evidence, Some(INCIDENT), message);
    keep(&running.evidence, Some(INCIDENT), pictures(reply));
    keep(&running.evidence, None, What::SessionEnd { reason: Reason::ClientGone, boot_ms: 1 });
    let events = recorder.events(running);
    assert_eq!(notes(&events), [NoteCode::EvidenceRefused.number()]);
    // A message of a client that no entry introduces would pass for a forgery.
    assert!(matches!(events[..], [Event::Note(_), Event::SessionEnd(_)]), "{events:?}");
    assert!(acks.try_recv().is_err(), "the client keeps its pictures");
}

#[test]
fn an_exhausted_quota_is_noted_once_a_session() {
    let recorder = Recorder::new();
    recorder.set(|told| told.pictures_left = 0);
    let running = recorder.start(Durable::Local);
    for _ in 0..2 {
        keep(&running.evidence, None, session_start());
        for n in 0..5 {
            keep(&running.evidence, Some([n; 16]), incident(1));
            keep(&running.evidence, None, What::Uncover { boot_ms: 2 });
        }
        keep(&running.evidence, None, What::SessionEnd { reason: Reason::ClientGone, boot_ms: 1 });
    }
    let events = recorder.events(running);
    assert_eq!(notes(&events), [NoteCode::Quota.number(); 2]);
    assert_eq!(missing(&events), [1; 10], "what is missing is still said of each");
}

#[test]
fn a_session_that_owes_the_pictures_of_many_incidents_can_end() {
    let recorder = Recorder::new();
    let running = recorder.start(Durable::Local);
    let many = 2 * ENTRIES_MAX + 3;
    for n in 0..many {
        let id = [u8::try_from(n).unwrap(); 16];
        keep(&running.evidence, Some(id), What::ClientMessage { message: vec![1], pictures_due: true });
    }
    keep(&running.evidence, None, What::SessionEnd { reason: Reason::ClientGone, boot_ms: 1 });
    let events = recorder.events(running);
    assert_eq!(missing(&events), vec![6; many]);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::SessionEnd(_))).count(), 1);
}

#[test]
fn a_job_that_was_given_up_after_a_lost_answer_does_not_take_the_next_one_with_it() {
    let recorder = Recorder::new();
    recorder.set(|told| told.answers_lost = 2);
    let mut running = recorder.start(Durable::Local);
    note(&running.evidence, 1);
    note(&running.evidence, 2);
    // The program ends while the first one waits for its next attempt.
    running.step();
    let events = recorder.events(running);
    let values = events.iter().filter_map(|event| match event {
        Event::Note(note) => Some(note.value),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_was_handed_in_is_kept_before_the_thread_ends() {
    let recorder = Recorder::new();
    let rules = EvidenceRules::default();
    let (thread, evidence) = EvidenceThread::start(recorder.open(), [9; 16], rules).unwrap();
    (1..=20).for_each(|n| note(&evidence, n));
    drop(evidence);
    drop(thread);
    assert_eq!(notes(&recorder.recorded()), [9; 20]);
}

#[test]
fn a_log_that_was_put_back_gets_the_beginning_of_the_session_again_and_everything_that_follows() {
    let recorder = Recorder::new();
    let mut running = recorder.start(Durable::Local);
    keep(&running.evidence, None, session_start());
    note(&running.evidence, 1);
    note(&running.evidence, 2);
    running.await_kept(true);
    // The recorder ends, its disk is put back to where it knew nothing, and it starts again.
    recorder.set(|told| told.is_down = true);
    running.await_kept(false);
    recorder.set(|told| {
        told.reports.clear();
        (told.last_serial, told.state.size, told.is_down) = (0, 1, false);
    });
    note(&running.evidence, 3);
    running.await_kept(true);
    let sources = recorder.0.lock().unwrap().sources.clone();
    assert!(sources.last().is_some_and(|last| *last != [9; 16]), "{sources:?}");
    let events = recorder.events(running);
    assert!(matches!(&events[0], Event::SessionStart(_)), "{events:?}");
    assert!(matches!(&events[1], Event::Note(Note { value: 3, .. })), "{events:?}");
}

#[test]
fn a_log_that_only_forgot_the_source_is_none_that_was_put_back() {
    let recorder = Recorder::new();
    let mut running = recorder.start(Durable::Local);
    keep(&running.evidence, None, session_start());
    note(&running.evidence, 1);
    running.await_kept(true);
    // It restarted after many entries of others, and looks only at the newest.
    recorder.set(|told| (told.last_serial, told.state.size, told.is_down) = (0, 9_000, true));
    running.await_kept(false);
    recorder.set(|told| told.is_down = false);
    note(&running.evidence, 2);
    running.await_kept(true);
    let starts =
        recorder.events(running).iter().filter(|event| matches!(event, Event::SessionStart(_))).count();
    assert_eq!(starts, 1);
}
