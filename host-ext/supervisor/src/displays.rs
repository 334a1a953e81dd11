//! Displays that appear: a session that cannot be guarded is ended, any other one is held and gets a guard.

use rustix::process::Pid;
use sudare_base::clock;

use crate::origin::{self, Origin};
use crate::plan::Event;
use crate::session::Session;
use crate::sockets;
use crate::supervisor::Supervisor;
use crate::target::{PrepareError, Target};

impl Supervisor {
    /// Looks for the processes behind sockets that appeared.
    pub(crate) fn look_again(&mut self) {
        let now_ms = clock::boot_ms();
        for (number, until_ms) in std::mem::take(&mut self.candidates) {
            let servers = sockets::servers(&self.options.x_sockets, number);
            if servers.is_empty() && now_ms < until_ms {
                self.candidates.insert(number, until_ms);
            }
            for server in servers {
                match origin::of(server) {
                    Ok(Some(origin)) => self.appeared(number, origin, now_ms),
                    Ok(None) => tracing::debug!(display = number, "not a display of xrdp: left alone"),
                    Err(error) => tracing::debug!(display = number, %error, "its server ended at once"),
                }
            }
        }
    }

    fn appeared(&mut self, number: u32, origin: Origin, now_ms: u64) {
        if let Some(known) = self.sessions.get(&number) {
            if known.origin.server.is_same() {
                let same = known.origin.server.pid == origin.server.pid;
                if !same {
                    tracing::warn!(
                        display = number,
                        "another process made a socket for this display: left alone"
                    );
                }
                return;
            }
            self.feed(Event::Gone { number }, now_ms);
        }
        if self.sessions.values().any(|s| s.origin.server.pid == origin.server.pid) {
            tracing::warn!(
                display = number,
                "a server that already has a display made another socket: left alone"
            );
            return;
        }
        if let Some(why) = self.refusal(&origin) {
            tracing::error!(display = number, "this session is ended: {why}");
            if let Err(error) = self.endings.end(&origin.server, now_ms) {
                tracing::error!(display = number, %error, "it could not be ended");
            }
            return;
        }
        let session = Session::hold(number, origin);
        let held = session.is_held();
        tracing::info!(display = number, held, "a session of xrdp began");
        self.sessions.insert(number, session);
        self.await_all(number);
        self.feed(Event::Appeared { number, held }, now_ms);
    }

    /// Why this session cannot be guarded, if it cannot.
    fn refusal(&self, origin: &Origin) -> Option<&'static str> {
        let uid = origin.server.real_uid();
        if !origin.is_exclusive() {
            return Some(
                "only Xorg with xorgxrdp shows it to one client at a time. Remove [Xvnc] and the like from xrdp.ini",
            );
        }
        if uid == 0 {
            return Some(
                "nothing can be guarded from root, its user. Set AllowRootLogin=false in sesman.ini",
            );
        }
        if uid == self.launcher.account.uid {
            return Some("guards run as its user. Nobody may log on as that user");
        }
        let is_full = self.sessions.len() >= self.options.max_sessions;
        is_full.then_some("there are too many. Raise max_sessions")
    }

    pub(crate) fn prepared(&mut self, number: u32, server: Pid, target: Result<Target, PrepareError>) {
        let Some(session) = self.sessions.get_mut(&number).filter(|s| s.origin.server.pid == server) else {
            return;
        };
        let Some(run) = session.prepared() else { return };
        match target {
            Ok(target) => {
                session.target = Some(target);
                self.start(number, run);
            }
            Err(error) => {
                tracing::error!(display = number, "no guard can be started: {error}");
                self.feed(Event::Ended { number, run }, clock::boot_ms());
            }
        }
    }
}
