//! The channel's end: greets a client, lets it in or refuses it, and counts what it may cause.

use sudare_protocol::error::{Code, Fault, Refusal, Refused};
use sudare_protocol::evidence::event::SessionStart;
use sudare_protocol::evidence::note::NoteCode;
use sudare_protocol::frame::Deframer;
use sudare_protocol::host::{AwaitEnrol, AwaitOpen, Device, Fresh, Live, Opened, Setup, TakenBack};
use sudare_protocol::limits::OPERATORS_MAX;
use sudare_protocol::reason::Reason;

use zeroize::Zeroizing;

use super::driver::Session;
use super::evidence::{Job, What};
use super::rate_limit::SESSION_COSTS;
use crate::decision::Event;
use crate::transport::Action;

/// How often it is looked whether the device is still let in.
const LET_IN_EVERY_MS: u64 = 5_000;

/// Where the channel's end is.
pub(super) enum End {
    Closed,
    AwaitOpen(Box<AwaitOpen>),
    /// A device that an invitation lets in brings its operator.
    AwaitEnrol(Box<AwaitEnrol>),
    Live(Box<Live>),
}

impl Session {
    /// The client opened the channel: greet it.
    pub(super) fn greet(&mut self, actions: &mut Vec<Action>) {
        let random = &self.shared.random;
        let (Ok(session_id), Ok(nonce), Ok(enrol_secret)) = (random.fresh(), random.fresh(), random.fresh())
        else {
            tracing::error!("the system gave no random bytes; the session stays covered");
            return;
        };
        if self.started {
            // The channel was opened again: its session is over, and another begins.
            self.finish(if self.is_renewing { Reason::PolicyChanged } else { Reason::ClientGone });
        }
        self.adopt_policy();
        self.session_id = session_id;
        self.incident_ids.begin();
        self.ownership.forget_operator();
        let shared = &self.shared;
        let setup = Setup {
            host_key: shared.host_key.clone(),
            host_record: shared.host_record.clone(),
            policy: self.rules.policy.clone(),
            session_id,
            boot_id: shared.boot_id,
            tls_cert_sha256: shared.tls_cert_sha256,
            tls_exporter: self.info.tls_exporter,
            organisation: shared.organisation,
            enrol_secret: Zeroizing::new(enrol_secret),
            user: self.claimed_user(),
            wall_ms: self.now.wall_ms,
        };
        match AwaitOpen::new(setup, nonce, self.now.boot_ms) {
            Ok((end, hello)) => {
                (self.end, self.deframer) = (End::AwaitOpen(Box::new(end)), Deframer::default());
                actions.push(Action::Send(hello));
            }
            Err(refusal) => tracing::error!(%refusal, "no session can be offered to the client"),
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], actions: &mut Vec<Action>) {
        if matches!(self.end, End::Closed) {
            // The client was refused, and told so once. If it goes on all the same, that costs nothing more.
            return;
        }
        self.deframer.push(bytes);
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

    fn frame(&mut self, frame: &[u8], actions: &mut Vec<Action>) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.end, End::Closed) {
            End::Closed => Ok(()),
            End::AwaitOpen(end) => {
                let opened = self.opened(*end, frame, actions);
                self.or_refuse(opened, actions);
                Ok(())
            }
            End::AwaitEnrol(end) => {
                let enrolled = self.enrolled(*end, frame, actions);
                self.or_refuse(enrolled, actions);
                Ok(())
            }
            End::Live(mut live) => {
                let news = live.handle(frame, self.now.boot_ms);
                self.end = End::Live(live);
                self.credit(actions);
                self.has_room()?;
                match news? {
                    Some(news) => self.news(news, actions),
                    None => Ok(()),
                }
            }
        }
    }

    /// Lets the client send more pictures, unless it has to wait: they wait best in its own spool.
    pub(super) fn credit(&mut self, actions: &mut Vec<Action>) {
        if let End::Live(live) = &mut self.end
            && self.shared.evidence.health().takes_pictures()
            && !self.pictures_limit.is_overdrawn(self.now.boot_ms)
        {
            let credit = live.credit();
            self.send(credit, actions);
        }
    }

    /// A client whose acts cannot be recorded is not let in. The queue is only long while the store is slow
    /// or away: `RateLimit` stops a client that floods long before.
    fn has_room(&self) -> Result<(), Refusal> {
        match self.shared.evidence.health().has_room(self.evidence_is_required()) {
            true => Ok(()),
            false => Err(Refusal::new(Code::EvidenceStore, Fault::Us, "")),
        }
    }

    /// The client is about to cause an entry in the log.
    pub(super) fn spend(&mut self, cost: u64) -> Result<(), Refusal> {
        if self.entries_limit.take(cost, self.now.boot_ms) { Ok(()) } else { Err(Refusal::peer(Code::Flood)) }
    }

    fn opened(&mut self, end: AwaitOpen, frame: &[u8], actions: &mut Vec<Action>) -> Result<(), Refused> {
        if let Err(refusal) = self.has_room().and_then(|()| self.spend(SESSION_COSTS)) {
            return Err(end.refuse(frame, refusal));
        }
        if AwaitOpen::is_enrolling(frame) {
            let end = end.enrol(frame, &self.by_user(), self.now.boot_ms)?;
            self.end = End::AwaitEnrol(Box::new(end));
            return Ok(());
        }
        if AwaitOpen::is_withdrawing(frame) {
            let taken_back = end.withdraw(frame, &self.by_user(), self.now.boot_ms)?;
            self.taken_back(taken_back, actions);
            return Ok(());
        }
        let fresh = self.fresh()?;
        let (live, ready, opened) = end.handle(frame, &self.by_user(), &fresh, self.now.boot_ms)?;
        self.go_live(live, ready, opened, actions);
        Ok(())
    }

    /// An employee took the consent back: told, kept in the log with the signed words, and nothing is shown.
    fn taken_back(&mut self, taken_back: TakenBack, actions: &mut Vec<Action>) {
        tracing::info!("consent was taken back on a device, whose templates are erased");
        let start = SessionStart {
            hello: taken_back.hello,
            open: taken_back.open,
            device_key: taken_back.device_key,
            device_record_sha256: taken_back.device_record_sha256,
            subject_id: None,
        };
        // A plugin says it again as often as the channel is opened for it; the log has it once.
        self.started = !std::mem::replace(&mut self.is_withdrawal_kept, true);
        self.keep(None, What::SessionStart(start));
        self.decide(Event::LinkDown { reason: Reason::NoConsent }, actions);
        self.finish(Reason::NoConsent);
        actions.push(Action::Send(taken_back.reply));
    }

    fn enrolled(&mut self, end: AwaitEnrol, frame: &[u8], actions: &mut Vec<Action>) -> Result<(), Refused> {
        let fresh = self.fresh()?;
        let (live, ready, opened) = end.handle(frame, &self.by_user(), &fresh, self.now.boot_ms)?;
        tracing::info!("a device was let in by an invitation");
        self.go_live(live, ready, opened, actions);
        Ok(())
    }

    /// Randomness for a handshake.
    fn fresh(&self) -> Result<Fresh, Refused> {
        let no_randomness = |_| {
            let refusal = Refusal::new(Code::EvidenceStore, Fault::Us, "no randomness");
            Refused { refusal, reply: None }
        };
        let random = &self.shared.random;
        let mut template_secrets = [[0; 32]; OPERATORS_MAX];
        for secret in &mut template_secrets {
            *secret = random.fresh().map_err(no_randomness)?;
        }
        Ok(Fresh { nonce: random.fresh().map_err(no_randomness)?, template_secrets })
    }

    /// Tells the client why it is not let in.
    fn or_refuse(&mut self, result: Result<(), Refused>, actions: &mut Vec<Action>) {
        if let Err(refused) = result {
            actions.extend(refused.reply.map(Action::Send));
            self.refuse(&refused.refusal, actions);
        }
    }

    fn go_live(&mut self, live: Live, ready: Vec<u8>, opened: Opened, actions: &mut Vec<Action>) {
        let in_force = opened.in_force;
        (self.end, self.started) = (End::Live(Box::new(live)), true);
        self.let_in = Some((opened.device_id, self.now.boot_ms));
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
        // Notices from before there was a session to record them in.
        self.noticed.iter().for_each(|code| self.keep_notice(*code));
        self.known(&opened.user);
        self.keep_rules(&in_force);
        let (rules, timings) = (in_force.eyes, in_force.timings);
        let left_ms = |until_ms: u64| until_ms.saturating_sub(self.now.wall_ms);
        let observed_until_ms = in_force.observed_until_ms.map(|at| self.now.boot_ms + left_ms(at));
        self.decide(Event::Owner(self.whose()), actions);
        self.decide(Event::Eyes { rules, measures: opened.measures }, actions);
        self.decide(Event::LinkUp { timings, observed_until_ms }, actions);
    }

    /// What was taken back while a session runs counts for it, too.
    pub(super) fn look_whether_let_in(&mut self, actions: &mut Vec<Action>) {
        let (End::Live(_), Some((device_id, looked_ms))) = (&self.end, self.let_in) else { return };
        if self.now.boot_ms.saturating_sub(looked_ms) < LET_IN_EVERY_MS {
            return;
        }
        self.let_in = Some((device_id, self.now.boot_ms));
        let now_ms = self.now.wall_ms;
        let refusal = match self.shared.devices.find(&device_id) {
            Ok(Some(device)) if device.revoked => Refusal::new(Code::DeviceRevoked, Fault::Organisation, ""),
            Ok(Some(device)) if device.withdrawn => Refusal::new(Code::ConsentWithdrawn, Fault::Peer, ""),
            Ok(Some(Device { record, .. }))
                if (record.not_before_ms..=record.not_after_ms).contains(&now_ms) =>
            {
                return self.look_for_policy(actions);
            }
            Ok(Some(_)) => {
                Refusal::new(Code::DeviceUnknown, Fault::Organisation, "its record is not valid now")
            }
            Ok(None) => Refusal::new(Code::DeviceUnknown, Fault::Organisation, ""),
            Err(error) => Refusal::new(Code::DeviceUnknown, Fault::Organisation, error.to_string()),
        };
        self.refuse(&refusal, actions);
    }

    /// The channel can no longer be trusted: cover, say why, stay covered.
    pub(super) fn refuse(&mut self, refusal: &Refusal, actions: &mut Vec<Action>) {
        // The cover says the names, and the journal does not.
        if refusal.code == Code::WrongUser && !refusal.detail.is_empty() {
            self.ownership.refuse(&refusal.detail);
        }
        let said = if refusal.code == Code::WrongUser {
            refusal.code.text().to_owned()
        } else {
            refusal.to_string()
        };
        tracing::warn!(code = ?refusal.code, refusal = said, "the client's channel is refused");
        if let End::Live(live) = &mut self.end {
            let error = live.refuse(refusal);
            actions.extend(error.map(Action::Send));
        }
        self.end = End::Closed;
        let reason = match refusal.code {
            Code::DeviceUnknown
            | Code::DeviceRevoked
            | Code::WrongUser
            | Code::InvitationUnknown
            | Code::InvitationEnded
            | Code::InvitationUsed
            | Code::InvitationRefused
            | Code::ApprovalPending
            | Code::NotKept => Reason::DeviceRefused,
            Code::ConsentMissing | Code::ConsentWithdrawn => Reason::NoConsent,
            Code::RulesUnclear => Reason::RulesUnclear,
            Code::EvidenceStore => Reason::EvidenceNotKept,
            // Whoever slept, or is slow, has sent nothing wrong.
            Code::Timeout => Reason::ClientGone,
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
}
