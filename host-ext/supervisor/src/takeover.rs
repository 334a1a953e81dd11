//! What the supervisor does about sign-ins: [`crate::sign_in`] and [`crate::arrivals`] decide, the
//! guards are told, and who had time enough is disconnected.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use sudare_base::clock;

use crate::clients;
use crate::session::Session;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Has the guards of this user cover. A session whose code has not begun shows nothing; one that
    /// began and has no guard now cannot be covered, so nobody signs in.
    pub(crate) fn sign_in(&mut self, uid: u32, answer: SyncSender<()>) {
        let theirs: Vec<(&u32, &Session)> =
            self.sessions.iter().filter(|(_, s)| s.origin.server.real_uid() == uid).collect();
        if let Some((number, _)) = theirs.iter().find(|(_, s)| s.run().is_none() && !s.is_held()) {
            tracing::warn!(display = number, "somebody signs in whose session has no guard just now");
            return;
        }
        let guards: BTreeSet<_> =
            theirs.iter().filter_map(|(number, s)| Some((**number, s.run()?))).collect();
        let displays: Vec<u32> = theirs.into_iter().map(|(number, _)| *number).collect();
        if displays.is_empty() {
            answer.try_send(()).ok();
            return;
        }
        // sesman waits for PAM, so whoever asks still has its connection. Whoever is not known cannot be
        // awaited: dropping the answer refuses.
        let askers = match clients::asking() {
            Ok(askers) => askers,
            Err(error) => return self.cannot_look(&error),
        };
        tracing::info!(
            sessions = displays.len(),
            "somebody signs in whose session runs: it is being covered"
        );
        let ticket = self.sign_ins.begin(guards, answer).unwrap_or_else(|(ticket, answer)| {
            answer.try_send(()).ok();
            ticket
        });
        for number in displays {
            self.cover(number, ticket, &askers);
        }
    }

    /// A session's display was made, or found by a supervisor that has just started: whoever has sesman's
    /// word for it, or for one of that number before, may still come.
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

    /// Ends connections that were let in and do not come; lets guards go on when nobody is to come.
    pub(crate) fn await_arrivals(&mut self, now_ms: u64) {
        let due = self.arrivals.tick(now_ms);
        for (number, late) in due.late {
            let pid = late.pid().as_raw_pid();
            tracing::error!(
                display = number,
                pid,
                "disconnected: it has had sesman's answer and did not come to a session in time"
            );
            if let Err(error) = self.endings.end_by(late.handle(), now_ms) {
                tracing::error!(pid, %error, "a connection that must end could not be ended; tried again");
            }
        }
        for (number, ticket) in due.over {
            if let Some(session) = self.sessions.get_mut(&number) {
                session.go_on(ticket);
            }
        }
    }
}
