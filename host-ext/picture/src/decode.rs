//! A recording into pixels.

use sudare_relay::error::Fault;
use sudare_relay::recording::{Kind, Recording, Unreadable};
use sudare_relay::wire::Reader;
use sudare_relay::wire::bitmap as wire;

use crate::bitmap;

/// Bytes of a pixel: blue, green, red, and whether it was drawn.
pub(crate) const PIXEL_BYTES: usize = 4;
const PALETTE_COLOURS: usize = 256;

/// Colours by their number; those without one are none.
pub(crate) type Palette = Vec<[u8; 3]>;

/// Why a recording is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// It is no recording.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Headers that contradict each other.
    #[error("the host {0}, so the screenshot cannot be decoded. Update the host, or report this")]
    Update(#[from] Fault),
    /// A bitmap whose size cannot be.
    #[error(
        "the host sent a bitmap of {width} x {height} pixels for a place of another size. Update the host, or report this"
    )]
    Size {
        /// Of its data.
        width: u16,
        /// Of its data.
        height: u16,
    },
    /// A depth that no bitmap has.
    #[error("the host sent a bitmap with {0} bits a pixel, which is not decoded. Set another colour depth")]
    Depth(u16),
    /// Data that are no bitmap of this size.
    #[error("the host sent a bitmap whose data are damaged: {0}. Update the host, or report this")]
    Damaged(String),
    /// Parts of the screen are in no piece.
    #[error("{0} pixels of the screen are not in the recording. The host did not draw all of it")]
    Incomplete(usize),
}

/// The pixels of a recording: blue, green, red and a fourth byte, the top row first.
///
/// # Errors
/// If it is none, or cannot be decoded, or leaves a part of the screen out.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let recording = Recording::read(bytes)?;
    let mut canvas = Canvas::new(recording.size().width.into(), recording.size().height.into());
    let mut palette = Palette::new();
    for (kind, update) in recording.pieces() {
        match kind {
            Kind::Palette => palette = read_palette(update)?,
            Kind::Bitmaps => {
                for bitmap in wire::read(update)? {
                    bitmap::draw(&mut canvas, &bitmap, &palette)?;
                }
            }
        }
    }
    let undrawn = canvas.pixels.chunks_exact(PIXEL_BYTES).filter(|pixel| pixel.last() == Some(&0)).count();
    if undrawn > 0 { Err(Undecodable::Incomplete(undrawn)) } else { Ok(canvas.pixels) }
}

/// Behind the update's kind: a pad, how many, and each one's red, green and blue.
fn read_palette(update: &[u8]) -> Result<Palette, Fault> {
    let mut reader = Reader::new(update);
    reader.take(4)?;
    let count = usize::try_from(reader.u32()?).ok().filter(|count| *count <= PALETTE_COLOURS);
    let mut colours = Palette::new();
    for _ in 0..count.ok_or(Fault::TooMuch)? {
        let (red, green, blue) = (reader.u8()?, reader.u8()?, reader.u8()?);
        colours.push([blue, green, red]);
    }
    Ok(colours)
}

/// The screen as it becomes.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// Its size was checked when the recording was read.
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width.saturating_mul(height).saturating_mul(PIXEL_BYTES)] }
    }

    /// Draws rows from this corner on; what is outside of the screen is left out.
    pub(crate) fn rows(
        &mut self,
        (left, top): (usize, usize),
        width: usize,
        rows: impl Iterator<Item = impl Iterator<Item = [u8; 3]>>,
    ) {
        let row_bytes = self.width.saturating_mul(PIXEL_BYTES).max(PIXEL_BYTES);
        let (from, width) = (left.saturating_mul(PIXEL_BYTES), width.min(self.width.saturating_sub(left)));
        let below = self.height.saturating_sub(top);
        let targets = self.pixels.chunks_exact_mut(row_bytes).skip(top).take(below);
        for (target, row) in targets.zip(rows) {
            let pixels = target.get_mut(from..).unwrap_or_default().chunks_exact_mut(PIXEL_BYTES).take(width);
            for (pixel, [blue, green, red]) in pixels.zip(row) {
                pixel.copy_from_slice(&[blue, green, red, u8::MAX]);
            }
        }
    }
}
