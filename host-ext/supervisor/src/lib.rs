//! The root supervisor: notices each xrdp display the moment it appears, starts a guard for it under
//! the system user, and disconnects whoever looks while the guard cannot confirm.
//!
//! ```text
//!  sockets (inotify) ─► origin: is it xrdp's? ─► hold: the user's code waits
//!                                    │
//!         prepare: user, X cookie ◄──┤            plan (pure): beats and times in, actions out
//!                      │             ▼                 ▲  │
//!                   guards ──► guard process ── beats ─┘  ├─► release, start again, kill
//!                                                         └─► ending: disconnect xrdp's client
//!  audit: whoever is attached to a display without a guard is disconnected, however it came about
//! ```
//! What users can reach is taken for a lie until the kernel says otherwise: sockets in /tmp, names
//! and arguments of processes, authority files. Uids, parents and owners of programs are the
//! kernel's word. The supervisor itself holds no key, draws nothing and keeps no evidence.
//!
//! Who signs in at xrdp waits until the user's sessions are covered ([`sign_in`]), and they stay so
//! until whoever was let in is there ([`arrivals`]).
//!
//! When it ends, its guards cover and end, and their blankers keep the cover; its successor finds
//! the displays again. One thread decides and never waits for anything a user controls.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

mod arrivals;
mod audit;
mod clients;
mod ending;
pub mod guard_program;
mod guards;
mod hold;
mod inbox;
mod line;
pub mod lock;
mod origin;
mod plan;
mod prepare;
mod process;
mod session;
pub mod sign_in;
pub mod sockets;
pub mod syslog;
mod takeover;
mod target;
mod xauthority;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rustix::process::Pid;
use sudare_base::accounts::{AccountError, GuardAccount};
use sudare_base::{BUILD, clock};

use arrivals::Arrivals;
use audit::Audit;
use ending::{Endings, Outcome};
use guards::{Guard, Launcher};
use inbox::{Inbox, Words};
use line::Line;
use lock::{Lock, LockError};
use origin::Origin;
use plan::{Action, Event, Plan, Why};
use session::Session;
use sign_in::{SignInError, SignIns};
use sockets::{SocketError, Watch};
use target::{PrepareError, Target};

/// How often time is looked at.
const TICK_MS: u64 = 50;
/// While a socket is there that nobody listens on yet: servers make the one just before the other.
const EAGER_MS: u64 = 5;
const EAGER_FOR_MS: u64 = 2_000;
/// Sockets without a listener that are looked at again; the audit finds what is dropped.
const CANDIDATES_MAX: usize = 1_024;
const AUDIT_EVERY_MS: u64 = 250;
const INBOX_MAX: usize = 4_096;
/// Messages are handled for so long before sockets and time are looked at again: who floods the inbox
/// must not keep a new session from being held.
const BATCH_MS: u64 = 20;
/// What a guard may take to write its last evidence after its display ended.
const LEAVE_MS: u64 = 10_000;
/// What guards may take when the supervisor is told to end; systemd waits longer.
const STOP_MS: u64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    #[error(
        "the supervisor must run as root: it starts guards under another user and ends connections of xrdp. Start the service sudare-supervisor, or use sudo"
    )]
    NotRoot,
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Sockets(#[from] SocketError),
    #[error(transparent)]
    SignIns(#[from] SignInError),
    #[error("a thread could not be started: {0}. See whether the machine is out of memory or processes")]
    Thread(std::io::Error),
}

/// What the supervisor runs with.
#[derive(Debug)]
pub struct Options {
    /// The guards' program; see [`guard_program`].
    pub guard_program: PathBuf,
    /// Settings that the guards read, too.
    pub config: Option<PathBuf>,
    pub run_as: String,
    pub xrdp_group: String,
    pub run_dir: PathBuf,
    pub x_sockets: PathBuf,
    pub max_sessions: usize,
}

/// Tells a running supervisor to end.
#[derive(Debug, Clone)]
pub struct Stopper(SyncSender<Inbox>);

impl Stopper {
    pub fn stop(&self) {
        // A full inbox is being emptied; a closed one has stopped already.
        while let Err(TrySendError::Full(_)) = self.0.try_send(Inbox::Stop) {
            std::thread::sleep(Duration::from_millis(TICK_MS));
        }
    }
}

/// A supervisor that is ready to run.
#[derive(Debug)]
pub struct Supervisor {
    options: Options,
    launcher: Launcher,
    _lock: Lock,
    inbox: Receiver<Inbox>,
    sender: SyncSender<Inbox>,
    plan: Plan,
    sessions: BTreeMap<u32, Session>,
    /// Guards whose display is gone, and until when they may stay.
    leaving: Vec<(Guard, u64)>,
    /// Sockets that nobody listens on yet, and until when they are looked at.
    candidates: BTreeMap<u32, u64>,
    endings: Endings,
    sign_ins: SignIns<SyncSender<()>>,
    arrivals: Arrivals<clients::Asking>,
    audit: Audit,
    /// Connections that share a display with another one.
    shared: Audit,
    audited_ms: u64,
    audit_failed: bool,
}

impl Supervisor {
    pub fn new(options: Options) -> Result<Self, SuperviseError> {
        if !rustix::process::geteuid().is_root() {
            return Err(SuperviseError::NotRoot);
        }
        let account = GuardAccount::find(&options.run_as, &options.xrdp_group)?;
        let lock = Lock::take(&options.run_dir)?;
        // Watched first, listed afterwards: what comes between is told twice rather than never.
        let watch = Watch::new(&options.x_sockets)?;
        let (sender, inbox) = sync_channel(INBOX_MAX);
        let launcher =
            Launcher { program: options.guard_program.clone(), account, config: options.config.clone() };
        let candidates = watch.present()?.into_iter().map(|number| (number, 0)).collect();
        let out = sender.clone();
        let told = move || watch_sockets(&watch, &out);
        std::thread::Builder::new().name("x sockets".into()).spawn(told).map_err(SuperviseError::Thread)?;
        sign_in::open(&options.run_dir, sender.clone())?;
        Ok(Supervisor {
            options,
            launcher,
            _lock: lock,
            inbox,
            sender,
            plan: Plan::default(),
            sessions: BTreeMap::new(),
            leaving: Vec::new(),
            candidates,
            endings: Endings::default(),
            sign_ins: SignIns::default(),
            arrivals: Arrivals::default(),
            audit: Audit::default(),
            shared: Audit::default(),
            audited_ms: 0,
            audit_failed: false,
        })
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Runs until it is stopped, or until displays can no longer be noticed.
    pub fn run(mut self) -> Result<(), SuperviseError> {
        tracing::info!("watching {} for displays of xrdp sessions", self.options.x_sockets.display());
        let mut ticked_ms = 0;
        // Before the first question of PAM: a session that is not known is not covered.
        self.look_again();
        let end = loop {
            let wait_ms = if self.candidates.is_empty() { TICK_MS } else { EAGER_MS };
            let mut next = self.inbox.recv_timeout(Duration::from_millis(wait_ms)).ok();
            let mut end = None;
            let until_ms = clock::boot_ms().saturating_add(BATCH_MS);
            while let Some(message) = next {
                end = end.or(self.message(message));
                // What is taken out must be handled, so it is not taken out any more.
                next = if clock::boot_ms() < until_ms { self.inbox.try_recv().ok() } else { None };
            }
            if let Some(end) = end {
                break end;
            }
            self.look_again();
            let now_ms = clock::boot_ms();
            if now_ms.saturating_sub(ticked_ms) >= TICK_MS {
                ticked_ms = now_ms;
                self.tick(now_ms);
            }
        };
        self.leave();
        end
    }

    /// Handles a message; the answer is the end.
    fn message(&mut self, message: Inbox) -> Option<Result<(), SuperviseError>> {
        match message {
            Inbox::Sockets(displays) => {
                let until_ms = clock::boot_ms().saturating_add(EAGER_FOR_MS);
                self.candidates.extend(displays.into_iter().map(|number| (number, until_ms)));
                while self.candidates.len() > CANDIDATES_MAX {
                    self.candidates.pop_last();
                }
            }
            Inbox::Broken(error) => return Some(Err(error.into())),
            Inbox::Prepared { number, server, target } => self.prepared(number, server, *target),
            Inbox::Guard { number, run, at_ms, words } => match words {
                Words::Line(Line::Covered(ticket)) => {
                    if let Some(answer) = self.sign_ins.covered((number, run), ticket) {
                        // Closed: it took too long, and whoever asked was refused.
                        answer.try_send(()).ok();
                    }
                }
                Words::Line(line) => self.feed(Event::Said { number, run, line }, at_ms),
                Words::Babble => {
                    tracing::error!(display = number, "the guard says what no guard of this build says");
                    self.feed(Event::Babbled { number, run }, at_ms);
                }
                Words::OtherBuild => {
                    tracing::error!(
                        display = number,
                        "the guard is not of the supervisor's build ({BUILD}). Install both from one build and restart sudare-supervisor"
                    );
                    self.feed(Event::Babbled { number, run }, at_ms);
                }
                Words::End => self.reap(clock::boot_ms()),
            },
            Inbox::SignIn { uid, answer } => self.sign_in(uid, answer),
            Inbox::Stop => return Some(Ok(())),
        }
        None
    }

    /// Asks who is behind sockets that appeared.
    fn look_again(&mut self) {
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
                "a server that has a display already made one more socket: left alone"
            );
            return;
        }
        let uid = origin.server.real_uid();
        let refused = if !origin.is_exclusive() {
            Some(
                "only Xorg with xorgxrdp shows it to one client at a time. Remove [Xvnc] and the like from xrdp.ini",
            )
        } else if uid == 0 {
            Some("it is root's own, from whom nothing can be guarded. Set AllowRootLogin=false in sesman.ini")
        } else if uid == self.launcher.account.uid {
            Some("its user is the one that guards run as. Nobody may log on as that user")
        } else if self.sessions.len() >= self.options.max_sessions {
            Some("there are too many. Raise max_sessions")
        } else {
            None
        };
        if let Some(why) = refused {
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

    fn prepared(&mut self, number: u32, server: Pid, target: Result<Target, PrepareError>) {
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

    fn feed(&mut self, event: Event, now_ms: u64) {
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

    fn start(&mut self, number: u32, run: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        if let Err(error) = session.start(run, &self.launcher, &self.sender) {
            tracing::error!(display = number, %error, "the guard could not be started. See whether the program is in its place");
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

    fn tick(&mut self, now_ms: u64) {
        self.reap(now_ms);
        let gone: Vec<u32> =
            self.sessions.iter().filter(|(_, s)| !s.origin.server.is_same()).map(|(&d, _)| d).collect();
        for number in gone {
            self.feed(Event::Gone { number }, now_ms);
        }
        self.feed(Event::Tick, now_ms);
        self.await_arrivals(now_ms);
        self.endings.tick(now_ms);
        self.leaving.retain_mut(|(guard, until_ms)| {
            if now_ms >= *until_ms {
                guard.kill();
            }
            guard.ended().is_none()
        });
        if now_ms.saturating_sub(self.audited_ms) >= AUDIT_EVERY_MS {
            self.audited_ms = now_ms;
            self.check_clients(now_ms);
        }
    }

    /// Notices guards that ended.
    fn reap(&mut self, now_ms: u64) {
        let ended: Vec<_> = self
            .sessions
            .iter_mut()
            .filter_map(|(&d, s)| s.ended().map(|(run, how)| (d, run, how)))
            .collect();
        for (number, run, how) in ended {
            tracing::error!(display = number, "the guard ended: {how}");
            self.feed(Event::Ended { number, run }, now_ms);
        }
    }

    /// Disconnects whoever is attached to a display that nobody guards, and whoever shares one: only
    /// one of them can have proved anything.
    fn check_clients(&mut self, now_ms: u64) {
        let clients = match clients::clients() {
            Ok(clients) => clients,
            Err(error) => return self.cannot_look(&error),
        };
        self.audit_failed = false;
        let guarded = |client: &&clients::Client| {
            let server = self.sessions.get(&client.display).map(|session| session.origin.server.pid);
            server.is_some_and(|server| client.leads_to(server))
        };
        let keys = |clients: &mut dyn Iterator<Item = &clients::Client>| -> Vec<_> {
            clients.map(clients::Client::key).collect()
        };
        let unguarded = keys(&mut clients.iter().filter(|client| !guarded(client)));
        let shared = keys(&mut clients::shared(&clients));
        let unguarded: BTreeSet<_> = self.audit.overdue(&unguarded, now_ms).into_iter().collect();
        let shared: BTreeSet<_> = self.shared.overdue(&shared, now_ms).into_iter().collect();
        for client in clients {
            let (number, key) = (client.display, client.key());
            let why = if unguarded.contains(&key) {
                "this display has no guard. doctor tells which kinds of session can be guarded"
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

    fn cannot_look(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.audit_failed, true) {
            tracing::error!(%error, "xrdp's connections cannot be looked at. Root needs CAP_SYS_PTRACE");
        }
    }

    /// Lets the guards cover and end. Sessions that are held stay so for the successor.
    fn leave(&mut self) {
        tracing::info!(sessions = self.sessions.len(), "ending; what is covered stays covered");
        let mut guards: Vec<Guard> =
            std::mem::take(&mut self.sessions).into_values().filter_map(Session::leave).collect();
        guards.extend(std::mem::take(&mut self.leaving).into_iter().map(|(guard, _)| guard));
        guards.iter_mut().for_each(Guard::dismiss);
        let until_ms = clock::boot_ms().saturating_add(STOP_MS);
        while clock::boot_ms() < until_ms && !guards.is_empty() {
            // Their last words must not fill a pipe.
            while self.inbox.try_recv().is_ok() {}
            guards.retain_mut(|guard| guard.ended().is_none());
            std::thread::sleep(Duration::from_millis(TICK_MS));
        }
        guards.iter_mut().for_each(Guard::kill);
    }
}

fn watch_sockets(watch: &Watch, out: &SyncSender<Inbox>) {
    loop {
        let (message, last) = match watch.wait() {
            Ok(displays) => (Inbox::Sockets(displays), false),
            Err(error) => (Inbox::Broken(error), true),
        };
        if out.send(message).is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod stage;
