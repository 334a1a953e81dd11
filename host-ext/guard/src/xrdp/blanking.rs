//! The cover of an X11 display as seen from the guard: what the blanker was asked to show, what it has confirmed,
//! and what to do when it fails. Pure: requests, replies and time in, effects out.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::collections::BTreeMap;

use sudare_blanker::wire::{Key, Notice, Rect, Reply, Request};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::message::Shown;

use super::effect::Effect;
use crate::screen::{CoverText, Screenshot};
use crate::transport::{Cover, CoverEvent, CoverKey};

/// A blanker that is silent for longer while it should cover is ended, and another one is started.
const SILENT_MAX_MS: u64 = 1_000;
/// When this many blankers end within [`FAILURES_WITHIN_MS`], the client is disconnected, and from then on each start
/// waits for a pause: a session must not be able to make its guard start programs without end.
const FAILURES: usize = 3;
const FAILURES_WITHIN_MS: u64 = 60_000;
/// Doubled each time.
const PAUSE_MIN_MS: u64 = 1_000;
const PAUSE_MAX_MS: u64 = 30_000;
/// The most sign-ins that wait for one cover.
const SIGN_INS_MAX: usize = 64;
/// Reported while no cover was ever read back: longer than any limit.
const NEVER_CONFIRMED_MS: u64 = 3_600_000;
/// The most screenshots that are requested and not yet taken.
const SCREENSHOTS_MAX: usize = 8;

/// The blanker as it is known here.
#[derive(Debug, Default)]
struct Health {
    /// It has reported its layout, so it is expected to answer.
    speaks: bool,
    last_reply_ms: u64,
    /// When the cover was last read back from the screen; `None` if never.
    confirmed_ms: Option<u64>,
    failures_ms: Vec<u64>,
    pause_ms: u64,
    /// No blanker runs until then.
    rests_until_ms: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Blanking {
    /// What the driver wants; covered without one.
    wanted: Shown,
    /// What the blanker was last asked for.
    asked: (u64, Shown),
    next_ticket: u64,
    /// The blanker's tickets of screenshots, and the driver's.
    screenshots: BTreeMap<u64, u64>,
    text: CoverText,
    layout: Option<(u32, Vec<Rect>)>,
    health: Health,
    /// The newest sign-in in progress: until it is over the desktop is not shown, whatever the driver wants.
    signing_in: Option<u64>,
    /// Sign-ins that wait for the cover.
    sign_ins: Vec<u64>,
    /// What is still to be done.
    effects: Vec<Effect>,
}

impl Blanking {
    /// The blanker was started already: nothing comes before that.
    pub(super) fn new() -> Self {
        let mut blanking = Blanking {
            wanted: Shown::Covered,
            asked: (0, Shown::Covered),
            next_ticket: 0,
            screenshots: BTreeMap::new(),
            text: waiting_words(),
            layout: None,
            health: Health::default(),
            signing_in: None,
            sign_ins: Vec::new(),
            effects: Vec::new(),
        };
        blanking.ask(Shown::Covered, None);
        blanking
    }

    /// What is to be done now.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// For how long the cover has not been confirmed; 0 while the desktop may be seen.
    pub(super) fn unconfirmed_ms(&self, now_ms: u64) -> u64 {
        match self.asked.1 {
            Shown::Covered => {
                self.health.confirmed_ms.map_or(NEVER_CONFIRMED_MS, |at| now_ms.saturating_sub(at))
            }
            Shown::Visible => 0,
        }
    }

    pub(super) fn is_covered(&self) -> bool {
        self.asked.1 == Shown::Covered
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        if self.health.rests_until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            self.health.rests_until_ms = None;
            self.effects.push(Effect::StartBlanker { end_old: false });
            self.ask(Shown::Covered, None);
        }
        let silent = self.health.speaks && now_ms.saturating_sub(self.health.last_reply_ms) > SILENT_MAX_MS;
        if silent && self.is_covered() {
            tracing::error!("the blanker does not answer any more; starting another one");
            self.start_over(true, now_ms);
        }
    }

    /// Covers without a driver's decision: nobody is connected any more, or somebody else is now.
    pub(super) fn cover_for_nobody(&mut self, now_ms: u64) {
        self.cover_now(None, now_ms);
    }

    /// The driver that requested screenshots is gone.
    pub(super) fn forget_screenshots(&mut self) {
        self.screenshots.clear();
    }

    pub(super) fn say(&mut self, text: CoverText) {
        if self.text != text {
            self.text = text;
            self.words();
        }
    }

    /// The next cover must not begin with the words of the last one.
    pub(super) fn say_waiting(&mut self) {
        self.say(waiting_words());
    }

    fn words(&mut self) {
        if let Some((layout, monitors)) = &self.layout {
            let (layout, monitors) = (*layout, monitors.clone());
            self.effects.push(Effect::Words { layout, monitors, text: self.text.clone() });
        }
    }

    /// Covers without a driver's decision: xrdp hands this session to whoever signs in, with whatever is in view.
    pub(super) fn sign_in(&mut self, ticket: u64, now_ms: u64) {
        self.signing_in = Some(ticket);
        if self.sign_ins.len() >= SIGN_INS_MAX {
            self.sign_ins.remove(0);
        }
        self.sign_ins.push(ticket);
        if self.wanted == Shown::Visible {
            self.say(sign_in_words());
        }
        self.expect_cover(now_ms);
        self.ask(Shown::Covered, None);
    }

    /// Only the newest sign-in counts: clients of the earlier ones may arrive with it.
    pub(super) fn signed_in(&mut self, ticket: u64) {
        if self.signing_in.is_some_and(|newest| newest <= ticket) {
            self.signing_in = None;
            self.show_if_wanted();
        }
    }

    fn show_if_wanted(&mut self) {
        // Without a blanker nobody could cover again; the next one covers first and then shows what is
        // wanted.
        if self.wanted == Shown::Visible && self.signing_in.is_none() && self.health.rests_until_ms.is_none()
        {
            self.ask(Shown::Visible, None);
            self.say_waiting();
        }
    }

    /// The time to confirm a cover starts now.
    fn expect_cover(&mut self, now_ms: u64) {
        if self.asked.1 == Shown::Visible {
            (self.health.confirmed_ms, self.health.last_reply_ms) = (Some(now_ms), now_ms);
        }
    }

    fn cover_now(&mut self, screenshot: Option<u64>, now_ms: u64) {
        self.expect_cover(now_ms);
        self.wanted = Shown::Covered;
        self.ask(Shown::Covered, screenshot);
    }

    fn ask(&mut self, shown: Shown, screenshot: Option<u64>) {
        let ticket = self.ticket();
        self.asked = (ticket, shown);
        if let Some(screenshot) = screenshot {
            self.remember(ticket, screenshot);
        }
        self.effects.push(Effect::Blanker(match shown {
            Shown::Covered => Request::Cover { ticket, picture: screenshot.is_some() },
            Shown::Visible => Request::Uncover { ticket },
        }));
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn remember(&mut self, own: u64, drivers: u64) {
        self.screenshots.insert(own, drivers);
        while self.screenshots.len() > SCREENSHOTS_MAX {
            self.screenshots.pop_first();
        }
    }

    /// Takes the blanker's reply; returns what the driver has to know of it.
    pub(super) fn told(&mut self, reply: Reply, now_ms: u64) -> Option<CoverEvent> {
        self.health.last_reply_ms = now_ms;
        match reply {
            Reply::Layout { layout, monitors, width, height } => {
                tracing::info!(width, height, monitors = monitors.len(), "layout of the display");
                self.health.speaks = true;
                self.layout = Some((layout, monitors));
                self.words();
            }
            Reply::Covered { ticket } if (ticket, Shown::Covered) == self.asked => {
                self.health.confirmed_ms = Some(now_ms);
                self.effects.extend(self.sign_ins.drain(..).map(Effect::SignInCovered));
                if self.wanted == Shown::Covered {
                    return Some(CoverEvent::Painted(Shown::Covered));
                }
                // A restarted blanker has covered, but the desktop may be seen.
                self.show_if_wanted();
            }
            Reply::Uncovered { ticket } if (ticket, Shown::Visible) == self.asked => {
                return Some(CoverEvent::Painted(Shown::Visible));
            }
            // An answer to a request that no longer counts means nothing.
            Reply::Covered { .. } | Reply::Uncovered { .. } => {}
            Reply::Health { pixels: true, .. } => self.health.confirmed_ms = Some(now_ms),
            Reply::Health { pixels: false, .. } => {
                tracing::warn!("the cover was not found on the screen");
            }
            Reply::Picture { ticket, width, height, bgra } => {
                let ticket = self.screenshots.remove(&ticket)?;
                let screenshot = Screenshot { width, height, bgra: bgra.into() };
                return Some(CoverEvent::Screenshot { ticket, screenshot });
            }
            Reply::Key(key) => return Some(CoverEvent::Key(key_of(key))),
            // From a restarted blanker this says nothing about how the session began.
            Reply::Notice(Notice::LateStart) if !self.health.failures_ms.is_empty() => {}
            Reply::Notice(notice) => {
                tracing::warn!(?notice, "noticed on the display");
                return Some(CoverEvent::Notice(note_of(notice)));
            }
            Reply::Unfit { why } => {
                tracing::error!(%why, "this display cannot be covered");
                self.effects.push(Effect::Disconnect(format!("This display cannot be covered: {why}")));
            }
        }
        None
    }

    /// The blanker ended or hangs; its windows stay on the screen. The next one covers first, whatever is wanted.
    pub(super) fn start_over(&mut self, end_old: bool, now_ms: u64) {
        let pauses = self.health.fail(now_ms);
        if self.asked.1 == Shown::Visible {
            self.health.confirmed_ms = Some(now_ms);
        }
        (self.health.speaks, self.layout) = (false, None);
        self.screenshots.clear();
        if pauses {
            self.effects.push(Effect::Disconnect(
                "The blanker keeps failing. See its messages above, and ask the VDI administrator.".into(),
            ));
            self.effects.push(Effect::RestBlanker { end_old });
        } else {
            self.effects.push(Effect::StartBlanker { end_old });
        }
        self.ask(Shown::Covered, None);
    }
}

impl Cover for Blanking {
    fn cover(&mut self, text: CoverText, screenshot: Option<u64>, now_ms: u64) {
        self.say(text);
        if self.wanted == Shown::Visible {
            self.cover_now(screenshot, now_ms);
        } else if let Some(ticket) = screenshot {
            self.screenshot(ticket);
        }
    }

    fn light(&mut self, rgb: Option<[u8; 3]>) {
        if self.wanted == Shown::Covered {
            self.effects.push(Effect::Blanker(Request::Light { rgb: rgb.unwrap_or_default() }));
        }
    }

    fn uncover(&mut self) {
        self.wanted = Shown::Visible;
        self.show_if_wanted();
    }

    fn screenshot(&mut self, ticket: u64) {
        let own = self.ticket();
        self.remember(own, ticket);
        self.effects.push(Effect::Blanker(Request::Picture { ticket: own }));
    }
}

impl Health {
    /// Counts a blanker that ended; true if the next one has to wait.
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

/// The words of a cover until its reason is drawn, some milliseconds later.
pub(super) fn waiting_words() -> CoverText {
    CoverText { lines: vec!["画面を保護しています。".into(), "This screen is covered.".into()] }
}

/// What the operator reads while somebody signs in under the same name: the operator elsewhere, or somebody else.
fn sign_in_words() -> CoverText {
    let lines =
        ["別の接続が同じ利用者でサインインしています。", "Another connection is signing in as this user."];
    CoverText { lines: lines.map(str::to_owned).to_vec() }
}

fn key_of(key: Key) -> CoverKey {
    match key {
        Key::Help => CoverKey::Help,
        Key::Break => CoverKey::Break,
        Key::WrongBlock => CoverKey::WrongBlock,
    }
}

fn note_of(notice: Notice) -> NoteCode {
    match notice {
        Notice::CompositorEnded => NoteCode::CompositorEnded,
        Notice::IntruderRemoved => NoteCode::IntruderRemoved,
        Notice::CoverRestored => NoteCode::CoverRestored,
        Notice::GrabTaken => NoteCode::GrabTaken,
        Notice::PredecessorReplaced => NoteCode::CoverReplaced,
        Notice::LateStart => NoteCode::LateStart,
    }
}
