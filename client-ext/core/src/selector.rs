//! Which of several channels is the host's. Pure.
//!
//! Any process of the session's user can open a channel of our name and lie. So each channel
//! makes a handshake of its own; only one that proves to be the host gets anything to know.
//!
//! ```text
//!  opened ─► pending ── proven ─► live ── refused, closed, replaced ─► over (evidence is kept)
//!               └─ refused, silent for HANDSHAKE_MAX_MS, one too many ─► closed, noted
//! ```
//! While one is live, another is let in only if it proves to be the same host: a reconnect.

use sudare_protocol::client::{Evidence, Fresh, Live, Setup};
use sudare_protocol::limits::HANDSHAKE_MAX_MS;
use sudare_protocol::message::Id;

use crate::link::{Link, Output};
use crate::presence::Observation;
use crate::spool::Spool;

/// A channel, for as long as the process lives.
pub type ChannelId = u64;

/// Channels in a handshake at once. The host needs one; the rest is room for liars.
pub const PENDING_MAX: usize = 8;

/// What the driver has to do.
#[derive(Debug)]
pub enum Act {
    /// Put these bytes on this channel.
    Send(ChannelId, Vec<u8>),
    /// Close this channel, and forget it.
    Close(ChannelId),
    /// This channel was refused; `live` tells whether it was the host's.
    Refused { refusal: sudare_protocol::Refusal, live: bool },
    /// A channel that proved nothing was closed, and why.
    Dropped(&'static str),
    /// No channel is the host's any more; its evidence that was not acknowledged.
    Ended { host_id: String, left: Spool },
    /// From the host's channel.
    Live(Output),
}

/// All channels of one connection.
#[derive(Debug, Default)]
pub struct Switch {
    pending: Vec<Pending>,
    live: Option<Proven>,
}

#[derive(Debug)]
struct Pending {
    id: ChannelId,
    link: Link,
    opened_ms: u64,
}

#[derive(Debug)]
struct Proven {
    id: ChannelId,
    link: Link,
    host_id: String,
}

impl Switch {
    /// A channel was opened; the host speaks first.
    pub fn opened(&mut self, id: ChannelId, setup: Setup, fresh: Fresh, now_ms: u64, acts: &mut Vec<Act>) {
        if self.pending.len() >= PENDING_MAX {
            // The oldest had its chance; the host needs a round trip only.
            self.drop_pending(0, "too many channels are in a handshake", acts);
        }
        let mut link = Link::default();
        link.opened(setup, fresh);
        self.pending.push(Pending { id, link, opened_ms: now_ms });
    }

    pub fn closed(&mut self, id: ChannelId, acts: &mut Vec<Act>) {
        self.pending.retain(|pending| pending.id != id);
        if self.live.as_ref().is_some_and(|live| live.id == id) {
            self.end(acts);
        }
    }

    /// Bytes came from a channel.
    pub fn bytes(&mut self, id: ChannelId, bytes: &[u8], acts: &mut Vec<Act>) {
        let mut out = Vec::new();
        if let Some(live) = self.live.as_mut().filter(|live| live.id == id) {
            live.link.bytes(bytes, &mut out);
            self.take_live(out, acts);
        } else if let Some(at) = self.pending.iter().position(|pending| pending.id == id) {
            let Some(pending) = self.pending.get_mut(at) else { return };
            pending.link.bytes(bytes, &mut out);
            self.take_pending(at, out, acts);
        }
    }

    pub fn observe(&mut self, seen: &Observation, now_ms: u64, fresh: Id, acts: &mut Vec<Act>) {
        self.with_live(acts, |link, out| link.observe(seen, now_ms, fresh, out));
    }

    /// Time passes: attestations go out, and channels that stay silent are closed.
    pub fn tick(&mut self, now_ms: u64, fresh: Id, acts: &mut Vec<Act>) {
        self.with_live(acts, |link, out| link.tick(now_ms, fresh, out));
        let late = |p: &Pending| now_ms.saturating_sub(p.opened_ms) > HANDSHAKE_MAX_MS;
        while let Some(at) = self.pending.iter().position(late) {
            self.drop_pending(at, "a channel did not finish its handshake in time", acts);
        }
    }

    pub fn evidence(&mut self, evidence: Evidence, acts: &mut Vec<Act>) {
        self.with_live(acts, |link, out| link.evidence(evidence, out));
    }

    /// Evidence of an earlier channel to the same host.
    pub fn keep(&mut self, left: Spool, acts: &mut Vec<Act>) {
        self.with_live(acts, |link, out| link.keep(left, out));
    }

    /// Ends in good order.
    pub fn bye(&mut self, acts: &mut Vec<Act>) {
        self.with_live(acts, |link, out| link.bye(out));
        self.end(acts);
    }

    /// Whether a window of the client's own must be covered now.
    pub fn covers_own(&self) -> bool {
        self.live.as_ref().is_none_or(|live| live.link.covers_own())
    }

    /// The host's session, if there is one.
    pub fn live(&self) -> Option<&Live> {
        self.live.as_ref().and_then(|live| live.link.live())
    }

    fn with_live(&mut self, acts: &mut Vec<Act>, work: impl FnOnce(&mut Link, &mut Vec<Output>)) {
        let Some(live) = &mut self.live else { return };
        let mut out = Vec::new();
        work(&mut live.link, &mut out);
        self.take_live(out, acts);
    }

    fn take_live(&mut self, out: Vec<Output>, acts: &mut Vec<Act>) {
        let Some(id) = self.live.as_ref().map(|live| live.id) else { return };
        for output in out {
            match output {
                Output::Send(bytes) => acts.push(Act::Send(id, bytes)),
                Output::Refused(refusal) => {
                    acts.extend([Act::Refused { refusal, live: true }, Act::Close(id)]);
                    self.end(acts);
                }
                other => acts.push(Act::Live(other)),
            }
        }
    }

    fn take_pending(&mut self, at: usize, out: Vec<Output>, acts: &mut Vec<Act>) {
        let Some(id) = self.pending.get(at).map(|pending| pending.id) else { return };
        for output in out {
            match output {
                Output::Send(bytes) => acts.push(Act::Send(id, bytes)),
                Output::Refused(refusal) => {
                    acts.extend([Act::Refused { refusal, live: false }, Act::Close(id)]);
                    self.pending.retain(|pending| pending.id != id);
                    return;
                }
                Output::Ready { operators, host_id, certificate } => {
                    if !self.prove(id, &host_id, acts) {
                        return;
                    }
                    acts.push(Act::Live(Output::Ready { operators, host_id, certificate }));
                }
                other => acts.push(Act::Live(other)),
            }
        }
    }

    /// This channel's other end is a host of the organisation. It becomes the live one, unless
    /// another host is.
    fn prove(&mut self, id: ChannelId, host_id: &str, acts: &mut Vec<Act>) -> bool {
        let Some(at) = self.pending.iter().position(|pending| pending.id == id) else { return false };
        if self.live.as_ref().is_some_and(|live| live.host_id != host_id) {
            self.drop_pending(at, "another host answered on a second channel", acts);
            return false;
        }
        let pending = self.pending.remove(at);
        if let Some(old) = &self.live {
            acts.push(Act::Close(old.id));
            self.end(acts);
        }
        self.live = Some(Proven { id, link: pending.link, host_id: host_id.to_owned() });
        true
    }

    fn end(&mut self, acts: &mut Vec<Act>) {
        if let Some(mut live) = self.live.take() {
            acts.push(Act::Ended { host_id: live.host_id, left: live.link.take_spool() });
        }
    }

    fn drop_pending(&mut self, at: usize, why: &'static str, acts: &mut Vec<Act>) {
        let pending = self.pending.remove(at);
        acts.extend([Act::Dropped(why), Act::Close(pending.id)]);
    }
}

#[cfg(test)]
mod tests;
