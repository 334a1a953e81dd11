//! Turns decisions into messages to the host. Pure.
//!
//! A change is sent at once (suspect, lock, unlock, and the attestation that goes with it); otherwise there is one
//! attestation per interval.

use sudare_protocol::Refusal;
use sudare_protocol::client::Live;
use sudare_protocol::message::{Attest, Id, Lock, Suspect, Unlock};
use sudare_protocol::reason::Reason;

use crate::presence::Decision;

/// What the host has been told so far in this session.
#[derive(Debug, Default)]
pub struct Reporter {
    last: Option<Decision>,
    next_attest_ms: u64,
    suspect: bool,
}

/// Messages to send, and the incident that begins with them.
#[derive(Debug, Default)]
pub struct Outgoing {
    pub messages: Vec<Vec<u8>>,
    pub incident: Option<Incident>,
}

/// An incident by the client's own decision: pictures are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    pub incident_id: Id,
    pub reason: Reason,
    pub decided_ms: u64,
    /// The decision that caused it.
    pub decision: Decision,
}

impl Reporter {
    /// Tells `decision` at `now_ms` (CLOCK_BOOTTIME). `fresh` names an incident if one begins.
    pub fn tell(
        &mut self,
        live: &mut Live,
        decision: &Decision,
        now_ms: u64,
        fresh: Id,
    ) -> Result<Outgoing, Refusal> {
        let mut outgoing = Outgoing::default();
        let before = self.last.replace(*decision);
        // Before the first decision the host is covered anyway: there is nothing to lock.
        let was_covered = before.is_none_or(|b| b.cover);
        if decision.cover && !was_covered {
            let incident_id = live.incident_id(fresh);
            let lock = Lock { reason: decision.reason, incident_id, boot_ms: now_ms };
            outgoing.messages.push(live.lock(lock)?);
            outgoing.incident = decision.reason.is_incident().then_some(Incident {
                incident_id,
                reason: decision.reason,
                decided_ms: now_ms,
                decision: *decision,
            });
        }
        if decision.suspect != self.suspect {
            self.suspect = decision.suspect;
            let suspect = Suspect { active: decision.suspect, state: decision.state, boot_ms: now_ms };
            outgoing.messages.push(live.suspect(suspect)?);
        }
        if !decision.cover && was_covered {
            outgoing.messages.push(live.unlock(Unlock { boot_ms: now_ms })?);
        }
        let told = |d: &Decision| (d.state, d.cover, d.asked);
        let changed = before.is_none_or(|before| told(&before) != told(decision));
        if changed || now_ms >= self.next_attest_ms {
            self.next_attest_ms = now_ms + live.timings().attestation_interval_ms;
            let recognised = live.in_force().recognises();
            outgoing.messages.push(live.attest(attestation(decision, recognised, now_ms))?);
        }
        Ok(outgoing)
    }
}

/// The message form of a decision; the nonce is filled in when it is signed.
fn attestation(decision: &Decision, recognised: bool, now_ms: u64) -> Attest {
    Attest {
        nonce: [0; 16],
        state: decision.state,
        cover: decision.cover,
        reason: decision.reason,
        operator_confirmed_age_ms: decision.operator_confirmed_age_ms,
        not_alone_ms: decision.not_alone_ms,
        undecided_ms: decision.undecided_ms,
        clear_ms: decision.clear_ms,
        frame_age_ms: decision.frame_age_ms,
        boot_ms: now_ms,
        dwell_ms: None,
        distance_band: None,
        facing: None,
        phone: decision.phone,
        assurance: Some(decision.liveness.number()),
        recognised: Some(recognised),
        asked: Some(decision.asked),
        suspect: Some(decision.suspect),
    }
}
