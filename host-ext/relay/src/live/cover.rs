//! Covering and uncovering: what the client gets first, and what the host is told.
//!
//! Suppress Output and Refresh Rect ([MS-RDPBCGR] 2.2.11) only spare traffic and bring the picture back: a host
//! that ignores them is held all the same.

use super::activation::Activation;
use super::paint::{self, Tile};
use super::pointer::Pointer;
use super::unit::{Mark, Shown, Unit};
use super::{Event, Live};
use crate::error::{Broken, Fault, Side, Stage};
use crate::limits::{PAINT_MAX_BYTES, REPAINT_WAIT_MS, SUPPRESS_AGAIN_MS};
use crate::wire::share::data;
use crate::wire::{input, mcs, share};

impl Live {
    /// From now on the client is sent nothing that the host draws or plays.
    ///
    /// # Errors
    /// If what must be written cannot be; the connection must end, which covers as well.
    pub fn cover(&mut self, now_ms: u64) -> Result<(), Broken> {
        if self.shown == Shown::Covered {
            return Ok(());
        }
        // What is on its way is no sign that the host draws on.
        self.suppress_again_ms = now_ms.saturating_add(SUPPRESS_AGAIN_MS);
        self.begin(Shown::Covered);
        self.visible_mark = None;
        self.repaint_due_ms = None;
        if let Some(graphics) = &mut self.graphics {
            graphics.cover();
        }
        self.cover_both().map_err(|fault| fault.of(Side::Host, Stage::Session))
    }

    fn cover_both(&mut self) -> Result<(), Fault> {
        let released = self.keys.release();
        self.push_input(&released)?;
        if self.activation == Activation::Active {
            self.blacken(false)?;
            self.suppress_if_due()?;
        }
        Ok(())
    }

    /// The client gets what was held, in order, and then what the host draws.
    ///
    /// # Errors
    /// If what must be written cannot be; the connection must end.
    pub fn uncover(&mut self, now_ms: u64) -> Result<(), Broken> {
        if self.shown == Shown::Visible {
            return Ok(());
        }
        self.begin(Shown::Visible);
        // Words that nobody has seen yet go. Black stays: the picture that is coming was asked for after it.
        self.painted.clear();
        self.awaits_black = false;
        if let Some(graphics) = &mut self.graphics {
            graphics.uncover();
        }
        self.visible_mark = Some(Mark { shown: Shown::Visible, turn: self.turn });
        self.dynamic.released();
        self.uncover_host(now_ms).map_err(|fault| fault.of(Side::Host, Stage::Session))
    }

    fn uncover_host(&mut self, now_ms: u64) -> Result<(), Fault> {
        if self.activation == Activation::Active {
            if self.client_looks {
                self.allow()?;
                self.repaint_due_ms = Some(now_ms.saturating_add(REPAINT_WAIT_MS));
            }
            let toggles = self.keys.resume();
            self.push_input(toggles.as_slice())?;
        }
        for frames in std::mem::take(&mut self.held_to_host) {
            self.push_host(frames);
        }
        self.held_to_host_bytes = 0;
        if let Some(layout) = self.dynamic.layout.take() {
            self.push_dynamic_to_host(&layout)?;
        }
        Ok(())
    }

    fn begin(&mut self, shown: Shown) {
        self.shown = shown;
        self.turn = self.turn.saturating_add(1);
    }

    /// Draws on the cover: words, or light. Replaces what was to be drawn and has not been taken. False: the screen
    /// is not covered, or there is too much.
    pub fn paint(&mut self, tiles: &[Tile]) -> bool {
        let bytes = tiles.iter().map(Tile::bytes).fold(0, usize::saturating_add);
        let covered = self.shown == Shown::Covered && self.activation == Activation::Active;
        if !covered || bytes > PAINT_MAX_BYTES {
            return false;
        }
        let Ok(mut frames) = paint::frames(tiles) else { return false };
        self.painted.clear();
        if let Some(graphics) = self.graphics.as_mut().filter(|graphics| graphics.shows()) {
            graphics.paint(tiles);
            if self.size.is_some_and(|size| graphics.fills(size)) {
                frames.clear();
            }
        }
        self.painted.extend(frames.into_iter().map(|bytes| Unit { bytes, injected: true, mark: None }));
        true
    }

    /// The bytes up to this mark have left this machine.
    pub fn written(&mut self, mark: Mark) {
        if mark.turn == self.turn && mark.shown == self.shown {
            self.events.push(Event::Painted(mark.shown));
        }
    }

    /// Puts black before everything that waits: bitmaps, and surfaces behind them. `output`: what the client shows
    /// beside its surfaces, or in place of them, may be anything.
    pub(super) fn blacken(&mut self, output: bool) -> Result<(), Fault> {
        let Some(size) = self.size else { return Ok(()) };
        self.first.clear();
        self.painted.clear();
        let mut frames = vec![Pointer::Hidden.write()?];
        let graphics = self.graphics.as_mut().filter(|graphics| graphics.shows());
        self.awaits_black = graphics.is_some();
        // A host that draws by surfaces may have drawn bitmaps before, as a screen to log on.
        if output || !graphics.as_ref().is_some_and(|graphics| graphics.fills(size)) {
            frames.extend(paint::black(size)?);
        }
        if let Some(graphics) = graphics {
            graphics.cover();
        }
        let units = frames.into_iter().map(|bytes| Unit { bytes, injected: true, mark: None });
        self.first.extend(units);
        if let Some(last) = self.first.back_mut().filter(|_| !self.awaits_black) {
            last.mark = Some(Mark { shown: Shown::Covered, turn: self.turn });
        }
        Ok(())
    }

    /// Tells the host to draw nothing.
    pub(super) fn suppress(&mut self) -> Result<(), Fault> {
        if !self.policy.suppress {
            return Ok(());
        }
        (self.suppressed, self.draws_on) = (true, false);
        self.push_data(data::SUPPRESS_OUTPUT, &[0; 4])
    }

    /// Tells it once more when it draws all the same. A login screen does and takes no notice; but a desktop that xrdp
    /// attaches later was never told, and would fill what is held.
    pub(super) fn suppress_again(&mut self, now_ms: u64) -> Result<(), Fault> {
        let covered = self.shown == Shown::Covered && self.activation == Activation::Active;
        if !(covered && self.suppressed && self.draws_on && now_ms >= self.suppress_again_ms) {
            return Ok(());
        }
        self.suppress_again_ms = now_ms.saturating_add(SUPPRESS_AGAIN_MS);
        self.suppress()
    }

    /// Tells the host to draw again, and everything.
    pub(super) fn allow(&mut self) -> Result<(), Fault> {
        self.suppressed = false;
        if let Some(whole) = self.whole().filter(|_| self.policy.suppress) {
            self.push_data(data::SUPPRESS_OUTPUT, &whole)?;
        }
        self.refresh()
    }

    /// Asks the host to draw everything once more.
    pub(super) fn refresh(&mut self) -> Result<(), Fault> {
        self.whole().map_or(Ok(()), |whole| self.push_data(data::REFRESH_RECT, &whole))
    }

    /// One rectangle, the whole screen, as both messages have it.
    fn whole(&self) -> Option<Vec<u8>> {
        let size = self.size?;
        // Both corners are inside.
        let corners = [0, 0, size.width.saturating_sub(1), size.height.saturating_sub(1)];
        let corners: Vec<u8> = corners.iter().flat_map(|corner| corner.to_le_bytes()).collect();
        Some([&[1, 0, 0, 0][..], &corners].concat())
    }

    /// Sends events in the way in which the client does, which the host therefore takes.
    fn push_input(&mut self, events: &[input::Event]) -> Result<(), Fault> {
        for events in events.chunks(input::FAST_EVENTS_MAX) {
            if self.types_slowly {
                self.push_data(data::INPUT, &input::write_slow(events)?)?;
            } else {
                let frame = input::write_fast(events)?;
                self.push_host(frame);
            }
        }
        Ok(())
    }

    fn push_data(&mut self, kind: u8, body: &[u8]) -> Result<(), Fault> {
        let pdu = share::write_data(self.share, self.channels.user, kind, body)?;
        self.push_share(&pdu)
    }

    /// Sends a PDU of the share to the host.
    pub(super) fn push_share(&mut self, pdu: &[u8]) -> Result<(), Fault> {
        let frame = mcs::send_data(Side::Client, self.channels.user, self.channels.io, pdu)?;
        self.push_host(frame);
        Ok(())
    }
}
