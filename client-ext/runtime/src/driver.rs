//! Drives the client's side of a session, whatever RDP client brings the channel.
//!
//! ```text
//!  channels ─ Transport ◄── Output::Send ─┐
//!  Inbox (bytes, looks, sealed) ─► Driver ─ ChannelSelector ─ ClientSession    one thread, ticks of 50 ms
//!                                   │  └─► Event: what people and tests see
//!                                   ├─ Watcher: camera on, paused, off
//!                                   └─ Ring ─► Sealer (seals, stores) ─► Inbox
//! ```
//! The camera is on only while a host has proved itself, and not during a break.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use sudare_client_core::event::{ChannelId, Event, Output};
use sudare_client_core::evidence::Ring;
use sudare_client_core::selector::ChannelSelector;
use sudare_client_core::spool::{HostKey, Spool};
use sudare_protocol::client::{Evidence, Fresh, Setup};
use sudare_protocol::message::{Digest, Id};
use sudare_protocol::template::OperatorTemplate;
use sudare_protocol::{SigningKey, keyfile};

use crate::clock;
use crate::evidence::Terms;
use crate::inbox::{ChannelState, Inbox, Input, Inputs, LookSender, Transport, Unsaved};
use crate::membership::{Membership, MembershipError};
use crate::random::random;
use crate::sealer::{Addressee, Sealer};
use crate::seat::Pictures;
use crate::spool::Spools;
use crate::watcher::{Look, Watcher};

const TICK: Duration = Duration::from_millis(50);
/// How often to look whether consent was taken back.
const WITHDRAWAL_EVERY: Duration = Duration::from_secs(1);
/// How often to look for evidence that a process which died left for the host.
const ADOPT_EVERY: Duration = Duration::from_secs(60);
/// At the end, how long to wait for pictures that are being sealed. Far more than it takes on a busy machine: whoever
/// cannot wait that long ends the process.
const LAST_SEALING: Duration = Duration::from_secs(120);

/// Receives each event, and whether a window of the client's own must be covered.
pub type Tell<'a> = &'a mut dyn FnMut(Event, bool);

/// Why no handshake can begin.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error("the system has no randomness: {0}. Restart this computer")]
    Random(#[from] getrandom::Error),
}

/// Who this device is.
pub struct Identity {
    pub membership: Membership,
    pub device_key: SigningKey,
    pub boot_id: Id,
    pub models: Vec<Digest>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

struct Channel {
    transport: Box<dyn Transport>,
    state: Arc<ChannelState>,
}

/// The decisions of one connection, and everything around them.
pub struct Driver {
    identity: Identity,
    watcher: Box<dyn Watcher>,
    spools: Arc<Spools>,
    inbox: Inbox,
    inputs: Receiver<Input>,
    channels: BTreeMap<ChannelId, Channel>,
    selector: ChannelSelector,
    ring: Ring,
    /// While the last picture of an incident in the ring is still to come.
    unsaved: Option<Unsaved>,
    sealer: Sealer,
    /// Kept until another host is live, because the last pictures of an incident come after the end.
    addressee: Option<Addressee>,
    /// When to look again for evidence that other processes left.
    next_adopt: Instant,
    /// When to look again whether consent was taken back.
    next_withdrawal: Instant,
    /// Number of the current watch; looks of earlier ones are dropped.
    watch: u64,
    /// Where an employee's window asks to see what the camera sees.
    pictures: Option<Pictures>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

impl Driver {
    /// # Errors
    /// The operating system refused a thread.
    pub fn new(identity: Identity, watcher: Box<dyn Watcher>, spools: Arc<Spools>) -> std::io::Result<Self> {
        Self::with_inbox(identity, watcher, spools, Inbox::new())
    }

    /// With an inbox that other threads use already.
    ///
    /// # Errors
    /// As [`Driver::new`].
    pub fn with_inbox(
        identity: Identity,
        watcher: Box<dyn Watcher>,
        spools: Arc<Spools>,
        (inbox, Inputs(inputs)): (Inbox, Inputs),
    ) -> std::io::Result<Self> {
        let sealer = Sealer::start(inbox.clone(), watcher.finder(), Arc::clone(&spools))?;
        Ok(Driver {
            identity,
            watcher,
            spools,
            inbox,
            inputs,
            channels: BTreeMap::new(),
            selector: ChannelSelector::default(),
            ring: Ring::default(),
            unsaved: None,
            sealer,
            next_adopt: clock::instant(),
            next_withdrawal: clock::instant(),
            addressee: None,
            watch: 0,
            pictures: None,
        })
    }

    /// Offers each picture to a window that asks for it.
    #[must_use]
    pub fn with_pictures(mut self, pictures: Option<Pictures>) -> Self {
        self.pictures = pictures;
        self
    }

    /// How other threads reach it.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Runs until `Inbox::stop`. Never waits for the RDP client, the camera or a disk.
    pub fn run(mut self, tell: Tell<'_>) {
        let mut due = clock::instant();
        while !self.inbox.is_stopped() {
            let mut out = Vec::new();
            match self.inputs.recv_timeout(due.saturating_duration_since(clock::instant())) {
                Ok(input) => self.take(input, &mut out, tell),
                Err(RecvTimeoutError::Timeout) => {}
                // Not possible while `self.inbox` lives.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(on) = self.inbox.take_wish() {
                self.selector.ask_cover(on, clock::boottime_ms(), fresh(), &mut out);
            }
            if clock::instant() >= due {
                due = clock::instant() + TICK;
                self.tick(&mut out);
            }
            self.carry_out(out, tell);
        }
        self.end(tell);
    }

    fn take(&mut self, input: Input, out: &mut Vec<Output>, tell: Tell<'_>) {
        match input {
            Input::Opened(id, transport, state) => self.open(id, Channel { transport, state }, out),
            Input::Bytes(id, waiting) => self.selector.bytes(id, &waiting.bytes, out),
            Input::Look(watch, look) if watch == self.watch => self.look(*look, out),
            Input::Trouble(watch, text) if watch == self.watch => {
                self.happened(Event::Trouble(text), tell);
            }
            Input::EnrolAgain(watch) if watch == self.watch => self.happened(Event::EnrolAgain, tell),
            Input::Look(..) | Input::Trouble(..) | Input::EnrolAgain(_) => {}
            Input::Sealed(host, evidence) => self.sealed(&host, *evidence, out),
            Input::Flag => self.forget_closed(out),
        }
    }

    fn tick(&mut self, out: &mut Vec<Output>) {
        self.forget_closed(out);
        if self.selector.live().is_some() && self.is_withdrawn() {
            self.selector.bye(out);
        }
        let now_ms = clock::boottime_ms();
        self.selector.tick(now_ms, fresh(), out);
        for shots in self.ring.ready(now_ms) {
            self.sealer.seal(shots, self.addressee.as_ref(), self.inbox.unsaved());
        }
        if !self.ring.is_waiting() {
            self.unsaved = None;
        }
        self.sealer.flush();
        // An earlier driver of this process may have left evidence only now, or another process.
        if self.selector.live().is_some()
            && let Some(to) = &self.addressee
        {
            let left = self.spools.take(&to.host);
            if !left.is_empty() {
                self.selector.keep(left, out);
            }
            if clock::instant() >= self.next_adopt {
                self.next_adopt = clock::instant() + ADOPT_EVERY;
                self.sealer.adopt(to.host.clone());
            }
        }
    }

    fn open(&mut self, id: ChannelId, channel: Channel, out: &mut Vec<Output>) {
        match self.fresh_handshake(&*channel.transport) {
            Ok((setup, fresh)) => {
                self.channels.insert(id, channel);
                self.selector.opened(id, setup, fresh, clock::boottime_ms(), out);
            }
            Err(error) => {
                tracing::error!("{error}. The host stays covered");
                channel.transport.close();
            }
        }
    }

    fn forget_closed(&mut self, out: &mut Vec<Output>) {
        let closed: Vec<ChannelId> =
            self.channels.iter().filter(|(_, c)| c.state.is_closed()).map(|(id, _)| *id).collect();
        for id in closed {
            // Has no effect if the other end closed it; needed if we gave the channel up.
            if let Some(channel) = self.channels.remove(&id) {
                channel.transport.close();
            }
            self.selector.closed(id, out);
        }
    }

    fn look(&mut self, look: Look, out: &mut Vec<Output>) {
        if let Some(picture) = look.frame {
            if let Some(pictures) = &mut self.pictures {
                pictures.offer(&picture);
            }
            self.ring.push(picture);
        }
        self.selector.observe(&look.observation, clock::boottime_ms(), fresh(), out);
    }

    fn sealed(&mut self, host: &HostKey, evidence: Evidence, out: &mut Vec<Output>) {
        let is_live =
            self.selector.live().is_some() && self.addressee.as_ref().is_some_and(|to| to.host == *host);
        if is_live {
            return self.selector.evidence(evidence, out);
        }
        let mut left = Spool::default();
        match left.push(evidence) {
            Ok(_) => self.spools.put(host, left),
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn carry_out(&mut self, out: Vec<Output>, tell: Tell<'_>) {
        let mut more = Vec::new();
        // Before anybody hears of an incident: whoever ends the program at once waits for its pictures.
        if out.iter().any(|output| matches!(output, Output::Incident(_))) {
            self.unsaved = Some(self.inbox.unsaved());
        }
        for output in out {
            match output {
                Output::Send(id, bytes) => self.send(id, bytes),
                Output::Close(id) => {
                    if let Some(channel) = self.channels.remove(&id) {
                        channel.transport.close();
                    }
                }
                Output::Watch(operators) => self.watch_for(operators, &mut more, tell),
                Output::Incident(incident) => self.ring.begin(incident),
                Output::Ended { host_id, unacknowledged } => self.ended(host_id, unacknowledged, tell),
                Output::Tell(event) => self.happened(event, tell),
            }
        }
        if !more.is_empty() {
            self.carry_out(more, tell);
        }
    }

    /// Acts on an event, logs it, and passes it on.
    fn happened(&mut self, event: Event, tell: Tell<'_>) {
        match &event {
            Event::Break(on) => self.watcher.pause(*on),
            Event::Receipt(ack) => self.sealer.acked(ack.clone()),
            Event::Refused { refusal, live } => tracing::warn!(%refusal, live, "a channel was refused"),
            Event::Dropped(why) => tracing::warn!("a channel was closed: {why}"),
            Event::Trouble(text) => tracing::error!("{text}"),
            Event::Unproven(why) => tracing::error!("{why}"),
            Event::Notice(notice) => {
                if let Err(error) = self.identity.membership.told(notice) {
                    tracing::error!("{error}");
                }
            }
            Event::Withdrawn(receipt) => {
                if let Err(error) = self.identity.membership.keep_receipt(receipt) {
                    tracing::error!("{error}");
                }
            }
            Event::EnrolAgain => tracing::warn!("the looks at the operator fit the template less and less"),
            Event::Ready { .. } | Event::Decided(_) | Event::Status(_) | Event::Over { .. } => {}
        }
        tell(event, self.selector.covers_own());
    }

    /// The host of the live session sent its operators.
    fn watch_for(&mut self, operators: Vec<OperatorTemplate>, out: &mut Vec<Output>, tell: Tell<'_>) {
        let Some(live) = self.selector.live() else { return };
        let organisation = live.organisation();
        let host = HostKey { organisation: organisation.to_bytes(), host_id: live.host_id().to_owned() };
        if live.pairs()
            && let Err(error) = self.identity.membership.paired(&organisation)
        {
            tracing::error!("{error}");
        }
        let policy = live.policy();
        let recognition = live.in_force().eyes.recognition;
        let terms = Terms {
            auditors: policy.record().auditors.clone(),
            custodian: policy.record().rules.as_ref().and_then(|rules| rules.custodian.clone()),
            policy_digest: policy.digest(),
            hold_ms: live.timings().hold_ms,
            recognised: live.in_force().recognises(),
            certificate: live.certificate(),
            models: self.identity.models.clone(),
            boot_id: self.identity.boot_id,
        };
        self.addressee = Some(Addressee { terms, host: host.clone() });
        self.next_adopt = clock::instant();
        self.selector.keep(self.spools.take(&host), out);
        self.watch += 1;
        let looks = LookSender::new(self.inbox.clone(), self.watch);
        if let Err(error) = self.watcher.start(operators, recognition, looks) {
            self.happened(Event::Trouble(format!("{error:#}")), tell);
        }
    }

    fn ended(&mut self, host_id: String, unacknowledged: Spool, tell: Tell<'_>) {
        // The watch that follows, if any, is started by the READY that comes after this.
        self.watch += 1;
        self.watcher.stop();
        // Of the host that was live; whoever never was has left nothing.
        if let Some(to) = self.addressee.as_ref().filter(|to| to.host.host_id == host_id) {
            self.spools.put(&to.host, unacknowledged);
        }
        let waiting = self.spools.waiting();
        self.happened(Event::Over { waiting }, tell);
    }

    fn send(&self, id: ChannelId, bytes: Vec<u8>) {
        let Some(channel) = self.channels.get(&id) else { return };
        if let Err(error) = channel.transport.send(bytes) {
            // The host's lease runs out, and the host covers.
            tracing::warn!("{error}");
        }
    }

    /// Says goodbye, and keeps evidence that is still being sealed for the next connection.
    fn end(mut self, tell: Tell<'_>) {
        let mut out = Vec::new();
        self.selector.bye(&mut out);
        self.carry_out(out, tell);
        self.watcher.stop();
        for shots in self.ring.ready(u64::MAX) {
            self.sealer.seal(shots, self.addressee.as_ref(), self.inbox.unsaved());
        }
        self.unsaved = None;
        let until = clock::instant() + LAST_SEALING;
        while !self.sealer.is_done() && clock::instant() < until {
            self.sealer.finish();
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

    /// Whether consent was taken back meanwhile: then nothing looks any more, and the host covers. Looked for once a second.
    fn is_withdrawn(&mut self) -> bool {
        if clock::instant() < self.next_withdrawal {
            return false;
        }
        self.next_withdrawal = clock::instant() + WITHDRAWAL_EVERY;
        self.identity.membership.withdrawal().map_or(true, |taken| taken.is_some())
    }

    fn fresh_handshake(&self, transport: &dyn Transport) -> Result<(Setup, Fresh), HandshakeError> {
        let identity = &self.identity;
        let setup = Setup {
            organisation: identity.membership.organisation()?,
            pairing: identity.membership.pairing()?,
            withdrawal: identity.membership.withdrawal()?,
            consents: identity.membership.consents(),
            device_key: identity.device_key.clone(),
            device_id: keyfile::device_id(&identity.device_key.verifying_key()),
            boot_id: identity.boot_id,
            software: concat!("sudare ", env!("CARGO_PKG_VERSION")).to_owned(),
            models: identity.models.clone(),
            tls_cert_sha256: transport.tls_cert_sha256(),
            tls_exporter: transport.tls_exporter(),
            wall_ms: clock::wall_ms(),
        };
        Ok((setup, Fresh { nonce: random()?, template_secret: random()?, enrol_secret: random()? }))
    }
}

/// An incident's id. Without randomness the host still covers, under an id that is not random.
fn fresh() -> Id {
    random().unwrap_or_default()
}

#[cfg(test)]
mod tests;
