//! Black on every surface that is shown, and their pictures again.

use super::Graphics;
use crate::error::Fault;
use crate::wire::gfx::{self, Rectangle};

const BLACK: [u8; 3] = [0; 3];

impl Graphics {
    /// From now on nothing of the host's may be seen on surfaces.
    pub(in crate::live) fn cover(&mut self) {
        self.due = true;
        self.tiles.clear();
    }

    /// From now on surfaces show what is the host's.
    pub(in crate::live) fn uncover(&mut self) {
        self.due = false;
        self.restores = true;
        self.tiles.clear();
    }

    /// PDUs that take the pictures out of everything shown, and make it black. The frame of `turn` is the one whose
    /// acknowledgement says that the client shows it.
    pub(super) fn black(&mut self, turn: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.due = false;
        let shown: Vec<u16> = self.surfaces.shown().map(|(id, _)| id).collect();
        if shown.is_empty() {
            return Ok(None);
        }
        self.blacken(&shown, Some(turn)).map(Some)
    }

    /// The same of one surface, which is not shown yet.
    pub(super) fn black_before_map(&mut self, id: u16) -> Result<Option<Vec<u8>>, Fault> {
        match self.surfaces.get(id) {
            Some(surface) if surface.kept_by.is_none() && !surface.is_empty() => {
                self.blacken(&[id], None).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn blacken(&mut self, surfaces: &[u16], turn: Option<u64>) -> Result<Vec<u8>, Fault> {
        let (mut before, mut inside) = (Vec::new(), Vec::new());
        for id in surfaces {
            let Some(surface) = self.surfaces.get(*id).copied() else { continue };
            let (width, height) = surface.size();
            if surface.kept_by.is_none()
                && let Some(kept) = self.surfaces.keep(*id)
            {
                gfx::write_create(&mut before, kept, surface.size(), surface.format)?;
                gfx::write_copy(&mut inside, *id, kept, surface.size())?;
            }
            let whole = Rectangle { left: 0, top: 0, right: width, bottom: height };
            gfx::write_fill(&mut inside, *id, BLACK, whole)?;
        }
        self.frame(&before, &inside, turn)
    }

    /// A frame of ours, outside of any of the host's.
    pub(super) fn frame(
        &mut self,
        before: &[u8],
        inside: &[u8],
        turn: Option<u64>,
    ) -> Result<Vec<u8>, Fault> {
        let mut pdus = Vec::new();
        if let Some(frame) = self.frames.interrupt() {
            gfx::write_end(&mut pdus, frame)?;
        }
        let frame = self.frames.own(turn);
        pdus.extend_from_slice(before);
        gfx::write_start(&mut pdus, 0, frame)?;
        pdus.extend_from_slice(inside);
        gfx::write_end(&mut pdus, frame)?;
        Ok(pdus)
    }

    /// PDUs that bring the pictures back, and the host's frame that was interrupted.
    pub(super) fn pictures(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if !std::mem::take(&mut self.restores) {
            return Ok(None);
        }
        let (mut inside, mut behind) = (Vec::new(), Vec::new());
        let all_kept = self.surfaces.take_kept();
        for (id, surface) in self.surfaces.shown() {
            // Those that were not black yet may lie under black bitmaps all the same: clients show a surface again
            // when something is drawn on it, be it itself.
            if all_kept.iter().all(|kept| kept.id != id) {
                gfx::write_copy(&mut inside, id, id, surface.size())?;
            }
        }
        for kept in all_kept {
            gfx::write_copy(&mut inside, kept.by, kept.id, kept.size)?;
            gfx::write_delete(&mut behind, kept.by)?;
        }
        let mut pdus = if inside.is_empty() { Vec::new() } else { self.frame(&[], &inside, None)? };
        pdus.extend_from_slice(&behind);
        if let Some((time, frame)) = self.frames.resume() {
            gfx::write_start(&mut pdus, time, frame)?;
        }
        Ok((!pdus.is_empty()).then_some(pdus))
    }
}
