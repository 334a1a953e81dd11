//! The display gate decides which pixels may be encoded next. Pure: no socket, no clock.
//!
//! ```text
//!            start
//!              ▼
//!      ┌─► BlackDue ──next()──► Covered ──next()… (text tiles)
//! cover│                           │ uncover
//!      └────────── Visible ◄───────┘ ──next()… (desktop tiles)
//! ```
//!
//! While covered, all that is outside the panel may be lit with one colour; whatever ends the cover ends the light.
//!
//! The gate returns one block (one PDU) at a time, and only when the writer is idle. So a cover waits for at most one
//! block of the desktop, and on a slow network changes of the desktop are merged rather than queued. Only the state
//! `Visible` ever reads the desktop's pixels.

#![deny(clippy::disallowed_methods, reason = "pure: what it needs of the world comes in as arguments")]

use std::sync::Arc;

use sudare_guard::cover;
use sudare_guard::cover::canvas::Rect;
use sudare_guard::cover::fonts::Fonts;
use sudare_guard::screen::{CoverText, Screenshot};
use sudare_protocol::message::Shown;

use crate::encode::{EncodeError, TILE, Tile, black_frame, light_frame, update};

/// Tiles are added to a PDU until it has this many bytes.
const BLOCK_BYTES: usize = 8 * 1024;
/// Most tiles are nearly empty; this limits the time for encoding one block.
const BLOCK_TILES: usize = 48;

/// Bytes to write: whole PDUs only.
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// What the client's screen shows once these bytes are flushed, if that is news.
    pub(super) then: Option<Shown>,
}

pub(super) struct Gate {
    width: u16,
    height: u16,
    fonts: Arc<Fonts>,
    /// The black frame, made in advance because nothing may delay a cover: the PDU and the picture it gives.
    black: Vec<u8>,
    black_picture: Screenshot,
    state: State,
}

enum State {
    /// The black frame must be sent next.
    BlackDue { text: CoverText },
    /// The client's screen is black; the text is drawn and sent tile by tile.
    Covered { text: Option<CoverText>, light: Light, shown: Screenshot, dirty: Tiles },
    /// The client may see the desktop; `announced` is set once all of it was sent.
    Visible { dirty: Tiles, announced: bool },
}

/// What is outside the panel: what was sent last, and what is wanted.
#[derive(Clone, Copy, Default)]
struct Light {
    sent: [u8; 3],
    wanted: [u8; 3],
}

impl Gate {
    /// Starts covered; the black frame is encoded in advance.
    pub(super) fn new(width: u16, height: u16, fonts: Arc<Fonts>) -> Result<Self, EncodeError> {
        let black = black_frame(width, height)?;
        let black_picture = cover::black_picture(width, height);
        let state = State::BlackDue { text: CoverText::default() };
        Ok(Self { width, height, fonts, black, black_picture, state })
    }

    /// Covers the screen. From now on no pixel of the desktop is encoded until [`Self::uncover`].
    pub(super) fn cover(&mut self, new: CoverText) {
        match &mut self.state {
            State::BlackDue { text } => *text = new,
            State::Covered { text, .. } => *text = Some(new),
            State::Visible { .. } => self.state = State::BlackDue { text: new },
        }
    }

    /// Lights a cover that the client shows already, or puts it back to black.
    pub(super) fn light(&mut self, rgb: Option<[u8; 3]>) {
        if let State::Covered { light, .. } = &mut self.state {
            light.wanted = rgb.unwrap_or_default();
        }
    }

    pub(super) fn uncover(&mut self) {
        if !matches!(self.state, State::Visible { .. }) {
            let dirty = Tiles::all(self.width, self.height);
            self.state = State::Visible { dirty, announced: false };
        }
    }

    /// Sends everything again, because the client asked for it, for example after its window was hidden.
    pub(super) fn refresh(&mut self) {
        match &mut self.state {
            State::BlackDue { .. } => {}
            State::Covered { shown, dirty, .. } => {
                *dirty = Tiles::all(shown.width, shown.height);
            }
            State::Visible { dirty, .. } => *dirty = Tiles::all(self.width, self.height),
        }
    }

    /// Marks changed parts of the desktop. No effect while covered, since uncovering sends everything.
    pub(super) fn damage(&mut self, changed: &[Rect]) {
        if let State::Visible { dirty, .. } = &mut self.state {
            changed.iter().for_each(|rect| dirty.mark(rect));
        }
    }

    /// Whether the client may still show pixels of the desktop that the black frame must replace.
    pub(super) fn is_black_due(&self) -> bool {
        matches!(self.state, State::BlackDue { .. })
    }

    /// The black frame, if it is due; nothing is more urgent.
    pub(super) fn next_black(&mut self) -> Option<Block> {
        let State::BlackDue { text } = &mut self.state else { return None };
        let text = Some(std::mem::take(text));
        let shown = self.black_picture.clone();
        let dirty = Tiles::none(self.width, self.height);
        self.state = State::Covered { text, light: Light::default(), shown, dirty };
        Some(Block { bytes: self.black.clone(), then: Some(Shown::Covered) })
    }

    /// The next block, or `None` if the client has everything.
    pub(super) fn next(&mut self, desktop: &Screenshot) -> Result<Option<Block>, EncodeError> {
        match &mut self.state {
            State::BlackDue { .. } => Ok(self.next_black()),
            State::Covered { light, shown, .. } if light.sent != light.wanted => {
                light.sent = light.wanted;
                let border = border(self.width, self.height);
                fill(shown, &border, light.sent);
                // One PDU for all of it: nobody sees a cover that is lit in part.
                Ok(Some(Block { bytes: light_frame(&border, light.sent)?, then: None }))
            }
            State::Covered { text, light, shown, dirty } => {
                if let Some(text) = text.take() {
                    let mut new = cover::draw(&self.fonts, &text, self.width, self.height);
                    if light.sent != [0; 3] {
                        fill(&mut new, &border(self.width, self.height), light.sent);
                    }
                    dirty.mark_differing(shown, &new);
                    *shown = new;
                }
                let tiles = dirty.take(shown)?;
                if tiles.is_empty() {
                    return Ok(None);
                }
                Ok(Some(Block { bytes: update(&tiles)?, then: None }))
            }
            State::Visible { dirty, announced } => {
                let tiles = dirty.take(desktop)?;
                if tiles.is_empty() {
                    return Ok(None);
                }
                let first_time_complete = dirty.is_empty() && !*announced;
                *announced |= first_time_complete;
                let then = first_time_complete.then_some(Shown::Visible);
                Ok(Some(Block { bytes: update(&tiles)?, then }))
            }
        }
    }
}

/// Everything outside the panel.
fn border(width: u16, height: u16) -> [Rect; 4] {
    let panel = cover::panel(width, height);
    let (right, bottom) = (panel.x + panel.width, panel.y + panel.height);
    [
        Rect { x: 0, y: 0, width, height: panel.y },
        Rect { x: 0, y: panel.y, width: panel.x, height: panel.height },
        Rect { x: right, y: panel.y, width: width - right, height: panel.height },
        Rect { x: 0, y: bottom, width, height: height - bottom },
    ]
}

/// Puts one colour into parts of a picture.
fn fill(picture: &mut Screenshot, parts: &[Rect], [r, g, b]: [u8; 3]) {
    let mut bgra = picture.bgra.to_vec();
    for part in parts {
        for y in part.y..part.y + part.height {
            let start = (usize::from(y) * usize::from(picture.width) + usize::from(part.x)) * 4;
            let row = bgra.get_mut(start..start + usize::from(part.width) * 4).unwrap_or_default();
            row.chunks_exact_mut(4).for_each(|pixel| pixel.copy_from_slice(&[b, g, r, 255]));
        }
    }
    picture.bgra = Arc::from(bgra);
}

/// The tiles of a screen that are waiting to be sent.
struct Tiles {
    columns: u16,
    waiting: Vec<bool>,
    count: usize,
    /// The tile at which the next block starts, so that a busy corner cannot starve the rest.
    cursor: usize,
}

impl Tiles {
    fn none(width: u16, height: u16) -> Self {
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let waiting = vec![false; usize::from(columns) * usize::from(rows)];
        Self { columns, waiting, count: 0, cursor: 0 }
    }

    fn all(width: u16, height: u16) -> Self {
        let mut tiles = Self::none(width, height);
        tiles.waiting.fill(true);
        tiles.count = tiles.waiting.len();
        tiles
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn mark(&mut self, rect: &Rect) {
        if rect.width == 0 || rect.height == 0 {
            return;
        }
        let last_x = rect.x.saturating_add(rect.width - 1);
        let last_y = rect.y.saturating_add(rect.height - 1);
        for row in rect.y / TILE..=last_y / TILE {
            for column in rect.x / TILE..=(last_x / TILE).min(self.columns.saturating_sub(1)) {
                self.mark_index(usize::from(row) * usize::from(self.columns) + usize::from(column));
            }
        }
    }

    fn mark_index(&mut self, index: usize) {
        if let Some(waiting) = self.waiting.get_mut(index)
            && !*waiting
        {
            *waiting = true;
            self.count += 1;
        }
    }

    fn mark_differing(&mut self, old: &Screenshot, new: &Screenshot) {
        for index in 0..self.waiting.len() {
            let rect = self.rect(index, new);
            let differs = (rect.y..rect.y + rect.height).any(|y| {
                let start = (usize::from(y) * usize::from(new.width) + usize::from(rect.x)) * 4;
                let row = start..start + usize::from(rect.width) * 4;
                old.bgra.get(row.clone()) != new.bgra.get(row)
            });
            if differs {
                self.mark_index(index);
            }
        }
    }

    /// Takes and compresses tiles until a block is full.
    fn take(&mut self, picture: &Screenshot) -> Result<Vec<Tile>, EncodeError> {
        let mut tiles = Vec::new();
        let mut bytes = 0;
        let total = self.waiting.len();
        for _ in 0..total {
            if self.count == 0 || bytes >= BLOCK_BYTES || tiles.len() >= BLOCK_TILES {
                break;
            }
            let index = self.cursor % total;
            self.cursor = index + 1;
            if let Some(waiting) = self.waiting.get_mut(index).filter(|waiting| **waiting) {
                *waiting = false;
                self.count -= 1;
                let tile = Tile::encode(picture, self.rect(index, picture))?;
                bytes += tile.len();
                tiles.push(tile);
            }
        }
        Ok(tiles)
    }

    fn rect(&self, index: usize, picture: &Screenshot) -> Rect {
        let columns = usize::from(self.columns.max(1));
        let at = |tile: usize| u16::try_from(tile).unwrap_or(u16::MAX).saturating_mul(TILE);
        let (x, y) = (at(index % columns), at(index / columns));
        Rect {
            x,
            y,
            width: picture.width.saturating_sub(x).min(TILE),
            height: picture.height.saturating_sub(y).min(TILE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desktop::Desktop;

    const SIZE: (u16, u16) = (320, 200);

    fn gate() -> (Gate, Screenshot) {
        let fonts = Arc::new(Fonts::load());
        let desktop = Desktop::new(SIZE.0, SIZE.1, Arc::clone(&fonts)).picture();
        (Gate::new(SIZE.0, SIZE.1, fonts).unwrap(), desktop)
    }

    fn drain(gate: &mut Gate, desktop: &Screenshot) -> Vec<Option<Shown>> {
        std::iter::from_fn(|| gate.next(desktop).unwrap().map(|block| block.then)).collect()
    }

    #[test]
    fn the_first_block_is_black_and_nothing_follows_without_a_text() {
        let (mut gate, desktop) = gate();
        assert_eq!(gate.next(&desktop).unwrap().unwrap().bytes, black_frame(SIZE.0, SIZE.1).unwrap());
        assert!(gate.next(&desktop).unwrap().is_none());
        gate.damage(&[Rect { x: 0, y: 0, width: 9, height: 9 }]);
        assert!(gate.next(&desktop).unwrap().is_none());
    }

    #[test]
    fn uncover_sends_everything_once_then_only_what_changed() {
        let (mut gate, desktop) = gate();
        gate.uncover();
        let blocks = drain(&mut gate, &desktop);
        assert_eq!(blocks.last(), Some(&Some(Shown::Visible)));
        assert_eq!(blocks.iter().flatten().count(), 1);
        gate.damage(&[Rect { x: 60, y: 0, width: 9, height: 9 }]);
        let State::Visible { dirty, .. } = &gate.state else { panic!("visible") };
        assert_eq!(dirty.count, 2);
        assert_eq!(drain(&mut gate, &desktop), [None]);
    }

    #[test]
    fn a_cover_overtakes_a_desktop_that_is_half_sent() {
        let (mut gate, _) = gate();
        // Noise does not compress, so that the desktop takes many blocks.
        let bgra: Vec<u8> =
            (0..320 * 200 * 4_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 9).to_le_bytes()[0]).collect();
        let desktop = Screenshot { width: 320, height: 200, bgra: Arc::from(bgra) };
        gate.uncover();
        assert_eq!(gate.next(&desktop).unwrap().unwrap().then, None);
        gate.cover(CoverText { lines: vec!["covered".to_owned()] });
        assert!(gate.is_black_due());
        let block = gate.next(&desktop).unwrap().unwrap();
        assert_eq!((block.then, block.bytes), (Some(Shown::Covered), gate.black.clone()));
        // What follows is the text alone: its picture is black outside the panel.
        let text_blocks = drain(&mut gate, &desktop);
        assert!(text_blocks.len() < 4 && text_blocks.iter().all(Option::is_none));
    }

    #[test]
    fn while_covered_the_output_does_not_depend_on_the_desktop() {
        let outputs = [0_u8, 99].map(|shade| {
            let (mut gate, _) = gate();
            let bgra = vec![shade; usize::from(SIZE.0) * usize::from(SIZE.1) * 4];
            let desktop = Screenshot { width: SIZE.0, height: SIZE.1, bgra: Arc::from(bgra) };
            gate.uncover();
            drain(&mut gate, &desktop);
            gate.cover(CoverText { lines: vec!["covered".to_owned()] });
            gate.damage(&[Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 }]);
            gate.refresh();
            let mut bytes = Vec::new();
            while let Some(block) = gate.next(&desktop).unwrap() {
                bytes.extend(block.bytes);
                gate.damage(&[Rect { x: 100, y: 80, width: 99, height: 9 }]);
            }
            bytes
        });
        assert!(outputs[0].len() > gate().0.black.len(), "black and text");
        assert_eq!(outputs[0], outputs[1]);
    }

    #[test]
    fn light_fills_what_is_outside_the_panel_and_ends_with_the_cover() {
        let (mut gate, desktop) = gate();
        gate.light(Some([255, 186, 107]));
        gate.cover(CoverText { lines: vec!["covered".to_owned()] });
        drain(&mut gate, &desktop);
        let shown = |gate: &Gate| {
            let State::Covered { shown, .. } = &gate.state else { panic!("covered") };
            shown.bgra.clone()
        };
        let dark = shown(&gate);
        let pixel = |bgra: &[u8], x: u16, y: u16| {
            let at = (usize::from(y) * usize::from(SIZE.0) + usize::from(x)) * 4;
            [bgra[at + 2], bgra[at + 1], bgra[at]]
        };
        assert_eq!(pixel(&dark, 0, 0), [0; 3], "no light before the cover is shown");
        gate.light(Some([255, 186, 107]));
        let block = gate.next(&desktop).unwrap().unwrap();
        assert!(block.then.is_none() && block.bytes.len() < 1024);
        let lit = shown(&gate);
        let panel = cover::panel(SIZE.0, SIZE.1);
        for y in 0..SIZE.1 {
            for x in 0..SIZE.0 {
                let expected = if panel.contains(x, y) { pixel(&dark, x, y) } else { [255, 186, 107] };
                assert_eq!(pixel(&lit, x, y), expected, "{x} {y}");
            }
        }
        // New words do not put it out, and it is sent again with everything else.
        gate.cover(CoverText { lines: vec!["others".to_owned()] });
        drain(&mut gate, &desktop);
        assert_eq!(pixel(&shown(&gate), 0, 0), [255, 186, 107]);
        gate.light(None);
        assert_eq!(drain(&mut gate, &desktop).len(), 1);
        assert_eq!(pixel(&shown(&gate), 0, 0), [0; 3]);
        gate.light(Some([255, 186, 107]));
        gate.uncover();
        gate.cover(CoverText::default());
        drain(&mut gate, &desktop);
        assert_eq!(shown(&gate), cover::black_picture(SIZE.0, SIZE.1).bgra);
    }

    #[test]
    fn a_new_text_replaces_the_old_one_without_another_black_frame() {
        let (mut gate, desktop) = gate();
        gate.cover(CoverText { lines: vec!["one".to_owned()] });
        drain(&mut gate, &desktop);
        gate.cover(CoverText::default());
        assert!(!gate.is_black_due());
        drain(&mut gate, &desktop);
        let State::Covered { shown, .. } = &gate.state else { panic!("covered") };
        assert_eq!(shown.bgra, cover::black_picture(SIZE.0, SIZE.1).bgra);
    }
}
