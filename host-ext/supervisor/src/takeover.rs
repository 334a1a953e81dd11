//! Carries out sign-ins: [`crate::sign_ins`] and [`crate::arrivals`] decide, guards get their orders, and connections
//! that are late are disconnected.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use sudare_base::clock;

use crate::clients;
use crate::session::Session;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Orders the guards of this user to cover. A session whose code has not begun shows nothing. A session that has
    /// begun and has no guard at the moment cannot be covered, so the sign-in is refused.
    pub(crate) fn sign_in(&mut self, uid: u32, answer: SyncSender<()>) {
        let theirs: Vec<(&u32, &Session)> =
            self.sessions.iter().filter(|(_, s)| s.origin.server.real_uid() == uid).collect();
        if let Some((number, _)) = theirs.iter().find(|(_, s)| s.run().is_none() && !s.is_held()) {
            tracing::warn!(display = number, "a user signs in whose session has no guard at the moment");
            return;
        }
        let guards: BTreeSet<_> =
            theirs.iter().filter_map(|(number, s)| Some((**number, s.run()?))).collect();
        let displays: Vec<u32> = theirs.into_iter().map(|(number, _)| *number).collect();
        if displays.is_empty() {
            answer.try_send(()).ok();
            return;
        }
        // sesman waits for PAM, so the connection that signs in still exists. An unknown one cannot be awaited:
        // dropping `answer` refuses.
        let askers = match clients::asking() {
            Ok(askers) => askers,
            Err(error) => return self.cannot_look(&error),
        };
        tracing::info!(
            sessions = displays.len(),
            "a user signs in to a running session, which is being covered"
        );
        let ticket = self.sign_ins.begin(guards, answer).unwrap_or_else(|(ticket, answer)| {
            answer.try_send(()).ok();
            ticket
        });
        for number in displays {
            self.cover(number, ticket, &askers);
        }
    }

    /// A display appeared, or was found by a supervisor that has just started: a connection with sesman's answer for
    /// it, or for an earlier display with that number, may still attach.
    pub(crate) fn await_all(&mut self, number: u32) {
        let askers = match clients::asking() {
            Ok(askers) if askers.is_empty() => return,
            Ok(askers) => askers,
            Err(error) => {
                self.cannot_look(&error);
                Vec::new()
            }
        };
        let ticket = self.sign_ins.ticket();
        self.cover(number, ticket, &askers);
    }

    fn cover(&mut self, number: u32, ticket: u64, askers: &[Arc<clients::Asking>]) {
        self.arrivals.begin(number, ticket, askers, clock::boot_ms());
        if let Some(session) = self.sessions.get_mut(&number) {
            session.cover(ticket);
        }
    }

    /// Ends connections that were let in and did not attach; lets guards go on when no connection is awaited.
    pub(crate) fn await_arrivals(&mut self, now_ms: u64) {
        let due = self.arrivals.tick(now_ms);
        for (number, late) in due.late {
            let pid = late.pid().as_raw_pid();
            tracing::error!(
                display = number,
                pid,
                "disconnected: it had sesman's answer and did not attach to a session in time"
            );
            if let Err(error) = self.endings.end_by(late.handle(), now_ms) {
                tracing::error!(pid, %error, "a connection that must end could not be ended, and will be tried again");
            }
        }
        for (number, ticket) in due.over {
            if let Some(session) = self.sessions.get_mut(&number) {
                session.go_on(ticket);
            }
        }
    }
}
