//! Drives the program `sudare-blanker` as a guard does.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Instant;

use anyhow::Context as _;
use sudare_blanker::wire::{self, Notice, Rect, Reply, Request};
use sudare_test_kit::program;
use sudare_test_kit::wait::{PATIENCE, in_vain};

use super::display::{Access, COOKIE_NAME, Running};

/// A running blanker with our end of its socket.
#[derive(Debug)]
pub struct Blanker {
    pub process: Running,
    guard: UnixStream,
    replies: Receiver<(Instant, Reply)>,
    pub layout: Option<(u32, u16, u16, Vec<Rect>)>,
    pub notices: Vec<Notice>,
    /// When, pixels, input.
    pub health: Vec<(Instant, bool, bool)>,
    /// It has closed its end.
    pub has_ended: bool,
    next_ticket: u64,
}

impl Blanker {
    pub fn start(access: &Access) -> anyhow::Result<Self> {
        Self::start_with(access, &[])
    }

    pub fn start_with(access: &Access, arguments: &[&str]) -> anyhow::Result<Self> {
        let (guard, theirs) = UnixStream::pair()?;
        let process = Command::new(program("sudare-blanker")?)
            .args(arguments)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut reader = guard.try_clone()?;
        let (tell, replies) = channel();
        std::thread::spawn(move || {
            while let Ok(Some(body)) = wire::read_body(&mut reader) {
                let at = Instant::now();
                let Ok(reply) = Reply::from_body(&body) else { return };
                if tell.send((at, reply)).is_err() {
                    return;
                }
            }
        });
        let mut blanker = Self {
            process: Running(process),
            guard,
            replies,
            layout: None,
            notices: Vec::new(),
            health: Vec::new(),
            has_ended: false,
            next_ticket: 1,
        };
        blanker.ask(&Request::Display {
            number: access.number,
            auth_name: COOKIE_NAME.into(),
            auth_data: access.cookie.clone(),
        })?;
        Ok(blanker)
    }

    pub fn ask(&mut self, request: &Request) -> anyhow::Result<()> {
        Ok(wire::write(&mut self.guard, &request.to_bytes())?)
    }

    /// Bytes that do not form a message.
    pub fn write_raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(wire::write(&mut self.guard, bytes)?)
    }

    /// Waits for the next reply that `wanted` accepts; layout, notices and health are recorded on the way.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Reply) -> Option<T>,
    ) -> anyhow::Result<(Instant, T)> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (at, reply) = self
                .replies
                .recv_timeout(left)
                .with_context(|| in_vain(&format!("{what} from the blanker"), ""))?;
            self.note(at, &reply);
            if let Some(found) = wanted(&reply) {
                return Ok((at, found));
            }
        }
    }

    /// Records the replies that arrived in the meantime.
    pub fn catch_up(&mut self) {
        loop {
            match self.replies.try_recv() {
                Ok((at, reply)) => self.note(at, &reply),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.has_ended = true;
                    return;
                }
            }
        }
    }

    /// Requests the cover, waits for its confirmation, and returns when that came.
    pub fn cover(&mut self) -> anyhow::Result<Instant> {
        let asked = self.ticket();
        self.ask(&Request::Cover { ticket: asked, picture: false })?;
        self.covered(asked)
    }

    pub fn covered(&mut self, asked: u64) -> anyhow::Result<Instant> {
        let done =
            |reply: &Reply| matches!(reply, Reply::Covered { ticket } if *ticket == asked).then_some(());
        Ok(self.wait_for("Covered", done)?.0)
    }

    pub fn uncover(&mut self) -> anyhow::Result<Instant> {
        let asked = self.ticket();
        self.ask(&Request::Uncover { ticket: asked })?;
        let done =
            |reply: &Reply| matches!(reply, Reply::Uncovered { ticket } if *ticket == asked).then_some(());
        Ok(self.wait_for("Uncovered", done)?.0)
    }

    /// Paints a rectangle of one colour (BGRX) where the words would be.
    pub fn paint(&mut self, place: Rect, colour: u32) -> anyhow::Result<()> {
        let layout = self.layout.as_ref().context("no layout yet")?.0;
        let bgra = colour.to_le_bytes().repeat(place.bytes() / 4);
        self.ask(&Request::Paint { layout, place, bgra })
    }

    pub fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Ends the guard: closes both directions.
    pub fn end_guard(&self) -> anyhow::Result<()> {
        Ok(self.guard.shutdown(std::net::Shutdown::Both)?)
    }

    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(())
    }

    fn note(&mut self, at: Instant, reply: &Reply) {
        match reply {
            Reply::Layout { layout, width, height, monitors } => {
                self.layout = Some((*layout, *width, *height, monitors.clone()));
            }
            Reply::Notice(notice) => self.notices.push(*notice),
            Reply::Health { pixels, input } => self.health.push((at, *pixels, *input)),
            _ => {}
        }
    }
}
