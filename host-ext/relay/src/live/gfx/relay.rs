//! Both directions of the graphics pipeline, in the session.

use super::super::activation::Activation;
use super::super::dynamic::Verdict;
use super::super::paint::Size;
use super::super::unit::{Class, Item, Shown, Unit};
use super::super::{Event, Live};
use super::{Graphics, zgfx};
use crate::error::Fault;
use crate::limits::{GRAPHICS_ANSWER_MAX_BYTES, GRAPHICS_BATCH_BYTES, GRAPHICS_MESSAGE_MAX_BYTES};
use crate::wire::gfx::{self, ACKNOWLEDGED_TOTAL_AT, Answer, Command, Pdu};
use crate::wire::{dvc, patch};

impl Live {
    pub(in crate::live) fn is_graphics(&self, id: u32) -> bool {
        self.graphics.as_ref().is_some_and(|graphics| graphics.id() == id)
    }

    /// A piece of the host: its PDUs wait from then on, before everything that came behind it.
    pub(in crate::live) fn host_graphics(
        &mut self,
        total: Option<u32>,
        piece: &[u8],
    ) -> Result<Verdict, Fault> {
        let Some(graphics) = &mut self.graphics else { return Ok(Verdict::Drop) };
        if let Some(message) = graphics.from_host.add(total, piece, GRAPHICS_MESSAGE_MAX_BYTES)? {
            let message = graphics.zgfx.unwrap(&message)?;
            for pdu in gfx::split(&message)? {
                self.expanded.push(Item { class: Class::Graphics, bytes: pdu.bytes.to_vec() });
            }
        }
        Ok(Verdict::Drop)
    }

    /// A piece of the client, which says nothing of what it types.
    pub(in crate::live) fn client_graphics(
        &mut self,
        total: Option<u32>,
        piece: &[u8],
    ) -> Result<Verdict, Fault> {
        let Some(graphics) = &mut self.graphics else { return Ok(Verdict::Drop) };
        let id = graphics.id();
        let Some(message) = graphics.from_client.add(total, piece, GRAPHICS_ANSWER_MAX_BYTES)? else {
            return Ok(Verdict::Drop);
        };
        let mut passes = Vec::with_capacity(message.len());
        for pdu in gfx::split(&message)? {
            passes.extend(self.client_answer(&pdu)?.unwrap_or_default());
        }
        if !passes.is_empty() {
            for pdu in dvc::write_data(id, &passes)? {
                self.push_dynamic_to_host(&pdu)?;
            }
        }
        Ok(Verdict::Drop)
    }

    /// What the host gets of one PDU, if anything.
    fn client_answer(&mut self, pdu: &Pdu<'_>) -> Result<Option<Vec<u8>>, Fault> {
        let Some(graphics) = &mut self.graphics else { return Ok(None) };
        let mut bytes = pdu.bytes.to_vec();
        match pdu.of_client()? {
            Answer::CapsAdvertise => {
                if std::mem::replace(&mut graphics.advertised, true) {
                    graphics.reset();
                    self.forget_graphics()?;
                }
            }
            Answer::Frame { frame, total } => {
                let found = graphics.frames.acknowledged(frame);
                if found.turn == Some(self.turn) && self.awaits_black {
                    self.awaits_black = false;
                    self.events.push(Event::Painted(Shown::Covered));
                }
                if found.own {
                    return Ok(None);
                }
                patch(&mut bytes, ACKNOWLEDGED_TOTAL_AT, &total.wrapping_sub(found.counted).to_le_bytes())?;
            }
            Answer::Quality { frame } if graphics.frames.quality(frame) => return Ok(None),
            Answer::Quality { .. } | Answer::Other => {}
        }
        Ok(Some(bytes))
    }

    /// The channel is closed.
    pub(in crate::live) fn graphics_ended(&mut self) -> Result<(), Fault> {
        self.graphics = None;
        self.forget_graphics()
    }

    /// What was drawn for surfaces that are no more means nothing, and they make nothing black any more.
    fn forget_graphics(&mut self) -> Result<(), Fault> {
        self.expanded.retain(|item| item.class != Class::Graphics);
        self.held.retain(|item| item.class != Class::Graphics);
        if self.shown == Shown::Covered && self.activation == Activation::Active {
            self.blacken(true)?;
        }
        Ok(())
    }

    /// What of the graphics pipeline goes before everything else of the host.
    pub(in crate::live) fn next_graphics(&mut self) -> Result<Option<Unit>, Fault> {
        let Some(graphics) = &mut self.graphics else { return Ok(None) };
        let pdus = match self.shown {
            Shown::Covered if graphics.due => graphics.black(self.turn)?,
            Shown::Covered => None,
            Shown::Visible => graphics.pictures()?,
        };
        if self.shown == Shown::Visible
            && self.size.is_some_and(|size| graphics.fills(size))
            && pdus.is_some()
        {
            // The picture is back, whether the host draws or not.
            self.repaint_due_ms = None;
        }
        self.graphics_unit(pdus)
    }

    /// Words and light for surfaces.
    pub(in crate::live) fn next_words(&mut self) -> Result<Option<Unit>, Fault> {
        let Some(graphics) = &mut self.graphics else { return Ok(None) };
        let pdus = graphics.words()?;
        self.graphics_unit(pdus)
    }

    fn graphics_unit(&self, pdus: Option<Vec<u8>>) -> Result<Option<Unit>, Fault> {
        let Some(pdus) = pdus else { return Ok(None) };
        Ok(Some(Unit { bytes: self.graphics_frames(&pdus)?, injected: true, mark: None }))
    }

    /// A message of the channel as the client gets it.
    fn graphics_frames(&self, pdus: &[u8]) -> Result<Vec<u8>, Fault> {
        let Some(graphics) = &self.graphics else { return Ok(Vec::new()) };
        let mut frames = Vec::new();
        for pdu in dvc::write_data(graphics.id(), &zgfx::wrap(pdus))? {
            frames.extend(self.dynamic_frames(&pdu)?);
        }
        Ok(frames)
    }

    /// What the client gets of one PDU now and of those right behind it, if anything.
    pub(in crate::live) fn judge_graphics(&mut self, item: Item) -> Result<Option<Vec<u8>>, Fault> {
        let Some(mut passes) = self.judge_pdu(item)? else { return Ok(None) };
        while passes.len() < GRAPHICS_BATCH_BYTES
            && self.shown == Shown::Visible
            && self.held.is_empty()
            && let Some(next) = self.expanded.pop()
        {
            if passes.len().saturating_add(next.bytes.len()) > GRAPHICS_BATCH_BYTES {
                self.expanded.push_front(next);
                break;
            }
            passes.extend(self.judge_pdu(next)?.unwrap_or_default());
        }
        self.graphics_frames(&passes).map(Some)
    }

    fn judge_pdu(&mut self, item: Item) -> Result<Option<Vec<u8>>, Fault> {
        let covered = self.shown == Shown::Covered;
        let Some(graphics) = &mut self.graphics else { return Ok(None) };
        let pdu = gfx::read(&item.bytes)?;
        let command = pdu.of_host()?;
        // Until then a client that begins anew takes nothing; one that did all the same would show it.
        if graphics.resetting && command != Command::CapsConfirm {
            return Ok(None);
        }
        graphics.resetting = false;
        if covered {
            if self.held.has_graphics() || !passes_covered(graphics, command) {
                return self.hold(item);
            }
            if let Command::Map { surface, .. } = command {
                let black = graphics.black_before_map(surface)?;
                if black.is_some() {
                    // First this, then the same PDU once more.
                    let unit = self.graphics_unit(black)?;
                    self.first.extend(unit);
                    self.expanded.push_front(item);
                    return Ok(None);
                }
                // Once it is shown, for those clients that only show what is drawn.
                graphics.due = true;
                self.events.extend(self.size.map(Event::Layout));
            }
        } else if let Command::Draw { .. } = command {
            self.repaint_due_ms = None;
        }
        let around = graphics.follow(&pdu)?;
        if let Command::Reset { width, height } = command {
            self.resized(width, height)?;
        }
        Ok(Some([&around.before[..], pdu.bytes, &around.behind].concat()))
    }

    /// The output has another size, without a new activation.
    fn resized(&mut self, width: u32, height: u32) -> Result<(), Fault> {
        let side = |side| u16::try_from(side).ok().filter(|side| *side > 0).ok_or(Fault::Length);
        let size = Size { width: side(width)?, height: side(height)? };
        self.size = Some(size);
        self.events.push(Event::Layout(size));
        if self.shown == Shown::Covered && self.activation == Activation::Active {
            self.blacken(true)?;
        }
        Ok(())
    }
}

/// Whether it shows nothing by itself: what it places is made black.
fn passes_covered(graphics: &Graphics, command: Command) -> bool {
    match command {
        // Its number is one of ours: it waits until ours are gone.
        Command::Create { surface, .. } => !graphics.surfaces.is_ours(surface),
        Command::Delete { .. }
        | Command::Map { .. }
        | Command::Reset { .. }
        | Command::CapsConfirm
        | Command::CacheImportReply => true,
        Command::Draw { .. } | Command::Start { .. } | Command::End { .. } | Command::Other => false,
    }
}
