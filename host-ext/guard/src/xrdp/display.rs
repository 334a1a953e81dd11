//! One display of xrdp: what the client's coming and going, the channel, the deciding part and
//! the blanker mean for each other. Pure: inputs and time in, effects out.
//!
//! ```text
//!  client comes/goes ─┐                        ┌─► SessionDriver (one a connection)
//!  channel ───────────┼─► Desk::handle ────────┤
//!  blanker ───────────┘                        └─► effects: blanker, channel, words, disconnect
//! ```
//! The session of xrdp goes on without a client, so the cover does as well: the desktop is shown
//! only while a client is connected and its driver says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use sudare_blanker::wire::{Key, Notice, Rect, Reply, Request};
use sudare_protocol::reason::Reason;

use super::opening::Opening;
use crate::transport::{
    Action, CoverKey, CoverNotice, CoverText, DriverFactory, LinkEvent, Painted, Picture, Seat, SessionDriver,
};

/// A blanker that says nothing for so long while it should cover is ended and started again.
const SILENT_MAX_MS: u64 = 1_000;
/// So many ends of a blanker within [`FAILURES_WITHIN_MS`] disconnect the client, and from then on
/// there is a pause before the next one: a session must not make its guard start programs for ever.
const FAILURES: usize = 3;
const FAILURES_WITHIN_MS: u64 = 60_000;
/// Doubled each time.
const PAUSE_MIN_MS: u64 = 1_000;
const PAUSE_MAX_MS: u64 = 30_000;
/// A client needs this long at most until xrdp's channels are there.
const NO_CHANNEL_MS: u64 = 5_000;
/// Sign-ins that wait for one cover.
const SIGN_INS_MAX: usize = 64;
/// What is told while no cover was ever read back: longer than any limit.
const NEVER_CONFIRMED_MS: u64 = 3_600_000;
/// Notices that wait for a client whose session can record them.
const NOTICES_MAX: usize = 16;
/// Pictures asked for and not yet answered.
const PICTURES_MAX: usize = 8;

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

/// What to do about it, in this order.
#[derive(Debug)]
pub(super) enum Effect {
    Blanker(Request),
    /// Start a blanker. With `end_old`, the old one hangs and is ended first, so that it does not keep
    /// the server. Otherwise it is left alone: one that lost its connection to the X server holds the
    /// overlay black until the new one has covered, and then ends by itself.
    StartBlanker {
        end_old: bool,
    },
    /// The same with the old one, and start none for now.
    RestBlanker {
        end_old: bool,
    },
    Open,
    Write(Vec<u8>),
    CloseChannel,
    /// Draw these words for this layout, and paint them.
    Words {
        layout: u32,
        monitors: Vec<Rect>,
        text: CoverText,
    },
    /// Tell the supervisor that the cover for this sign-in is on the screen.
    SignInCovered(u64),
    /// Have the supervisor end the client's connection.
    Disconnect(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    Covered,
    Visible,
}

/// The blanker as it is known here.
#[derive(Debug, Default)]
struct Health {
    /// It has told its layout, so that it is expected to answer.
    speaks: bool,
    last_reply_ms: u64,
    /// The cover was read back from the screen at this time; `None`: never yet.
    confirmed_ms: Option<u64>,
    failures_ms: Vec<u64>,
    pause_ms: u64,
    /// There is no blanker until then.
    rests_until_ms: Option<u64>,
}

pub(super) struct Desk {
    factory: Arc<dyn DriverFactory>,
    user: String,
    driver: Option<Box<dyn SessionDriver>>,
    /// Since when there is none, as far as was noticed.
    alone_since_ms: Option<u64>,
    /// What the driver wants; covered without one.
    wanted: Screen,
    /// What the blanker was last asked for.
    asked: (u64, Screen),
    next_ticket: u64,
    /// The blanker's tickets of pictures, and the driver's.
    pictures: BTreeMap<u64, u64>,
    text: CoverText,
    layout: Option<(u32, Vec<Rect>)>,
    blanker: Health,
    opening: Opening,
    /// Of the newest sign-in that goes on: the desktop is not shown, whatever the driver wants.
    signing_in: Option<u64>,
    /// Sign-ins that wait for the cover.
    sign_ins: Vec<u64>,
    /// What was noticed while nobody was connected.
    notices: Vec<CoverNotice>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({:?}, client {})", self.wanted, self.driver.is_some())
    }
}

impl Desk {
    /// A display without a client. Its blanker was started already: nothing comes before that.
    pub(super) fn new(factory: Arc<dyn DriverFactory>, user: String) -> (Self, Vec<Effect>) {
        let mut desk = Desk {
            factory,
            user,
            driver: None,
            alone_since_ms: None,
            wanted: Screen::Covered,
            asked: (0, Screen::Covered),
            next_ticket: 0,
            pictures: BTreeMap::new(),
            text: waiting_words(),
            layout: None,
            blanker: Health::default(),
            opening: Opening::default(),
            signing_in: None,
            sign_ins: Vec::new(),
            notices: Vec::new(),
        };
        let mut effects = Vec::new();
        desk.ask(Screen::Covered, None, &mut effects);
        (desk, effects)
    }

    pub(super) fn handle(&mut self, now_ms: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Tick => self.tick(now_ms, &mut effects),
            Input::SignIn(ticket) => self.sign_in(ticket, now_ms, &mut effects),
            Input::SignedIn(ticket) => self.signed_in(ticket, &mut effects),
            Input::Client(true) => self.client_came(now_ms, &mut effects),
            Input::Client(false) => self.client_left(now_ms, &mut effects),
            Input::Opened => {
                self.opening.opened(now_ms);
                self.link(LinkEvent::Opened, now_ms, &mut effects);
            }
            Input::Missing => {
                self.opening.failed(now_ms);
                self.link(LinkEvent::Missing, now_ms, &mut effects);
            }
            Input::OpenFailed => self.opening.failed(now_ms),
            Input::Bytes(bytes) => self.link(LinkEvent::Bytes(bytes), now_ms, &mut effects),
            Input::ChannelClosed => {
                self.opening.closed(now_ms);
                self.link(LinkEvent::Closed, now_ms, &mut effects);
            }
            Input::Blanker(reply) => self.blanker_says(reply, now_ms, &mut effects),
            Input::BlankerEnded => self.start_over(false, now_ms, &mut effects),
        }
        effects
    }

    /// For how long the cover has not been confirmed; 0 while the desktop may be seen.
    pub(super) fn unconfirmed_ms(&self, now_ms: u64) -> u64 {
        match self.asked.1 {
            Screen::Covered => {
                self.blanker.confirmed_ms.map_or(NEVER_CONFIRMED_MS, |at| now_ms.saturating_sub(at))
            }
            Screen::Visible => 0,
        }
    }

    pub(super) fn is_covered(&self) -> bool {
        self.asked.1 == Screen::Covered
    }

    pub(super) fn has_client(&self) -> bool {
        self.driver.is_some()
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        self.drive(now_ms, effects, |driver, actions| driver.on_tick(actions));
        if self.driver.is_some() && self.opening.is_due(now_ms) {
            effects.push(Effect::Open);
        }
        if self.driver.is_none() {
            let since_ms = *self.alone_since_ms.get_or_insert(now_ms);
            if now_ms.saturating_sub(since_ms) >= NO_CHANNEL_MS {
                // Nobody reads this, unless xrdp has a client and does not let it reach us.
                self.say(no_channel_words(), effects);
            }
        }
        if self.blanker.rests_until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            self.blanker.rests_until_ms = None;
            effects.push(Effect::StartBlanker { end_old: false });
            self.ask(Screen::Covered, None, effects);
        }
        let silent = self.blanker.speaks && now_ms.saturating_sub(self.blanker.last_reply_ms) > SILENT_MAX_MS;
        if silent && self.is_covered() {
            tracing::error!("the blanker does not answer any more; it is started again");
            self.start_over(true, now_ms, effects);
        }
    }

    fn client_came(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        if self.driver.is_some() {
            self.client_left(now_ms, effects);
        }
        let seat = Seat { user: Some(self.user.clone()), keys: true };
        let mut driver = self.factory.session(seat);
        self.notices.drain(..).for_each(|notice| driver.on_notice(notice));
        self.driver = Some(driver);
        self.alone_since_ms = None;
        self.say(waiting_words(), effects);
        self.opening.begin(now_ms);
        // Already covered; asked again so that the new driver hears it confirmed.
        self.cover(None, now_ms, effects);
    }

    fn client_left(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        self.opening = Opening::default();
        self.cover(None, now_ms, effects);
        if let Some(mut driver) = self.driver.take() {
            // What it would still send has nowhere to go.
            driver.on_link(LinkEvent::Disconnected, &mut Vec::new());
        }
        self.pictures.clear();
        effects.push(Effect::CloseChannel);
    }

    fn link(&mut self, event: LinkEvent, now_ms: u64, effects: &mut Vec<Effect>) {
        self.drive(now_ms, effects, |driver, actions| driver.on_link(event, actions));
    }

    /// Lets the driver decide, and carries out what it wants.
    fn drive(
        &mut self,
        now_ms: u64,
        effects: &mut Vec<Effect>,
        tell: impl FnOnce(&mut dyn SessionDriver, &mut Vec<Action>),
    ) {
        let Some(driver) = &mut self.driver else { return };
        let mut actions = Vec::new();
        tell(driver.as_mut(), &mut actions);
        let mut shot = None;
        for action in actions {
            match action {
                Action::Send(bytes) => effects.push(Effect::Write(bytes)),
                // Taken in the same moment as the cover, if one follows.
                Action::Snapshot(ticket) => shot = Some(ticket),
                Action::Cover(text) => {
                    self.say(text, effects);
                    if self.wanted == Screen::Visible {
                        self.cover(shot.take(), now_ms, effects);
                    }
                }
                Action::Uncover => {
                    self.wanted = Screen::Visible;
                    self.show_if_wanted(effects);
                }
                Action::Disconnect { advice } => effects.push(Effect::Disconnect(advice)),
            }
        }
        if let Some(ticket) = shot {
            let own = self.ticket();
            self.remember(own, ticket);
            effects.push(Effect::Blanker(Request::Picture { ticket: own }));
        }
    }

    fn say(&mut self, text: CoverText, effects: &mut Vec<Effect>) {
        if self.text != text {
            self.text = text;
            self.words(effects);
        }
    }

    fn words(&self, effects: &mut Vec<Effect>) {
        if let Some((layout, monitors)) = &self.layout {
            let (layout, monitors) = (*layout, monitors.clone());
            effects.push(Effect::Words { layout, monitors, text: self.text.clone() });
        }
    }

    /// Covers without the driver: xrdp gives this session to whoever signs in, with what is in view.
    fn sign_in(&mut self, ticket: u64, now_ms: u64, effects: &mut Vec<Effect>) {
        self.signing_in = Some(ticket);
        if self.sign_ins.len() >= SIGN_INS_MAX {
            self.sign_ins.remove(0);
        }
        self.sign_ins.push(ticket);
        if self.wanted == Screen::Visible {
            self.say(sign_in_words(), effects);
        }
        self.expect_cover(now_ms);
        self.ask(Screen::Covered, None, effects);
    }

    /// Only the newest sign-in counts: the others' clients may be on their way with it.
    fn signed_in(&mut self, ticket: u64, effects: &mut Vec<Effect>) {
        if self.signing_in.is_some_and(|newest| newest <= ticket) {
            self.signing_in = None;
            self.show_if_wanted(effects);
        }
    }

    fn show_if_wanted(&mut self, effects: &mut Vec<Effect>) {
        // Without a blanker nobody could cover again; the next one covers first, and then shows what
        // is wanted.
        if self.wanted == Screen::Visible
            && self.signing_in.is_none()
            && self.blanker.rests_until_ms.is_none()
        {
            self.ask(Screen::Visible, None, effects);
            // The next cover must not begin with the words of this one.
            self.say(waiting_words(), effects);
        }
    }

    /// From here the confirmation has its time.
    fn expect_cover(&mut self, now_ms: u64) {
        if self.asked.1 == Screen::Visible {
            (self.blanker.confirmed_ms, self.blanker.last_reply_ms) = (Some(now_ms), now_ms);
        }
    }

    fn cover(&mut self, shot: Option<u64>, now_ms: u64, effects: &mut Vec<Effect>) {
        self.expect_cover(now_ms);
        self.wanted = Screen::Covered;
        self.ask(Screen::Covered, shot, effects);
    }

    fn ask(&mut self, screen: Screen, shot: Option<u64>, effects: &mut Vec<Effect>) {
        let ticket = self.ticket();
        self.asked = (ticket, screen);
        if let Some(shot) = shot {
            self.remember(ticket, shot);
        }
        effects.push(Effect::Blanker(match screen {
            Screen::Covered => Request::Cover { ticket, picture: shot.is_some() },
            Screen::Visible => Request::Uncover { ticket },
        }));
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn remember(&mut self, own: u64, drivers: u64) {
        self.pictures.insert(own, drivers);
        while self.pictures.len() > PICTURES_MAX {
            self.pictures.pop_first();
        }
    }

    fn blanker_says(&mut self, reply: Reply, now_ms: u64, effects: &mut Vec<Effect>) {
        self.blanker.last_reply_ms = now_ms;
        match reply {
            Reply::Layout { layout, monitors, width, height } => {
                tracing::info!(width, height, monitors = monitors.len(), "the display's layout");
                self.blanker.speaks = true;
                self.layout = Some((layout, monitors));
                self.words(effects);
            }
            Reply::Covered { ticket } if (ticket, Screen::Covered) == self.asked => {
                self.blanker.confirmed_ms = Some(now_ms);
                effects.extend(self.sign_ins.drain(..).map(Effect::SignInCovered));
                if self.wanted == Screen::Visible {
                    // A blanker that was started again has covered; the desktop may still be seen.
                    self.show_if_wanted(effects);
                } else {
                    self.drive(now_ms, effects, |driver, actions| {
                        driver.on_painted(Painted::Covered, actions);
                    });
                }
            }
            Reply::Uncovered { ticket } if (ticket, Screen::Visible) == self.asked => {
                self.drive(now_ms, effects, |driver, actions| driver.on_painted(Painted::Visible, actions));
            }
            // An answer to what is no longer wanted says nothing.
            Reply::Covered { .. } | Reply::Uncovered { .. } => {}
            Reply::Health { pixels: true, .. } => self.blanker.confirmed_ms = Some(now_ms),
            Reply::Health { pixels: false, .. } => {
                tracing::warn!("the cover was not found on the screen");
            }
            Reply::Picture { ticket, width, height, bgra } => {
                if let Some(ticket) = self.pictures.remove(&ticket) {
                    let picture = Picture { width, height, bgra: bgra.into() };
                    self.drive(now_ms, effects, |d, actions| d.on_snapshot(ticket, picture, actions));
                }
            }
            Reply::Key(key) => {
                self.drive(now_ms, effects, |driver, actions| driver.on_key(key_of(key), actions));
            }
            // Of a blanker that was started again it says nothing about how the session began.
            Reply::Notice(Notice::LateStart) if !self.blanker.failures_ms.is_empty() => {}
            Reply::Notice(notice) => {
                tracing::warn!(?notice, "noticed on the display");
                let notice = notice_of(notice);
                match &mut self.driver {
                    Some(driver) => driver.on_notice(notice),
                    None if self.notices.len() < NOTICES_MAX => self.notices.push(notice),
                    None => {}
                }
            }
            Reply::Unfit { why } => {
                tracing::error!(%why, "this display cannot be covered");
                effects.push(Effect::Disconnect(format!("This display cannot be covered: {why}")));
            }
        }
    }

    /// Its windows stay on the screen. The next one covers first, whatever is wanted.
    fn start_over(&mut self, end_old: bool, now_ms: u64, effects: &mut Vec<Effect>) {
        let pauses = self.blanker.fail(now_ms);
        if self.asked.1 == Screen::Visible {
            self.blanker.confirmed_ms = Some(now_ms);
        }
        (self.blanker.speaks, self.layout) = (false, None);
        self.pictures.clear();
        if pauses {
            effects.push(Effect::Disconnect(
                "The blanker failed again and again. Its messages stand above; ask the VDI administrator."
                    .into(),
            ));
            effects.push(Effect::RestBlanker { end_old });
        } else {
            effects.push(Effect::StartBlanker { end_old });
        }
        self.ask(Screen::Covered, None, effects);
    }
}

impl Health {
    /// Counts an end of the blanker; true if the next one has to wait.
    fn fail(&mut self, now_ms: u64) -> bool {
        self.failures_ms.retain(|at| now_ms.saturating_sub(*at) < FAILURES_WITHIN_MS);
        if self.failures_ms.is_empty() {
            self.pause_ms = 0;
        }
        self.failures_ms.push(now_ms);
        if self.failures_ms.len() < FAILURES && self.pause_ms == 0 {
            return false;
        }
        self.pause_ms = self.pause_ms.saturating_mul(2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.rests_until_ms = Some(now_ms.saturating_add(self.pause_ms));
        true
    }
}

/// What a cover says until its reason is drawn, some milliseconds later.
fn waiting_words() -> CoverText {
    CoverText { lines: vec!["画面を保護しています。".into(), "This screen is covered.".into()] }
}

/// What the operator reads while somebody signs in with the same name: himself elsewhere, or not.
fn sign_in_words() -> CoverText {
    let lines = ["別の接続が同じ利用者でサインインしています。", "Another connection signs in as this user."];
    CoverText { lines: lines.map(str::to_owned).to_vec() }
}

/// What a cover says while no client reaches the guard. xrdp with `allow_channels=false` shows it to
/// people whose client would do all that is asked of it, so this must not blame the client alone.
fn no_channel_words() -> CoverText {
    let mut lines: Vec<String> = Reason::NoClient.cover_lines().map(str::to_owned).to_vec();
    lines.push("または xrdp がチャネルを渡していません。".into());
    lines.push("Or xrdp gives no channel (allow_channels).".into());
    CoverText { lines }
}

fn key_of(key: Key) -> CoverKey {
    match key {
        Key::Help => CoverKey::Help,
        Key::Break => CoverKey::Break,
        Key::WrongBlock => CoverKey::WrongBlock,
    }
}

fn notice_of(notice: Notice) -> CoverNotice {
    match notice {
        Notice::CompositorEnded => CoverNotice::CompositorEnded,
        Notice::IntruderRemoved => CoverNotice::IntruderRemoved,
        Notice::CoverRestored => CoverNotice::CoverRestored,
        Notice::GrabTaken => CoverNotice::GrabTaken,
        Notice::PredecessorReplaced => CoverNotice::CoverReplaced,
        Notice::LateStart => CoverNotice::LateStart,
    }
}

#[cfg(test)]
mod tests;
