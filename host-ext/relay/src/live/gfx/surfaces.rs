//! The client's surfaces ([MS-RDPEGFX] 3.3.1.6), the host's and ours.

use std::collections::BTreeMap;

use crate::error::Fault;
use crate::limits::GRAPHICS_SURFACES_MAX;
use crate::wire::gfx::Place;

/// One of the host's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surface {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Ours must have the same, or alpha would be lost on its way there and back.
    pub(super) format: u8,
    pub(super) place: Option<Place>,
    /// Ours that keeps its picture.
    pub(super) kept_by: Option<u16>,
    /// Whether it surely exists: some clients lose all at a reset, some none. The host's next word on it tells.
    exists: bool,
}

impl Surface {
    pub(super) fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether a client shows it.
    fn is_shown(&self) -> bool {
        self.exists && self.place.is_some() && !self.is_empty()
    }
}

/// One whose picture was kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) id: u16,
    /// Ours.
    pub(super) by: u16,
    pub(super) size: (u16, u16),
}

#[derive(Debug, Default)]
pub(super) struct Surfaces {
    known: BTreeMap<u16, Surface>,
}

impl Surfaces {
    pub(super) fn create(&mut self, id: u16, (width, height): (u16, u16), format: u8) -> Result<(), Fault> {
        if self.known.get(&id).is_some_and(|surface| surface.exists) {
            return Err(Fault::OutOfTurn);
        }
        if self.known.len() >= GRAPHICS_SURFACES_MAX && !self.known.contains_key(&id) {
            return Err(Fault::TooMuch);
        }
        let surface = Surface { width, height, format, place: None, kept_by: None, exists: true };
        self.known.insert(id, surface);
        Ok(())
    }

    /// Forgets a surface, and tells which of ours has kept its picture.
    pub(super) fn delete(&mut self, id: u16) -> Option<u16> {
        self.known.remove(&id)?.kept_by
    }

    pub(super) fn map(&mut self, id: u16, place: Place) {
        if let Some(surface) = self.known.get_mut(&id) {
            surface.place = Some(place);
            surface.exists = true;
        }
    }

    pub(super) fn drawn(&mut self, id: u16) {
        if let Some(surface) = self.known.get_mut(&id) {
            surface.exists = true;
        }
    }

    /// All may be gone now. Tells which of ours were there.
    pub(super) fn reset(&mut self) -> Vec<u16> {
        self.known.values_mut().for_each(|surface| surface.exists = false);
        self.known.values_mut().filter_map(|surface| surface.kept_by.take()).collect()
    }

    /// Those that a client shows.
    pub(super) fn shown(&self) -> impl Iterator<Item = (u16, &Surface)> {
        self.known.iter().filter(|(_, surface)| surface.is_shown()).map(|(id, surface)| (*id, surface))
    }

    /// Those whose picture one of ours has, which has it no longer.
    pub(super) fn take_kept(&mut self) -> Vec<Kept> {
        let kept = self.known.iter_mut().filter_map(|(id, surface)| {
            let by = surface.kept_by.take()?;
            Some(Kept { id: *id, by, size: surface.size() })
        });
        kept.collect()
    }

    pub(super) fn get(&self, id: u16) -> Option<&Surface> {
        self.known.get(&id)
    }

    /// Whether the number is one of ours.
    pub(super) fn is_ours(&self, id: u16) -> bool {
        self.known.values().any(|surface| surface.kept_by == Some(id))
    }

    /// Gives a surface one of ours under a number that is free.
    pub(super) fn keep(&mut self, id: u16) -> Option<u16> {
        let free = (1..=u16::MAX).rev().find(|id| !self.known.contains_key(id) && !self.is_ours(*id))?;
        self.known.get_mut(&id)?.kept_by = Some(free);
        Some(free)
    }
}
