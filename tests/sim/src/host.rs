//! The host's end: a production session and its evidence worker, with a screen and a line of our own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sudare_base::clock::{NoRandomness, Now, RandomSource};
use sudare_guard::screen::{CoverText, Screenshot};
use sudare_guard::session::evidence::{RETRY_MS, Turn, Worker};
use sudare_guard::session::{Sessions, Shared};
use sudare_guard::transport::{
    Cover, CoverEvent, DriverFactory as _, LinkEvent, SessionDriver, SessionEvent, SessionInfo, Transport,
    carry_out,
};
use sudare_protocol::message::{self, Attest, Challenge, Id, Ready, Shown, kind};
use sudare_protocol::seal::{Identity, Recipients};
use sudare_protocol::{cose, host};
use sudare_test_kit::pair::{self, OneDevice, frames};

use super::sink::Sink;

pub(super) const TICK_MS: u64 = 50;
/// Until whoever draws has drawn, and confirms it.
const DRAWING_MS: u64 = 20;

pub(super) struct HostSide {
    driver: Box<dyn SessionDriver>,
    worker: Worker,
    worker_due_ms: u64,
    pub(super) sink: Sink,
    pub(super) screen: Screen,
    line: Line,
    next_tick_ms: u64,
}

/// Randomness that is the same in every run of a seed.
struct Seeded(Mutex<ChaCha8Rng>);

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}

/// What the client can see, and what was noticed of it.
pub(super) struct Screen {
    pub(super) shown: Shown,
    pub(super) covers: u64,
    now_ms: u64,
    reports: VecDeque<(u64, CoverEvent)>,
}

/// What the host says, and when it issued each nonce.
#[derive(Default)]
struct Line {
    said: Vec<Vec<u8>>,
    issued: BTreeMap<Id, u64>,
    newest_echo_issued_ms: Option<u64>,
    now_ms: u64,
    disconnected: Option<String>,
}

impl HostSide {
    /// A connection whose channel is not open yet, at 0 ms.
    pub(super) fn new(seed: u64) -> Result<Self, String> {
        let host::Setup {
            host_key,
            host_record,
            organisation,
            policy,
            boot_id,
            tls_cert_sha256,
            tls_exporter,
            ..
        } = pair::host_setup().map_err(|e| e.to_string())?;
        let random = Arc::new(Seeded(Mutex::new(ChaCha8Rng::seed_from_u64(!seed))));
        let sink = Sink::default();
        let rules = policy.record().rules();
        let (worker, evidence) =
            Worker::new(Some(Box::new(sink.clone())), sink.open(), [0x50; 16], rules, random.clone());
        // Whoever they are, what is sealed to them has the same size.
        let auditors = [Identity::generate().recipient(), Identity::generate().recipient()];
        let recipients = Recipients::parse(&auditors).map_err(|e| e.to_string())?;
        let shared = Arc::new(Shared {
            host_key,
            host_record,
            organisation,
            policy,
            recipients,
            devices: Box::new(OneDevice::default()),
            boot_id,
            tls_cert_sha256,
            evidence,
            random,
            local_time: |_| "21:05".into(),
            uid_of: |_| None,
            newest_policy: Box::new(|_| None),
        });
        let info = SessionInfo { user: Some(pair::USER.into()), keys: true, owner: None, tls_exporter };
        let black = (DRAWING_MS, CoverEvent::Painted(Shown::Covered));
        let screen = Screen { shown: Shown::Covered, covers: 0, now_ms: 0, reports: [black].into() };
        Ok(HostSide {
            driver: Sessions::new(shared).session(info, now(0)),
            worker,
            worker_due_ms: 0,
            sink,
            screen,
            line: Line::default(),
            next_tick_ms: 0,
        })
    }

    pub(super) fn link(&mut self, event: LinkEvent, now_ms: u64) -> Result<(), String> {
        if let LinkEvent::Bytes(bytes) = &event {
            self.line.hears(bytes);
        }
        self.tell(SessionEvent::Link(event), now_ms)
    }

    /// Lets the host's own things happen that are due. A tick comes first: after a sleep the host must not
    /// act on old news before it notices.
    pub(super) fn step(&mut self, now_ms: u64) -> Result<(), String> {
        if now_ms >= self.next_tick_ms {
            self.next_tick_ms = now_ms + TICK_MS;
            self.tell(SessionEvent::Tick, now_ms)?;
        }
        while let Some((_, event)) = self.screen.reports.pop_front_if(|(due_ms, _)| *due_ms <= now_ms) {
            self.tell(SessionEvent::Cover(event), now_ms)?;
        }
        Ok(())
    }

    /// The thread of the evidence has its turns.
    pub(super) fn work(&mut self, now_ms: u64) {
        while self.worker_due_ms <= now_ms {
            match self.worker.turn(now_ms) {
                Turn::Done => {}
                Turn::Idle | Turn::Ended => return,
                Turn::Failing => self.worker_due_ms = now_ms + RETRY_MS,
            }
        }
    }

    /// What was said since the last time.
    pub(super) fn said(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.line.said)
    }

    pub(super) fn next_said(&mut self) -> Option<Vec<u8>> {
        if self.line.said.is_empty() { None } else { Some(self.line.said.remove(0)) }
    }

    /// When the newest of all nonces was issued that came back.
    pub(super) fn newest_echo_issued_ms(&self) -> Option<u64> {
        self.line.newest_echo_issued_ms
    }

    fn tell(&mut self, event: SessionEvent, now_ms: u64) -> Result<(), String> {
        (self.screen.now_ms, self.line.now_ms) = (now_ms, now_ms);
        let actions = self.driver.handle(now(now_ms), event);
        carry_out(actions, now_ms, &mut self.line, &mut self.screen);
        self.line.disconnected.take().map_or(Ok(()), Err)
    }
}

fn now(now_ms: u64) -> Now {
    Now { boot_ms: now_ms, wall_ms: pair::WALL_MS + now_ms }
}

impl Screen {
    /// What was asked for before it is confirmed no more.
    fn draw(&mut self, shown: Shown) {
        self.shown = shown;
        self.reports.retain(|(_, event)| !matches!(event, CoverEvent::Painted(_)));
        self.report(CoverEvent::Painted(shown));
    }

    fn report(&mut self, event: CoverEvent) {
        self.reports.push_back((self.now_ms + DRAWING_MS, event));
    }
}

impl Cover for Screen {
    fn cover(&mut self, _text: CoverText, screenshot: Option<u64>, _now_ms: u64) {
        self.covers += 1;
        if let Some(ticket) = screenshot {
            self.screenshot(ticket);
        }
        if self.shown == Shown::Visible {
            self.draw(Shown::Covered);
        }
    }

    fn light(&mut self, _rgb: Option<[u8; 3]>) {}

    fn uncover(&mut self) {
        self.draw(Shown::Visible);
    }

    fn screenshot(&mut self, ticket: u64) {
        let screenshot = Screenshot { width: 1, height: 1, bgra: vec![7; 4].into() };
        self.report(CoverEvent::Screenshot { ticket, screenshot });
    }
}

impl Line {
    fn hears(&mut self, bytes: &[u8]) {
        for nonce in frames(bytes).iter().filter_map(|frame| nonce_of(frame)) {
            self.newest_echo_issued_ms = self.newest_echo_issued_ms.max(self.issued.get(&nonce).copied());
        }
    }
}

impl Transport for Line {
    fn send(&mut self, message: Vec<u8>) {
        let nonces = frames(&message).into_iter().filter_map(|frame| nonce_of(&frame));
        self.issued.extend(nonces.map(|nonce| (nonce, self.now_ms)));
        self.said.push(message);
    }

    fn disconnect(&mut self, advice: String) {
        self.disconnected = Some(advice);
    }
}

/// The nonce that a frame of either end carries, whoever signed it.
fn nonce_of(frame: &[u8]) -> Option<Id> {
    let (got, _, body) = message::split(cose::unverified_payload(frame).ok()?).ok()?;
    match got {
        kind::READY => message::body::<Ready>(body).ok().map(|ready| ready.nonce),
        kind::CHALLENGE => message::body::<Challenge>(body).ok().map(|challenge| challenge.nonce),
        kind::ATTEST => message::body::<Attest>(body).ok().map(|attest| attest.nonce),
        _ => None,
    }
}
