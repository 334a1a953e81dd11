//! What an authenticated client says: for the decision, and for the log where it matters later.

use sudare_protocol::error::Refusal;
use sudare_protocol::host::ClientNews;
use sudare_protocol::message::Lock;
use sudare_protocol::reason::Reason;

use super::driver::Session;
use super::evidence::What;
use super::rate_limit::{MESSAGE_COSTS, pictures_cost};
use crate::decision::Event;
use crate::transport::Action;

impl Session {
    pub(super) fn news(&mut self, news: ClientNews, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let now_ms = self.now.boot_ms;
        let event = match news {
            ClientNews::Attested(attested) => {
                let nonce_age_ms = now_ms.saturating_sub(attested.nonce_issued_ms);
                let ended = self.rollup.attested(attested.attest.state, nonce_age_ms, now_ms);
                self.keep_rollup(ended);
                Event::Attested(attested)
            }
            ClientNews::Lit(lit) => Event::Lit(lit),
            // Not logged: a suspicion that comes to nothing is nobody's business.
            ClientNews::Suspect(suspect) => Event::Suspect(suspect),
            ClientNews::Lock { lock, message } => return self.locked(lock, message, actions),
            ClientNews::Unlock { message } => return self.unlocked(message, actions),
            ClientNews::Announced { .. } => return Ok(()),
            ClientNews::Evidence(complete) => {
                // At most what is already on its way follows: the client has no more credit.
                self.pictures_limit.charge(pictures_cost(complete.message.len()), now_ms);
                let incident_id = self.incident_ids.ours(complete.manifest.incident_id);
                self.keep(Some(incident_id), What::Pictures { complete, reply: self.acks.0.clone() });
                return Ok(());
            }
            // An orderly end: covered, but nothing happened.
            ClientNews::Bye => Event::LinkDown { reason: Reason::NoClient },
        };
        self.decide(event, actions);
        Ok(())
    }

    /// Covers first and records afterwards; the record names the incident that it belongs to. The same
    /// lock again is not recorded: it changes nothing.
    fn locked(&mut self, lock: Lock, message: Vec<u8>, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let before = self.decider.latch();
        let incident_id = match self.incident_ids.accept(lock.incident_id, &self.session_id) {
            true => lock.incident_id,
            false => self.shared.random.fresh().unwrap_or_default(),
        };
        self.decide(Event::Lock(Lock { incident_id, ..lock }), actions);
        let incident_id = self.decider.incident_id();
        if let Some(ours) = incident_id {
            self.incident_ids.alias(lock.incident_id, ours);
        }
        if self.decider.latch() == before {
            return Ok(());
        }
        self.spend(MESSAGE_COSTS)?;
        let pictures_due = lock.reason.is_incident() && incident_id.is_some();
        self.keep(incident_id, What::ClientMessage { message, pictures_due });
        Ok(())
    }

    /// Recorded before the desktop is shown, if there was a lock.
    fn unlocked(&mut self, message: Vec<u8>, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if self.decider.latch().is_some() {
            self.spend(MESSAGE_COSTS)?;
            self.keep(None, What::ClientMessage { message, pictures_due: false });
        }
        self.decide(Event::Unlock, actions);
        Ok(())
    }
}
