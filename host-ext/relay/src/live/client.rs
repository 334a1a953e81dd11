//! What the client sends. It is judged as it comes: what it typed before a cover, the host may still hear.

use super::activation::{self, Activation};
use super::dynamic::Verdict;
use super::flow::Step;
use super::unit::Shown;
use super::{Event, Live};
use crate::connect::sideband;
use crate::error::{Broken, Fault, Side, Stage};
use crate::frames::{self, Kind};
use crate::limits::{DYNAMIC_PDU_MAX_BYTES, WAITING_TO_HOST_MAX_BYTES};
use crate::policy::Rule;
use crate::table;
use crate::wire::mcs::{self, Domain};
use crate::wire::share::{self, Control};
use crate::wire::{Reader, channel, input};

impl Live {
    /// Takes a frame of the client.
    ///
    /// # Errors
    /// If it cannot be followed; the connection must end.
    pub fn from_client(&mut self, now_ms: u64, frame: &[u8]) -> Result<(), Broken> {
        self.client_frame(now_ms, frame).map_err(|fault| fault.of(Side::Client, Stage::Session))
    }

    fn client_frame(&mut self, now_ms: u64, frame: &[u8]) -> Result<(), Fault> {
        if self.to_host_bytes > WAITING_TO_HOST_MAX_BYTES {
            return Err(Fault::TooMuch);
        }
        if frames::kind(*frame.first().ok_or(Fault::Short)?)? == Kind::FastPath {
            self.types_slowly = false;
            if self.hears(&input::fast(frame)?) {
                self.push_host(frame.to_vec());
            }
            return Ok(());
        }
        let send = match mcs::read(frame)? {
            Domain::Disconnect => {
                self.push_host(frame.to_vec());
                return Ok(());
            }
            Domain::Send(send) if send.from == Side::Client && send.initiator == self.channels.user => send,
            _ => return Err(Fault::OutOfTurn),
        };
        if send.channel == self.channels.io {
            return self.client_share(frame, send.data);
        }
        if Some(send.channel) == self.channels.message {
            if sideband::client(send.data)? {
                self.push_host(frame.to_vec());
            }
            return Ok(());
        }
        let chunk = channel::read(send.data)?;
        if Some(send.channel) == self.dynamic.channel {
            self.dynamic.client_frames.extend_from_slice(frame);
            if let Some(message) = self.dynamic.from_client.add(&chunk, DYNAMIC_PDU_MAX_BYTES)? {
                let frames = std::mem::take(&mut self.dynamic.client_frames);
                match self.client_dynamic(now_ms, &message)? {
                    Verdict::Pass => self.push_host(frames),
                    Verdict::As(message) => self.push_dynamic_to_host(&message)?,
                    Verdict::Hold => self.hold_for_host(frames)?,
                    Verdict::Drop => {}
                }
            }
            return Ok(());
        }
        self.client_chunk(frame, send.channel, &chunk)
    }

    fn client_chunk(&mut self, frame: &[u8], id: u16, chunk: &channel::Chunk<'_>) -> Result<(), Fault> {
        let known = self.channels.statics.iter().find(|known| known.id == id);
        let rule = known.ok_or(Fault::NotItsChannel)?.rule;
        let passes = matches!(rule, Rule::Pass | Rule::Silence);
        let covered = self.shown == Shown::Covered && !passes;
        if covered && rule == Rule::Hold {
            return self.hold_for_host(frame.to_vec());
        }
        let flow = self.flows_from_client.entry(id).or_default();
        match flow.step(chunk.is_first(), chunk.is_last(), covered) {
            _ if rule == Rule::Closed => {}
            Step::Drop => {}
            Step::Pass => self.push_host(frame.to_vec()),
            Step::Zero => {
                let frame = zeroed(frame, chunk.data.len())?;
                self.push_host(frame);
            }
        }
        Ok(())
    }

    /// Whether the host hears these.
    fn hears(&mut self, events: &[input::Event]) -> bool {
        if self.shown == Shown::Visible {
            self.keys.pass(events);
            return true;
        }
        self.events.extend(self.keys.keep(events).into_iter().map(Event::Key));
        false
    }

    fn client_share(&mut self, frame: &[u8], user_data: &[u8]) -> Result<(), Fault> {
        let controls = share::split(user_data)?;
        let alone = controls.len() == 1;
        for control in controls {
            let Some(pdu) = self.client_control(&control)? else { continue };
            if alone && pdu == control.bytes {
                self.push_host(frame.to_vec());
            } else {
                self.push_share(&pdu)?;
            }
        }
        Ok(())
    }

    /// What the host gets of one PDU, if anything.
    fn client_control(&mut self, control: &Control<'_>) -> Result<Option<Vec<u8>>, Fault> {
        let visible = self.shown == Shown::Visible;
        let Some(of) = control.data else {
            let confirms = table::share_control(Side::Client, control.kind) == Some(table::Class::Confirm);
            if confirms && self.activation == Activation::Demanded {
                self.activation = Activation::Confirmed;
                return activation::confirm(control, self.policy.plain_bitmaps).map(Some);
            }
            return Err(Fault::OutOfTurn);
        };
        let passes = match table::share_data(Side::Client, of.kind) {
            Some(table::Class::Input) => {
                self.types_slowly = true;
                self.hears(&input::slow(control.body)?)
            }
            Some(table::Class::Suppress) => {
                self.client_looks = Reader::new(control.body).u8()? != 0;
                visible
            }
            Some(table::Class::Refresh) => visible,
            Some(table::Class::Pass) => true,
            _ => return Err(Fault::Unknown),
        };
        Ok(passes.then(|| control.bytes.to_vec()))
    }
}

/// A frame whose last bytes are zeros.
pub(super) fn zeroed(frame: &[u8], count: usize) -> Result<Vec<u8>, Fault> {
    let (before, behind) = frame.split_at_checked(frame.len().saturating_sub(count)).ok_or(Fault::Short)?;
    Ok([before, &vec![0; behind.len()]].concat())
}
