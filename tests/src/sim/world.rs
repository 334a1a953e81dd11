//! The run itself, and the rule that is checked at every step.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sudare_client_core::presence::{Decision, Presence};
use sudare_client_core::report::Reporter;
use sudare_host_ext::guard::{Action, Event, Guard};
use sudare_protocol::client::Live as ClientLive;
use sudare_protocol::host::{ClientNews, Live as HostLive};
use sudare_protocol::message::Shown;
use sudare_protocol::numbers::Numbers;
use sudare_protocol::reason::Reason;

use super::faults::{Fault, FaultKind};
use super::network::Wire;
use super::truth::Truth;
use crate::pair::{self, frames};

const RUN_MS: u64 = 60_000;
const STEP_MS: u64 = 10;
const FRAME_MS: u64 = 100;
const HOST_TICK_MS: u64 = 50;
/// Time that detection, comparing, one frame and one tick take in this world.
const SEEING_MS: u64 = 600;

/// What a run showed, besides that it broke no rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub visible_ms: u64,
    pub covers: u64,
    pub incidents: u64,
    /// Longest time that a stranger was in truth present while the host showed the desktop.
    pub worst_exposed_ms: u64,
}

/// Runs one seed; an error names the broken rule and the moment.
pub fn run(seed: u64) -> Result<Outcome, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let truth = Truth::random(&mut rng, RUN_MS);
    let faults = Fault::random(&mut rng, RUN_MS);
    let (client, host) = pair::live(0)?;
    let mut world = World {
        client: ClientSide {
            live: client,
            presence: Presence::new(&Numbers::default()),
            alive: true,
            reporter: Reporter::default(),
        },
        host: HostSide {
            live: Some(host),
            guard: Guard::new(0),
            painted: None,
            nonces: Vec::new(),
            next_tick_ms: 0,
        },
        up: Wire::default(),
        down: Wire::default(),
        truth,
        faults,
        checks: Checks::default(),
        outcome: Outcome::default(),
    };
    let numbers = Numbers::default();
    world.host_event(0, Event::LinkUp { numbers }, &mut rng)?;
    for now_ms in (0..RUN_MS / STEP_MS).map(|step| step * STEP_MS) {
        world
            .step(now_ms, &mut rng)
            .map_err(|what| format!("seed {seed}, {now_ms} ms: {what}; faults {:?}", world.faults))?;
    }
    Ok(world.outcome)
}

struct World {
    client: ClientSide,
    host: HostSide,
    up: Wire,
    down: Wire,
    truth: Truth,
    faults: Vec<Fault>,
    checks: Checks,
    outcome: Outcome,
}

struct ClientSide {
    live: ClientLive,
    presence: Presence,
    alive: bool,
    reporter: Reporter,
}

struct HostSide {
    live: Option<HostLive>,
    guard: Guard,
    painted: Option<(u64, Shown)>,
    nonces: Vec<u64>,
    next_tick_ms: u64,
}

#[derive(Default)]
struct Checks {
    operator_seen_ms: u64,
    stranger_since_ms: Option<u64>,
    good_since_ms: Option<u64>,
    newest_echo_issued_ms: Option<u64>,
}

impl World {
    fn has(&self, kind: fn(&FaultKind) -> bool, now_ms: u64) -> bool {
        self.faults.iter().any(|f| f.active(now_ms) && kind(&f.kind))
    }

    fn step(&mut self, now_ms: u64, rng: &mut ChaCha8Rng) -> Result<(), String> {
        if self.has(|k| *k == FaultKind::ClientCrash, now_ms) {
            self.client.alive = false;
        }
        let frozen = self.has(|k| *k == FaultKind::ClientFrozen, now_ms);
        if self.client.alive && !frozen {
            self.client_step(now_ms)?;
        }
        let host_frozen = self.has(|k| *k == FaultKind::HostFrozen, now_ms);
        if !host_frozen {
            self.host_step(now_ms, rng)?;
            self.check(now_ms)?;
        }
        Ok(())
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
        let stuck = self.has(|k| *k == FaultKind::VisionStuck, now_ms);
        let decision = if now_ms.is_multiple_of(FRAME_MS) && !stuck {
            self.client.presence.observe(&self.truth.observe(now_ms))
        } else {
            self.client.presence.tick(now_ms)
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

    fn host_step(&mut self, now_ms: u64, rng: &mut ChaCha8Rng) -> Result<(), String> {
        // A tick comes first: after a sleep the host must not act on old news before it notices.
        if now_ms >= self.host.next_tick_ms {
            self.host.next_tick_ms = now_ms + HOST_TICK_MS;
            self.host_event(now_ms, Event::Tick, rng)?;
            let nonce = rng.random();
            if let Some(live) = &mut self.host.live
                && let Some(frame) = live.challenge(nonce, now_ms).map_err(|e| e.to_string())?
            {
                self.host.nonces.push(now_ms);
                self.down.send(now_ms, frame, &self.faults);
            }
        }
        if let Some((due_ms, shown)) = self.host.painted
            && due_ms <= now_ms
        {
            self.host.painted = None;
            self.host_event(now_ms, Event::Painted(shown), rng)?;
        }
        while let Some(bytes) = self.up.receive(now_ms) {
            for frame in frames(&bytes) {
                self.host_frame(&frame, now_ms, rng)?;
            }
        }
        Ok(())
    }

    fn host_frame(&mut self, frame: &[u8], now_ms: u64, rng: &mut ChaCha8Rng) -> Result<(), String> {
        let Some(live) = &mut self.host.live else { return Ok(()) };
        let event = match live.handle(frame, now_ms) {
            Ok(Some(ClientNews::Attested { attest, nonce_issued_ms })) => {
                let newest = self.checks.newest_echo_issued_ms.get_or_insert(nonce_issued_ms);
                *newest = (*newest).max(nonce_issued_ms);
                Event::Attested { attest, nonce_issued_ms, lease_until_ms: live.lease_until_ms() }
            }
            Ok(Some(ClientNews::Suspect { suspect })) => Event::Suspect { active: suspect.active },
            Ok(Some(ClientNews::Lock { lock, .. })) => Event::Lock(lock),
            Ok(Some(ClientNews::Unlock { .. })) => Event::Unlock,
            Ok(_) => return Ok(()),
            Err(_) => {
                self.host.live = None;
                Event::LinkDown { reason: Reason::BadMessage }
            }
        };
        self.host_event(now_ms, event, rng)
    }

    fn host_event(&mut self, now_ms: u64, event: Event, rng: &mut ChaCha8Rng) -> Result<(), String> {
        for action in self.host.guard.handle(now_ms, event, rng.random()) {
            match action {
                Action::Cover(_) => {
                    self.outcome.covers += 1;
                    self.host.painted = Some((now_ms + 20, Shown::Covered));
                }
                Action::Uncover => self.host.painted = Some((now_ms + 20, Shown::Visible)),
                Action::OpenIncident { .. } => self.outcome.incidents += 1,
                Action::Status { shown, reason, incident_id } => {
                    if let Some(live) = &mut self.host.live {
                        let status =
                            sudare_protocol::message::Status { shown, reason, boot_ms: now_ms, incident_id };
                        let frame = live.status(status).map_err(|e| e.to_string())?;
                        self.down.send(now_ms, frame, &self.faults);
                    }
                }
                Action::Disconnect => return Err("the cover was never confirmed".into()),
                Action::Snapshot(_) | Action::DropSuspect | Action::Gap { .. } => {}
            }
        }
        Ok(())
    }

    /// Rule 1, against the truth that neither end knows.
    fn check(&mut self, now_ms: u64) -> Result<(), String> {
        let numbers = Numbers::default();
        let (scene, since_ms) = self.truth.at(now_ms);
        if scene.operator {
            self.checks.operator_seen_ms = now_ms;
        }
        if scene.stranger {
            self.checks.stranger_since_ms.get_or_insert(since_ms);
        } else {
            self.checks.stranger_since_ms = None;
        }
        let visible = self.host.guard.shown() == Shown::Visible;
        self.check_liveness(now_ms, visible, scene.operator && !scene.stranger)?;
        if !visible {
            return Ok(());
        }
        self.outcome.visible_ms += STEP_MS;
        let echoed = self.checks.newest_echo_issued_ms.ok_or("visible although no nonce was ever echoed")?;
        if now_ms > echoed + numbers.lease_ms + HOST_TICK_MS {
            return Err(format!("visible {} ms after the newest echoed nonce was issued", now_ms - echoed));
        }
        let away_ms = now_ms - self.checks.operator_seen_ms;
        if away_ms > numbers.absence_ms + SEEING_MS {
            return Err(format!("visible although the operator is away for {away_ms} ms"));
        }
        let exposed_ms = self.checks.stranger_since_ms.map_or(0, |since| now_ms - since);
        self.outcome.worst_exposed_ms = self.outcome.worst_exposed_ms.max(exposed_ms);
        if exposed_ms > numbers.hold_ms + numbers.lease_ms + SEEING_MS {
            return Err(format!("visible although a stranger is there for {exposed_ms} ms"));
        }
        Ok(())
    }

    /// A cover that never opens would break no safety rule; in good times the desktop must be there.
    fn check_liveness(&mut self, now_ms: u64, visible: bool, alone: bool) -> Result<(), String> {
        let troubled = self.faults.iter().any(|f| f.from_ms <= now_ms);
        if troubled || !alone {
            self.checks.good_since_ms = None;
            return Ok(());
        }
        let since = *self.checks.good_since_ms.get_or_insert(now_ms);
        let patience_ms = Numbers::default().release_ms + SEEING_MS;
        if now_ms - since > patience_ms && !visible {
            return Err("covered although the operator is alone and nothing is wrong".into());
        }
        Ok(())
    }
}
