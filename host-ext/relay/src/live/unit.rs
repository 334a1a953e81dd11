//! What waits for a writer: whole messages, each judged when it is taken.

use super::paint::Size;
use super::pointer::Pointer;
use crate::policy::Rule;

/// What the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Black, and what the cover says.
    Covered,
    /// The host's desktop.
    Visible,
}

/// The last unit of a cover or of an uncover. Give it back with [`Live::written`](super::Live::written) once the
/// bytes before it have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What the client sees from then on.
    pub shown: Shown,
    /// Which cover or uncover it belongs to: an older one means nothing any more.
    pub(super) turn: u64,
}

/// Bytes for a client, to be written whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// One or more whole frames.
    pub bytes: Vec<u8>,
    /// Whether they are the gate's own and not the host's.
    pub injected: bool,
    /// Set on the last one of a cover or uncover.
    pub mark: Option<Mark>,
}

/// What a message of the host is, as far as a cover cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing that is seen or heard.
    Pass,
    /// It draws, and perhaps changes the pointer as well.
    Pixel(Option<Pointer>),
    /// It changes the pointer only.
    Pointer(Option<Pointer>),
    /// A beep.
    Sound,
    /// The host says what it can do: its share and its size.
    Demand { share: u32, size: Size },
    /// The host has said its last word of the activation.
    FontMap,
    /// The activation begins anew.
    Deactivate,
    /// The client should go to another host.
    Redirection,
    /// A piece on a static channel.
    Chunk { channel: u16, rule: Rule, first: bool, last: bool },
    /// A message of drdynvc.
    Dynamic(Vec<u8>),
    /// A PDU of the graphics pipeline, decompressed.
    Graphics,
}

/// A message of the host that nobody has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) class: Class,
    /// As the host sent it: whole frames, or one PDU of the graphics pipeline.
    pub(super) bytes: Vec<u8>,
}

impl Item {
    /// What it costs to keep it.
    pub(super) fn size(&self) -> usize {
        let message = if let Class::Dynamic(message) = &self.class { message.len() } else { 0 };
        self.bytes.len().saturating_add(message).saturating_add(size_of::<Self>())
    }

    /// Whether it was drawn for the share, which a deactivation ends.
    pub(super) fn is_of_share(&self) -> bool {
        matches!(self.class, Class::Pixel(_) | Class::Pointer(_) | Class::Sound)
    }
}

/// Messages in order, and what they cost.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: std::collections::VecDeque<Item>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.size());
        self.items.push_back(item);
    }

    /// Puts back what was popped.
    pub(super) fn push_front(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.size());
        self.items.push_front(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(item.size());
        Some(item)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        self.items.retain(keep);
        self.bytes = self.items.iter().map(Item::size).fold(0, usize::saturating_add);
    }

    pub(super) fn has_graphics(&self) -> bool {
        self.items.iter().any(|item| item.class == Class::Graphics)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
