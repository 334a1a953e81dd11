//! drdynvc ([MS-RDPEDYC]): the host's dynamic channels, and `SUDARE`, which is the gate's own.
//!
//! The host's messages are put together before anything is written, because one of ours must not come between
//! two chunks of another. Version 2 at most: what came later compresses, or moves channels to another transport.

use std::collections::BTreeMap;

use sudare_protocol::screen::{CHANNEL_NAME, CHANNEL_WRITE_MAX_BYTES};

use super::flow::{Counted, Step};
use super::gfx::Graphics;
use super::unit::Shown;
use super::{ChannelEvent, Event, Live};
use crate::error::{Broken, Fault, Side, Stage};
use crate::limits::{DYNAMIC_CHANNELS_MAX, HOST_CAPS_WAIT_MS, REOPEN_AFTER_MS, REOPEN_MAX};
use crate::policy::{DISPLAY_CONTROL, GRAPHICS, Rule};
use crate::wire::channel::{self, Assembly};
use crate::wire::dvc::{self, NO_LISTENER, Pdu, Pieces, VERSION_MAX};
use crate::wire::patch;

/// The number of our channel: four bytes, which hosts count up to in no session.
const OWN_ID: u32 = 0x5344_0001;
const STATUS_FAILED: u32 = 0x8000_0000;
const VERSION_AT: usize = 2;

/// How far our own channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// The client has not said yet what it can do.
    Waiting,
    /// It was asked.
    Asked,
    /// It is there.
    Open,
    /// The client closed it, and is asked again at this time.
    Reopen { at_ms: u64 },
    /// Nobody listens.
    Missing,
}

/// A channel of the host.
#[derive(Debug)]
struct Open {
    rule: Rule,
    layout: bool,
    host: Counted,
    client: Counted,
    /// Something of it is held, so that whatever comes behind it must be as well.
    held: bool,
}

#[derive(Debug)]
pub(super) struct Dynamic {
    /// The static channel's number, if the client has it.
    pub(super) channel: Option<u16>,
    pub(super) from_host: Assembly,
    pub(super) host_frames: Vec<u8>,
    pub(super) from_client: Assembly,
    pub(super) client_frames: Vec<u8>,
    open: BTreeMap<u32, Open>,
    /// When the session began, for a host that does not begin.
    began_ms: Option<u64>,
    asked_by_host: bool,
    asked_by_gate: bool,
    client_version: Option<u16>,
    own: Own,
    reopened: u32,
    own_pieces: Pieces,
    /// The newest layout that the client wished for under the cover: hosts refuse one while their output is
    /// suppressed, and forget it.
    pub(super) layout: Option<Vec<u8>>,
}

impl Dynamic {
    pub(super) fn new(channel: Option<u16>) -> Self {
        Self {
            channel,
            from_host: Assembly::default(),
            host_frames: Vec::new(),
            from_client: Assembly::default(),
            client_frames: Vec::new(),
            open: BTreeMap::new(),
            began_ms: None,
            asked_by_host: false,
            asked_by_gate: false,
            client_version: None,
            own: Own::Waiting,
            reopened: 0,
            own_pieces: Pieces::default(),
            layout: None,
        }
    }

    /// Nothing is held any more.
    pub(super) fn released(&mut self) {
        self.open.values_mut().for_each(|open| open.held = false);
    }
}

/// What becomes of a message of either side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes as it came.
    Pass,
    /// It passes as this.
    As(Vec<u8>),
    /// It waits for the uncover.
    Hold,
    /// It goes nowhere.
    Drop,
}

impl Live {
    /// Judges a message of the host.
    pub(super) fn host_dynamic(&mut self, message: &[u8]) -> Result<Verdict, Fault> {
        let covered = self.shown == Shown::Covered;
        match dvc::read(message)? {
            Pdu::Capabilities { version } => self.host_capabilities(message, version),
            Pdu::Create { id, body } => {
                let name = dvc::name(body)?;
                if self.dynamic.open.contains_key(&id) {
                    return Err(Fault::NotItsChannel);
                }
                // Two of them would draw over each other, and no cover would know which is on top.
                let graphics = name == GRAPHICS && self.policy.graphics && self.graphics.is_none();
                let rule = self.policy.dynamic_rule(&name);
                let full = self.dynamic.open.len() >= DYNAMIC_CHANNELS_MAX;
                // A program of the session can open channels as well: ours must not be one of them.
                let ours = name.eq_ignore_ascii_case(CHANNEL_NAME) || id == OWN_ID;
                if ours || full || (rule == Rule::Closed && !graphics) {
                    self.push_dynamic_to_host(&dvc::write_create_response(id, NO_LISTENER))?;
                    self.events.push(Event::ChannelRefused(name));
                    return Ok(Verdict::Drop);
                }
                if graphics {
                    self.graphics = Some(Graphics::new(id));
                }
                let (host, client) = (Counted::default(), Counted::default());
                let layout = name == DISPLAY_CONTROL;
                self.dynamic.open.insert(id, Open { rule, layout, host, client, held: false });
                Ok(Verdict::Pass)
            }
            Pdu::Data { id: OWN_ID, .. } | Pdu::DataFirst { id: OWN_ID, .. } | Pdu::Close { id: OWN_ID } => {
                Err(Fault::NotItsChannel)
            }
            Pdu::DataFirst { id, total, data } if self.is_graphics(id) => {
                self.host_graphics(Some(total), data)
            }
            Pdu::Data { id, data } if self.is_graphics(id) => self.host_graphics(None, data),
            Pdu::DataFirst { id, total, data } => {
                self.host_data(message, id, Some(total), data.len(), covered)
            }
            Pdu::Data { id, data } => self.host_data(message, id, None, data.len(), covered),
            Pdu::Close { id } if self.is_graphics(id) => {
                // Its surfaces go with it, so that what was held for them means nothing any more.
                self.dynamic.open.remove(&id);
                self.graphics_ended()?;
                Ok(Verdict::Pass)
            }
            Pdu::Close { id } => {
                // Late, when the client has closed it at the same time.
                let Some(open) = self.dynamic.open.get(&id) else { return Ok(Verdict::Drop) };
                if covered && open.held {
                    return Ok(Verdict::Hold);
                }
                self.dynamic.open.remove(&id);
                Ok(Verdict::Pass)
            }
        }
    }

    fn host_capabilities(&mut self, message: &[u8], version: u16) -> Result<Verdict, Fault> {
        if std::mem::replace(&mut self.dynamic.asked_by_host, true) {
            return Err(Fault::OutOfTurn);
        }
        if self.dynamic.asked_by_gate {
            // The client has been asked already; the host gets the same answer, now or as soon as it comes.
            if let Some(version) = self.dynamic.client_version {
                self.push_dynamic_to_host(&dvc::write_capabilities_response(version))?;
            }
            return Ok(Verdict::Drop);
        }
        if version <= VERSION_MAX {
            return Ok(Verdict::Pass);
        }
        let mut message = message.to_vec();
        patch(&mut message, VERSION_AT, &VERSION_MAX.to_le_bytes())?;
        Ok(Verdict::As(message))
    }

    fn host_data(
        &mut self,
        message: &[u8],
        id: u32,
        total: Option<u32>,
        length: usize,
        covered: bool,
    ) -> Result<Verdict, Fault> {
        let Some(open) = self.dynamic.open.get_mut(&id) else { return Ok(Verdict::Drop) };
        match open.rule {
            Rule::Closed | Rule::Silence => Ok(Verdict::Drop),
            Rule::Pass => Ok(Verdict::Pass),
            Rule::Hold if covered => {
                open.held = true;
                Ok(Verdict::Hold)
            }
            Rule::Hold => Ok(Verdict::Pass),
            Rule::Drop => match open.host.step(total, length, covered) {
                Step::Pass => Ok(Verdict::Pass),
                Step::Zero => super::client::zeroed(message, length).map(Verdict::As),
                Step::Drop => Ok(Verdict::Drop),
            },
        }
    }

    /// Judges a message of the client.
    pub(super) fn client_dynamic(&mut self, now_ms: u64, message: &[u8]) -> Result<Verdict, Fault> {
        let pass = |passes| if passes { Verdict::Pass } else { Verdict::Drop };
        match dvc::read(message)? {
            Pdu::Capabilities { version } => {
                let asked = self.dynamic.asked_by_host || self.dynamic.asked_by_gate;
                if !asked || self.dynamic.client_version.is_some() || version > VERSION_MAX {
                    return Err(Fault::OutOfTurn);
                }
                self.dynamic.client_version = Some(version);
                self.open_own()?;
                Ok(pass(self.dynamic.asked_by_host))
            }
            Pdu::Create { id: OWN_ID, body } => self.own_answered(body),
            Pdu::DataFirst { id: OWN_ID, total, data } => self.own_data(Some(total), data),
            Pdu::Data { id: OWN_ID, data } => self.own_data(None, data),
            Pdu::Close { id: OWN_ID } => Ok(self.own_closed(now_ms)),
            Pdu::Create { id, body } => {
                let failed = dvc::status(body)? & STATUS_FAILED != 0;
                let known = self.dynamic.open.contains_key(&id);
                if failed {
                    self.client_closes(id)?;
                }
                Ok(pass(known))
            }
            Pdu::DataFirst { id, total, data } if self.is_graphics(id) => {
                self.client_graphics(Some(total), data)
            }
            Pdu::Data { id, data } if self.is_graphics(id) => self.client_graphics(None, data),
            Pdu::DataFirst { id, total, data } => self.client_data(message, id, Some(total), data.len()),
            Pdu::Data { id, data } => self.client_data(message, id, None, data.len()),
            Pdu::Close { id } => self.client_closes(id).map(pass),
        }
    }

    /// Whether there was such a channel.
    fn client_closes(&mut self, id: u32) -> Result<bool, Fault> {
        if self.is_graphics(id) {
            self.graphics_ended()?;
        }
        Ok(self.dynamic.open.remove(&id).is_some())
    }

    fn client_data(
        &mut self,
        message: &[u8],
        id: u32,
        total: Option<u32>,
        length: usize,
    ) -> Result<Verdict, Fault> {
        let Some(open) = self.dynamic.open.get_mut(&id) else { return Ok(Verdict::Drop) };
        let covered = self.shown == Shown::Covered && open.rule != Rule::Pass;
        if covered && open.rule == Rule::Hold {
            if open.layout && total.is_none() && !open.client.is_inside() {
                self.dynamic.layout = Some(message.to_vec());
                return Ok(Verdict::Drop);
            }
            return Ok(Verdict::Hold);
        }
        match open.client.step(total, length, covered) {
            Step::Pass => Ok(Verdict::Pass),
            Step::Zero => super::client::zeroed(message, length).map(Verdict::As),
            Step::Drop => Ok(Verdict::Drop),
        }
    }

    fn own_answered(&mut self, body: &[u8]) -> Result<Verdict, Fault> {
        if self.dynamic.own != Own::Asked {
            return Err(Fault::OutOfTurn);
        }
        let failed = dvc::status(body)? & STATUS_FAILED != 0;
        self.dynamic.own = if failed { Own::Missing } else { Own::Open };
        let event = if failed { ChannelEvent::Missing } else { ChannelEvent::Opened };
        self.events.push(Event::Channel(event));
        Ok(Verdict::Drop)
    }

    fn own_data(&mut self, total: Option<u32>, data: &[u8]) -> Result<Verdict, Fault> {
        if self.dynamic.own != Own::Open {
            // Late, behind its own Close.
            return Ok(Verdict::Drop);
        }
        if let Some(message) = self.dynamic.own_pieces.add(total, data, CHANNEL_WRITE_MAX_BYTES)? {
            self.events.push(Event::Channel(ChannelEvent::Bytes(message)));
        }
        Ok(Verdict::Drop)
    }

    fn own_closed(&mut self, now_ms: u64) -> Verdict {
        if self.dynamic.own != Own::Open {
            return Verdict::Drop;
        }
        self.dynamic.own_pieces.clear();
        self.own_messages.clear();
        self.own_bytes = 0;
        self.events.push(Event::Channel(ChannelEvent::Closed));
        let again = self.dynamic.reopened < REOPEN_MAX;
        let at_ms = now_ms.saturating_add(REOPEN_AFTER_MS);
        self.dynamic.own = if again { Own::Reopen { at_ms } } else { Own::Missing };
        Verdict::Drop
    }

    /// Closes `SUDARE` and opens it again a moment later. The client answers the close; that comes late, and is dropped.
    ///
    /// # Errors
    /// If the client has no dynamic channels, of which none could have been open.
    pub fn reopen(&mut self, now_ms: u64) -> Result<(), Broken> {
        if self.dynamic.own != Own::Open {
            return Ok(());
        }
        self.own_closed(now_ms);
        self.push_own(&dvc::write_close(OWN_ID)).map_err(|fault| fault.of(Side::Client, Stage::Session))
    }

    fn open_own(&mut self) -> Result<(), Fault> {
        self.dynamic.own = Own::Asked;
        self.push_own(&dvc::write_create(OWN_ID, CHANNEL_NAME))
    }

    /// The first activation is over: from now on the host may begin with its channels.
    pub(super) fn dynamic_begins(&mut self, now_ms: u64) {
        if self.dynamic.began_ms.is_some() {
            return;
        }
        self.dynamic.began_ms = Some(now_ms);
        if self.dynamic.channel.is_none() {
            self.dynamic.own = Own::Missing;
            self.events.push(Event::Channel(ChannelEvent::Missing));
        }
    }

    /// What becomes due with time.
    pub(super) fn dynamic_tick(&mut self, now_ms: u64) -> Result<(), Fault> {
        if let Own::Reopen { at_ms } = self.dynamic.own
            && now_ms >= at_ms
        {
            self.dynamic.reopened = self.dynamic.reopened.saturating_add(1);
            self.open_own()?;
        }
        let due = self.dynamic.began_ms.is_some_and(|at| now_ms >= at.saturating_add(HOST_CAPS_WAIT_MS));
        let asked = self.dynamic.asked_by_host || self.dynamic.asked_by_gate;
        if due && !asked && self.dynamic.channel.is_some() {
            self.dynamic.asked_by_gate = true;
            self.push_own(&dvc::write_capabilities_request())?;
        }
        Ok(())
    }

    /// Sends a message on `SUDARE`. False: the channel is not open, or the client does not read.
    pub fn send(&mut self, message: &[u8]) -> bool {
        let room = self.own_bytes.saturating_add(message.len()) <= 4 * CHANNEL_WRITE_MAX_BYTES;
        if self.dynamic.own != Own::Open || message.len() > CHANNEL_WRITE_MAX_BYTES || !room {
            return false;
        }
        let Ok(pdus) = dvc::write_data(OWN_ID, message) else { return false };
        pdus.iter().all(|pdu| self.push_own(pdu).is_ok())
    }

    /// Queues a PDU of drdynvc of our own for the client.
    fn push_own(&mut self, pdu: &[u8]) -> Result<(), Fault> {
        let Some(id) = self.dynamic.channel else { return Err(Fault::OutOfTurn) };
        let frames = channel::write(Side::Host, self.channels.user, id, pdu)?;
        self.own_bytes = self.own_bytes.saturating_add(frames.len());
        self.own_messages.push_back(frames);
        Ok(())
    }

    /// Queues a PDU of drdynvc for the host.
    pub(super) fn push_dynamic_to_host(&mut self, pdu: &[u8]) -> Result<(), Fault> {
        let Some(id) = self.dynamic.channel else { return Err(Fault::OutOfTurn) };
        let frames = channel::write(Side::Client, self.channels.user, id, pdu)?;
        self.push_host(frames);
        Ok(())
    }

    /// A message of drdynvc as the client gets it.
    pub(super) fn dynamic_frames(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let Some(id) = self.dynamic.channel else { return Err(Fault::OutOfTurn) };
        channel::write(Side::Host, self.channels.user, id, message)
    }
}
