//! The client's side of one session: handshake, presence and evidence put together. Pure.
//!
//! ```text
//!  channel bytes, observations, time ─► Link ─► messages, operators, decisions, incidents
//! ```
//! Every RDP client drives it the same way (the bundled one here, the FreeRDP plugin as well).
//! Evidence that is not acknowledged is kept and sent again after a reconnect.

use sudare_protocol::client::{AwaitHello, AwaitReady, Evidence, Fresh, HostNews, Live, Setup};
use sudare_protocol::error::{Code, Fault, Refusal, Refused};
use sudare_protocol::frame::Deframer;
use sudare_protocol::message::{Ack, Bye, CertificateCheck, Id, Status};
use sudare_protocol::numbers::Numbers;
use sudare_protocol::reason::Reason;
use sudare_protocol::template::OperatorTemplate;

use crate::presence::{Decision, Observation, Presence};
use crate::report::{Incident, Reporter};
use crate::spool::Spool;

/// What the driver has to do or may show.
#[derive(Debug)]
pub enum Output {
    /// Put these bytes on the channel.
    Send(Vec<u8>),
    /// The session is live; watch for these operators.
    Ready { operators: Vec<OperatorTemplate>, host_id: String, certificate: CertificateCheck },
    /// The decision changed. A driver with a window of its own covers it by `cover`.
    Decided(Decision),
    /// Pictures of this incident are due: build them and call `Link::evidence`.
    Incident(Incident),
    /// What the host shows.
    Status(Status),
    /// The host keeps this incident: the receipt.
    Receipt(Ack),
    /// The operator began or ended a break on the host's cover: turn the camera off or on.
    Break(bool),
    /// The session is over, and why. Cover.
    Refused(Refusal),
}

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
    /// The camera is off by the operator's wish; nothing is looked at.
    on_break: bool,
}

/// One device's link to one host, over any number of reconnects.
pub struct Link {
    state: State,
    deframer: Deframer,
    /// Sent or waiting, not acknowledged.
    spool: Spool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({} incidents waiting)", self.spool.len())
    }
}

impl Default for Link {
    fn default() -> Self {
        Link { state: State::Closed, deframer: Deframer::default(), spool: Spool::default() }
    }
}

impl Link {
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
            let decision = state.presence.observe(seen);
            self.tell(decision, now_ms, fresh, out);
        }
    }

    /// Time passes: ages grow, attestations and evidence go out.
    pub fn tick(&mut self, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state {
            let decision = if state.on_break { Decision::on_break() } else { state.presence.tick(now_ms) };
            self.tell(decision, now_ms, fresh, out);
            self.send_evidence(out);
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

    /// Ends in good order.
    pub fn bye(&mut self, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && let Ok(bye) = state.live.bye(Bye { reason: Reason::ClientGone })
        {
            out.push(Output::Send(bye));
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

    /// The live session, for its policy and numbers.
    pub fn live(&self) -> Option<&Live> {
        match &self.state {
            State::Live(state) => Some(&state.live),
            _ => None,
        }
    }

    pub fn numbers(&self) -> Numbers {
        self.live().map(Live::numbers).unwrap_or_default()
    }

    /// Takes over what an earlier channel to the same host left.
    pub fn keep(&mut self, left: Spool, out: &mut Vec<Output>) {
        for evidence in left {
            self.evidence(evidence, out);
        }
    }

    /// What the host has not acknowledged, for the next channel to it.
    pub fn take_spool(&mut self) -> Spool {
        std::mem::take(&mut self.spool)
    }

    /// Incidents that the host has not acknowledged.
    pub fn waiting(&self) -> usize {
        self.spool.len()
    }

    /// Takes one frame; `false` ends the reading.
    fn frame(&mut self, frame: &[u8], out: &mut Vec<Output>) -> bool {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => return false,
            State::AwaitHello(state) => match state.handle(frame) {
                Ok((next, open)) => {
                    self.state = State::AwaitReady(Box::new(next));
                    out.push(Output::Send(open));
                }
                Err(refused) => return end(refused, out),
            },
            State::AwaitReady(state) => match state.handle(frame) {
                Ok((live, operators)) => self.ready(live, operators, out),
                Err(refused) => return end(refused, out),
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
                tracing::error!(%refusal, "kept evidence could not be queued again");
            }
        }
        out.push(Output::Ready {
            operators,
            host_id: live.host_id().to_owned(),
            certificate: live.certificate(),
        });
        let presence = Presence::new(&live.numbers());
        let reporter = Reporter::default();
        self.state =
            State::Live(Box::new(LiveState { live, presence, reporter, last: None, on_break: false }));
    }

    fn news(&mut self, news: Option<HostNews>, out: &mut Vec<Output>) {
        match news {
            Some(HostNews::Status(status)) => {
                out.push(Output::Status(status));
                self.take_break(status.reason == Reason::Break, out);
            }
            Some(HostNews::Acknowledged(ack)) => {
                self.spool.acknowledge(&ack.incident_id);
                out.push(Output::Receipt(ack));
            }
            Some(HostNews::Credited) => self.send_evidence(out),
            Some(HostNews::Challenged) | None => {}
        }
    }

    /// The host says whether it is a break. After it, everything before it is forgotten: the
    /// operator has to be recognised anew.
    fn take_break(&mut self, on: bool, out: &mut Vec<Output>) {
        if let State::Live(state) = &mut self.state
            && state.on_break != on
        {
            state.on_break = on;
            state.presence = Presence::new(&state.live.numbers());
            out.push(Output::Break(on));
        }
    }

    fn tell(&mut self, decision: Decision, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        let State::Live(state) = &mut self.state else { return };
        match state.reporter.tell(&mut state.live, &decision, now_ms, fresh) {
            Ok(told) => {
                out.extend(told.messages.into_iter().map(Output::Send));
                let shown = |d: &Decision| (d.state, d.cover, d.reason);
                if state.last.as_ref().map(shown) != Some(shown(&decision)) {
                    // With its time, so that what follows from it can be measured from here.
                    tracing::info!(
                        boot_ms = now_ms,
                        state = decision.state.as_str(),
                        cover = decision.cover,
                        reason = decision.reason.as_str(),
                        "decided"
                    );
                    out.push(Output::Decided(decision));
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
                Ok(Some(frame)) => out.push(Output::Send(frame)),
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
            out.extend(state.live.refuse(&refusal).map(Output::Send));
        }
        self.state = State::Closed;
        out.push(Output::Refused(refusal));
    }
}

fn end(refused: Refused, out: &mut Vec<Output>) -> bool {
    out.extend(refused.reply.map(Output::Send));
    out.push(Output::Refused(refused.refusal));
    false
}
