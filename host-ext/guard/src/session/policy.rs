//! The policy of one session: the host's newest when the client opens the channel, and the next one when there is one.

use sudare_protocol::reason::Reason;
use sudare_protocol::records::{EvidenceDuty, Policy, Signed};
use sudare_protocol::seal::Recipients;

use super::Shared;
use super::driver::Session;
use super::link::End;
use crate::decision::Event;
use crate::transport::Action;

/// A policy, and its auditors.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) policy: Signed<Policy>,
    pub(super) recipients: Recipients,
}

impl Rules {
    pub(super) fn of(shared: &Shared) -> Self {
        Rules { policy: shared.policy.clone(), recipients: shared.recipients.clone() }
    }
}

impl Session {
    pub(super) fn evidence_is_required(&self) -> bool {
        self.rules.policy.record().evidence == EvidenceDuty::Required
    }

    /// The client begins anew, under the newest policy.
    pub(super) fn adopt_policy(&mut self) {
        self.is_renewing = false;
        let Some(policy) = self.newer_policy() else { return };
        match Shared::recipients_of(policy.record()) {
            Ok(recipients) => self.rules = Rules { policy, recipients },
            Err(error) => tracing::error!(%error, "a newer policy cannot be used; the one before it stays"),
        }
    }

    /// What was signed since this session began applies to it, too: the client is greeted again, while it is covered.
    pub(super) fn look_for_policy(&mut self, actions: &mut Vec<Action>) {
        if !matches!(self.end, End::Live(_)) || self.newer_policy().is_none() {
            return;
        }
        tracing::info!("there is a newer policy, under which this session begins anew");
        (self.end, self.is_renewing) = (End::Closed, true);
        self.decide(Event::LinkDown { reason: Reason::PolicyChanged }, actions);
        actions.push(Action::Reopen);
    }

    /// Only what is newer: nobody puts an old policy back.
    fn newer_policy(&self) -> Option<Signed<Policy>> {
        let newest = (self.shared.newest_policy)(self.now.wall_ms)?;
        let usable = newest.record().serial > self.rules.policy.record().serial
            && Shared::recipients_of(newest.record()).is_ok();
        usable.then_some(newest)
    }
}
