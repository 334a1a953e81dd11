//! Words and light on surfaces that are black.

use ironrdp_graphics::rdp6::{BgrAChannels, BitmapStreamEncoder};

use super::super::paint::Tile;
use super::Graphics;
use super::surfaces::Surface;
use crate::error::Fault;
use crate::wire::gfx::{self, Place, Rectangle, codec};

/// A tile has at most 32,767 pixels. Where a surface is shown in a much smaller size than its own, one would have more.
const PIXELS_MAX: usize = 1 << 18;
const BYTES_PER_PIXEL: usize = 4;

impl Graphics {
    /// Draws these next, and nothing of what was to be drawn before.
    pub(in crate::live) fn paint(&mut self, tiles: &[Tile]) {
        self.tiles = tiles.iter().cloned().collect();
    }

    /// PDUs with the next tile that is on a surface.
    pub(super) fn words(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while let Some(tile) = self.tiles.pop_front() {
            let mut inside = Vec::new();
            for (id, surface) in self.surfaces.shown() {
                // What is not black yet must not seem to be a cover.
                if surface.kept_by.is_some() {
                    draw(&mut inside, id, surface, &tile)?;
                }
            }
            if !inside.is_empty() {
                return self.frame(&[], &inside, None).map(Some);
            }
        }
        Ok(None)
    }
}

/// Columns or rows of a surface on which those of a tile are shown.
struct Span {
    origin: u64,
    /// In the surface, and as it is shown.
    length: u64,
    shown: u64,
    tile_from: u64,
    /// The first one, and the one behind the last.
    from: u64,
    to: u64,
}

impl Span {
    fn new(origin: u32, length: u16, shown: u32, tile_from: u16, tile_length: u16) -> Option<Self> {
        let (origin, length, shown) = (u64::from(origin), u64::from(length), u64::from(shown));
        let tile_from = u64::from(tile_from);
        let tile_to = tile_from.saturating_add(tile_length.into());
        // The first that is shown at this place or behind it.
        let first = |place: u64| {
            let within = place.saturating_sub(origin).min(shown);
            within.saturating_mul(length).checked_add(shown.checked_sub(1)?)?.checked_div(shown)
        };
        let (from, to) = (first(tile_from)?, first(tile_to)?);
        (from < to).then_some(Self { origin, length, shown, tile_from, from, to })
    }

    fn count(&self) -> usize {
        usize::try_from(self.to.saturating_sub(self.from)).unwrap_or(usize::MAX)
    }

    /// Which of the tile's each of them shows.
    fn sources(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let (origin, length, shown, tile_from) =
            (self.origin, self.length.max(1), self.shown, self.tile_from);
        (self.from..self.to).map(move |at| {
            let place = at.saturating_mul(shown).checked_div(length).unwrap_or_default();
            let source = place.saturating_add(origin).saturating_sub(tile_from);
            usize::try_from(source).unwrap_or(usize::MAX)
        })
    }

    fn bounds(&self) -> Option<(u16, u16)> {
        Some((u16::try_from(self.from).ok()?, u16::try_from(self.to).ok()?))
    }
}

fn draw(pdus: &mut Vec<u8>, id: u16, surface: &Surface, tile: &Tile) -> Result<(), Fault> {
    let Some(Place::Output { x, y, scaled }) = surface.place else { return Ok(()) };
    let (shown_width, shown_height) = scaled.unwrap_or((surface.width.into(), surface.height.into()));
    let ((left, top), size) = tile.place();
    let columns = Span::new(x, surface.width, shown_width, left, size.width);
    let rows = Span::new(y, surface.height, shown_height, top, size.height);
    let (Some(columns), Some(rows)) = (columns, rows) else { return Ok(()) };
    if columns.count().saturating_mul(rows.count()) > PIXELS_MAX {
        return Ok(());
    }
    let (Some((left, right)), Some((top, bottom))) = (columns.bounds(), rows.bounds()) else { return Ok(()) };
    let rectangle = Rectangle { left, top, right, bottom };
    let source = tile.pixels()?;
    let pixels = rows.sources().flat_map(|row| {
        let row = source.get(row).map(Vec::as_slice).unwrap_or_default();
        columns.sources().map(|column| row.get(column).copied().unwrap_or_default()).collect::<Vec<_>>()
    });
    let pixels: Vec<u16> = pixels.collect();
    match pixels.split_first() {
        Some((first, rest)) if rest.iter().all(|pixel| pixel == first) => {
            let [blue, green, red, _] = colour(*first);
            gfx::write_fill(pdus, id, [blue, green, red], rectangle)
        }
        _ => bitmap(pdus, id, rectangle, (columns.count(), rows.count()), &pixels),
    }
}

fn bitmap(
    pdus: &mut Vec<u8>,
    id: u16,
    rectangle: Rectangle,
    (width, height): (usize, usize),
    pixels: &[u16],
) -> Result<(), Fault> {
    let plain: Vec<u8> = pixels.iter().flat_map(|pixel| colour(*pixel)).collect();
    // Whatever does not become shorter goes as it is.
    let mut planar = vec![0; pixels.len().saturating_mul(BYTES_PER_PIXEL)];
    match BitmapStreamEncoder::new(width, height).encode_bitmap::<BgrAChannels>(&plain, &mut planar, true) {
        Ok(length) => {
            let planar = planar.get(..length).unwrap_or_default();
            gfx::write_bitmap(pdus, id, codec::PLANAR, rectangle, planar)
        }
        Err(_) => gfx::write_bitmap(pdus, id, codec::UNCOMPRESSED, rectangle, &plain),
    }
}

/// Blue, green, red and nothing of a pixel in 16 bits, so that white is white.
fn colour(pixel: u16) -> [u8; BYTES_PER_PIXEL] {
    let [low, high] = pixel.to_le_bytes();
    let (red, blue) = (high >> 3, low & 0x1F);
    let green = ((high & 7) << 3) | (low >> 5);
    [(blue << 3) | (blue >> 2), (green << 2) | (green >> 4), (red << 3) | (red >> 2), 0xFF]
}
