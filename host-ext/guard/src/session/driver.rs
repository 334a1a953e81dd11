//! Carries events in and actions out between transport, cover, the channel's end and the decision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sudare_base::clock::Now;
use sudare_protocol::error::{Code, Fault, Refusal};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::frame::Deframer;
use sudare_protocol::message::{Ack, Id, Shown};
use sudare_protocol::reason::Reason;

use super::Shared;
use super::attestation_rollup::AttestationRollup;
use super::evidence::What;
use super::incident_ids::IncidentIds;
use super::link::End;
use super::messages::{self, Asked};
use super::owner::Ownership;
use super::policy::Rules;
use super::rate_limit::RateLimit;
use super::shots::{Due, Shots};
use crate::decision::{Action as Decided, Decider, Event, Prompt};
use crate::transport::{Action, CoverEvent, CoverKey, LinkEvent, SessionDriver, SessionEvent, SessionInfo};

/// The second press that ends a connection comes within this time.
const LEAVE_MAX_MS: u64 = 15_000;
/// For the journal.
const LEFT: &str =
    "The operator ended the connection at its cover, by a key. The desktop stays; connect again.";

pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) info: SessionInfo,
    /// When the event came that is being handled.
    pub(super) now: Now,
    pub(super) session_id: Id,
    pub(super) end: End,
    pub(super) deframer: Deframer,
    pub(super) decider: Decider,
    pub(super) shots: Shots,
    pub(super) rollup: AttestationRollup,
    pub(super) ownership: Ownership,
    /// Since when a cover is requested that is not confirmed yet.
    pub(super) covering_since_ms: Option<u64>,
    /// Since when it is covered, for people to read.
    covered_since: String,
    asked: Asked,
    prompt: Prompt,
    on_break: bool,
    /// Notices that this session has noted, each once.
    pub(super) noticed: BTreeSet<u16>,
    /// The log says that a device was refused on this connection.
    pub(super) is_refusal_noted: bool,
    /// The log says that consent was taken back on this connection.
    pub(super) is_withdrawal_kept: bool,
    /// Since when the desktop is shown although nothing is kept.
    pub(super) unkept_since_ms: Option<u64>,
    pub(super) incident_ids: IncidentIds,
    /// For all sessions of this connection: closing the channel restores nothing.
    pub(super) entries_limit: RateLimit,
    /// The same for pictures.
    pub(super) pictures_limit: RateLimit,
    pub(super) acks: (Sender<Ack>, Receiver<Ack>),
    /// A client is, or was, authenticated on this channel, and the log has the beginning of its session.
    pub(super) started: bool,
    pub(super) rules: Rules,
    /// The channel is closed because it begins anew.
    pub(super) is_renewing: bool,
    /// The device that is let in, and when that was looked at last.
    pub(super) let_in: Option<(Id, u64)>,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, info: SessionInfo, now: Now) -> Self {
        let covered_since = (shared.local_time)(now.wall_ms);
        let rules = Rules::of(&shared);
        Session {
            rules,
            is_renewing: false,
            shared,
            info,
            now,
            session_id: [0; 16],
            end: End::Closed,
            deframer: Deframer::default(),
            decider: Decider::new(now.boot_ms),
            shots: Shots::default(),
            rollup: AttestationRollup::default(),
            ownership: Ownership::default(),
            covering_since_ms: None,
            covered_since,
            asked: Asked::Nothing,
            prompt: Prompt::Nothing,
            on_break: false,
            noticed: BTreeSet::new(),
            is_refusal_noted: false,
            is_withdrawal_kept: false,
            unkept_since_ms: None,
            incident_ids: IncidentIds::default(),
            entries_limit: RateLimit::new(now.boot_ms),
            pictures_limit: RateLimit::new(now.boot_ms),
            acks: channel(),
            started: false,
            let_in: None,
        }
    }

    /// Has the decision take an event, and carries out what follows from it.
    pub(super) fn decide(&mut self, event: Event, actions: &mut Vec<Action>) {
        // Without randomness an incident cannot be named, but with an all-zero id it still covers.
        let fresh = self.shared.random.fresh().unwrap_or_default();
        for decided in self.decider.handle(self.now.boot_ms, event, fresh) {
            self.carry_out(decided, actions);
        }
        self.open_incident_if_ready();
    }

    fn carry_out(&mut self, decided: Decided, actions: &mut Vec<Action>) {
        let now_ms = self.now.boot_ms;
        match decided {
            Decided::Screenshot(shot) => actions.push(Action::Screenshot(self.shots.ask(shot))),
            Decided::DropSuspect => self.shots.drop_suspect(),
            Decided::Cover(reason) => {
                self.covering_since_ms.get_or_insert(now_ms);
                self.asked = Asked::Nothing;
                self.tell_cover(reason, actions);
            }
            Decided::Uncover => {
                self.covering_since_ms = None;
                self.covered_since.clear();
                actions.push(Action::Uncover);
            }
            Decided::Measure(light) => {
                if let End::Live(live) = &mut self.end {
                    let sealed = live.light(&light);
                    self.send(sealed.map(Some), actions);
                }
            }
            Decided::Light(rgb) => actions.push(Action::Light(rgb)),
            Decided::Prompt(prompt) => {
                self.prompt = prompt;
                if self.decider.shown() == Shown::Covered {
                    self.tell_cover(self.decider.reason(), actions);
                }
            }
            Decided::Checked { result, opened } => self.keep_check(result, opened),
            Decided::Status(status) => {
                if let End::Live(live) = &mut self.end {
                    let sealed = live.status(status);
                    self.send(sealed.map(Some), actions);
                }
                self.keep_shown(status);
            }
            Decided::OpenIncident { incident_id, reason } => {
                self.shots.need(Due { incident_id, reason, boot_ms: now_ms });
            }
            Decided::Observed(reason) => self.keep_observed(reason),
            Decided::Gap { ms } => self.keep_gap(Reason::LinkLost, now_ms.saturating_sub(ms)),
            Decided::Disconnect => {
                self.keep_unconfirmed();
                actions.push(Action::Disconnect {
                    advice:
                        "The cover was not confirmed in time. The client's network is stuck; connect again."
                            .into(),
                });
            }
        }
    }

    pub(super) fn tell_cover(&mut self, reason: Reason, actions: &mut Vec<Action>) {
        if self.covered_since.is_empty() {
            self.covered_since = (self.shared.local_time)(self.now.wall_ms);
        }
        let text = messages::cover(reason, &self.covered_since, &self.info, self.asked);
        let text = messages::with_obstacle(self.obstacle(reason), text);
        let text = messages::with_names(self.ownership.names(reason), text);
        actions.push(Action::Cover(messages::with_prompt(self.prompt, text)));
    }

    pub(super) fn send(&mut self, message: Result<Option<Vec<u8>>, Refusal>, actions: &mut Vec<Action>) {
        match message {
            Ok(message) => actions.extend(message.map(Action::Send)),
            Err(refusal) => tracing::error!(%refusal, "a message to the client could not be encoded"),
        }
    }

    fn on_link(&mut self, event: LinkEvent, actions: &mut Vec<Action>) {
        match event {
            LinkEvent::Opened => self.greet(actions),
            LinkEvent::Closed => {
                // The session goes on without its client: covered, and worth an incident.
                let reason = match self.started {
                    _ if self.is_renewing => Reason::PolicyChanged,
                    true => Reason::ClientGone,
                    false => Reason::NoClient,
                };
                self.end = End::Closed;
                self.decide(Event::LinkDown { reason }, actions);
            }
            LinkEvent::Missing => self.decide(Event::LinkDown { reason: Reason::NoClient }, actions),
            // Closing the window is no incident: nothing can be seen any more.
            LinkEvent::Disconnected => self.finish(Reason::ClientGone),
            LinkEvent::Bytes(bytes) => self.bytes(&bytes, actions),
        }
    }

    fn on_tick(&mut self, actions: &mut Vec<Action>) {
        let is_kept = self.shared.evidence.health().is_kept(&self.session_id);
        if self.evidence_is_required() {
            self.decide(Event::EvidenceKept(is_kept), actions);
        } else {
            self.watch_gap(is_kept);
        }
        self.decide(Event::Tick, actions);
        self.look_whether_let_in(actions);
        while let Ok(ack) = self.acks.1.try_recv() {
            if let End::Live(live) = &mut self.end {
                let sealed = live.acknowledge(&ack);
                self.send(sealed.map(Some), actions);
            }
        }
        self.credit(actions);
        let now_ms = self.now.boot_ms;
        let late = Refusal::new(Code::Timeout, Fault::Surroundings, "");
        match &mut self.end {
            End::Live(live) => {
                if let Ok(nonce) = self.shared.random.fresh() {
                    let challenge = live.challenge(nonce, now_ms);
                    self.send(challenge, actions);
                }
            }
            End::AwaitOpen(end) if end.is_late(now_ms) => self.refuse(&late, actions),
            End::AwaitEnrol(end) if end.is_late(now_ms) => self.refuse(&late, actions),
            _ => {}
        }
    }

    fn on_cover(&mut self, event: CoverEvent, actions: &mut Vec<Action>) {
        match event {
            CoverEvent::Painted(shown) => self.decide(Event::Painted(shown), actions),
            CoverEvent::Screenshot { ticket, screenshot } => {
                self.shots.taken(ticket, screenshot);
                self.open_incident_if_ready();
            }
            CoverEvent::ScreenshotMissing { ticket, why } => {
                self.shots.missing(ticket, why);
                self.open_incident_if_ready();
            }
            CoverEvent::Key(key) => self.on_key(key, actions),
        }
    }

    fn on_key(&mut self, key: CoverKey, actions: &mut Vec<Action>) {
        if self.decider.shown() != Shown::Covered {
            return;
        }
        let reason = self.decider.reason();
        match key {
            // Without an authenticated client there is no camera to turn off, and no session in the log.
            CoverKey::Break | CoverKey::WrongBlock if !self.started => return,
            CoverKey::Break => {
                self.on_break = !self.on_break;
                return self.decide(Event::Break(self.on_break), actions);
            }
            CoverKey::Leave => return self.on_leave(reason, actions),
            CoverKey::WrongBlock if self.asked == Asked::Reported => return,
            CoverKey::WrongBlock => {
                let note = NoteCode::WrongBlock.with(reason.number().into());
                self.keep(self.decider.incident_id(), What::Note(note));
                self.asked = Asked::Reported;
            }
            CoverKey::Help => {
                self.asked = if self.asked == Asked::Help { Asked::Nothing } else { Asked::Help };
            }
        }
        self.tell_cover(reason, actions);
    }

    /// Ends the connection at the second press, of which the first one warns. The desktop stays.
    fn on_leave(&mut self, reason: Reason, actions: &mut Vec<Action>) {
        if !messages::may_leave(reason) {
            return;
        }
        match self.asked {
            Asked::Leave { since_ms } if self.now.boot_ms.saturating_sub(since_ms) <= LEAVE_MAX_MS => {
                actions.push(Action::Disconnect { advice: LEFT.into() });
            }
            _ => {
                self.asked = Asked::Leave { since_ms: self.now.boot_ms };
                self.tell_cover(reason, actions);
            }
        }
    }

    pub(super) fn on_notice(&mut self, notice: NoteCode) {
        // The same notice every few milliseconds is one fact: a flood would only hide others.
        if self.noticed.insert(notice.number()) {
            self.keep_notice(notice.number());
        }
    }
}

impl SessionDriver for Session {
    fn handle(&mut self, now: Now, event: SessionEvent) -> Vec<Action> {
        self.now = now;
        let mut actions = Vec::new();
        match event {
            SessionEvent::Tick => self.on_tick(&mut actions),
            SessionEvent::Link(event) => self.on_link(event, &mut actions),
            SessionEvent::Cover(event) => self.on_cover(event, &mut actions),
            SessionEvent::Owner(owner) => self.on_owner(owner, &mut actions),
        }
        actions
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.started {
            self.finish(Reason::ClientGone);
        }
    }
}
