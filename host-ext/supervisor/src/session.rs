//! One session: its processes, its hold, its guard.

use std::io;
use std::sync::mpsc::SyncSender;

use crate::guards::{Guard, Launcher};
use crate::hold::Hold;
use crate::inbox::Inbox;
use crate::origin::Origin;
use crate::prepare;
use crate::target::Target;

#[derive(Debug)]
pub(crate) struct Session {
    number: u32,
    pub(crate) origin: Origin,
    /// What a guard must be told, once that is known.
    pub(crate) target: Option<Target>,
    hold: Hold,
    guard: Option<Guard>,
    /// A run that was ordered and has no process yet.
    wanted: Option<u64>,
    preparing: bool,
    /// That run will never get a process.
    failed: bool,
}

impl Session {
    /// Holds the user's code, if it has not begun.
    pub(crate) fn hold(number: u32, origin: Origin) -> Self {
        let hold = Hold::place(&origin).unwrap_or_else(|error| {
            tracing::warn!(display = number, %error, "the session could not be held before it began");
            Hold::default()
        });
        let (guard, wanted, target) = (None, None, None);
        Session { number, origin, target, hold, guard, wanted, preparing: false, failed: false }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.hold.holds()
    }

    pub(crate) fn release(&mut self) {
        std::mem::take(&mut self.hold).release();
    }

    /// Starts the guard of this run; first finds out what it must be told, if that is not known yet.
    pub(crate) fn start(
        &mut self,
        run: u64,
        launcher: &Launcher,
        inbox: &SyncSender<Inbox>,
    ) -> io::Result<()> {
        (self.wanted, self.failed) = (Some(run), false);
        let done = match &self.target {
            Some(target) => launcher.start(target, run, inbox.clone()).map(|guard| {
                self.wanted = None;
                self.guard = Some(guard);
            }),
            None if self.preparing => Ok(()),
            None => self.prepare(inbox.clone()),
        };
        self.failed = done.is_err();
        done
    }

    fn prepare(&mut self, inbox: SyncSender<Inbox>) -> io::Result<()> {
        let (number, origin) = (self.number, self.origin.clone());
        std::thread::Builder::new().name(format!("prepare {number}")).spawn(move || {
            let target = Box::new(prepare::target(number, &origin));
            // The inbox is closed once the supervisor has ended, and the result is no longer needed.
            drop(inbox.send(Inbox::Prepared { number, server: origin.server.pid, target }));
        })?;
        self.preparing = true;
        Ok(())
    }

    /// Ends the preparation and returns the run that waited for it.
    pub(crate) fn prepared(&mut self) -> Option<u64> {
        self.preparing = false;
        self.wanted.take()
    }

    /// The run of the guard, if it has one.
    pub(crate) fn run(&self) -> Option<u64> {
        self.guard.as_ref().map(|guard| guard.run)
    }

    /// Orders the guard to cover until `go_on`.
    pub(crate) fn cover(&mut self, ticket: u64) {
        self.order("cover", ticket);
    }

    /// Lets the guard decide for itself again, unless it got a newer order to cover.
    pub(crate) fn go_on(&mut self, ticket: u64) {
        self.order("go-on", ticket);
    }

    fn order(&mut self, order: &str, ticket: u64) {
        if let Some(guard) = &mut self.guard {
            guard.order(order, ticket);
        }
    }

    pub(crate) fn kill(&mut self, run: u64) {
        if self.wanted == Some(run) {
            self.failed = true;
        }
        if let Some(guard) = self.guard.as_mut().filter(|guard| guard.run == run) {
            guard.kill();
        }
    }

    /// The run that ended since the last call, and how.
    pub(crate) fn ended(&mut self) -> Option<(u64, String)> {
        if self.failed
            && let Some(run) = self.wanted.take()
        {
            self.failed = false;
            return Some((run, "it never started".into()));
        }
        let guard = self.guard.as_mut()?;
        let how = guard.ended()?;
        let run = guard.run;
        self.guard = None;
        Some((run, how))
    }

    /// The session is over: held processes continue, so that they can end, and the guard may finish.
    pub(crate) fn end(self) -> Option<Guard> {
        self.hold.release();
        self.guard
    }

    /// The supervisor ends: held processes wait for the next one.
    pub(crate) fn leave(self) -> Option<Guard> {
        self.guard
    }
}
