//! What decides, apart from the network: relay, guard and cover.

use std::path::PathBuf;

use sudare_base::clock;
use sudare_guard::transport::{CoverEvent, CoverKey, LinkEvent, SessionDriver, SessionEvent};
use sudare_protocol::evidence::note::Missing;
use sudare_protocol::message;
use sudare_relay::error::Broken;
use sudare_relay::live::Mark;
use sudare_relay::{ChannelEvent, Event, Live, Shown, Unit};

use super::painter::Drawn;
use super::pictures::{Pictures, Taken};
use super::pull::{self, Block};
use super::screen::Screen;
use super::wishes::Wishes;
use crate::error::Ended;
use crate::limits::{ASK_AGAIN_MS, SCREEN_MAX_MS};

pub(super) struct State {
    pub(super) live: Box<Live>,
    pub(super) driver: Box<dyn SessionDriver>,
    pub(super) screen: Screen,
    pub(super) pictures: Pictures,
    /// When the driver was last asked anything, CLOCK_BOOTTIME.
    pub(super) asked_ms: u64,
    began_ms: u64,
    /// The plugin's end of the channel is there.
    channel_open: bool,
}

impl State {
    pub(super) fn new(
        live: Box<Live>,
        driver: Box<dyn SessionDriver>,
        picture: PathBuf,
        now_ms: u64,
    ) -> Self {
        let (screen, pictures) = (Screen::default(), Pictures::new(picture));
        Self { live, driver, screen, pictures, asked_ms: now_ms, began_ms: now_ms, channel_open: false }
    }

    /// The client has been sent nothing that could be seen, so it is covered for certain.
    pub(super) fn begin(&mut self) -> Result<(), Ended> {
        self.drive(SessionEvent::Cover(CoverEvent::Painted(message::Shown::Covered)))
    }

    /// Covered, and nobody is there who could prove anything: nothing becomes due soon.
    pub(super) fn is_idle(&self) -> bool {
        !self.channel_open && self.live.shown() == Shown::Covered && !self.live.is_recording()
    }

    /// Whether client and host should be read.
    pub(super) fn reads(&self) -> (bool, bool) {
        (self.live.reads_client(), self.live.reads_host())
    }

    /// What the client gets next.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Ended> {
        pull::block(|| self.unit())
    }

    /// The same without asking the guard, for the end.
    pub(super) fn last_block(&mut self) -> Result<Option<Block>, Broken> {
        pull::block(|| self.live.next_to_client(clock::boot_ms()))
    }

    fn unit(&mut self) -> Result<Option<Unit>, Ended> {
        let now_ms = clock::boot_ms();
        if self.asked_ms.saturating_add(ASK_AGAIN_MS) < now_ms {
            // This machine slept or stood still. Whether pixels may still flow is asked before the first of them,
            // not with the next tick.
            self.drive(SessionEvent::Tick)?;
        }
        Ok(self.live.next_to_client(now_ms)?)
    }

    /// What the host gets next.
    pub(super) fn host_block(&mut self) -> Option<Vec<u8>> {
        pull::plain(|| self.live.next_to_host())
    }

    pub(super) fn written(&mut self, mark: Mark) -> Result<(), Ended> {
        self.live.written(mark);
        self.react().map(drop)
    }

    pub(super) fn drawn(&mut self, drawn: Option<Drawn>) {
        if let Some(drawn) = drawn {
            self.screen.drawn(drawn, &mut self.live);
        }
    }

    /// Tells the guard of a screenshot, or that there is none.
    pub(super) fn taken(&mut self, taken: Option<Taken>) -> Result<(), Ended> {
        let Some((ticket, picture)) = taken else { return Ok(()) };
        let event = match picture {
            Ok(screenshot) => CoverEvent::Screenshot { ticket, screenshot },
            Err(why) => CoverEvent::ScreenshotMissing { ticket, why },
        };
        self.drive(SessionEvent::Cover(event))
    }

    pub(super) fn tick(&mut self) -> Result<(), Ended> {
        let now_ms = clock::boot_ms();
        if self.live.size().is_none() && now_ms.saturating_sub(self.began_ms) > SCREEN_MAX_MS {
            return Err(Ended::NoScreen);
        }
        self.live.tick(now_ms)?;
        self.react()?;
        self.drive(SessionEvent::Tick)
    }

    /// Tells the guard what happened in the relay; whether anything did.
    pub(super) fn react(&mut self) -> Result<bool, Ended> {
        let mut any = false;
        loop {
            let events: Vec<Event> = self.live.events().collect();
            if events.is_empty() {
                return Ok(any);
            }
            any = true;
            events.into_iter().try_for_each(|event| self.on(event))?;
        }
    }

    fn on(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Channel(event) => {
                self.channel_open = match event {
                    ChannelEvent::Opened => true,
                    ChannelEvent::Bytes(_) => self.channel_open,
                    ChannelEvent::Closed | ChannelEvent::Missing => false,
                };
                return self.drive(SessionEvent::Link(link(event)));
            }
            Event::Painted(shown) => {
                let shown = match shown {
                    Shown::Covered => message::Shown::Covered,
                    Shown::Visible => message::Shown::Visible,
                };
                return self.drive(SessionEvent::Cover(CoverEvent::Painted(shown)));
            }
            Event::Key(key) => return self.drive(SessionEvent::Cover(CoverEvent::Key(cover_key(key)))),
            Event::Layout(size) => self.screen.resized(size),
            Event::NoRepaint => tracing::warn!(
                "the host was asked to draw the desktop again and has not begun. Connect again if the screen is \
                 incomplete"
            ),
            Event::Recorded { ticket, recording: Ok(recording) } => {
                if !self.pictures.take(ticket, recording) {
                    return self.taken(Some((ticket, Err(Missing::TooMuch))));
                }
            }
            Event::Recorded { ticket, recording: Err(why) } => {
                tracing::warn!(
                    why = why.english(),
                    "a screenshot could not be taken; the incident is kept without it"
                );
                return self.taken(Some((ticket, Err(why))));
            }
            Event::Redirected(_) => return Err(Ended::Redirected),
            Event::ChannelRefused(channel) => {
                tracing::debug!(channel, "the host's channel is refused, because no policy lets it through");
            }
            Event::TransportRefused => {
                tracing::debug!("the host's other transport is refused, because it would lead past the gate");
            }
        }
        Ok(())
    }

    /// Asks the guard, and does what it wants.
    pub(super) fn drive(&mut self, event: SessionEvent) -> Result<(), Ended> {
        let now = clock::now();
        self.asked_ms = now.boot_ms;
        let wishes = Wishes::of(self.driver.handle(now, event), now.boot_ms);
        for step in wishes.steps {
            self.screen.apply(step, &mut self.live, now.boot_ms)?;
        }
        for message in wishes.messages {
            // Without an open channel a message is dropped; with one, a client that takes none of them has stopped.
            if !self.live.send(&message) && self.channel_open {
                return Err(Ended::ClientStalled);
            }
        }
        if wishes.reopens {
            self.live.reopen(now.boot_ms)?;
            self.react()?;
        }
        wishes.advice.map_or(Ok(()), |advice| Err(Ended::Advised(advice)))
    }
}

fn link(event: ChannelEvent) -> LinkEvent {
    match event {
        ChannelEvent::Opened => LinkEvent::Opened,
        ChannelEvent::Bytes(bytes) => LinkEvent::Bytes(bytes),
        ChannelEvent::Closed => LinkEvent::Closed,
        ChannelEvent::Missing => LinkEvent::Missing,
    }
}

fn cover_key(key: sudare_relay::CoverKey) -> CoverKey {
    match key {
        sudare_relay::CoverKey::Help => CoverKey::Help,
        sudare_relay::CoverKey::Break => CoverKey::Break,
        sudare_relay::CoverKey::Report => CoverKey::WrongBlock,
        sudare_relay::CoverKey::Leave => CoverKey::Leave,
    }
}
