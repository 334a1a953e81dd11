//! The loop: guard and X server in, replies and windows out.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sudare_blanker::wire::{Reply, Request};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::rust_connection::RustConnection;

use crate::blanker::Blanker;
use crate::cover::{Cover, Step};
use crate::display::{Address, Display};
use crate::error::BlankerError;
use crate::link::Link;
use crate::{output, preflight, start};

/// The health check while covered.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same while the guard waits for `Covered`.
const AWAITED_LOOK_EVERY: Duration = Duration::from_millis(5);
/// Events answered in one go; the rest follows, after the guard was heard.
const EVENTS_MAX: usize = 1024;

/// Covers a display until it ends.
pub(crate) fn run(server_pid: Option<i32>) -> Result<(), BlankerError> {
    let mut link = Link::on_standard_input();
    let (address, rest) = log_on(&mut link, server_pid)?;
    let (mut blanker, notices) = match start::start(&address) {
        Ok(started) => started,
        Err(error) => {
            if let BlankerError::Unfit(why) = &error {
                link.send(&Reply::Unfit { why: why.clone() });
            }
            return Err(error);
        }
    };
    link.send(&blanker.layout());
    notices.into_iter().for_each(|notice| link.send(&Reply::Notice(notice)));
    blanker.learn_keys()?;
    let mut running = Running { blanker, link, cover: Cover::at_start(), next_look: Instant::now() };
    for request in rest {
        running.request(request)?;
    }
    loop {
        if let Err(error) = running.turn() {
            running.end(&error);
            return Err(error);
        }
    }
}

/// Tells whether the display of the environment can be covered, in one line.
pub(crate) fn preflight() -> ExitCode {
    let found = RustConnection::connect(None)
        .map_err(|error| format!("no X server answers ({error}). Set DISPLAY and XAUTHORITY"))
        .and_then(|(x, _)| Display::from_connection(x).map_err(|error| error.to_string()))
        .and_then(|display| preflight::unfit(&display).map_err(|error| error.to_string()));
    match found {
        Ok(None) => {
            output::answer("fit: this display can be covered");
            ExitCode::SUCCESS
        }
        Ok(Some(why)) | Err(why) => {
            output::answer(&format!("unfit: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits for the first message.
fn log_on(link: &mut Link, server_pid: Option<i32>) -> Result<(Address, Vec<Request>), BlankerError> {
    loop {
        wait(&[PollFd::new(&link.fd(), PollFlags::IN)], None)?;
        let mut requests = link.receive();
        if !requests.is_empty() {
            let Request::Display { number, auth_name, auth_data } = requests.remove(0) else {
                return Err(BlankerError::NoGuard("the first message is not the display"));
            };
            return Ok((Address { number, auth_name, auth_data, server_pid }, requests));
        }
        if !link.is_open() {
            return Err(BlankerError::NoGuard("it ended before the first message"));
        }
    }
}

struct Running {
    blanker: Blanker,
    link: Link,
    cover: Cover,
    next_look: Instant,
}

impl Running {
    /// One round: wait, hear everybody, act.
    fn turn(&mut self) -> Result<(), BlankerError> {
        // Waiting for a reply may have read events already; they would not wake us up.
        let mut events = self.events()?;
        if events.is_empty() {
            self.wait()?;
            events = self.events()?;
        }
        if !events.is_empty() {
            let replies = self.blanker.defend(&events, Instant::now())?;
            replies.iter().for_each(|reply| self.link.send(reply));
        }
        for request in self.link.receive() {
            self.request(request)?;
        }
        if !self.link.is_open()
            && let Some(step) = self.cover.on_guard_gone()
        {
            self.act(step)?;
        }
        if self.cover.is_covered() && Instant::now() >= self.next_look {
            self.look(false)?;
        }
        self.blanker.display.x.flush()?;
        self.link.flush();
        Ok(())
    }

    /// The guard learns it first, so that a successor covers soon.
    fn end(&mut self, error: &BlankerError) {
        output::log(&error.to_string());
        self.link.close();
        if matches!(error, BlankerError::Lost(_))
            && let Some(Err(error)) = self.blanker.linger()
        {
            output::log(&error.to_string());
        }
    }

    fn events(&self) -> Result<Vec<Event>, BlankerError> {
        let mut events = Vec::new();
        while events.len() < EVENTS_MAX {
            match self.blanker.display.x.poll_for_event()? {
                Some(event) => events.push(event),
                None => break,
            }
        }
        // Nothing that the keeper hears matters.
        while self.blanker.keeper.x.poll_for_event()?.is_some() {}
        Ok(events)
    }

    fn wait(&self) -> Result<(), BlankerError> {
        let guard = self.link.fd();
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.link.has_unsent());
        let mut fds = vec![
            PollFd::new(self.blanker.display.x.stream(), PollFlags::IN),
            PollFd::new(self.blanker.keeper.x.stream(), PollFlags::IN),
        ];
        if self.link.is_open() {
            fds.push(PollFd::new(&guard, flags));
        }
        let until = self.next_look.saturating_duration_since(Instant::now());
        wait(&fds, self.cover.is_covered().then_some(until))
    }

    fn request(&mut self, request: Request) -> Result<(), BlankerError> {
        match self.cover.on_request(request) {
            Some(step) => self.act(step),
            None => Ok(()),
        }
    }

    fn act(&mut self, step: Step) -> Result<(), BlankerError> {
        match step {
            Step::Cover { picture } => {
                let (taken, notices) = self.blanker.cover(picture.is_some())?;
                self.look(true)?;
                notices.into_iter().for_each(|notice| self.link.send(&Reply::Notice(notice)));
                if let Some(ticket) = picture.filter(|_| taken) {
                    self.link.send(&self.blanker.picture(ticket)?);
                }
            }
            Step::Uncover { ticket } => {
                self.blanker.uncover()?;
                self.link.send(&Reply::Uncovered { ticket });
            }
            Step::Look => self.look(true)?,
            Step::Picture { ticket } => {
                if self.blanker.snapshot()? {
                    self.link.send(&self.blanker.picture(ticket)?);
                }
            }
            Step::Paint { layout, place, bgra } => self.blanker.paint(layout, place, &bgra)?,
            Step::Light { rgb } => self.blanker.light(rgb)?,
            Step::Say(reply) => self.link.send(&reply),
        }
        Ok(())
    }

    fn look(&mut self, whole: bool) -> Result<(), BlankerError> {
        let look = self.blanker.look(whole || self.cover.is_awaited())?;
        for reply in self.cover.on_look(look.pixels, look.input) {
            self.link.send(&reply);
        }
        let pause = if self.cover.is_awaited() { AWAITED_LOOK_EVERY } else { LOOK_EVERY };
        self.next_look = Instant::now() + pause;
        Ok(())
    }
}

fn wait(fds: &[PollFd<'_>], timeout: Option<Duration>) -> Result<(), BlankerError> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut fds.to_vec(), timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(BlankerError::Poll(error.into())),
    }
}
