//! What the cover shows: black with the guard's words, as the X server's pixmap and as bytes to
//! compare the screen with.
//!
//! Pixels are BGRX, four bytes, top row first; the fourth byte means nothing.

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt as _, CreateGCAux, Gcontext, ImageFormat, Pixmap, Rectangle,
};

use crate::display::Display;
use crate::error::BlankerError;
use sudare_blanker::wire::{MONITORS_MAX, Rect};

/// Well below the smallest limit of any server with big requests (4 MiB).
const UPLOAD_MAX_BYTES: usize = 1 << 20;

pub(crate) struct Surface {
    /// The background of the cover's windows: it is shown even when this process is dead.
    pub(crate) pixmap: Pixmap,
    gc: Gcontext,
    pub(crate) width: u16,
    pub(crate) height: u16,
    expected: Vec<u8>,
    /// Where words are.
    places: Vec<Rect>,
    light: [u8; 3],
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
        Ok(Self { pixmap, gc, width, height, expected, places: Vec::new(), light: [0; 3] })
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
        if !self.places.contains(&place) && self.places.len() < MONITORS_MAX {
            self.places.push(place);
        }
        Ok(true)
    }

    /// Fills everything but the places of words with one colour. What is expected on the screen is exactly that colour
    /// from then on, or black.
    pub(crate) fn light(&mut self, display: &Display, rgb: [u8; 3]) -> Result<(), BlankerError> {
        if rgb == self.light {
            return Ok(());
        }
        self.light = rgb;
        let [r, g, b] = rgb;
        let parts = outside(self.width, self.height, &self.places);
        let foreground = u32::from_be_bytes([0, r, g, b]);
        display.x.change_gc(self.gc, &ChangeGCAux::new().foreground(foreground))?;
        let signed = |value: u16| i16::try_from(value).unwrap_or(i16::MAX);
        let rectangles: Vec<Rectangle> = parts
            .iter()
            .map(|part| Rectangle {
                x: signed(part.x),
                y: signed(part.y),
                width: part.width,
                height: part.height,
            })
            .collect();
        display.x.poly_fill_rectangle(self.pixmap, self.gc, &rectangles)?;
        for part in parts {
            let row_bytes = usize::from(part.width) * 4;
            self.expect(part, &[b, g, r, 0].repeat(part.bytes() / 4), row_bytes);
        }
        Ok(())
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

/// Everything that is in none of these places, in rectangles.
fn outside(width: u16, height: u16, places: &[Rect]) -> Vec<Rect> {
    let right = |place: &Rect| place.x.saturating_add(place.width);
    let bottom = |place: &Rect| place.y.saturating_add(place.height);
    let mut edges: Vec<u16> = places.iter().flat_map(|place| [place.y, bottom(place)]).collect();
    edges.extend([0, height]);
    edges.sort_unstable();
    edges.dedup();
    let mut found = Vec::new();
    for strip in edges.windows(2) {
        let [top, end] = *strip else { continue };
        let mut inside: Vec<&Rect> =
            places.iter().filter(|place| place.y < end && bottom(place) > top).collect();
        inside.sort_unstable_by_key(|place| place.x);
        let mut x = 0;
        for place in inside {
            if place.x > x {
                found.push(Rect { x, y: top, width: place.x - x, height: end - top });
            }
            x = x.max(right(place));
        }
        if x < width {
            found.push(Rect { x, y: top, width: width - x, height: end - top });
        }
    }
    found
}

fn ours((seen, expected): (&[u8], &[u8])) -> bool {
    seen.get(..3) == expected.get(..3) || seen.get(..3) == Some(&[0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_is_every_pixel_that_is_in_no_place_once() {
        let place = |x, y, width, height| Rect { x, y, width, height };
        for places in [
            vec![],
            vec![place(3, 4, 8, 5)],
            vec![place(0, 0, 20, 12)],
            vec![place(2, 2, 5, 5), place(11, 4, 6, 6)],
            vec![place(2, 2, 10, 5), place(6, 4, 10, 6)],
        ] {
            let inside = |all: &[Rect], x: u16, y: u16| {
                let hit = |r: &&Rect| x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height;
                all.iter().filter(hit).count()
            };
            let found = outside(20, 12, &places);
            for (x, y) in (0..20).flat_map(|x| (0..12).map(move |y| (x, y))) {
                let expected = usize::from(inside(&places, x, y) == 0);
                assert_eq!(inside(&found, x, y), expected, "{x} {y} of {places:?}");
            }
        }
    }
}
