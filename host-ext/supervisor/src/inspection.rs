//! Looks for clients that must not be there: of a display without a guard, or sharing a display with another client.

use std::collections::BTreeSet;

use crate::clients::{self, Client};
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Disconnects every client of a display without a guard, and all clients that share one: only one of them can
    /// have proved anything.
    pub(crate) fn check_clients(&mut self, now_ms: u64) {
        let clients = match clients::clients() {
            Ok(clients) => clients,
            Err(error) => return self.cannot_look(&error),
        };
        self.audit_failed = false;
        let guarded = |client: &&Client| {
            let server = self.sessions.get(&client.display).map(|session| session.origin.server.pid);
            server.is_some_and(|server| client.leads_to(server))
        };
        let keys =
            |clients: &mut dyn Iterator<Item = &Client>| -> Vec<_> { clients.map(Client::key).collect() };
        let unguarded = keys(&mut clients.iter().filter(|client| !guarded(client)));
        let shared = keys(&mut clients::shared(&clients));
        let unguarded: BTreeSet<_> = self.audit.overdue(&unguarded, now_ms).into_iter().collect();
        let shared: BTreeSet<_> = self.shared.overdue(&shared, now_ms).into_iter().collect();
        for client in clients {
            let (number, key) = (client.display, client.key());
            let why = if unguarded.contains(&key) {
                "this display has no guard. `sudare-host doctor` tells which kinds of session can be guarded"
            } else if shared.contains(&key) {
                "more than one connection shows this display. Its user may connect again, once"
            } else {
                continue;
            };
            tracing::error!(display = number, "disconnected: {why}");
            if let Err(error) = self.endings.end_by(client.handle(), now_ms) {
                tracing::error!(display = number, %error, "a connection that must end could not be ended");
            }
        }
    }

    /// Logs once that inspections fail, until one succeeds.
    pub(crate) fn cannot_look(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.audit_failed, true) {
            tracing::error!(%error, "xrdp's connections cannot be inspected. Root needs CAP_SYS_PTRACE");
        }
    }
}
