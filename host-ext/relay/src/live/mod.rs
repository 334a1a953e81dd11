//! The session: both directions, visible or covered.
//!
//! ```text
//!            from_host                                   next_to_client
//!  host  ──► messages ──► waiting ──┬── visible ──────────► unit ──► client
//!            whole, told  in order  └── covered ─► held ─┘    ▲
//!            apart                     (pixels…)  uncover     │ first: black, words, pointers, SUDARE
//!
//!  client ─► from_client ── visible, or nothing of the desktop ──► to_host ──► next_to_host ──► host
//!                        └─ covered: keys F1 to F4 ──► events
//! ```
//! | module | what |
//! |---|---|
//! | `unit` | whole messages, each judged when it is taken |
//! | `host` | frames of the host into messages |
//! | `client` | what the host gets of the client |
//! | `outlet` | what the client gets next: the only place that decides |
//! | `cover` | black and back again; what the host is told about it |
//! | `activation` | what both sides can do, from Demand Active to Font Map |
//! | `keys` | what is held down, and the cover's own keys |
//! | `pointer` | pointers are pictures |
//! | `paint` | black, words and light as bitmaps |
//! | `dynamic` | drdynvc, and `SUDARE` in it |
//! | `gfx` | the graphics pipeline: surfaces, frames, and what is held of it |
//! | `record` | what a screenshot needs, copied on its way |
//! | `flow` | channels that are closed by a cover |
//! | `silence` | sound that goes on unheard |
//! | `script` | a session driven by bytes, for fuzzing |
//!
//! Every connection begins covered. Time is in milliseconds of a clock that counts suspend.

mod activation;
mod client;
mod cover;
mod dynamic;
mod flow;
mod gfx;
mod host;
mod keys;
mod outlet;
mod paint;
mod pointer;
mod record;
pub(crate) mod script;
mod silence;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeMap, VecDeque};

pub use keys::CoverKey;
pub use paint::{Size, Tile};
pub use unit::{Mark, Shown, Unit};

use sudare_protocol::evidence::note::Missing;

use crate::connect::info::Logon;
use crate::connect::{Channels, StaticChannel};
use crate::error::{Broken, Fault, Side, Stage};
use crate::limits::{HELD_TO_HOST_MAX_BYTES, WAITING_BYTES};
use crate::policy::Policy;
use crate::recording::Recording;
use activation::Activation;
use dynamic::Dynamic;
use flow::Flow;
use gfx::Graphics;
use host::Fragments;
use keys::Keys;
use pointer::Pointer;
use record::Recorder;
use silence::Silence;
use unit::Queue;

/// What happened, for the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something about `SUDARE`.
    Channel(ChannelEvent),
    /// All bytes of a cover or of an uncover have left; of a cover of surfaces, the client has shown it.
    Painted(Shown),
    /// A key of the cover.
    Key(CoverKey),
    /// The screen has this size from now on; words must be painted again.
    Layout(Size),
    /// The host was asked to draw everything, and has not begun.
    NoRepaint,
    /// The answer to [`Live::record`]: everything that draws the screen once, or why there is none.
    Recorded {
        /// Which screenshot it is.
        ticket: u64,
        /// What it is made of.
        recording: Result<Recording, Missing>,
    },
    /// The client should go to another host: the PDU, which it was not sent ([MS-RDPBCGR] 2.2.13).
    Redirected(Vec<u8>),
    /// A dynamic channel of this name was refused to the host.
    ChannelRefused(String),
    /// Another transport was refused to the host.
    TransportRefused,
}

/// What happened to `SUDARE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// The client's end is there.
    Opened,
    /// One message of it.
    Bytes(Vec<u8>),
    /// It closed the channel; it is opened again after a while.
    Closed,
    /// The client has no such end, or no dynamic channels at all.
    Missing,
}

/// A connection from its licence on.
#[derive(Debug)]
pub struct Live {
    policy: Policy,
    channels: Channels,
    logon: Logon,
    shown: Shown,
    /// Counts covers and uncovers.
    turn: u64,
    activation: Activation,
    share: u32,
    size: Option<Size>,
    /// Whether the gate has told the host to draw nothing.
    suppressed: bool,
    /// Whether the host has drawn since it was told that last, and from when on it may be told again.
    draws_on: bool,
    suppress_again_ms: u64,
    /// Whether the client itself wants to see anything.
    client_looks: bool,
    // From the host to the client.
    fragments: Fragments,
    waiting: Queue,
    /// The graphics pipeline's part of what waits, which is before all of `waiting`.
    expanded: Queue,
    held: Queue,
    /// The gate's own pictures and pointers, which go first.
    first: VecDeque<Unit>,
    /// What was painted on the cover.
    painted: VecDeque<Unit>,
    own_messages: VecDeque<Vec<u8>>,
    own_bytes: usize,
    pointer: Pointer,
    /// The mark that follows the last held message.
    visible_mark: Option<Mark>,
    repaint_due_ms: Option<u64>,
    recorders: Vec<Recorder>,
    flows_from_host: BTreeMap<u16, Flow>,
    silence: Silence,
    // From the client to the host.
    to_host: VecDeque<Vec<u8>>,
    to_host_bytes: usize,
    /// What the client said under the cover on channels that wait for the uncover.
    held_to_host: Vec<Vec<u8>>,
    held_to_host_bytes: usize,
    keys: Keys,
    types_slowly: bool,
    flows_from_client: BTreeMap<u16, Flow>,
    dynamic: Dynamic,
    /// The channel of the graphics pipeline, if the host has opened it.
    graphics: Option<Graphics>,
    /// The cover is there when the client has acknowledged the frame that made its surfaces black.
    awaits_black: bool,
    events: Vec<Event>,
}

impl Live {
    pub(crate) fn new(policy: Policy, channels: Channels, logon: Logon) -> Self {
        let dynamic = Dynamic::new(channels.drdynvc());
        Self {
            policy,
            channels,
            logon,
            shown: Shown::Covered,
            turn: 0,
            activation: Activation::Idle,
            share: 0,
            size: None,
            suppressed: false,
            draws_on: false,
            suppress_again_ms: 0,
            client_looks: true,
            fragments: Fragments::default(),
            waiting: Queue::default(),
            expanded: Queue::default(),
            held: Queue::default(),
            first: VecDeque::new(),
            painted: VecDeque::new(),
            own_messages: VecDeque::new(),
            own_bytes: 0,
            pointer: Pointer::default(),
            visible_mark: None,
            repaint_due_ms: None,
            recorders: Vec::new(),
            flows_from_host: BTreeMap::new(),
            silence: Silence::default(),
            to_host: VecDeque::new(),
            to_host_bytes: 0,
            held_to_host: Vec::new(),
            held_to_host_bytes: 0,
            keys: Keys::default(),
            types_slowly: false,
            flows_from_client: BTreeMap::new(),
            dynamic,
            graphics: None,
            awaits_black: false,
            events: Vec::new(),
        }
    }

    /// Who logs on, as Client Info says.
    #[must_use]
    pub fn logon(&self) -> &Logon {
        &self.logon
    }

    /// The static channels and their rules.
    #[must_use]
    pub fn static_channels(&self) -> &[StaticChannel] {
        &self.channels.statics
    }

    /// What is shown, as far as the guard has asked for it.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// The size of the screen, once the host has announced it.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.size
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> impl Iterator<Item = Event> {
        std::mem::take(&mut self.events).into_iter()
    }

    /// Bytes held by the cover.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// Whether a screenshot is being recorded, which has its own time.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        !self.recorders.is_empty()
    }

    /// Whether the host should be read: otherwise enough waits for the client.
    #[must_use]
    pub fn reads_host(&self) -> bool {
        let waiting = self.waiting.bytes().saturating_add(self.expanded.bytes());
        waiting <= WAITING_BYTES && self.to_host_bytes <= 2 * WAITING_BYTES
    }

    /// Whether the client should be read: otherwise enough waits for the host.
    #[must_use]
    pub fn reads_client(&self) -> bool {
        self.to_host_bytes <= WAITING_BYTES
    }

    /// The next bytes for the host.
    pub fn next_to_host(&mut self) -> Option<Vec<u8>> {
        let bytes = self.to_host.pop_front()?;
        self.to_host_bytes = self.to_host_bytes.saturating_sub(bytes.len());
        Some(bytes)
    }

    /// What becomes due with time. Call it about every 50 ms.
    ///
    /// # Errors
    /// If a message of the gate's own does not fit.
    pub fn tick(&mut self, now_ms: u64) -> Result<(), Broken> {
        if self.repaint_due_ms.is_some_and(|due| now_ms >= due) {
            self.repaint_due_ms = None;
            self.events.push(Event::NoRepaint);
        }
        self.recording_tick(now_ms).map_err(|fault| fault.of(Side::Host, Stage::Session))?;
        self.suppress_again(now_ms).map_err(|fault| fault.of(Side::Host, Stage::Session))?;
        self.dynamic_tick(now_ms).map_err(|fault| fault.of(Side::Client, Stage::Session))
    }

    /// Keeps what the client said until the uncover.
    fn hold_for_host(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        self.held_to_host_bytes = self.held_to_host_bytes.saturating_add(bytes.len());
        if self.held_to_host_bytes > HELD_TO_HOST_MAX_BYTES {
            return Err(Fault::Overflow);
        }
        self.held_to_host.push(bytes);
        Ok(())
    }

    fn push_host(&mut self, bytes: Vec<u8>) {
        self.to_host_bytes = self.to_host_bytes.saturating_add(bytes.len());
        self.to_host.push_back(bytes);
    }
}
