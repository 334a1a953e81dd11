//! The thread that decides: its state, its loop, and how it ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use sudare_base::accounts::{AccountError, GuardAccount};
use sudare_base::{BUILD, clock};

use crate::arrivals::Arrivals;
use crate::audit::Audit;
use crate::clients::Asking;
use crate::ending::Endings;
use crate::guards::{Guard, Launcher};
use crate::inbox::{Inbox, Output};
use crate::line::Line;
use crate::lock::{Lock, LockError};
use crate::plan::{Event, Plan};
use crate::session::Session;
use crate::sign_in::{self, SignInError};
use crate::sign_ins::SignIns;
use crate::sockets::{SocketError, Watch};

/// How often timeouts are checked.
const TICK_MS: u64 = 50;
/// The same while a socket exists on which nobody listens yet: an X server makes it just before it listens.
const EAGER_MS: u64 = 5;
const EAGER_FOR_MS: u64 = 2_000;
/// Sockets without a listener that are looked at again; an inspection finds the clients of dropped ones.
const CANDIDATES_MAX: usize = 1_024;
const INSPECT_EVERY_MS: u64 = 250;
const INBOX_MAX: usize = 4_096;
/// How long messages are handled before sockets and timeouts are checked again: a flood of messages must not keep a
/// new session from being held.
const BATCH_MS: u64 = 20;
/// How long guards may take to end when the supervisor is told to; systemd waits longer.
const STOP_MS: u64 = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    #[error(
        "the supervisor must run as root to start guards under another user and to end connections of xrdp. Start the service sudare-supervisor, or use sudo"
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
    #[error(
        "a thread could not be started: {0}. Check whether the machine has run out of memory or processes"
    )]
    Thread(std::io::Error),
}

/// What the supervisor runs with.
#[derive(Debug)]
pub struct Options {
    /// The guards' program; see [`crate::guard_program`].
    pub guard_program: PathBuf,
    /// The settings file, which the guards read too.
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
    pub(crate) options: Options,
    pub(crate) launcher: Launcher,
    _lock: Lock,
    inbox: Receiver<Inbox>,
    pub(crate) sender: SyncSender<Inbox>,
    pub(crate) plan: Plan,
    pub(crate) sessions: BTreeMap<u32, Session>,
    /// Guards whose display ended, and until when they may run.
    pub(crate) leaving: Vec<(Guard, u64)>,
    /// Sockets on which nobody listens yet, and until when they are looked at.
    pub(crate) candidates: BTreeMap<u32, u64>,
    pub(crate) endings: Endings,
    pub(crate) sign_ins: SignIns<SyncSender<()>>,
    pub(crate) arrivals: Arrivals<Asking>,
    pub(crate) audit: Audit,
    /// For connections that share a display.
    pub(crate) shared: Audit,
    inspected_ms: u64,
    pub(crate) audit_failed: bool,
}

impl Supervisor {
    pub fn new(options: Options) -> Result<Self, SupervisorError> {
        if !rustix::process::geteuid().is_root() {
            return Err(SupervisorError::NotRoot);
        }
        let account = GuardAccount::find(&options.run_as, &options.xrdp_group)?;
        let lock = Lock::take(&options.run_dir)?;
        // Watched first, listed afterwards: a socket that appears in between is seen twice rather than never.
        let watch = Watch::new(&options.x_sockets)?;
        let (sender, inbox) = sync_channel(INBOX_MAX);
        let launcher =
            Launcher { program: options.guard_program.clone(), account, config: options.config.clone() };
        let candidates = watch.present()?.into_iter().map(|number| (number, 0)).collect();
        let out = sender.clone();
        let watching = move || watch_sockets(&watch, &out);
        std::thread::Builder::new()
            .name("x sockets".into())
            .spawn(watching)
            .map_err(SupervisorError::Thread)?;
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
            inspected_ms: 0,
            audit_failed: false,
        })
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Runs until it is stopped, or until new displays can no longer be noticed.
    pub fn run(mut self) -> Result<(), SupervisorError> {
        tracing::info!("watching {} for displays of xrdp sessions", self.options.x_sockets.display());
        let mut ticked_ms = 0;
        // Before the first question of PAM: an unknown session would not be covered.
        self.look_again();
        let end = loop {
            let wait_ms = if self.candidates.is_empty() { TICK_MS } else { EAGER_MS };
            let mut next = self.inbox.recv_timeout(Duration::from_millis(wait_ms)).ok();
            let mut end = None;
            let until_ms = clock::boot_ms().saturating_add(BATCH_MS);
            while let Some(message) = next {
                end = end.or(self.message(message));
                // A received message must be handled, so nothing is received once the time is over.
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

    /// Handles a message; the result is set if the supervisor must end.
    fn message(&mut self, message: Inbox) -> Option<Result<(), SupervisorError>> {
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
            Inbox::Guard { number, run, at_ms, output } => match output {
                Output::Line(Line::Covered(ticket)) => {
                    if let Some(answer) = self.sign_ins.covered((number, run), ticket) {
                        // Closed if that took too long and the sign-in was refused.
                        answer.try_send(()).ok();
                    }
                }
                Output::Line(line) => self.feed(Event::Said { number, run, line }, at_ms),
                Output::Babble => {
                    tracing::error!(display = number, "the guard says what no guard of this version says");
                    self.feed(Event::Babbled { number, run }, at_ms);
                }
                Output::OtherBuild => {
                    tracing::error!(
                        display = number,
                        "the guard is not of the supervisor's build ({BUILD}). Install both from one build and restart sudare-supervisor"
                    );
                    self.feed(Event::Babbled { number, run }, at_ms);
                }
                Output::End => self.reap(clock::boot_ms()),
            },
            Inbox::SignIn { uid, answer } => self.sign_in(uid, answer),
            Inbox::Stop => return Some(Ok(())),
        }
        None
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
        if now_ms.saturating_sub(self.inspected_ms) >= INSPECT_EVERY_MS {
            self.inspected_ms = now_ms;
            self.check_clients(now_ms);
        }
    }

    /// Reports guards that ended to the plan.
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

    /// Lets the guards cover and end. Held sessions stay held for the next supervisor.
    fn leave(&mut self) {
        tracing::info!(sessions = self.sessions.len(), "ending; what is covered stays covered");
        let mut guards: Vec<Guard> =
            std::mem::take(&mut self.sessions).into_values().filter_map(Session::leave).collect();
        guards.extend(std::mem::take(&mut self.leaving).into_iter().map(|(guard, _)| guard));
        guards.iter_mut().for_each(Guard::dismiss);
        let until_ms = clock::boot_ms().saturating_add(STOP_MS);
        while clock::boot_ms() < until_ms && !guards.is_empty() {
            // Their last lines must not fill a pipe.
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
