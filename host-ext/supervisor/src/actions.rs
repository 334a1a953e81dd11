//! Carries out what the plan decides.

use crate::ending::Outcome;
use crate::plan::{Action, Event, Why};
use crate::session::Session;
use crate::supervisor::Supervisor;

/// How long a guard may take to write its last evidence after its display ended.
const LEAVE_MS: u64 = 10_000;

impl Supervisor {
    pub(crate) fn feed(&mut self, event: Event, now_ms: u64) {
        for action in self.plan.handle(event, now_ms) {
            self.act(action, now_ms);
        }
    }

    fn act(&mut self, action: Action, now_ms: u64) {
        match action {
            Action::Start { number, run } => self.start(number, run),
            Action::Kill { number, run } => {
                tracing::error!(display = number, "the guard hangs or cannot be trusted, and is ended");
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.kill(run);
                }
            }
            Action::Disconnect { number, why } => self.disconnect(number, &why, now_ms),
            Action::Release { number } => {
                tracing::info!(display = number, "covered: the session may begin");
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.release();
                }
            }
            Action::Forget { number } => {
                tracing::info!(display = number, "the session ended");
                self.arrivals.forget(number);
                if let Some(mut guard) = self.sessions.remove(&number).and_then(Session::end) {
                    guard.dismiss();
                    self.leaving.push((guard, now_ms.saturating_add(LEAVE_MS)));
                }
            }
        }
    }

    pub(crate) fn start(&mut self, number: u32, run: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if let Err(error) = session.start(run, &self.launcher, &self.sender) {
            tracing::error!(
                display = number,
                %error,
                "the guard could not be started. Check that sudare-guard is installed beside sudare-supervisor"
            );
        }
        if let Some(ticket) = self.arrivals.ticket(number) {
            session.cover(ticket);
        }
    }

    fn disconnect(&mut self, number: u32, why: &Why, now_ms: u64) {
        let Some(session) = self.sessions.get(&number) else { return };
        let reason = match why {
            Why::Silent => "the guard says nothing",
            Why::Unconfirmed => "the cover cannot be confirmed",
            Why::Failing => "the guard failed too often",
            Why::Asked(text) => text,
        };
        match self.endings.disconnect(number, &session.origin.server, now_ms) {
            Outcome::Disconnected(clients) => {
                tracing::error!(display = number, clients, "disconnected: {reason}");
            }
            Outcome::Nobody | Outcome::Unknown => {
                tracing::debug!(display = number, "nobody to disconnect: {reason}");
            }
            Outcome::SessionEnded => tracing::error!(display = number, "session ended: {reason}"),
        }
    }
}
