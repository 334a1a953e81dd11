//! The client's side of one session: handshake, presence and evidence combined. Pure.
//!
//! ```text
//!  channel bytes, observations, time ─► ClientSession ─► messages, operators, decisions, incidents
//! ```
//! Every RDP client drives it the same way. Evidence that is not acknowledged is kept and sent again after a
//! reconnect.

use sudare_protocol::client::{AwaitHello, AwaitReady, Evidence, Fresh, HostNews, Live, Setup};
use sudare_protocol::error::{Code, Fault, Refusal, Refused};
use sudare_protocol::frame::Deframer;
use sudare_protocol::message::{Bye, Id};
use sudare_protocol::reason::Reason;
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::timings::Timings;

use crate::event::{ChannelId, Event, Output};
use crate::live::lit::Measuring;
use crate::presence::{Decision, Observation, Presence};
use crate::report::Reporter;
use crate::spool::Spool;

enum State {
    Closed,
    AwaitHello(Box<AwaitHello>),
    AwaitReady(Box<AwaitReady>),
    Live(Box<LiveState>),
}

struct LiveState {
    live: Live,
    presence: Presence,
    reporter: Reporter,
    last: Option<Decision>,
    /// The operator turned the camera off; observations are ignored.
    on_break: bool,
    /// The host checks that somebody alive is there.
    measuring: Option<Measuring>,
}

/// One device's session with one host on one channel, which may be opened anew.
pub struct ClientSession {
    id: ChannelId,
    state: State,
    deframer: Deframer,
    /// Sent or waiting, not acknowledged.
    spool: Spool,
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientSession({} incidents waiting)", self.spool.len())
    }
}

impl ClientSession {
    /// A session on this channel, which is still to be opened.
    #[must_use]
    pub fn new(id: ChannelId) -> Self {
        ClientSession { id, state: State::Closed, deframer: Deframer::default(), spool: Spool::default() }
    }

    /// The channel was opened; the host speaks first.
    pub fn opened(&mut self, setup: Setup, fresh: Fresh) {
        self.deframer = Deframer::default();
        self.state = State::AwaitHello(Box::new(AwaitHello::new(setup, fresh)));
    }

    pub fn closed(&mut self) {
        self.state = State::Closed;
    }

    /// Bytes came from the channel.
    pub fn bytes(&mut self, bytes: &[u8], out: &mut Vec<Output>) {
        self.deframer.push(bytes);
        loop {
            match self.deframer.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    if !self.frame(&frame, out) {
                        return;
                    }
                }
                Err(error) => return self.refuse(error.into(), out),
            }
        }
    }

    /// A new look at the seat.
    pub fn observe(&mut self, seen: &Observation, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && !state.on_break
        {
            if let Some(measuring) = &mut state.measuring {
                measuring.observe(seen, now_ms);
            }
            let decision = state.presence.observe(seen);
            self.tell(decision, now_ms, fresh, out);
        }
    }

    /// The operator asks for a cover, or ends the one they asked for. In a break it is covered anyway.
    pub fn ask_cover(&mut self, on: bool, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && !state.on_break
        {
            let decision = state.presence.ask_cover(on, now_ms);
            self.tell(decision, now_ms, fresh, out);
        }
    }

    /// Time passes: ages grow, attestations and evidence go out.
    pub fn tick(&mut self, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state {
            let decision = if state.on_break { Decision::on_break() } else { state.presence.tick(now_ms) };
            self.tell(decision, now_ms, fresh, out);
            self.answer_check(now_ms, out);
            self.send_evidence(out);
        }
    }

    /// Sends what was measured once the time is over.
    fn answer_check(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let State::Live(state) = &mut self.state else { return };
        let Some(lit) = state.measuring.as_mut().and_then(|measuring| measuring.tick(now_ms)) else { return };
        state.measuring = None;
        match state.live.lit(&lit) {
            Ok(message) => out.push(Output::Send(self.id, message)),
            Err(refusal) => self.refuse(refusal, out),
        }
    }

    /// Sealed pictures of an incident.
    pub fn evidence(&mut self, evidence: Evidence, out: &mut Vec<Output>) {
        match self.spool.push(evidence) {
            Ok(evidence) => {
                if let State::Live(state) = &mut self.state
                    && let Err(refusal) = state.live.queue(evidence)
                {
                    tracing::error!(%refusal, "evidence could not be queued");
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
        self.send_evidence(out);
    }

    /// Says goodbye and closes.
    pub fn bye(&mut self, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && let Ok(bye) = state.live.bye(Bye { reason: Reason::ClientGone })
        {
            out.push(Output::Send(self.id, bye));
        }
        self.state = State::Closed;
    }

    /// Whether a window of the client's own must be covered now.
    pub fn covers_own(&self) -> bool {
        match &self.state {
            State::Live(state) => state.last.is_none_or(|d| d.cover),
            _ => true,
        }
    }

    /// The protocol's live session, for its policy and timings.
    pub fn live(&self) -> Option<&Live> {
        match &self.state {
            State::Live(state) => Some(&state.live),
            _ => None,
        }
    }

    pub fn timings(&self) -> Timings {
        self.live().map(Live::timings).unwrap_or_default()
    }

    /// Takes over evidence that an earlier channel to the same host left behind.
    pub fn keep(&mut self, unacknowledged: Spool, out: &mut Vec<Output>) {
        for evidence in unacknowledged {
            self.evidence(evidence, out);
        }
    }

    /// Evidence that the host has not acknowledged, for the next channel to it.
    pub fn take_spool(&mut self) -> Spool {
        std::mem::take(&mut self.spool)
    }

    /// Incidents that the host has not acknowledged.
    pub fn waiting(&self) -> usize {
        self.spool.len()
    }

    /// Handles one frame; returns false to stop reading.
    fn frame(&mut self, frame: &[u8], out: &mut Vec<Output>) -> bool {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => return false,
            State::AwaitHello(state) => {
                let notice = state.notice(frame);
                out.extend(notice.map(|notice| Output::Tell(Event::Notice(Box::new(notice)))));
                match state.handle(frame) {
                    Ok((next, open)) => {
                        self.state = State::AwaitReady(Box::new(next));
                        out.push(Output::Send(self.id, open));
                    }
                    Err(refused) => return self.end(refused, out),
                }
            }
            State::AwaitReady(state) if state.is_withdrawing() => match state.withdrawn(frame) {
                Ok(receipt) => {
                    out.push(Output::Tell(Event::Withdrawn(Box::new(receipt))));
                    return false;
                }
                Err(refused) => return self.end(refused, out),
            },
            State::AwaitReady(state) => match state.handle(frame) {
                Ok((live, operators)) => self.ready(live, operators, out),
                Err(refused) => return self.end(refused, out),
            },
            State::Live(mut state) => {
                let news = state.live.handle(frame);
                self.state = State::Live(state);
                match news {
                    Ok(news) => self.news(news, out),
                    Err(refusal) => {
                        self.refuse(refusal, out);
                        return false;
                    }
                }
            }
        }
        true
    }

    fn ready(&mut self, mut live: Live, operators: Vec<OperatorTemplate>, out: &mut Vec<Output>) {
        for evidence in self.spool.iter() {
            if let Err(refusal) = live.queue(evidence) {
                tracing::error!(%refusal, "evidence of an earlier connection could not be queued");
            }
        }
        let (host_id, certificate) = (live.host_id().to_owned(), live.certificate());
        let user = live.user().map(str::to_owned);
        out.extend([Output::Tell(Event::Ready { host_id, certificate, user }), Output::Watch(operators)]);
        let presence = Presence::new(&live.timings());
        let reporter = Reporter::default();
        self.state = State::Live(Box::new(LiveState {
            live,
            presence,
            reporter,
            last: None,
            on_break: false,
            measuring: None,
        }));
    }

    fn news(&mut self, news: Option<HostNews>, out: &mut Vec<Output>) {
        match news {
            Some(HostNews::Status(status)) => {
                out.push(Output::Tell(Event::Status(status)));
                self.take_break(status.reason == Reason::Break, out);
            }
            Some(HostNews::Acknowledged(ack)) => {
                self.spool.acknowledge(&ack.incident_id);
                out.push(Output::Tell(Event::Receipt(ack)));
            }
            Some(HostNews::Unproven(why)) => out.push(Output::Tell(Event::Unproven(why))),
            Some(HostNews::Credited) => self.send_evidence(out),
            Some(HostNews::Light(light)) => {
                if let State::Live(state) = &mut self.state {
                    state.measuring = Measuring::new(&light);
                }
            }
            Some(HostNews::Challenged) | None => {}
        }
    }

    /// The host says whether there is a break. After one, the operator has to be recognised again.
    fn take_break(&mut self, on: bool, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && state.on_break != on
        {
            state.on_break = on;
            state.presence = Presence::new(&state.live.timings());
            out.push(Output::Tell(Event::Break(on)));
        }
    }

    fn tell(&mut self, decision: Decision, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        let State::Live(state) = &mut self.state else { return };
        match state.reporter.tell(&mut state.live, &decision, now_ms, fresh) {
            Ok(told) => {
                out.extend(told.messages.into_iter().map(|message| Output::Send(self.id, message)));
                let shown = |d: &Decision| (d.state, d.cover, d.reason);
                if state.last.as_ref().map(shown) != Some(shown(&decision)) {
                    // With its time, from which the delay until the cover is measured.
                    tracing::info!(
                        boot_ms = now_ms,
                        state = decision.state.as_str(),
                        cover = decision.cover,
                        reason = decision.reason.as_str(),
                        "decided"
                    );
                    out.push(Output::Tell(Event::Decided(decision)));
                }
                state.last = Some(decision);
                out.extend(told.incident.map(Output::Incident));
            }
            Err(refusal) => self.refuse(refusal, out),
        }
    }

    fn send_evidence(&mut self, out: &mut Vec<Output>) {
        let State::Live(state) = &mut self.state else { return };
        loop {
            match state.live.next_evidence_frame() {
                Ok(Some(frame)) => out.push(Output::Send(self.id, frame)),
                Ok(None) => return,
                Err(refusal) => return self.refuse(refusal, out),
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut Vec<Output>) {
        // A peer that reported its own error does not need ours.
        let told_us = refusal.code == Code::PeerEnded && refusal.fault != Fault::Us;
        if let State::Live(state) = &mut self.state
            && !told_us
        {
            out.extend(state.live.refuse(&refusal).map(|reply| Output::Send(self.id, reply)));
        }
        let live = matches!(self.state, State::Live(_));
        self.state = State::Closed;
        out.push(Output::Tell(Event::Refused { refusal, live }));
    }

    /// The handshake failed; the state is `Closed` already.
    fn end(&self, Refused { refusal, reply }: Refused, out: &mut Vec<Output>) -> bool {
        out.extend(reply.map(|reply| Output::Send(self.id, reply)));
        out.push(Output::Tell(Event::Refused { refusal, live: false }));
        false
    }
}
