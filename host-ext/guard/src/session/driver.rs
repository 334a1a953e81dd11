//! Carries events in and actions out between the transport, the channel's end and the guard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sudare_base::clock;
use sudare_protocol::error::{Code, Fault, Refusal, Refused};
use sudare_protocol::evidence::Label;
use sudare_protocol::evidence::event::{Cover, Gap, Note, PresenceInterval, SessionStart};
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::frame::Deframer;
use sudare_protocol::host::{AwaitOpen, ClientNews, Fresh, Live, Setup};
use sudare_protocol::limits::OPERATORS_MAX;
use sudare_protocol::message::{Ack, Id, Lock, Shown, Status};
use sudare_protocol::reason::Reason;

use super::Shared;
use super::allowance::{Allowance, MESSAGE_COSTS, SESSION_COSTS, pictures_cost};
use super::evidence::{Job, What};
use super::names::Names;
use super::presence::Presence;
use super::shots::{Due, Shots};
use super::words::{self, Asked};
use crate::decision::{Action as Decided, COVER_CONFIRM_MAX_MS, Event, Guard};
use crate::local_time;
use crate::transport::{Action, CoverKey, CoverNotice, LinkEvent, Painted, Picture, Seat, SessionDriver};

/// Where the channel's end is.
enum End {
    Closed,
    AwaitOpen(Box<AwaitOpen>),
    Live(Box<Live>),
}

pub(super) struct Session {
    shared: Arc<Shared>,
    seat: Seat,
    session_id: Id,
    end: End,
    deframer: Deframer,
    guard: Guard,
    shots: Shots,
    presence: Presence,
    /// A cover that was asked for and not yet confirmed, and since when.
    covering_since_ms: Option<u64>,
    /// Since when it is covered, for people to read.
    covered_since: String,
    asked: Asked,
    on_break: bool,
    /// What was noted of this session, each once.
    noticed: BTreeSet<u16>,
    /// The log has it that a device was refused on this connection.
    is_refusal_noted: bool,
    /// Since when the desktop is shown and nothing is kept.
    unkept_since_ms: Option<u64>,
    names: Names,
    /// Over all sessions of this connection: closing the channel gives nothing back.
    allowance: Allowance,
    /// For pictures, likewise.
    deliveries: Allowance,
    acks: (Sender<Ack>, Receiver<Ack>),
    started: bool,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, seat: Seat) -> Self {
        Session {
            shared,
            seat,
            session_id: [0; 16],
            end: End::Closed,
            deframer: Deframer::default(),
            guard: Guard::new(clock::boot_ms()),
            shots: Shots::default(),
            presence: Presence::default(),
            covering_since_ms: None,
            covered_since: local_time::hour_and_minute(clock::wall_ms()),
            asked: Asked::Nothing,
            on_break: false,
            noticed: BTreeSet::new(),
            is_refusal_noted: false,
            unkept_since_ms: None,
            names: Names::default(),
            allowance: Allowance::new(clock::boot_ms()),
            deliveries: Allowance::new(clock::boot_ms()),
            acks: channel(),
            started: false,
        }
    }

    fn keep(&self, incident_id: Option<Id>, what: What) {
        if self.started {
            self.shared.evidence.keep(Job { session_id: self.session_id, incident_id, what });
        }
    }

    fn keep_presence(&self, ended: Option<PresenceInterval>) {
        if let Some(interval) = ended {
            self.keep(None, What::Presence(interval));
        }
    }

    fn keep_notice(&self, code: u16) {
        self.keep(self.guard.incident_id(), What::Note(Note { code, value: 0 }));
    }

    /// Feeds the guard and carries out what it decides.
    fn decide(&mut self, event: Event, actions: &mut Vec<Action>) {
        let now_ms = clock::boot_ms();
        // Without randomness no incident can be named; an all-zero id still covers.
        let fresh = clock::random().unwrap_or_default();
        for decided in self.guard.handle(now_ms, event, fresh) {
            self.carry_out(decided, now_ms, actions);
        }
        self.open_incident_if_ready();
    }

    fn carry_out(&mut self, decided: Decided, now_ms: u64, actions: &mut Vec<Action>) {
        match decided {
            Decided::Snapshot(shot) => actions.push(Action::Snapshot(self.shots.ask(shot))),
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
            Decided::Status { shown, reason, incident_id } => {
                self.tell_status(Status { shown, reason, boot_ms: now_ms, incident_id }, actions);
            }
            Decided::OpenIncident { incident_id, reason } => {
                self.shots.need(Due { incident_id, reason, boot_ms: now_ms });
            }
            Decided::Gap { ms } => {
                let gap = Gap { from_boot_ms: now_ms.saturating_sub(ms), to_boot_ms: now_ms };
                self.keep(None, What::Gap { reason: Reason::LinkLost, gap });
            }
            Decided::Disconnect => {
                self.keep_unconfirmed(now_ms);
                actions.push(Action::Disconnect {
                    advice: "The cover could not be confirmed in time. The client's network is stuck; it may connect again.".into(),
                });
            }
        }
    }

    /// Nobody knows whether the desktop could be seen until now; that has to be in the log.
    fn keep_unconfirmed(&self, now_ms: u64) {
        let asked_boot_ms =
            self.covering_since_ms.unwrap_or_else(|| now_ms.saturating_sub(COVER_CONFIRM_MAX_MS));
        let cover = Cover { asked_boot_ms, effective_boot_ms: now_ms, confirmed: false, cause_seq: None };
        self.keep(self.guard.incident_id(), What::Cover { reason: Reason::CoverFault, cover });
    }

    fn tell_cover(&mut self, reason: Reason, actions: &mut Vec<Action>) {
        if self.covered_since.is_empty() {
            self.covered_since = local_time::hour_and_minute(clock::wall_ms());
        }
        actions.push(Action::Cover(words::cover(reason, &self.covered_since, &self.seat, self.asked)));
    }

    /// The change is true now: tell the client, and record it.
    fn tell_status(&mut self, status: Status, actions: &mut Vec<Action>) {
        if let End::Live(live) = &mut self.end {
            let sealed = live.status(status);
            self.send(sealed.map(Some), actions);
        }
        match status.shown {
            Shown::Covered => {
                let effective_boot_ms = status.boot_ms;
                let asked_boot_ms = self.covering_since_ms.take().unwrap_or(effective_boot_ms);
                let cover = Cover { asked_boot_ms, effective_boot_ms, confirmed: true, cause_seq: None };
                self.keep(status.incident_id, What::Cover { reason: status.reason, cover });
            }
            Shown::Visible => self.keep(None, What::Uncover { boot_ms: status.boot_ms }),
        }
    }

    fn open_incident_if_ready(&mut self) {
        if let Some((due, shots)) = self.shots.ready(clock::boot_ms()) {
            self.keep_incident(due, shots);
        }
    }

    fn keep_incident(&self, due: Due, mut shots: Vec<(Label, Picture)>) {
        let mut dropped = 0;
        // Where evidence is required nothing is dropped: the session is covered until it can be stored.
        if !self.shared.evidence_is_required() && !self.shared.evidence.health().takes_pictures() {
            dropped = u16::try_from(shots.len()).unwrap_or(u16::MAX);
            shots.clear();
        }
        let recipients = self.shared.recipients.clone();
        let what = What::Incident { reason: due.reason, boot_ms: due.boot_ms, shots, dropped, recipients };
        self.keep(Some(due.incident_id), what);
    }

    /// The desktop is shown although nothing is kept, where the policy allows it: that time is a gap.
    fn watch_gap(&mut self, is_kept: bool) {
        let now_ms = clock::boot_ms();
        if is_kept {
            self.end_gap(now_ms);
        } else if self.started && self.guard.shown() == Shown::Visible {
            self.unkept_since_ms.get_or_insert(now_ms);
        }
    }

    fn end_gap(&mut self, now_ms: u64) {
        if let Some(from_boot_ms) = self.unkept_since_ms.take() {
            let gap = Gap { from_boot_ms, to_boot_ms: now_ms };
            self.keep(None, What::Gap { reason: Reason::EvidenceNotKept, gap });
        }
    }

    fn send(&mut self, message: Result<Option<Vec<u8>>, Refusal>, actions: &mut Vec<Action>) {
        match message {
            Ok(message) => actions.extend(message.map(Action::Send)),
            Err(refusal) => tracing::error!(%refusal, "a message could not be made"),
        }
    }

    /// The client opened the channel: greet it.
    fn greet(&mut self, actions: &mut Vec<Action>) {
        let (Ok(session_id), Ok(nonce)) = (clock::random(), clock::random()) else {
            tracing::error!("no randomness from the system; the session stays covered");
            return;
        };
        if self.started {
            // The channel was opened again: its session is over, and another begins.
            self.finish(Reason::ClientGone);
        }
        self.session_id = session_id;
        self.names.begin();
        let shared = &self.shared;
        let setup = Setup {
            host_key: shared.host_key.clone(),
            host_record: shared.host_record.clone(),
            policy: shared.policy.clone(),
            session_id,
            boot_id: shared.boot_id,
            tls_cert_sha256: shared.tls_cert_sha256,
            user: self.seat.user.clone(),
            wall_ms: clock::wall_ms(),
        };
        match AwaitOpen::new(setup, nonce, clock::boot_ms()) {
            Ok((end, hello)) => {
                (self.end, self.deframer) = (End::AwaitOpen(Box::new(end)), Deframer::default());
                actions.push(Action::Send(hello));
            }
            Err(refusal) => tracing::error!(%refusal, "no session can be offered"),
        }
    }

    fn frame(&mut self, frame: &[u8], actions: &mut Vec<Action>) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.end, End::Closed) {
            End::Closed => Ok(()),
            End::AwaitOpen(end) => {
                if let Err(refused) = self.opened(*end, frame, actions) {
                    actions.extend(refused.reply.map(Action::Send));
                    self.refuse(&refused.refusal, actions);
                }
                Ok(())
            }
            End::Live(mut live) => {
                let news = live.handle(frame, clock::boot_ms());
                let lease_until_ms = live.lease_until_ms();
                self.end = End::Live(live);
                self.credit(actions);
                self.has_room()?;
                match news? {
                    Some(news) => self.news(news, lease_until_ms, actions),
                    None => Ok(()),
                }
            }
        }
    }

    /// Lets the client send more pictures, unless it has to wait: its own spool is where they wait best.
    fn credit(&mut self, actions: &mut Vec<Action>) {
        if let End::Live(live) = &mut self.end
            && self.shared.evidence.health().takes_pictures()
            && !self.deliveries.is_overdrawn(clock::boot_ms())
        {
            let credit = live.credit();
            self.send(credit, actions);
        }
    }

    /// What the client does is recorded, or it is not let in. The queue is long because the store is slow
    /// or away: `Allowance` cuts a client that floods long before.
    fn has_room(&self) -> Result<(), Refusal> {
        match self.shared.evidence.health().has_room(self.shared.evidence_is_required()) {
            true => Ok(()),
            false => Err(Refusal::new(Code::EvidenceStore, Fault::Us, "")),
        }
    }

    /// The client is about to cause a lasting entry.
    fn spend(&mut self, cost: u64) -> Result<(), Refusal> {
        if self.allowance.take(cost, clock::boot_ms()) { Ok(()) } else { Err(Refusal::peer(Code::Flood)) }
    }

    fn opened(&mut self, end: AwaitOpen, frame: &[u8], actions: &mut Vec<Action>) -> Result<(), Refused> {
        if let Err(refusal) = self.has_room().and_then(|()| self.spend(SESSION_COSTS)) {
            return Err(end.refuse(frame, refusal));
        }
        let no_randomness = |_| {
            let refusal = Refusal::new(Code::EvidenceStore, Fault::Us, "no randomness");
            Refused { refusal, reply: None }
        };
        let mut template_secrets = [[0; 32]; OPERATORS_MAX];
        for secret in &mut template_secrets {
            *secret = clock::random().map_err(no_randomness)?;
        }
        let fresh = Fresh { nonce: clock::random().map_err(no_randomness)?, template_secrets };
        let (live, ready, opened) = end.handle(frame, &self.shared.registry, &fresh, clock::boot_ms())?;
        let timings = live.timings();
        (self.end, self.started) = (End::Live(Box::new(live)), true);
        actions.push(Action::Send(ready));
        self.keep(
            None,
            What::SessionStart(SessionStart {
                hello: opened.hello,
                open: opened.open,
                device_key: opened.device_key,
                device_record_sha256: opened.device_record_sha256,
                subject_id: None,
            }),
        );
        // What was noticed before there was a session to record it in.
        self.noticed.iter().for_each(|code| self.keep_notice(*code));
        self.decide(Event::LinkUp { timings }, actions);
        Ok(())
    }

    fn news(
        &mut self,
        news: ClientNews,
        lease_until_ms: u64,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let event = match news {
            ClientNews::Attested { attest, nonce_issued_ms } => {
                let now_ms = clock::boot_ms();
                let nonce_age_ms = now_ms.saturating_sub(nonce_issued_ms);
                let ended = self.presence.attested(attest.state, nonce_age_ms, now_ms);
                self.keep_presence(ended);
                Event::Attested { attest, nonce_issued_ms, lease_until_ms }
            }
            // Not in the log: a suspicion that came to nothing is nobody's business.
            ClientNews::Suspect { suspect } => Event::Suspect { active: suspect.active },
            ClientNews::Lock { lock, message } => return self.locked(lock, message, actions),
            ClientNews::Unlock { message } => return self.unlocked(message, actions),
            ClientNews::Announced { .. } => return Ok(()),
            ClientNews::Evidence(complete) => {
                // At most what was let in already comes after this: the client has no more credit.
                self.deliveries.charge(pictures_cost(complete.message.len()), clock::boot_ms());
                let incident_id = self.names.ours(complete.manifest.incident_id);
                self.keep(Some(incident_id), What::Pictures { complete, reply: self.acks.0.clone() });
                return Ok(());
            }
            // In good order: covered, but nothing happened.
            ClientNews::Bye => Event::LinkDown { reason: Reason::NoClient },
        };
        self.decide(event, actions);
        Ok(())
    }

    /// Covers first and records afterwards; the record names the incident that it belongs to. The same
    /// lock again is not recorded: it changes nothing.
    fn locked(&mut self, lock: Lock, message: Vec<u8>, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        let before = self.guard.latch();
        let incident_id = match self.names.take(lock.incident_id, &self.session_id) {
            true => lock.incident_id,
            false => clock::random().unwrap_or_default(),
        };
        self.decide(Event::Lock(Lock { incident_id, ..lock }), actions);
        let incident_id = self.guard.incident_id();
        if let Some(ours) = incident_id {
            self.names.alias(lock.incident_id, ours);
        }
        if self.guard.latch() == before {
            return Ok(());
        }
        self.spend(MESSAGE_COSTS)?;
        let pictures_due = lock.reason.is_incident() && incident_id.is_some();
        self.keep(incident_id, What::ClientMessage { message, pictures_due });
        Ok(())
    }

    /// Recorded before the desktop is shown, if there was a lock.
    fn unlocked(&mut self, message: Vec<u8>, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if self.guard.latch().is_some() {
            self.spend(MESSAGE_COSTS)?;
            self.keep(None, What::ClientMessage { message, pictures_due: false });
        }
        self.decide(Event::Unlock, actions);
        Ok(())
    }

    /// The channel cannot be believed any more: cover, say why, stay covered.
    fn refuse(&mut self, refusal: &Refusal, actions: &mut Vec<Action>) {
        tracing::warn!(code = ?refusal.code, %refusal, "the client's channel is refused");
        if let End::Live(live) = &mut self.end {
            let error = live.refuse(refusal);
            actions.extend(error.map(Action::Send));
        }
        self.end = End::Closed;
        let reason = match refusal.code {
            Code::DeviceUnknown | Code::DeviceRevoked | Code::WrongUser => Reason::DeviceRefused,
            Code::EvidenceStore => Reason::EvidenceNotKept,
            _ => Reason::BadMessage,
        };
        if reason == Reason::DeviceRefused && !self.is_refusal_noted {
            self.is_refusal_noted = true;
            // The session never began; its id is the one that HELLO offered.
            let what = What::Note(NoteCode::DeviceRefused.with(refusal.code.number().into()));
            self.shared.evidence.keep(Job { session_id: self.session_id, incident_id: None, what });
        }
        self.decide(Event::LinkDown { reason }, actions);
    }

    /// Records the end. What an incident still waited for is kept as it is.
    fn finish(&mut self, reason: Reason) {
        self.end = End::Closed;
        if let Some((due, shots)) = self.shots.give() {
            self.keep_incident(due, shots);
        }
        self.end_gap(clock::boot_ms());
        let ended = self.presence.end();
        self.keep_presence(ended);
        self.keep(None, What::SessionEnd { reason, boot_ms: clock::boot_ms() });
        self.started = false;
    }
}

impl SessionDriver for Session {
    fn on_link(&mut self, event: LinkEvent, actions: &mut Vec<Action>) {
        match event {
            LinkEvent::Opened => self.greet(actions),
            LinkEvent::Closed => {
                // The session goes on without its client: covered, and worth an incident.
                let reason = if self.started { Reason::ClientGone } else { Reason::NoClient };
                self.end = End::Closed;
                self.decide(Event::LinkDown { reason }, actions);
            }
            LinkEvent::Missing => self.decide(Event::LinkDown { reason: Reason::NoClient }, actions),
            // Closing the window is no incident: nothing can be seen any more.
            LinkEvent::Disconnected => self.finish(Reason::ClientGone),
            // It was refused, and told so once. Whoever goes on all the same costs nothing more.
            LinkEvent::Bytes(_) if matches!(self.end, End::Closed) => {}
            LinkEvent::Bytes(bytes) => {
                self.deframer.push(&bytes);
                loop {
                    let result = match self.deframer.next_frame() {
                        Ok(None) => return,
                        Ok(Some(frame)) => self.frame(&frame, actions),
                        Err(error) => Err(error.into()),
                    };
                    if let Err(refusal) = result {
                        self.deframer = Deframer::default();
                        return self.refuse(&refusal, actions);
                    }
                }
            }
        }
    }

    fn on_tick(&mut self, actions: &mut Vec<Action>) {
        let is_kept = self.shared.evidence.health().is_kept(&self.session_id);
        if self.shared.evidence_is_required() {
            self.decide(Event::EvidenceKept(is_kept), actions);
        } else {
            self.watch_gap(is_kept);
        }
        self.decide(Event::Tick, actions);
        while let Ok(ack) = self.acks.1.try_recv() {
            if let End::Live(live) = &mut self.end {
                let sealed = live.acknowledge(&ack);
                self.send(sealed.map(Some), actions);
            }
        }
        self.credit(actions);
        let now_ms = clock::boot_ms();
        match (&mut self.end, clock::random()) {
            (End::Live(live), Ok(nonce)) => {
                let challenge = live.challenge(nonce, now_ms);
                self.send(challenge, actions);
            }
            (End::AwaitOpen(end), _) if end.is_late(now_ms) => {
                self.refuse(&Refusal::new(Code::Timeout, Fault::Surroundings, ""), actions);
            }
            _ => {}
        }
    }

    fn on_painted(&mut self, painted: Painted, actions: &mut Vec<Action>) {
        let shown = match painted {
            Painted::Covered => Shown::Covered,
            Painted::Visible => Shown::Visible,
        };
        self.decide(Event::Painted(shown), actions);
    }

    fn on_snapshot(&mut self, ticket: u64, picture: Picture, _actions: &mut Vec<Action>) {
        self.shots.taken(ticket, picture);
        self.open_incident_if_ready();
    }

    fn on_key(&mut self, key: CoverKey, actions: &mut Vec<Action>) {
        if self.guard.shown() != Shown::Covered {
            return;
        }
        let reason = self.guard.reason();
        match key {
            // Without a proven client there is no camera to turn off, and no log to report to.
            CoverKey::Break | CoverKey::WrongBlock if !self.started => return,
            CoverKey::Break => {
                self.on_break = !self.on_break;
                return self.decide(Event::Break(self.on_break), actions);
            }
            CoverKey::WrongBlock if self.asked == Asked::Reported => return,
            CoverKey::WrongBlock => {
                let note = NoteCode::WrongBlock.with(reason.number().into());
                self.keep(self.guard.incident_id(), What::Note(note));
                self.asked = Asked::Reported;
            }
            CoverKey::Help => {
                self.asked = if self.asked == Asked::Help { Asked::Nothing } else { Asked::Help };
            }
        }
        self.tell_cover(reason, actions);
    }

    fn on_notice(&mut self, notice: CoverNotice) {
        // The same thing every few milliseconds is one fact: a flood would only hide others.
        if self.noticed.insert(notice as u16) {
            self.keep_notice(notice as u16);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.started {
            self.finish(Reason::ClientGone);
        }
    }
}
