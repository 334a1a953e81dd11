//! One display of xrdp: connects the client's coming and going, the channel, the driver and the cover. Pure: inputs
//! and time in, effects out.
//!
//! ```text
//!  client comes/goes ─┐                        ┌─► SessionDriver (one a connection)
//!  channel ───────────┼─► Display::handle ────────┤
//!  blanker ───────────┘                        └─► effects: Blanking (the cover), channel, disconnect
//! ```
//! A session of xrdp goes on without a client, and so does its cover: the desktop is shown only while a client is
//! connected and its driver says so.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::sync::Arc;

use sudare_base::clock::Now;
use sudare_blanker::wire::Reply;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::reason::Reason;

use super::blanking::Blanking;
use super::effect::Effect;
use super::opening::Opening;
use crate::screen::CoverText;
use crate::transport::{
    CoverEvent, DriverFactory, LinkEvent, SessionDriver, SessionEvent, SessionInfo, Transport, carry_out,
};

/// xrdp's channels are there at most this long after a client has connected.
const NO_CHANNEL_MS: u64 = 5_000;
/// The most notices that wait for a client whose session can record them.
const NOTICES_MAX: usize = 16;

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// Every 50 ms.
    Tick,
    /// Somebody signs in as this session's user; the ticket is for the answer.
    SignIn(u64),
    /// Whoever signed in with this ticket is a client now, or gone.
    SignedIn(u64),
    /// An RDP client is connected now, or none is any more.
    Client(bool),
    /// The answers to [`Effect::Open`].
    Opened,
    Missing,
    OpenFailed,
    /// The channel brought bytes, or is gone.
    Bytes(Vec<u8>),
    ChannelClosed,
    Blanker(Reply),
    BlankerEnded,
}

pub(super) struct Display {
    factory: Arc<dyn DriverFactory>,
    user: String,
    driver: Option<Box<dyn SessionDriver>>,
    /// Since when there is no driver, as far as was noticed.
    alone_since_ms: Option<u64>,
    cover: Blanking,
    opening: Opening,
    /// Notices from the time when nobody was connected.
    notices: Vec<NoteCode>,
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Display(covered {}, client {})", self.is_covered(), self.driver.is_some())
    }
}

impl Display {
    /// A display without a client. Its blanker was started already: nothing comes before that.
    pub(super) fn new(factory: Arc<dyn DriverFactory>, user: String) -> (Self, Vec<Effect>) {
        let mut display = Display {
            factory,
            user,
            driver: None,
            alone_since_ms: None,
            cover: Blanking::new(),
            opening: Opening::default(),
            notices: Vec::new(),
        };
        let effects = display.cover.take_effects();
        (display, effects)
    }

    pub(super) fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let (now_ms, mut channel) = (now.boot_ms, ChannelEffects::default());
        match input {
            Input::Tick => self.tick(now, &mut channel),
            Input::SignIn(ticket) => self.cover.sign_in(ticket, now_ms),
            Input::SignedIn(ticket) => self.cover.signed_in(ticket),
            Input::Client(true) => self.client_came(now, &mut channel),
            Input::Client(false) => self.client_left(now, &mut channel),
            Input::Opened => {
                self.opening.opened(now_ms);
                self.drive(now, SessionEvent::Link(LinkEvent::Opened), &mut channel);
            }
            Input::Missing => {
                self.opening.failed(now_ms);
                self.drive(now, SessionEvent::Link(LinkEvent::Missing), &mut channel);
            }
            Input::OpenFailed => self.opening.failed(now_ms),
            Input::Bytes(bytes) => {
                self.drive(now, SessionEvent::Link(LinkEvent::Bytes(bytes)), &mut channel);
            }
            Input::ChannelClosed => {
                self.opening.closed(now_ms);
                self.drive(now, SessionEvent::Link(LinkEvent::Closed), &mut channel);
            }
            Input::Blanker(reply) => {
                if let Some(event) = self.cover.told(reply, now_ms) {
                    self.covered(event, now, &mut channel);
                }
            }
            Input::BlankerEnded => self.cover.start_over(false, now_ms),
        }
        // The cover first: nothing that is sent to the client may delay it.
        let mut effects = self.cover.take_effects();
        effects.append(&mut channel.0);
        effects
    }

    /// For how long the cover has not been confirmed; 0 while the desktop may be seen.
    pub(super) fn unconfirmed_ms(&self, now_ms: u64) -> u64 {
        self.cover.unconfirmed_ms(now_ms)
    }

    pub(super) fn is_covered(&self) -> bool {
        self.cover.is_covered()
    }

    pub(super) fn has_client(&self) -> bool {
        self.driver.is_some()
    }

    fn tick(&mut self, now: Now, channel: &mut ChannelEffects) {
        self.drive(now, SessionEvent::Tick, channel);
        if self.driver.is_some() && self.opening.is_due(now.boot_ms) {
            channel.0.push(Effect::Open);
        }
        if self.driver.is_none() {
            let since_ms = *self.alone_since_ms.get_or_insert(now.boot_ms);
            if now.boot_ms.saturating_sub(since_ms) >= NO_CHANNEL_MS {
                // Nobody reads this unless xrdp has a client and does not give it a channel.
                self.cover.say(no_channel_words());
            }
        }
        self.cover.tick(now.boot_ms);
    }

    fn client_came(&mut self, now: Now, channel: &mut ChannelEffects) {
        if self.driver.is_some() {
            self.client_left(now, channel);
        }
        let info = SessionInfo { user: Some(self.user.clone()), keys: true, owner: None, tls_exporter: None };
        self.driver = Some(self.factory.session(info, now));
        self.alone_since_ms = None;
        for notice in std::mem::take(&mut self.notices) {
            self.drive(now, SessionEvent::Cover(CoverEvent::Notice(notice)), channel);
        }
        self.cover.say_waiting();
        self.opening.begin(now.boot_ms);
        // Already covered; asked again so that the new driver hears it confirmed.
        self.cover.cover_for_nobody(now.boot_ms);
    }

    fn client_left(&mut self, now: Now, channel: &mut ChannelEffects) {
        self.opening = Opening::default();
        self.cover.cover_for_nobody(now.boot_ms);
        if let Some(mut driver) = self.driver.take() {
            // Whatever it still wants to send has nowhere to go.
            driver.handle(now, SessionEvent::Link(LinkEvent::Disconnected));
        }
        self.cover.forget_screenshots();
        channel.0.push(Effect::CloseChannel);
    }

    fn covered(&mut self, event: CoverEvent, now: Now, channel: &mut ChannelEffects) {
        match event {
            CoverEvent::Notice(notice) if self.driver.is_none() => {
                if self.notices.len() < NOTICES_MAX {
                    self.notices.push(notice);
                }
            }
            event => self.drive(now, SessionEvent::Cover(event), channel),
        }
    }

    /// Lets the driver decide, and carries out what it wants.
    fn drive(&mut self, now: Now, event: SessionEvent, channel: &mut ChannelEffects) {
        if let Some(driver) = &mut self.driver {
            carry_out(driver.handle(now, event), now.boot_ms, channel, &mut self.cover);
        }
    }
}

/// What is to be done with xrdp's channel and connection.
#[derive(Default)]
struct ChannelEffects(Vec<Effect>);

impl Transport for ChannelEffects {
    fn send(&mut self, message: Vec<u8>) {
        self.0.push(Effect::Write(message));
    }

    fn disconnect(&mut self, advice: String) {
        self.0.push(Effect::Disconnect(advice));
    }
}

/// The words of a cover while no client reaches the guard. With `allow_channels=false` in xrdp, people see it whose
/// client is in order, so it must not blame the client alone.
fn no_channel_words() -> CoverText {
    let mut lines: Vec<String> = Reason::NoClient.cover_lines().map(str::to_owned).to_vec();
    lines.push("または xrdp がチャネルを渡していません。".into());
    lines.push("Or xrdp offers no channel (allow_channels).".into());
    CoverText { lines }
}

#[cfg(test)]
mod tests;
