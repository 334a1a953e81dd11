//! A host in a temporary folder, and a seat: transport, screen and client in one hand.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sudare_audit::open::{self, Custody};
use sudare_audit::{self, Incident, Incidents, Walk};
use sudare_base::clock::{self, SystemRandom};
use sudare_evidence::log::{LogKeys, Settings};
use sudare_evidence::reader::Store;
use sudare_evidence::report::Remote;
use sudare_evidence::store::StoreError;
use sudare_guard::local_time::hour_and_minute;
use sudare_guard::screen::Screenshot;
use sudare_guard::session::evidence::{EvidenceThread, OpenSink};
use sudare_guard::session::{Sessions, Shared};
use sudare_guard::transport::{
    Action, CoverEvent, CoverKey, DriverFactory as _, LinkEvent, SessionDriver, SessionEvent, SessionInfo,
};
use sudare_protocol::client::{AwaitHello, Evidence, Fresh, HostNews, Live, Setup, chunk_digests};
use sudare_protocol::error::Refusal;
use sudare_protocol::evidence::Event;
use sudare_protocol::frame::Deframer;
use sudare_protocol::message::{self, Ack, Id, Lock, Manifest, Moment, Piece, Unlock};
use sudare_protocol::reason::Reason;
use sudare_protocol::records::{DeviceRecord, EvidenceDuty, Policy, Signed};
use sudare_protocol::seal::{self, Identity};
use sudare_protocol::tlog::VerifierKey;
use sudare_protocol::{SigningKey, keyfile};
use sudare_recorder::local::Local;
use sudare_records::registry::Registry;
use sudare_test_kit::wait::in_vain;
use sudare_test_kit::{PATIENCE, pair};

pub(super) const USER: &str = "kirschbaum-hanako";
/// Bytes that stand for what nobody but an auditor may see.
pub(super) const CAMERA: [u8; 96] = [0xa7; 96];
pub(super) const SCREEN: [u8; 4] = [0xad, 0x5e, 0x71, 0x93];
const ATTEST_MS: u64 = 200;

pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    registry: Registry,
    pub(super) device_id: Id,
    pub(super) auditor: Identity,
    /// What the host has now.
    pub(super) newest: Arc<Mutex<Option<Signed<Policy>>>>,
    evidence_dir: PathBuf,
    verifier: VerifierKey,
    thread: EvidenceThread,
    /// Whether the store is there.
    pub(super) keeps: Arc<AtomicBool>,
    dir: tempfile::TempDir,
    /// What the auditor must remark, and nothing else.
    remarks: &'static [&'static str],
}

/// A policy with short times, for these auditors.
fn signed_policy(organisation: &SigningKey, auditors: [&Identity; 2], duty: EvidenceDuty) -> Signed<Policy> {
    let timings = [("attestation_interval_ms", ATTEST_MS), ("lease_ms", 2_000), ("release_ms", 1_000)];
    let policy = Policy {
        auditors: auditors.map(Identity::recipient).into(),
        timings: timings.map(|(name, value)| (name.to_owned(), value)).into(),
        rules: None,
        evidence: duty,
        ..pair::policy()
    };
    let policy = Signed::sign(organisation, &policy).unwrap();
    Signed::verify(&organisation.verifying_key(), &policy, clock::wall_ms()).unwrap()
}

impl Host {
    pub(super) fn start() -> Host {
        let dir = tempfile::tempdir().unwrap();
        let evidence_dir = dir.path().join("evidence");
        Self::keeping_evidence_in(evidence_dir, dir)
    }

    /// A host whose store keeps nothing.
    pub(super) fn without_store() -> Host {
        let dir = tempfile::tempdir().unwrap();
        Self::make(dir.path().join("evidence"), dir, false, EvidenceDuty::Required)
    }

    /// The same where a session goes on all the same.
    pub(super) fn best_effort_without_store() -> Host {
        let dir = tempfile::tempdir().unwrap();
        Self::make(dir.path().join("evidence"), dir, false, EvidenceDuty::BestEffort)
    }

    pub(super) fn keeping_evidence_in(evidence_dir: PathBuf, dir: tempfile::TempDir) -> Host {
        Self::make(evidence_dir, dir, true, EvidenceDuty::Required)
    }

    fn make(evidence_dir: PathBuf, dir: tempfile::TempDir, keeps: bool, duty: EvidenceDuty) -> Host {
        Self::make_at(evidence_dir, dir, keeps, duty, None)
    }

    /// A host whose evidence a recorder keeps that listens at this socket.
    pub(super) fn reporting_to(socket: PathBuf) -> Host {
        let dir = tempfile::tempdir().unwrap();
        Self::make_at(dir.path().join("evidence"), dir, true, EvidenceDuty::Required, Some(socket))
    }

    fn make_at(
        evidence_dir: PathBuf,
        dir: tempfile::TempDir,
        keeps: bool,
        duty: EvidenceDuty,
        recorder: Option<PathBuf>,
    ) -> Host {
        let organisation = pair::organisation_key();
        let devices = dir.path().join("devices");
        std::fs::create_dir_all(devices.join("seats")).unwrap();
        let registry = || Registry::new(devices.clone(), organisation.verifying_key(), [9; 32].into());
        let (sessions_registry, registry) = (registry(), registry());
        let device_id = enrol(&registry);
        let (auditor, second) = (Identity::generate(), Identity::generate());
        let policy = signed_policy(&organisation, [&auditor, &second], duty);
        let record = pair::host_record("vdi-1", pair::host_key().verifying_key().to_bytes());
        let host_record = Signed::sign(&organisation, &record).unwrap();
        let log = SigningKey::from_bytes(&[4; 32]);
        let verifier = VerifierKey::new("sudare/vdi-1", log.verifying_key()).unwrap();
        let settings = {
            let (dir, host_record) = (evidence_dir.clone(), host_record.clone());
            move || Settings {
                dir: dir.clone(),
                keys: LogKeys {
                    origin: "sudare/vdi-1".into(),
                    log: log.clone(),
                    host_key: pair::host_key().verifying_key().to_bytes(),
                },
                host_record: host_record.clone(),
                boot_id: [0xb0; 16],
            }
        };
        let is_there = Arc::new(AtomicBool::new(keeps));
        let (thread, evidence) = {
            let is_there = is_there.clone();
            let full = || StoreError::Full { path: "store".into() };
            let open: OpenSink =
                Box::new(move |source| match (is_there.load(Ordering::Relaxed), &recorder) {
                    (true, Some(socket)) => Ok(Box::new(Remote::connect(socket, source)?)),
                    (true, None) => Ok(Box::new(Local::open(settings(), None)?)),
                    (false, _) => Err(full()),
                });
            let start = if keeps { EvidenceThread::start } else { EvidenceThread::start_without };
            start(open, [0x50; 16], policy.record().rules()).unwrap()
        };
        let newest = Arc::new(Mutex::new(None));
        let offered = Arc::clone(&newest);
        let shared = Arc::new(Shared {
            organisation: pair::organisation_key().verifying_key(),
            host_key: pair::host_key(),
            host_record,
            recipients: Shared::recipients_of(policy.record()).unwrap(),
            policy,
            devices: Box::new(sessions_registry),
            boot_id: [0xb0; 16],
            tls_cert_sha256: pair::CERTIFICATE,
            evidence,
            random: Arc::new(SystemRandom),
            local_time: hour_and_minute,
            uid_of: |_| None,
            newest_policy: Box::new(move |_| offered.lock().unwrap().clone()),
        });
        Host {
            shared,
            newest,
            registry,
            device_id,
            auditor,
            evidence_dir,
            verifier,
            thread,
            keeps: is_there,
            dir,
            remarks: &[],
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// As a bad disk would: the sealed templates cannot be opened any more.
    pub(super) fn damage_templates(&self) {
        for file in std::fs::read_dir(self.dir.path().join("devices")).unwrap().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "operators") {
                std::fs::write(file.path(), [0; 64]).unwrap();
            }
        }
    }

    /// Ends the host, verifies the whole store and lists its notes: code and value.
    #[track_caller]
    pub(super) fn verified_notes(self) -> Vec<(u16, u64)> {
        let note = |event| if let Event::Note(note) = event { Some((note.code, note.value)) } else { None };
        self.verified_events().into_iter().filter_map(note).collect()
    }

    /// The client will keep pictures back.
    pub(super) fn pictures_withheld(self) -> Host {
        Host { remarks: &["pictures-missing"], ..self }
    }

    /// Ends the host, verifies the whole store and lists what it says.
    #[track_caller]
    pub(super) fn verified_events(self) -> Vec<Event> {
        let Host { shared, evidence_dir, verifier, thread, remarks, dir: _dir, .. } = self;
        drop(shared);
        drop(thread);
        found(&sudare_audit::verify_store(&evidence_dir, &verifier, &[]).unwrap(), remarks);
        let store = Store::open(&evidence_dir).unwrap();
        let mut events = Vec::new();
        Walk::new(&store, &verifier, &[])
            .run(|_, entry, _| {
                events.push(entry.event().unwrap());
                Ok(())
            })
            .unwrap();
        events
    }

    /// Ends the host, verifies the whole store and lists its incidents. The folder stays until then.
    #[track_caller]
    pub(super) fn verified_incidents(self) -> Vec<Incident> {
        let Host { shared, evidence_dir, verifier, thread, auditor, remarks, dir: _dir, .. } = self;
        drop(shared);
        drop(thread);
        let report = sudare_audit::verify_store(&evidence_dir, &verifier, &[]).unwrap();
        found(&report, remarks);
        let store = Store::open(&evidence_dir).unwrap();
        let mut incidents = Incidents::default();
        Walk::new(&store, &verifier, &[])
            .run(|index, entry, _| {
                incidents.add(index, entry);
                Ok(())
            })
            .unwrap();
        let incidents = incidents.into_list();
        for incident in &incidents {
            let out = tempfile::tempdir().unwrap();
            let request = open::Request { identity: &auditor, custody: Custody::default(), full: true };
            for shown in open::open(&store, incident, &request, out.path(), |_, _| Ok(())).unwrap() {
                let file = shown.file.unwrap_or_else(|| panic!("{:?}", shown.problem));
                if shown.picture.label.starts_with("camera") {
                    assert_eq!(std::fs::read(file).unwrap(), CAMERA);
                }
            }
        }
        incidents
    }
}

#[track_caller]
fn found(report: &sudare_audit::Report, remarks: &[&str]) {
    let mut kinds: Vec<&str> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.dedup();
    assert_eq!(kinds, remarks, "{:?}", report.findings);
}

fn enrol(registry: &Registry) -> Id {
    let device = pair::device_key().verifying_key();
    let record = DeviceRecord {
        device_id: keyfile::device_id(&device),
        device_key: device.to_bytes(),
        user: USER.into(),
        not_before_ms: 0,
        not_after_ms: u64::MAX,
    };
    let record = Signed::sign(&pair::organisation_key(), &record).unwrap();
    let device_id = registry.add(&record, clock::wall_ms()).unwrap();
    let mut template = pair::template();
    // Numbers that a search through the logs can find.
    template.vectors[0][0] = 0.600_000_1;
    template.vectors[0][1] = 0.799_999_9;
    registry.add_operator(&device_id, template).unwrap();
    device_id
}

/// What the transport draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Covered(Reason),
    Desktop,
}

pub(super) struct Seat {
    driver: Box<dyn SessionDriver>,
    deframer: Deframer,
    waiting: Option<AwaitHello>,
    pub(super) client: Option<Live>,
    device_id: Id,
    pub(super) shown: Shown,
    pub(super) was_visible: bool,
    /// What the host says does not arrive.
    pub(super) deaf: bool,
    /// Whoever draws hangs: no cover is confirmed.
    pub(super) paints_not: bool,
    pub(super) disconnected: bool,
    /// How often the host wished for a new beginning.
    pub(super) reopened: u32,
    pub(super) refused: Option<Refusal>,
    pub(super) receipts: Vec<Ack>,
    /// What the device says instead of everything else.
    pub(super) withdrawal: Option<Vec<u8>>,
    attested: Instant,
}

impl Seat {
    /// A connection whose channel is not open yet.
    pub(super) fn connect(host: &Host, user: &str) -> Seat {
        let who = SessionInfo { user: Some(user.to_owned()), keys: true, owner: None, tls_exporter: None };
        let driver = Sessions::new(host.shared.clone()).session(who, clock::now());
        let mut seat = Seat {
            driver,
            deframer: Deframer::default(),
            waiting: None,
            client: None,
            device_id: host.device_id,
            shown: Shown::Covered(Reason::Starting),
            was_visible: false,
            deaf: false,
            paints_not: false,
            disconnected: false,
            reopened: 0,
            refused: None,
            receipts: Vec::new(),
            withdrawal: None,
            attested: Instant::now(),
        };
        seat.tell(SessionEvent::Cover(CoverEvent::Painted(message::Shown::Covered)));
        seat
    }

    /// A seat whose desktop is shown.
    pub(super) fn visible(host: &Host) -> Seat {
        let mut seat = Self::connect(host, USER);
        seat.open();
        seat.until("the desktop", |seat| seat.shown == Shown::Desktop);
        seat
    }

    #[track_caller]
    pub(super) fn open(&mut self) {
        self.try_open();
        assert!(self.client.is_some(), "{:?}", self.refused);
    }

    /// Opens the channel; the handshake follows by itself.
    pub(super) fn try_open(&mut self) {
        let setup = Setup {
            organisation: Some(pair::organisation_key().verifying_key()),
            device_id: self.device_id,
            wall_ms: clock::wall_ms(),
            withdrawal: self.withdrawal.clone(),
            ..pair::client_setup()
        };
        let random = || clock::random().unwrap();
        let fresh = Fresh { nonce: random(), template_secret: random(), enrol_secret: random() };
        self.waiting = Some(AwaitHello::new(setup, fresh));
        (self.client, self.deframer) = (None, Deframer::default());
        self.link(LinkEvent::Opened);
    }

    pub(super) fn link(&mut self, event: LinkEvent) {
        self.tell(SessionEvent::Link(event));
    }

    /// The operator presses a key of the cover.
    pub(super) fn press(&mut self, key: CoverKey) {
        self.tell(SessionEvent::Cover(CoverEvent::Key(key)));
    }

    fn tell(&mut self, event: SessionEvent) {
        let actions = self.driver.handle(clock::now(), event);
        self.carry_out(actions);
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.link(LinkEvent::Bytes(bytes.to_vec()));
    }

    /// The client locks for this reason and hands over one sealed camera picture.
    pub(super) fn lock_with_picture(&mut self, host: &Host, reason: Reason) -> Evidence {
        let incident_id = self.client.as_ref().unwrap().incident_id(clock::random().unwrap());
        self.lock(reason, incident_id);
        self.deliver(host, reason, incident_id)
    }

    /// Hands over one sealed camera picture of an incident.
    pub(super) fn deliver(&mut self, host: &Host, reason: Reason, incident_id: Id) -> Evidence {
        let boot_ms = clock::boot_ms();
        let sealed = seal::seal(&CAMERA, &clock::random().unwrap(), &host.shared.recipients).unwrap();
        let piece = Piece {
            blob_id: clock::random().unwrap(),
            moment: Moment::At,
            size: sealed.ciphertext.len() as u64,
            sha256: Sha256::digest(&sealed.ciphertext).into(),
            commitment: sealed.commitment,
            chunks: chunk_digests(&sealed.ciphertext),
            boot_ms,
            media: 0,
            header_size: None,
            pixelated: None,
        };
        let manifest = Manifest {
            incident_id,
            reason,
            pieces: vec![piece],
            policy_digest: self.client.as_ref().unwrap().policy().digest(),
            decided_boot_ms: boot_ms,
            wall_ms: clock::wall_ms(),
            cosine_milli: None,
            basis: None,
        };
        let evidence = Evidence { manifest, pieces: vec![sealed.ciphertext] };
        self.queue(&evidence);
        evidence
    }

    pub(super) fn lock(&mut self, reason: Reason, incident_id: Id) {
        let lock = Lock { reason, incident_id, boot_ms: clock::boot_ms() };
        let lock = self.client.as_mut().unwrap().lock(lock).unwrap();
        self.send(&lock);
    }

    pub(super) fn unlock(&mut self) {
        let unlock = Unlock { boot_ms: clock::boot_ms() };
        let unlock = self.client.as_mut().unwrap().unlock(unlock).unwrap();
        self.send(&unlock);
    }

    pub(super) fn queue(&mut self, evidence: &Evidence) {
        self.client.as_mut().unwrap().queue(evidence).unwrap();
        while let Some(frame) = self.client.as_mut().unwrap().next_evidence_frame().unwrap() {
            self.send(&frame);
        }
    }

    /// Time passes, the client attests a clear view, until this holds.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Seat) -> bool) {
        self.pass(what, true, holds);
    }

    /// As `until`, and the client says nothing.
    #[track_caller]
    pub(super) fn silent_until(&mut self, what: &str, holds: impl Fn(&Seat) -> bool) {
        self.pass(what, false, holds);
    }

    pub(super) fn for_ms(&mut self, ms: u64) {
        let end = Instant::now() + Duration::from_millis(ms);
        self.pass("time", false, |_| Instant::now() >= end);
    }

    pub(super) fn attest_for_ms(&mut self, ms: u64) {
        let end = Instant::now() + Duration::from_millis(ms);
        self.pass("time", true, |_| Instant::now() >= end);
    }

    #[track_caller]
    fn pass(&mut self, what: &str, attests: bool, holds: impl Fn(&Seat) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let instead = || format!("shown: {:?}; refused: {:?}", self.shown, self.refused);
            assert!(begun.elapsed() < PATIENCE, "{}", in_vain(what, &instead()));
            if attests && self.attested.elapsed() >= Duration::from_millis(ATTEST_MS) {
                self.attested = Instant::now();
                self.attest_clear();
            }
            self.tell(SessionEvent::Tick);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn attest_clear(&mut self) {
        let Some(client) = &mut self.client else { return };
        let attest = client.attest(pair::clear(clock::boot_ms())).unwrap();
        self.send(&attest);
    }

    /// What a transport does, without any screen. What follows from an action comes after all that was
    /// decided before it, as messages have their numbers already.
    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            if let Some(event) = self.act(action) {
                actions.extend(self.driver.handle(clock::now(), SessionEvent::Cover(event)));
            }
        }
    }

    /// What the cover reports of it.
    fn act(&mut self, action: Action) -> Option<CoverEvent> {
        match action {
            Action::Send(bytes) => self.hear(&bytes),
            Action::Cover(text) => {
                let same = |reason: &&Reason| {
                    text.lines.iter().zip(reason.cover_lines()).filter(|(a, b)| a == b).count() == 4
                };
                let reason = Reason::ALL.iter().find(same).expect("a cover with its reason");
                let was_covered = self.shown != Shown::Desktop;
                self.shown = Shown::Covered(*reason);
                if !was_covered && !self.paints_not {
                    return Some(CoverEvent::Painted(message::Shown::Covered));
                }
            }
            Action::Light(_) => {}
            Action::Uncover => {
                (self.shown, self.was_visible) = (Shown::Desktop, true);
                return Some(CoverEvent::Painted(message::Shown::Visible));
            }
            Action::Screenshot(ticket) => {
                let screenshot = Screenshot { width: 32, height: 8, bgra: SCREEN.repeat(32 * 8).into() };
                return Some(CoverEvent::Screenshot { ticket, screenshot });
            }
            Action::Reopen => self.reopened += 1,
            Action::Disconnect { advice } => {
                assert!(self.paints_not || advice.contains("by a key"), "disconnected: {advice}");
                self.disconnected = true;
            }
        }
        None
    }

    /// The client's end takes what the host says.
    fn hear(&mut self, bytes: &[u8]) {
        if self.deaf {
            return;
        }
        self.deframer.push(bytes);
        while let Ok(Some(frame)) = self.deframer.next_frame() {
            if let Some(waiting) = self.waiting.take() {
                let (next, open) = waiting.handle(&frame).map_err(|r| r.refusal).unwrap();
                // The answer comes from within: READY or ERROR are the next frame.
                let opened = SessionEvent::Link(LinkEvent::Bytes(open));
                let mut actions = self.driver.handle(clock::now(), opened);
                let at = actions.iter().position(|a| matches!(a, Action::Send(_))).expect("an answer");
                let Action::Send(answer) = actions.remove(at) else { return };
                match next.handle(&pair::frames(&answer)[0]) {
                    Ok((live, _)) => self.client = Some(live),
                    Err(refused) => self.refused = Some(refused.refusal),
                }
                self.carry_out(actions);
            } else if let Some(client) = &mut self.client {
                match client.handle(&frame) {
                    Ok(Some(HostNews::Acknowledged(ack))) => self.receipts.push(ack),
                    Ok(_) => {}
                    Err(refusal) => self.refused = Some(refusal),
                }
            }
        }
    }
}
