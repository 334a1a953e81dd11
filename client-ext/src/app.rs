//! The bundled client at work: RDP connection, link, camera and evidence, on one task.
//!
//! ```text
//!  rdp thread ─ RdpEvent ─┐                  ┌─► rdp: channel bytes
//!  camera thread ─ Look ──┼─► App ─ Link ────┤
//!  clock ─ 50 ms ─────────┤                  └─► AppEvent: what people and tests see
//!  sealing thread ────────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sudare_protocol::SigningKey;
use sudare_protocol::VerifyingKey;
use sudare_protocol::client::{Evidence, Fresh, Setup};
use sudare_protocol::keyfile;
use sudare_protocol::message::{Ack, CertificateCheck, Digest, Id, Status};
use sudare_protocol::seal::Recipients;
use tokio::sync::mpsc;

use crate::camera::live::boottime_ms;
use crate::channel::{RdpEvent, RdpHandle, ScreenState};
use crate::evidence::{self, Ring, Shots, random};
use crate::link::{Link, Output};
use crate::presence::Decision;
use crate::watcher::{Look, Watcher};

const TICK: Duration = Duration::from_millis(50);
/// Incidents being sealed at once.
const SEALING_MAX: usize = 8;

/// Is told each event, and whether a window of the client's own must be covered.
pub type Tell<'a> = &'a mut dyn FnMut(AppEvent, bool);

/// Who this device is.
pub struct Identity {
    pub organisation: VerifyingKey,
    pub device_key: SigningKey,
    pub boot_id: Id,
    pub models: Vec<Digest>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// What happened, for people and programs.
#[derive(Debug)]
pub enum AppEvent {
    Ready { host_id: String, certificate: CertificateCheck },
    Decided(Decision),
    Status(Status),
    Screen(ScreenState),
    Receipt(Ack),
    Refused(sudare_protocol::Refusal),
    Ended { error: Option<String> },
}

pub struct App {
    rdp: Arc<RdpHandle>,
    identity: Identity,
    watcher: Box<dyn Watcher>,
    link: Link,
    ring: Ring,
    looks: Option<mpsc::Receiver<Look>>,
    sealed: (mpsc::Sender<Evidence>, mpsc::Receiver<Evidence>),
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    pub fn new(rdp: Arc<RdpHandle>, identity: Identity, watcher: Box<dyn Watcher>) -> Self {
        let (link, ring, sealed) = (Link::default(), Ring::default(), mpsc::channel(SEALING_MAX));
        App { rdp, identity, watcher, link, ring, looks: None, sealed }
    }

    /// Runs until the connection ends or `stop` is told.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<RdpEvent>,
        mut stop: tokio::sync::watch::Receiver<bool>,
        tell: Tell<'_>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let mut out = Vec::new();
            tokio::select! {
                biased;
                Some(look) = next(&mut self.looks) => self.look(look, &mut out),
                event = events.recv() => match event {
                    Some(RdpEvent::Ended { error }) => {
                        self.say(AppEvent::Ended { error }, tell);
                        return;
                    }
                    None => return,
                    Some(event) => self.rdp_event(event, &mut out, tell),
                },
                Some(evidence) = self.sealed.1.recv() => self.link.evidence(evidence, &mut out),
                _ = ticks.tick() => self.link.tick(boottime_ms(), fresh(), &mut out),
                _ = stop.changed() => {
                    self.link.bye(&mut out);
                    self.carry_out(out, tell);
                    self.rdp.disconnect();
                    continue;
                }
            }
            self.carry_out(out, tell);
            for shots in self.ring.ready(boottime_ms()) {
                self.seal(shots);
            }
        }
    }

    fn rdp_event(&mut self, event: RdpEvent, out: &mut Vec<Output>, tell: Tell<'_>) {
        match event {
            RdpEvent::ChannelOpened => match self.fresh_handshake() {
                Ok((setup, fresh)) => self.link.opened(setup, fresh),
                Err(error) => tracing::error!(%error, "no randomness; the host stays covered"),
            },
            RdpEvent::ChannelBytes(bytes) => self.link.bytes(&bytes, out),
            RdpEvent::ChannelClosed => self.link.closed(),
            RdpEvent::Screen(screen) => self.say(AppEvent::Screen(screen), tell),
            RdpEvent::Ended { .. } => {}
        }
    }

    fn look(&mut self, look: Look, out: &mut Vec<Output>) {
        if let Some(frame) = look.frame {
            self.ring.push(frame);
        }
        self.link.observe(&look.observation, boottime_ms(), fresh(), out);
    }

    fn carry_out(&mut self, out: Vec<Output>, tell: Tell<'_>) {
        for output in out {
            let event = match output {
                Output::Send(bytes) => {
                    if let Err(error) = self.rdp.send(bytes) {
                        // The host's lease ends by itself, and so the cover comes.
                        tracing::warn!(%error, "a message was not sent");
                    }
                    continue;
                }
                Output::Incident(incident) => {
                    self.ring.begin(incident);
                    continue;
                }
                Output::Ready { operators, host_id, certificate } => {
                    match self.watcher.start(operators) {
                        Ok(looks) => self.looks = Some(looks),
                        Err(error) => tracing::error!("{error:#}"),
                    }
                    AppEvent::Ready { host_id, certificate }
                }
                Output::Decided(decision) => AppEvent::Decided(decision),
                Output::Status(status) => AppEvent::Status(status),
                Output::Receipt(ack) => AppEvent::Receipt(ack),
                Output::Refused(refusal) => AppEvent::Refused(refusal),
            };
            self.say(event, tell);
        }
    }

    fn say(&self, event: AppEvent, tell: Tell<'_>) {
        tell(event, self.link.covers_own());
    }

    /// Encoding and sealing take tens of milliseconds, so they have a thread of their own.
    fn seal(&self, shots: Shots) {
        let Some(live) = self.link.live() else {
            tracing::warn!("the session ended before an incident's pictures could be sealed to its auditors");
            return;
        };
        let policy = live.policy();
        let (recipients, digest) = (Recipients::parse(&policy.record().auditors), policy.digest());
        let done = self.sealed.0.clone();
        let work = move || {
            let built = recipients
                .map_err(evidence::EvidenceError::from)
                .and_then(|recipients| evidence::build(&shots, &recipients, digest, wall_ms()));
            match built {
                Ok(evidence) => {
                    if done.blocking_send(evidence).is_err() {
                        tracing::warn!("the client ended while pictures were sealed");
                    }
                }
                Err(error) => tracing::error!(%error, "an incident has no camera pictures"),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sealing".into()).spawn(work) {
            tracing::error!(%error, "no thread to seal pictures");
        }
    }

    fn fresh_handshake(&self) -> Result<(Setup, Fresh), getrandom::Error> {
        let identity = &self.identity;
        let setup = Setup {
            organisation: identity.organisation,
            device_key: identity.device_key.clone(),
            device_id: keyfile::device_id(&identity.device_key.verifying_key()),
            boot_id: identity.boot_id,
            software: concat!("sudare ", env!("CARGO_PKG_VERSION")).to_owned(),
            models: identity.models.clone(),
            tls_cert_sha256: Some(self.rdp.tls_cert_sha256),
            wall_ms: wall_ms(),
        };
        Ok((setup, Fresh { nonce: random()?, template_secret: random()? }))
    }
}

/// The next look, or never if nothing is watched yet or any more.
async fn next(looks: &mut Option<mpsc::Receiver<Look>>) -> Option<Look> {
    match looks {
        Some(receiver) => match receiver.recv().await {
            Some(look) => Some(look),
            None => {
                // The camera thread is gone: presence notices that no look comes, and covers.
                *looks = None;
                std::future::pending().await
            }
        },
        None => std::future::pending().await,
    }
}

/// Names an incident. Without randomness there is still a cover, under a name that is not random.
fn fresh() -> Id {
    random().unwrap_or_default()
}

fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}
