//! What the host sends, from frames to whole messages that wait.
//!
//! Here a message is only told apart from others; whether the client gets it is decided when it is taken.

use super::activation;
use super::pointer::Pointer;
use super::unit::{Class, Item};
use super::{Event, Live};
use crate::connect::sideband;
use crate::error::{Broken, Fault, Side, Stage};
use crate::frames::{self, Kind};
use crate::limits::{DYNAMIC_PDU_MAX_BYTES, FRAGMENTS_MAX_BYTES, WAITING_MAX_BYTES};
use crate::policy::Rule;
use crate::table;
use crate::wire::fastpath::{self, Fragment};
use crate::wire::mcs::{self, Domain};
use crate::wire::share::{self, Control};
use crate::wire::{Reader, channel};

/// Standard Security Server Redirection ([MS-RDPBCGR] 2.2.13.2): a security header in place of the share's.
const REDIRECTION_FLAG: u16 = 0x0400;

/// An update whose last fragment has not come: clients end the connection when anything comes in between.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    code: Option<u8>,
    bytes: Vec<u8>,
    draws: bool,
    pointer: Option<Pointer>,
}

impl Fragments {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes one frame, and gives the unit that ends with it.
    fn add(&mut self, frame: &[u8]) -> Result<Option<Item>, Fault> {
        if self.bytes.len().saturating_add(frame.len()) > FRAGMENTS_MAX_BYTES {
            return Err(Fault::TooMuch);
        }
        for update in fastpath::updates(frame)? {
            self.code = match (update.fragment, self.code) {
                (Fragment::Single | Fragment::First, Some(_)) => return Err(Fault::Mixed),
                (Fragment::Single, None) => None,
                (Fragment::First, None) => Some(update.code),
                (Fragment::Next, Some(code)) if code == update.code => Some(code),
                (Fragment::Last, Some(code)) if code == update.code => None,
                (Fragment::Next | Fragment::Last, _) => return Err(Fault::Mixed),
            };
            if !update.is_pointer() {
                self.draws = true;
            } else if matches!(update.fragment, Fragment::Single | Fragment::First) {
                self.pointer = Pointer::fast(&update)?.or(self.pointer);
            }
        }
        self.bytes.extend_from_slice(frame);
        if self.code.is_some() {
            return Ok(None);
        }
        let Self { bytes, draws, pointer, .. } = std::mem::take(self);
        let class = if draws { Class::Pixel(pointer) } else { Class::Pointer(pointer) };
        Ok(Some(Item { class, bytes }))
    }
}

impl Live {
    /// Takes a frame of the host.
    ///
    /// # Errors
    /// If it cannot be followed; the connection must end.
    pub fn from_host(&mut self, _now_ms: u64, frame: &[u8]) -> Result<(), Broken> {
        self.host_frame(frame).map_err(|fault| fault.of(Side::Host, Stage::Session))
    }

    fn host_frame(&mut self, frame: &[u8]) -> Result<(), Fault> {
        if self.waiting.bytes() > WAITING_MAX_BYTES {
            return Err(Fault::TooMuch);
        }
        if frames::kind(*frame.first().ok_or(Fault::Short)?)? == Kind::FastPath {
            if let Some(item) = self.fragments.add(frame)? {
                self.waiting.push(item);
            }
            return Ok(());
        }
        let send = match mcs::read(frame)? {
            Domain::Disconnect => {
                self.waiting.push(Item { class: Class::Pass, bytes: frame.to_vec() });
                return Ok(());
            }
            Domain::Send(send) if send.from == Side::Host => send,
            _ => return Err(Fault::OutOfTurn),
        };
        if send.channel == self.channels.io {
            return self.host_share(frame, send.initiator, send.data);
        }
        if Some(send.channel) == self.channels.message {
            if sideband::host(send.data)? {
                self.waiting.push(Item { class: Class::Pass, bytes: frame.to_vec() });
            } else {
                self.events.push(Event::TransportRefused);
            }
            return Ok(());
        }
        let known = self.channels.statics.iter().find(|known| known.id == send.channel);
        let rule = known.ok_or(Fault::NotItsChannel)?.rule;
        let chunk = channel::read(send.data)?;
        if Some(send.channel) == self.dynamic.channel {
            self.dynamic.host_frames.extend_from_slice(frame);
            if let Some(message) = self.dynamic.from_host.add(&chunk, DYNAMIC_PDU_MAX_BYTES)? {
                let bytes = std::mem::take(&mut self.dynamic.host_frames);
                self.waiting.push(Item { class: Class::Dynamic(message), bytes });
            }
        } else if rule != Rule::Closed {
            let (first, last) = (chunk.is_first(), chunk.is_last());
            let class = Class::Chunk { channel: send.channel, rule, first, last };
            self.waiting.push(Item { class, bytes: frame.to_vec() });
        }
        Ok(())
    }

    fn host_share(&mut self, frame: &[u8], initiator: u16, user_data: &[u8]) -> Result<(), Fault> {
        let mut header = Reader::new(user_data);
        if let (Ok(flags), Ok(0)) = (header.u16(), header.u16())
            && flags & REDIRECTION_FLAG != 0
        {
            self.waiting.push(Item { class: Class::Redirection, bytes: user_data.to_vec() });
            return Ok(());
        }
        let controls = share::split(user_data)?;
        let alone = controls.len() == 1;
        for control in controls {
            let class = self.class_of(&control)?;
            let bytes = match class {
                Class::Redirection => control.bytes.to_vec(),
                _ if alone => frame.to_vec(),
                // Each is judged by itself, so each becomes a frame of its own.
                _ => mcs::send_data(Side::Host, initiator, self.channels.io, control.bytes)?,
            };
            self.waiting.push(Item { class, bytes });
        }
        Ok(())
    }

    fn class_of(&mut self, control: &Control<'_>) -> Result<Class, Fault> {
        let Some(of) = control.data else {
            return match table::share_control(Side::Host, control.kind) {
                Some(table::Class::Demand) => {
                    let (share, size) = activation::demand(control)?;
                    Ok(Class::Demand { share, size })
                }
                Some(table::Class::Deactivate) => {
                    self.fragments.clear();
                    Ok(Class::Deactivate)
                }
                Some(table::Class::Ends) if control.kind == share::REDIRECTION => Ok(Class::Redirection),
                _ => Err(Fault::OutOfTurn),
            };
        };
        match table::share_data(Side::Host, of.kind) {
            Some(table::Class::Picture) => Ok(Class::Pixel(None)),
            Some(table::Class::Pointer) => Ok(Class::Pointer(Pointer::slow(control.body)?)),
            Some(table::Class::Beep) => Ok(Class::Sound),
            Some(table::Class::FontMap) => Ok(Class::FontMap),
            Some(table::Class::Pass) => Ok(Class::Pass),
            _ => Err(Fault::Unknown),
        }
    }
}
