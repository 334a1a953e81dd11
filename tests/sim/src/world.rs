//! The run itself: client and host take their steps, with the network between them.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use sudare_client_core::presence::{Decision, Presence};
use sudare_client_core::report::Reporter;
use sudare_guard::transport::LinkEvent;
use sudare_protocol::client::{AwaitHello, Live as ClientLive};
use sudare_protocol::limits::CLOCK_JUMP_MS;
use sudare_protocol::message::Shown;
use sudare_protocol::reason::Reason;
use sudare_protocol::timings::Timings;
use sudare_test_kit::pair::{self, frames};

use super::checks::{Checks, Seen};
use super::faults::{Fault, FaultKind};
use super::host::HostSide;
use super::network::Wire;
use super::truth::Truth;

const RUN_MS: u64 = 60_000;
pub(super) const STEP_MS: u64 = 10;
const FRAME_MS: u64 = 100;

/// What a run showed, besides that it broke no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub visible_ms: u64,
    pub covers: u64,
    /// Incidents that are in the log.
    pub incidents: u64,
    /// Longest time that a stranger was in truth present while the host showed the desktop.
    pub worst_exposed_ms: u64,
}

/// Runs one seed; an error names the broken rule and the moment.
pub fn run(seed: u64) -> Result<Outcome, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let truth = Truth::random(&mut rng, RUN_MS);
    let faults = Fault::random(&mut rng, RUN_MS);
    let mut host = HostSide::new(seed)?;
    let (live, mut down) = (shake_hands(&mut host)?, Wire::default());
    host.said().into_iter().for_each(|message| down.send(0, message, &faults));
    let presence = Presence::new(&Timings::default());
    let client = ClientSide {
        live,
        presence,
        alive: true,
        reporter: Reporter::default(),
        newest_picture_ms: 0,
        decided: None,
    };
    let mut world = World {
        client,
        host,
        up: Wire::default(),
        down,
        truth,
        faults,
        checks: Checks::default(),
        host_ran_ms: 0,
    };
    for now_ms in (0..RUN_MS / STEP_MS).map(|step| step * STEP_MS) {
        world
            .step(now_ms)
            .map_err(|what| format!("seed {seed}, {now_ms} ms: {what}; faults {:?}", world.faults))?;
    }
    Ok(Outcome {
        visible_ms: world.checks.visible_ms,
        covers: world.host.screen.covers,
        incidents: world.host.sink.incidents(),
        worst_exposed_ms: world.checks.worst_exposed_ms,
    })
}

/// Both ends after a good handshake, before any fault.
fn shake_hands(host: &mut HostSide) -> Result<ClientLive, String> {
    let one = |said: &[u8]| frames(said).into_iter().next().ok_or("no frame".to_owned());
    let refused = |refused: sudare_protocol::error::Refused| refused.refusal.to_string();
    host.link(LinkEvent::Opened, 0)?;
    let hello = one(&host.next_said().ok_or("no HELLO")?)?;
    let client = AwaitHello::new(pair::client_setup(), pair::client_fresh());
    let (client, open) = client.handle(&hello).map_err(refused)?;
    host.link(LinkEvent::Bytes(open), 0)?;
    let ready = one(&host.next_said().ok_or("no READY")?)?;
    client.handle(&ready).map(|(live, _)| live).map_err(refused)
}

struct World {
    client: ClientSide,
    host: HostSide,
    up: Wire,
    down: Wire,
    truth: Truth,
    faults: Vec<Fault>,
    checks: Checks,
    host_ran_ms: u64,
}

struct ClientSide {
    live: ClientLive,
    presence: Presence,
    alive: bool,
    reporter: Reporter,
    newest_picture_ms: u64,
    decided: Option<Decision>,
}

impl World {
    fn has(&self, kind: FaultKind, now_ms: u64) -> bool {
        self.faults.iter().any(|fault| fault.active(now_ms) && fault.kind == kind)
    }

    fn step(&mut self, now_ms: u64) -> Result<(), String> {
        if self.has(FaultKind::ClientCrash, now_ms) {
            self.client.alive = false;
        }
        if self.client.alive && !self.has(FaultKind::ClientFrozen, now_ms) {
            self.client_step(now_ms)?;
        }
        self.host.sink.set_failing(self.has(FaultKind::StoreFails, now_ms));
        if self.has(FaultKind::HostFrozen, now_ms) {
            return Ok(());
        }
        self.host_step(now_ms)?;
        let seen = Seen {
            now_ms,
            visible: self.host.screen.shown == Shown::Visible,
            newest_picture_ms: self.client.newest_picture_ms,
            newest_echo_issued_ms: self.host.newest_echo_issued_ms(),
            store_fails: self.has(FaultKind::StoreFails, now_ms),
            troubled: self.faults.iter().any(|fault| fault.from_ms <= now_ms),
        };
        self.checks.check(&self.truth, seen)
    }

    fn client_step(&mut self, now_ms: u64) -> Result<(), String> {
        while let Some(bytes) = self.down.receive(now_ms) {
            for frame in frames(&bytes) {
                if self.client.live.handle(&frame).is_err() {
                    // Whatever is wrong on the way, the client ends rather than guess.
                    self.client.alive = false;
                    return Ok(());
                }
            }
        }
        let stuck = self.has(FaultKind::VisionStuck, now_ms);
        let unnoticed = self.has(FaultKind::VisionStuckUnnoticed, now_ms);
        let mut decision = if now_ms.is_multiple_of(FRAME_MS) && !stuck && !unnoticed {
            self.client.newest_picture_ms = now_ms;
            self.client.presence.observe(&self.truth.observe(now_ms))
        } else {
            self.client.presence.tick(now_ms)
        };
        match self.client.decided {
            Some(Decision { state, cover, reason, suspect, .. }) if unnoticed => {
                decision = Decision { state, cover, reason, suspect, ..decision };
            }
            _ => self.client.decided = Some(decision),
        }
        let decision = if self.has(FaultKind::ClientStubborn, now_ms) {
            Decision { cover: false, reason: Reason::None, ..decision }
        } else {
            decision
        };
        self.client_says(decision, now_ms).map_err(|e| e.to_string())
    }

    fn client_says(&mut self, decision: Decision, now_ms: u64) -> Result<(), sudare_protocol::Refusal> {
        let client = &mut self.client;
        let told = client.reporter.tell(&mut client.live, &decision, now_ms, [1; 16])?;
        for message in told.messages {
            self.up.send(now_ms, message, &self.faults);
        }
        Ok(())
    }

    fn host_step(&mut self, now_ms: u64) -> Result<(), String> {
        self.host.step(now_ms)?;
        let slept_ms = now_ms - std::mem::replace(&mut self.host_ran_ms, now_ms);
        if slept_ms > CLOCK_JUMP_MS && self.host.screen.shown == Shown::Visible {
            return Err(format!("visible after a sleep of {slept_ms} ms, before any news"));
        }
        while let Some(bytes) = self.up.receive(now_ms) {
            self.host.link(LinkEvent::Bytes(bytes), now_ms)?;
        }
        self.host.work(now_ms);
        for message in self.host.said() {
            self.down.send(now_ms, message, &self.faults);
        }
        Ok(())
    }
}
