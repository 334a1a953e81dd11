//! What the cover shows: black with the guard's words, as the X server's pixmap and as bytes to
//! compare the screen with.
//!
//! Pixels are BGRX, four bytes, top row first; the fourth byte means nothing.

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateGCAux, Gcontext, ImageFormat, Pixmap, Rectangle};

use crate::display::Display;
use crate::error::BlankerError;
use sudare_blanker::wire::Rect;

/// Well below the smallest limit of any server with big requests (4 MiB).
const UPLOAD_MAX_BYTES: usize = 1 << 20;

pub(crate) struct Surface {
    /// The background of the cover's windows: it is shown even when this process is dead.
    pub(crate) pixmap: Pixmap,
    gc: Gcontext,
    pub(crate) width: u16,
    pub(crate) height: u16,
    expected: Vec<u8>,
}

impl Surface {
    /// All black.
    pub(crate) fn black(display: &Display, (width, height): (u16, u16)) -> Result<Self, BlankerError> {
        let x = &display.x;
        let (pixmap, gc) = (x.generate_id()?, x.generate_id()?);
        x.create_pixmap(display.depth, pixmap, display.root, width, height)?;
        x.create_gc(gc, pixmap, &CreateGCAux::new().foreground(0).graphics_exposures(0))?;
        x.poly_fill_rectangle(pixmap, gc, &[Rectangle { x: 0, y: 0, width, height }])?;
        let expected = vec![0; usize::from(width) * usize::from(height) * 4];
        Ok(Self { pixmap, gc, width, height, expected })
    }

    /// Puts words somewhere; false if the place is not on the screen.
    pub(crate) fn paint(
        &mut self,
        display: &Display,
        place: Rect,
        bgra: &[u8],
    ) -> Result<bool, BlankerError> {
        let row_bytes = usize::from(place.width) * 4;
        let outside = u32::from(place.x) + u32::from(place.width) > u32::from(self.width)
            || u32::from(place.y) + u32::from(place.height) > u32::from(self.height);
        let (Ok(left), Ok(top)) = (i16::try_from(place.x), i16::try_from(place.y)) else {
            return Ok(false);
        };
        if outside || row_bytes == 0 || bgra.len() != place.bytes() {
            return Ok(false);
        }
        let rows_at_once = (UPLOAD_MAX_BYTES / row_bytes).max(1);
        let mut y = top;
        for part in bgra.chunks(rows_at_once * row_bytes) {
            let rows = u16::try_from(part.len() / row_bytes).unwrap_or(0);
            let (width, depth) = (place.width, display.depth);
            display.x.put_image(
                ImageFormat::Z_PIXMAP,
                self.pixmap,
                self.gc,
                width,
                rows,
                left,
                y,
                0,
                depth,
                part,
            )?;
            y = y.saturating_add_unsigned(rows);
        }
        self.expect(place, bgra, row_bytes);
        Ok(true)
    }

    /// Whether these rows of the screen, from `y` on, show nothing but the cover. Black is always
    /// right: words may be on their way, or the screen saver may be on.
    pub(crate) fn matches(&self, y: u16, rows: &[u8]) -> bool {
        let start = usize::from(y) * usize::from(self.width) * 4;
        let Some(expected) = self.expected.get(start..start + rows.len()) else { return false };
        rows == expected || rows.chunks_exact(4).zip(expected.chunks_exact(4)).all(ours)
    }

    pub(crate) fn free(&self, display: &Display) -> Result<(), BlankerError> {
        display.x.free_gc(self.gc)?;
        display.x.free_pixmap(self.pixmap)?;
        Ok(())
    }

    fn expect(&mut self, place: Rect, bgra: &[u8], row_bytes: usize) {
        let screen_row = usize::from(self.width) * 4;
        let first = usize::from(place.y) * screen_row + usize::from(place.x) * 4;
        for (row, pixels) in bgra.chunks_exact(row_bytes).enumerate() {
            let start = first + row * screen_row;
            if let Some(to) = self.expected.get_mut(start..start + row_bytes) {
                to.copy_from_slice(pixels);
            }
        }
    }
}

fn ours((seen, expected): (&[u8], &[u8])) -> bool {
    seen.get(..3) == expected.get(..3) || seen.get(..3) == Some(&[0, 0, 0])
}
