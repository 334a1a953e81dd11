//! What the client gets next. Nothing of the host's reaches it by another way.

use super::activation::Activation;
use super::client::zeroed;
use super::dynamic::Verdict;
use super::flow::Step;
use super::unit::{Class, Item, Shown, Unit};
use super::{Event, Live};
use crate::error::{Broken, Fault, Side, Stage};
use crate::limits::HELD_MAX_BYTES;
use crate::policy::Rule;
use crate::wire::{channel, mcs};

impl Live {
    /// The next whole messages for the client, to be written before anything else. What is not taken yet can
    /// still be covered: take only what can be written at once.
    ///
    /// # Errors
    /// If a message of the host cannot be followed, or too much would have to be held; the connection must end.
    pub fn next_to_client(&mut self, now_ms: u64) -> Result<Option<Unit>, Broken> {
        self.next(now_ms).map_err(|fault| fault.of(Side::Host, Stage::Session))
    }

    fn next(&mut self, now_ms: u64) -> Result<Option<Unit>, Fault> {
        if let Some(unit) = self.first.pop_front() {
            return Ok(Some(unit));
        }
        if let Some(unit) = self.next_graphics()? {
            return Ok(Some(unit));
        }
        if let Some(bytes) = self.own_messages.pop_front() {
            self.own_bytes = self.own_bytes.saturating_sub(bytes.len());
            return Ok(Some(Unit { bytes, injected: true, mark: None }));
        }
        if let Some(unit) = self.painted.pop_front() {
            return Ok(Some(unit));
        }
        if let Some(unit) = self.next_words()? {
            return Ok(Some(unit));
        }
        if self.shown == Shown::Visible {
            while let Some(item) = self.held.pop() {
                // What the host drew before it was asked is no sign that it has heard.
                let due = self.repaint_due_ms;
                let bytes = self.judge(now_ms, item)?;
                self.repaint_due_ms = due;
                if let Some(bytes) = bytes {
                    return Ok(Some(Unit { bytes, injected: false, mark: None }));
                }
            }
            if self.activation == Activation::Active
                && let Some(mark) = self.visible_mark.take()
            {
                // The newest pointer again: the cover had hidden it.
                let bytes = self.pointer.write()?;
                return Ok(Some(Unit { bytes, injected: true, mark: Some(mark) }));
            }
        }
        while let Some(item) = self.expanded.pop().or_else(|| self.waiting.pop()) {
            if let Some(bytes) = self.judge(now_ms, item)? {
                return Ok(Some(Unit { bytes, injected: false, mark: None }));
            }
            // What was judged may have made something of our own due.
            if let Some(unit) = self.first.pop_front() {
                return Ok(Some(unit));
            }
        }
        Ok(None)
    }

    /// What the client gets of one message now, if anything.
    fn judge(&mut self, now_ms: u64, item: Item) -> Result<Option<Vec<u8>>, Fault> {
        let covered = self.shown == Shown::Covered;
        let Item { class, bytes } = item;
        match class {
            Class::Pass => {}
            Class::Sound if covered => return Ok(None),
            Class::Pixel(_) | Class::Pointer(_) if covered => {
                // Between a deactivation and the next Font Map there is no share that it could belong to.
                let keeps = self.activation == Activation::Active;
                self.recorded(&bytes)?;
                return if keeps { self.hold(Item { class, bytes }) } else { Ok(None) };
            }
            Class::Pixel(pointer) => {
                self.recorded(&bytes)?;
                self.repaint_due_ms = None;
                self.pointer = pointer.unwrap_or(self.pointer);
            }
            Class::Pointer(pointer) => self.pointer = pointer.unwrap_or(self.pointer),
            Class::Sound => {}
            Class::Demand { share, size } => {
                if self.activation != Activation::Idle {
                    return Err(Fault::OutOfTurn);
                }
                self.activation = Activation::Demanded;
                self.share = share;
                self.size = Some(size);
            }
            Class::FontMap => self.font_map(now_ms)?,
            Class::Deactivate => {
                self.activation = Activation::Idle;
                self.repaint_due_ms = None;
                self.recording_interrupted();
                // What was drawn for the old share means nothing in the next one, and neither does our own.
                self.held.retain(|item| !item.is_of_share());
                self.first.clear();
                self.painted.clear();
            }
            Class::Redirection => {
                self.events.push(Event::Redirected(bytes));
                return Ok(None);
            }
            Class::Chunk { channel, rule, first, last } => {
                let item = Item { class, bytes };
                return self.judge_chunk(item, channel, rule, [first, last]);
            }
            Class::Graphics => return self.judge_graphics(Item { class, bytes }),
            Class::Dynamic(message) => {
                return match self.host_dynamic(&message)? {
                    Verdict::Drop => Ok(None),
                    Verdict::Hold => self.hold(Item { class: Class::Dynamic(message), bytes }),
                    Verdict::Pass => Ok(Some(bytes)),
                    Verdict::As(message) => self.dynamic_frames(&message).map(Some),
                };
            }
        }
        Ok(Some(bytes))
    }

    fn font_map(&mut self, now_ms: u64) -> Result<(), Fault> {
        if self.activation != Activation::Confirmed {
            return Err(Fault::OutOfTurn);
        }
        self.activation = Activation::Active;
        self.dynamic_begins(now_ms);
        self.events.extend(self.size.map(Event::Layout));
        if self.shown == Shown::Covered {
            self.blacken(true)?;
            self.suppress()?;
        } else if self.suppressed && self.client_looks {
            // The uncover came between two activations, when nothing could be asked.
            self.allow()?;
        }
        Ok(())
    }

    fn judge_chunk(
        &mut self,
        item: Item,
        id: u16,
        rule: Rule,
        [first, last]: [bool; 2],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let covered = self.shown == Shown::Covered;
        match rule {
            Rule::Closed => Ok(None),
            Rule::Hold if covered => self.hold(item),
            Rule::Hold | Rule::Pass => Ok(Some(item.bytes)),
            Rule::Silence => {
                let data_at = |data: &[u8]| item.bytes.len().saturating_sub(data.len());
                let mcs::Domain::Send(send) = mcs::read(&item.bytes)? else { return Ok(None) };
                let data = channel::read(send.data)?.data;
                let header = item.bytes.get(..data_at(data)).unwrap_or_default();
                let data = self.silence.step(first, data, covered);
                Ok(Some([header, &data].concat()))
            }
            Rule::Drop => match self.flows_from_host.entry(id).or_default().step(first, last, covered) {
                Step::Pass => Ok(Some(item.bytes)),
                Step::Drop => Ok(None),
                Step::Zero => {
                    let mcs::Domain::Send(send) = mcs::read(&item.bytes)? else { return Ok(None) };
                    let count = channel::read(send.data)?.data.len();
                    zeroed(&item.bytes, count).map(Some)
                }
            },
        }
    }

    pub(super) fn hold(&mut self, item: Item) -> Result<Option<Vec<u8>>, Fault> {
        if self.held.bytes().saturating_add(item.size()) > HELD_MAX_BYTES {
            return Err(Fault::Overflow);
        }
        self.draws_on = true;
        self.held.push(item);
        Ok(None)
    }
}
