//! Selects the host's channel among several. Pure.
//!
//! Any process of the session's user can open a channel of our name and lie. So each channel makes a handshake of
//! its own, and only one that proves to be the host learns anything.
//!
//! ```text
//!  opened ─► pending ── proven ─► live ── refused, closed, replaced ─► over (evidence is kept)
//!               └─ refused, silent for HANDSHAKE_MAX_MS, one too many ─► closed, noted
//! ```
//! While one is live, another is let in only if it proves to be the same host: a reconnect.

use sudare_protocol::client::{Evidence, Fresh, Live, Setup};
use sudare_protocol::limits::HANDSHAKE_MAX_MS;
use sudare_protocol::message::Id;

use crate::event::{ChannelId, Event, Output};
use crate::presence::Observation;
use crate::session::ClientSession;
use crate::spool::Spool;

/// Channels in a handshake at once. The host needs one; the rest is room for liars.
pub const PENDING_MAX: usize = 8;

/// All channels of one connection.
#[derive(Debug, Default)]
pub struct ChannelSelector {
    pending: Vec<Pending>,
    live: Option<Proven>,
}

#[derive(Debug)]
struct Pending {
    id: ChannelId,
    session: ClientSession,
    opened_ms: u64,
}

#[derive(Debug)]
struct Proven {
    id: ChannelId,
    session: ClientSession,
    host_id: String,
}

impl ChannelSelector {
    /// A channel was opened; the host speaks first.
    pub fn opened(&mut self, id: ChannelId, setup: Setup, fresh: Fresh, now_ms: u64, out: &mut Vec<Output>) {
        if self.pending.len() >= PENDING_MAX {
            // The oldest had its chance; the host needs a round trip only.
            self.drop_pending(0, "too many channels are in a handshake", out);
        }
        let mut session = ClientSession::new(id);
        session.opened(setup, fresh);
        self.pending.push(Pending { id, session, opened_ms: now_ms });
    }

    pub fn closed(&mut self, id: ChannelId, out: &mut Vec<Output>) {
        self.pending.retain(|pending| pending.id != id);
        if self.live.as_ref().is_some_and(|live| live.id == id) {
            self.end(out);
        }
    }

    /// Bytes came from a channel.
    pub fn bytes(&mut self, id: ChannelId, bytes: &[u8], out: &mut Vec<Output>) {
        let mut said = Vec::new();
        if let Some(live) = self.live.as_mut().filter(|live| live.id == id) {
            live.session.bytes(bytes, &mut said);
            self.take_live(said, out);
        } else if let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) {
            pending.session.bytes(bytes, &mut said);
            self.take_pending(id, said, out);
        }
    }

    pub fn observe(&mut self, seen: &Observation, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.observe(seen, now_ms, fresh, said));
    }

    /// The operator asks for a cover, or ends the one they asked for.
    pub fn ask_cover(&mut self, on: bool, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.ask_cover(on, now_ms, fresh, said));
    }

    /// Time passes: attestations go out, and channels that stay silent are closed.
    pub fn tick(&mut self, now_ms: u64, fresh: Id, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.tick(now_ms, fresh, said));
        let late = |p: &Pending| now_ms.saturating_sub(p.opened_ms) > HANDSHAKE_MAX_MS;
        while let Some(at) = self.pending.iter().position(late) {
            self.drop_pending(at, "a channel did not finish its handshake in time", out);
        }
    }

    pub fn evidence(&mut self, evidence: Evidence, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.evidence(evidence, said));
    }

    /// Evidence of an earlier channel to the same host.
    pub fn keep(&mut self, unacknowledged: Spool, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.keep(unacknowledged, said));
    }

    /// Says goodbye and closes.
    pub fn bye(&mut self, out: &mut Vec<Output>) {
        self.with_live(out, |session, said| session.bye(said));
        self.end(out);
    }

    /// Whether a window of the client's own must be covered now.
    pub fn covers_own(&self) -> bool {
        self.live.as_ref().is_none_or(|live| live.session.covers_own())
    }

    /// The host's session, if there is one.
    pub fn live(&self) -> Option<&Live> {
        self.live.as_ref().and_then(|live| live.session.live())
    }

    fn with_live(&mut self, out: &mut Vec<Output>, work: impl FnOnce(&mut ClientSession, &mut Vec<Output>)) {
        let Some(live) = &mut self.live else { return };
        let mut said = Vec::new();
        work(&mut live.session, &mut said);
        self.take_live(said, out);
    }

    fn take_live(&mut self, said: impl IntoIterator<Item = Output>, out: &mut Vec<Output>) {
        for output in said {
            let refused = matches!(output, Output::Tell(Event::Refused { .. }));
            out.push(output);
            if refused && let Some(id) = self.live.as_ref().map(|live| live.id) {
                out.push(Output::Close(id));
                self.end(out);
            }
        }
    }

    fn take_pending(&mut self, id: ChannelId, said: Vec<Output>, out: &mut Vec<Output>) {
        let mut said = said.into_iter();
        while let Some(output) = said.next() {
            match &output {
                Output::Tell(Event::Ready { host_id, .. }) => {
                    if self.promote(id, host_id, out) {
                        out.push(output);
                        self.take_live(said, out);
                    }
                    return;
                }
                Output::Tell(Event::Refused { .. } | Event::Withdrawn(_)) => {
                    out.extend([output, Output::Close(id)]);
                    self.pending.retain(|pending| pending.id != id);
                    return;
                }
                _ => out.push(output),
            }
        }
    }

    /// This channel's other end proved to be a host of the organisation. It becomes the live one, unless another
    /// host is; then the channel is closed.
    fn promote(&mut self, id: ChannelId, host_id: &str, out: &mut Vec<Output>) -> bool {
        let Some(at) = self.pending.iter().position(|pending| pending.id == id) else { return false };
        if self.live.as_ref().is_some_and(|live| live.host_id != host_id) {
            self.drop_pending(at, "another host answered on a second channel", out);
            return false;
        }
        let pending = self.pending.remove(at);
        if let Some(old) = &self.live {
            out.push(Output::Close(old.id));
            self.end(out);
        }
        self.live = Some(Proven { id, session: pending.session, host_id: host_id.to_owned() });
        true
    }

    fn end(&mut self, out: &mut Vec<Output>) {
        if let Some(mut live) = self.live.take() {
            let unacknowledged = live.session.take_spool();
            out.push(Output::Ended { host_id: live.host_id, unacknowledged });
        }
    }

    fn drop_pending(&mut self, at: usize, why: &'static str, out: &mut Vec<Output>) {
        let pending = self.pending.remove(at);
        out.extend([Output::Tell(Event::Dropped(why)), Output::Close(pending.id)]);
    }
}

#[cfg(test)]
mod tests;
