//! Drives a session from the client's side, whatever RDP client brings the channel.
//!
//! ```text
//!  channels ─ Transport ◄── Act::Send ──┐
//!  Inbox (bytes, looks, sealed) ─► Driver ─ Switch ─ Link       one thread, ticks of 50 ms
//!                                   │  └─► Event: what people and tests see
//!                                   ├─ Watcher: camera on, paused, off
//!                                   └─ Ring ─► Keeper (seals, stores) ─► Inbox
//! ```
//! The camera is on only while a host has proved itself, and not during a break.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sudare_client_core::evidence::Ring;
use sudare_client_core::link::Output;
use sudare_client_core::presence::Decision;
use sudare_client_core::spool::{HostKey, Spool};
use sudare_client_core::switch::{Act, ChannelId, Switch};
use sudare_protocol::client::{Fresh, Setup};
use sudare_protocol::keyfile;
use sudare_protocol::message::{Ack, CertificateCheck, Digest, Id, Status};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::{Refusal, SigningKey, VerifyingKey};
use sudare_vision::camera::live::boottime_ms;

use crate::evidence::Terms;
use crate::inbox::{Inbox, Input, Inputs, LineState, Looks, Transport, Unsaved};
use crate::keeper::{Keeper, To};
use crate::random::random;
use crate::spool::Spools;
use crate::watcher::{Look, Watcher};

const TICK: Duration = Duration::from_millis(50);
/// How often to look whether another process died and left evidence for the host.
const ADOPT_EVERY: Duration = Duration::from_secs(60);
/// At the end, pictures under way may take so long to be sealed.
const LAST_SEALING: Duration = Duration::from_secs(3);

/// Is told each event, and whether a window of the client's own must be covered.
pub type Tell<'a> = &'a mut dyn FnMut(Event, bool);

/// Who this device is.
pub struct Identity {
    pub organisation: VerifyingKey,
    pub device_key: SigningKey,
    pub boot_id: Id,
    pub models: Vec<Digest>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// What happened, for people and programs.
#[derive(Debug)]
pub enum Event {
    Ready {
        host_id: String,
        certificate: CertificateCheck,
    },
    Decided(Decision),
    Status(Status),
    Receipt(Ack),
    /// The operator's break began or ended: the camera was turned off or on.
    Break(bool),
    /// A channel was refused; `live` tells whether it was the host's.
    Refused {
        refusal: Refusal,
        live: bool,
    },
    /// A channel that proved nothing was closed, and why.
    Dropped(&'static str),
    /// Nothing can be seen, and why.
    Trouble(String),
    /// The host's channel is gone; so many incidents wait for it to come back.
    Over {
        waiting: usize,
    },
}

struct Channel {
    transport: Box<dyn Transport>,
    line: Arc<LineState>,
}

/// The deciding part of one connection with everything around it.
pub struct Driver {
    identity: Identity,
    watcher: Box<dyn Watcher>,
    spools: Arc<Spools>,
    inbox: Inbox,
    inputs: Receiver<Input>,
    channels: BTreeMap<ChannelId, Channel>,
    switch: Switch,
    ring: Ring,
    /// While the ring has incidents whose last picture is still to come.
    unsaved: Option<Unsaved>,
    keeper: Keeper,
    /// To whom pictures are sealed, and for which host; kept until another host is live, because
    /// the last pictures of an incident come after the end.
    to: Option<To>,
    /// When to look again for what other processes left.
    next_adopt: Instant,
    /// Number of the present watch; looks of earlier ones are dropped.
    watch: u64,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

impl Driver {
    /// # Errors
    /// The operating system gives no thread.
    pub fn new(identity: Identity, watcher: Box<dyn Watcher>, spools: Arc<Spools>) -> std::io::Result<Self> {
        Self::with_inbox(identity, watcher, spools, Inbox::new())
    }

    /// With an inbox that others know already.
    ///
    /// # Errors
    /// As [`Driver::new`].
    pub fn with_inbox(
        identity: Identity,
        watcher: Box<dyn Watcher>,
        spools: Arc<Spools>,
        (inbox, Inputs(inputs)): (Inbox, Inputs),
    ) -> std::io::Result<Self> {
        let keeper = Keeper::start(inbox.clone(), watcher.finder(), Arc::clone(&spools))?;
        Ok(Driver {
            identity,
            watcher,
            spools,
            inbox,
            inputs,
            channels: BTreeMap::new(),
            switch: Switch::default(),
            ring: Ring::default(),
            unsaved: None,
            keeper,
            next_adopt: Instant::now(),
            to: None,
            watch: 0,
        })
    }

    /// Where other threads reach it.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Runs until `Inbox::stop`. Nothing in it waits for the RDP client, the camera or a disk.
    pub fn run(mut self, tell: Tell<'_>) {
        let mut due = Instant::now();
        while !self.inbox.is_stopped() {
            let mut acts = Vec::new();
            match self.inputs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(input) => self.take(input, &mut acts, tell),
                Err(RecvTimeoutError::Timeout) => {}
                // Not possible while `self.inbox` lives.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= due {
                due = Instant::now() + TICK;
                self.tick(&mut acts);
            }
            self.carry_out(acts, tell);
        }
        self.end(tell);
    }

    fn take(&mut self, input: Input, acts: &mut Vec<Act>, tell: Tell<'_>) {
        match input {
            Input::Opened(id, transport, line) => self.open(id, Channel { transport, line }, acts),
            Input::Bytes(id, waiting) => self.switch.bytes(id, &waiting.bytes, acts),
            Input::Look(watch, look) if watch == self.watch => self.look(look, acts),
            Input::Trouble(watch, text) if watch == self.watch => {
                tracing::error!("{text}");
                self.say(Event::Trouble(text), tell);
            }
            Input::Look(..) | Input::Trouble(..) => {}
            Input::Sealed(host, evidence) => self.sealed(&host, *evidence, acts),
            Input::Flag => self.forget_closed(acts),
        }
    }

    fn tick(&mut self, acts: &mut Vec<Act>) {
        self.forget_closed(acts);
        let now_ms = boottime_ms();
        self.switch.tick(now_ms, fresh(), acts);
        for shots in self.ring.ready(now_ms) {
            self.keeper.seal(shots, self.to.as_ref(), self.inbox.unsaved());
        }
        if !self.ring.is_waiting() {
            self.unsaved = None;
        }
        self.keeper.flush();
        // An earlier driver of this process may have left something only now, and another process.
        if self.switch.live().is_some()
            && let Some(to) = &self.to
        {
            let left = self.spools.take(&to.host);
            if !left.is_empty() {
                self.switch.keep(left, acts);
            }
            if Instant::now() >= self.next_adopt {
                self.next_adopt = Instant::now() + ADOPT_EVERY;
                self.keeper.adopt(to.host.clone());
            }
        }
    }

    fn open(&mut self, id: ChannelId, channel: Channel, acts: &mut Vec<Act>) {
        match self.fresh_handshake(channel.transport.tls_cert_sha256()) {
            Ok((setup, fresh)) => {
                self.channels.insert(id, channel);
                self.switch.opened(id, setup, fresh, boottime_ms(), acts);
            }
            Err(error) => {
                tracing::error!(%error, "no randomness; the host stays covered");
                channel.transport.close();
            }
        }
    }

    fn forget_closed(&mut self, acts: &mut Vec<Act>) {
        let closed: Vec<ChannelId> =
            self.channels.iter().filter(|(_, c)| c.line.is_closed()).map(|(id, _)| *id).collect();
        for id in closed {
            // Of no effect if the other end closed it; needed if the line was given up.
            if let Some(channel) = self.channels.remove(&id) {
                channel.transport.close();
            }
            self.switch.closed(id, acts);
        }
    }

    fn look(&mut self, look: Look, acts: &mut Vec<Act>) {
        if let Some(picture) = look.frame {
            self.ring.push(picture);
        }
        self.switch.observe(&look.observation, boottime_ms(), fresh(), acts);
    }

    fn sealed(&mut self, host: &HostKey, evidence: sudare_protocol::client::Evidence, acts: &mut Vec<Act>) {
        let is_live = self.switch.live().is_some() && self.to.as_ref().is_some_and(|to| to.host == *host);
        if is_live {
            return self.switch.evidence(evidence, acts);
        }
        let mut left = Spool::default();
        match left.push(evidence) {
            Ok(_) => self.spools.put(host, left),
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn carry_out(&mut self, acts: Vec<Act>, tell: Tell<'_>) {
        let mut more = Vec::new();
        for act in acts {
            match act {
                Act::Send(id, bytes) => self.send(id, bytes),
                Act::Close(id) => {
                    if let Some(channel) = self.channels.remove(&id) {
                        channel.transport.close();
                    }
                }
                Act::Refused { refusal, live } => {
                    tracing::warn!(%refusal, live, "a channel was refused");
                    self.say(Event::Refused { refusal, live }, tell);
                }
                Act::Dropped(why) => {
                    tracing::warn!("a channel was closed: {why}");
                    self.say(Event::Dropped(why), tell);
                }
                Act::Ended { host_id, left } => self.ended(host_id, left, tell),
                Act::Live(output) => self.live(output, &mut more, tell),
            }
        }
        if !more.is_empty() {
            self.carry_out(more, tell);
        }
    }

    fn live(&mut self, output: Output, acts: &mut Vec<Act>, tell: Tell<'_>) {
        let event = match output {
            Output::Ready { operators, host_id, certificate } => {
                self.ready(operators, host_id.clone(), acts, tell);
                Event::Ready { host_id, certificate }
            }
            Output::Break(on) => {
                self.watcher.pause(on);
                Event::Break(on)
            }
            Output::Decided(decision) => Event::Decided(decision),
            Output::Status(status) => Event::Status(status),
            Output::Receipt(ack) => {
                self.keeper.acked(ack.clone());
                Event::Receipt(ack)
            }
            Output::Incident(incident) => {
                self.unsaved = Some(self.inbox.unsaved());
                return self.ring.begin(incident);
            }
            // Sends and refusals have acts of their own.
            Output::Send(_) | Output::Refused(_) => return,
        };
        self.say(event, tell);
    }

    fn ready(
        &mut self,
        operators: Vec<OperatorTemplate>,
        host_id: String,
        acts: &mut Vec<Act>,
        tell: Tell<'_>,
    ) {
        let Some(live) = self.switch.live() else { return };
        let host = self.host_key(host_id);
        let policy = live.policy();
        let terms = Terms {
            auditors: policy.record().auditors.clone(),
            custodian: policy.record().rules.as_ref().and_then(|rules| rules.custodian.clone()),
            policy_digest: policy.digest(),
            hold_ms: live.numbers().hold_ms,
            certificate: live.certificate(),
            models: self.identity.models.clone(),
            boot_id: self.identity.boot_id,
        };
        self.to = Some(To { terms, host: host.clone() });
        self.next_adopt = Instant::now();
        self.switch.keep(self.spools.take(&host), acts);
        self.watch += 1;
        if let Err(error) = self.watcher.start(operators, Looks::new(self.inbox.clone(), self.watch)) {
            tracing::error!("{error:#}");
            self.say(Event::Trouble(format!("{error:#}")), tell);
        }
    }

    fn ended(&mut self, host_id: String, left: Spool, tell: Tell<'_>) {
        // The watch that follows, if any, is started by the READY that comes after this.
        self.watch += 1;
        self.watcher.stop();
        self.spools.put(&self.host_key(host_id), left);
        let waiting = self.spools.waiting();
        self.say(Event::Over { waiting }, tell);
    }

    fn send(&self, id: ChannelId, bytes: Vec<u8>) {
        let Some(channel) = self.channels.get(&id) else { return };
        if let Err(error) = channel.transport.send(bytes) {
            // The host's lease ends by itself, and so the cover comes.
            tracing::warn!("{error}");
        }
    }

    fn say(&self, event: Event, tell: Tell<'_>) {
        tell(event, self.switch.covers_own());
    }

    /// Says good-bye, and keeps what is still being sealed for the next connection.
    fn end(mut self, tell: Tell<'_>) {
        let mut acts = Vec::new();
        self.switch.bye(&mut acts);
        self.carry_out(acts, tell);
        self.watcher.stop();
        for shots in self.ring.ready(u64::MAX) {
            self.keeper.seal(shots, self.to.as_ref(), self.inbox.unsaved());
        }
        self.unsaved = None;
        let until = Instant::now() + LAST_SEALING;
        while !self.keeper.is_done() && Instant::now() < until {
            self.keeper.finish();
            if let Ok(Input::Sealed(host, evidence)) = self.inputs.recv_timeout(TICK) {
                self.sealed(&host, *evidence, &mut Vec::new());
            }
        }
        while let Ok(input) = self.inputs.try_recv() {
            if let Input::Sealed(host, evidence) = input {
                self.sealed(&host, *evidence, &mut Vec::new());
            }
        }
    }

    fn host_key(&self, host_id: String) -> HostKey {
        HostKey { organisation: self.identity.organisation.to_bytes(), host_id }
    }

    fn fresh_handshake(&self, tls_cert_sha256: Option<Digest>) -> Result<(Setup, Fresh), getrandom::Error> {
        let identity = &self.identity;
        let setup = Setup {
            organisation: identity.organisation,
            device_key: identity.device_key.clone(),
            device_id: keyfile::device_id(&identity.device_key.verifying_key()),
            boot_id: identity.boot_id,
            software: concat!("sudare ", env!("CARGO_PKG_VERSION")).to_owned(),
            models: identity.models.clone(),
            tls_cert_sha256,
            wall_ms: wall_ms(),
        };
        Ok((setup, Fresh { nonce: random()?, template_secret: random()? }))
    }
}

/// Names an incident. Without randomness there is still a cover, under a name that is not random.
fn fresh() -> Id {
    random().unwrap_or_default()
}

pub(crate) fn wall_ms() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
