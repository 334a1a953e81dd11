//! What the gate itself draws: black, words and light, as bitmaps ([MS-RDPBCGR] 2.2.9.1.1.3.1.2.2).
//!
//! Bitmaps and never orders, because orders are deltas against what the client remembers of the host's. Run lengths
//! at 16 bits a pixel (2.2.9.1.1.3.1.2.4), whatever the session has: a black screen takes less than 1 kB, so that
//! even on a slow network a cover fits into one packet.

use crate::error::Fault;
use crate::limits::PAINT_FRAME_MAX_BYTES;
use crate::wire::{Reader, fastpath, length_u16};

const UPDATE_BITMAP: u16 = 1;
const BITS: u16 = 16;
const COMPRESSED: u16 = 1;
/// Runs of one colour, and pixels as they are: `MEGA_MEGA_COLOR_RUN`, `MEGA_MEGA_COLOR_IMAGE`.
const RUN: u8 = 0xF3;
const IMAGE: u8 = 0xF4;
/// A run takes five bytes; fewer pixels than this are shorter as they are.
const RUN_MIN: usize = 4;
/// The field with the size of a bitmap has 16 bits.
const BITMAP_MAX_PIXELS: usize = 32_767;
/// Before a bitmap's pixels, and before the first bitmap of an update.
const BITMAP_HEADER_BYTES: usize = 26;
const UPDATE_HEADER_BYTES: usize = 4;

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u16,
    /// From top to bottom.
    pub height: u16,
}

/// A part of the screen in 16 bits a pixel (5 red, 6 green, 5 blue).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
    /// Bottom row first, each a multiple of four pixels.
    data: Vec<u8>,
    stride: u16,
}

impl Tile {
    /// Of pixels from the top row to the bottom row. None if there are not as many as it has, or more than fit
    /// into one bitmap (32,767, with the width rounded up to a multiple of four).
    #[must_use]
    pub fn new(left: u16, top: u16, size: Size, pixels: &[u16]) -> Option<Self> {
        let Size { width, height } = size;
        let row = usize::from(width);
        if width == 0 || height == 0 || pixels.len() != row.checked_mul(height.into())? {
            return None;
        }
        let stride = width.checked_next_multiple_of(4)?;
        let padding = usize::from(stride.checked_sub(width)?);
        let rows = pixels.chunks(row).rev();
        let pixels: Vec<u16> =
            rows.flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0, padding))).collect();
        Self::encode(left, top, size, stride, &pixels)
    }

    /// Of one colour.
    #[must_use]
    pub fn flat(left: u16, top: u16, size: Size, pixel: u16) -> Option<Self> {
        let stride = size.width.checked_next_multiple_of(4)?;
        let count = usize::from(stride).checked_mul(size.height.into())?;
        if count == 0 || count > BITMAP_MAX_PIXELS {
            return None;
        }
        let mut data = vec![RUN];
        data.extend_from_slice(&u16::try_from(count).ok()?.to_le_bytes());
        data.extend_from_slice(&pixel.to_le_bytes());
        Some(Self { left, top, width: size.width, height: size.height, data, stride })
    }

    fn encode(left: u16, top: u16, size: Size, stride: u16, pixels: &[u16]) -> Option<Self> {
        if pixels.len() > BITMAP_MAX_PIXELS {
            return None;
        }
        let mut data = Vec::new();
        let mut plain: Vec<u16> = Vec::new();
        for run in pixels.chunk_by(|a, b| a == b) {
            if run.len() < RUN_MIN {
                plain.extend_from_slice(run);
                continue;
            }
            write_plain(&mut data, &mut plain)?;
            data.push(RUN);
            data.extend_from_slice(&u16::try_from(run.len()).ok()?.to_le_bytes());
            data.extend_from_slice(&run.first()?.to_le_bytes());
        }
        write_plain(&mut data, &mut plain)?;
        Some(Self { left, top, width: size.width, height: size.height, data, stride })
    }

    fn write(&self) -> Result<Vec<u8>, Fault> {
        let right = self.left.saturating_add(self.width).saturating_sub(1);
        let bottom = self.top.saturating_add(self.height).saturating_sub(1);
        let body = length_u16(self.data.len())?;
        let whole = length_u16(self.data.len().saturating_add(8))?;
        let size = length_u16(usize::from(self.stride).saturating_mul(self.height.into()).saturating_mul(2))?;
        let fields = [
            self.left,
            self.top,
            right,
            bottom,
            self.stride,
            self.height,
            BITS,
            COMPRESSED,
            whole,
            0,
            body,
            self.stride,
            size,
        ];
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.data);
        Ok(bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.data.len().saturating_add(BITMAP_HEADER_BYTES)
    }

    /// Where it is: its corner and its size.
    pub(super) fn place(&self) -> ((u16, u16), Size) {
        ((self.left, self.top), Size { width: self.width, height: self.height })
    }

    /// Its pixels again, from the top row to the bottom row.
    pub(super) fn pixels(&self) -> Result<Vec<Vec<u16>>, Fault> {
        let mut reader = Reader::new(&self.data);
        let mut pixels = Vec::new();
        while reader.left() > 0 {
            let (kind, count) = (reader.u8()?, reader.u16()?);
            if kind == RUN {
                pixels.extend(std::iter::repeat_n(reader.u16()?, count.into()));
                continue;
            }
            for _ in 0..count {
                pixels.push(reader.u16()?);
            }
        }
        let rows = pixels.chunks(usize::from(self.stride).max(1)).rev();
        Ok(rows.map(|row| row.iter().copied().take(self.width.into()).collect()).collect())
    }
}

fn write_plain(data: &mut Vec<u8>, plain: &mut Vec<u16>) -> Option<()> {
    if !plain.is_empty() {
        data.push(IMAGE);
        data.extend_from_slice(&u16::try_from(plain.len()).ok()?.to_le_bytes());
        data.extend(plain.drain(..).flat_map(u16::to_le_bytes));
    }
    Some(())
}

/// Frames that draw these tiles, as few as there can be.
pub(super) fn frames(tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut frames = Vec::new();
    let mut bitmaps = Vec::new();
    let mut count = 0_u16;
    for tile in tiles {
        let full =
            bitmaps.len().saturating_add(tile.bytes()) > PAINT_FRAME_MAX_BYTES - 16 - UPDATE_HEADER_BYTES;
        if full && count > 0 {
            frames.push(frame(count, &bitmaps)?);
            bitmaps.clear();
            count = 0;
        }
        bitmaps.extend(tile.write()?);
        count = count.saturating_add(1);
    }
    if count > 0 {
        frames.push(frame(count, &bitmaps)?);
    }
    Ok(frames)
}

fn frame(count: u16, bitmaps: &[u8]) -> Result<Vec<u8>, Fault> {
    let update = [&UPDATE_BITMAP.to_le_bytes(), &count.to_le_bytes()[..], bitmaps].concat();
    fastpath::write(fastpath::BITMAP, &update)
}

/// Frames that make the whole screen black.
pub(super) fn black(size: Size) -> Result<Vec<Vec<u8>>, Fault> {
    let stride = usize::from(size.width).next_multiple_of(4).max(4);
    let rows = u16::try_from((BITMAP_MAX_PIXELS / stride).max(1)).unwrap_or(u16::MAX);
    let bands = (0..size.height).step_by(rows.into()).filter_map(|top| {
        let height = rows.min(size.height.saturating_sub(top));
        Tile::flat(0, top, Size { width: size.width, height }, 0)
    });
    frames(&bands.collect::<Vec<_>>())
}
